/** `sluice history` and `sluice lost`: what has happened, and what it has cost. */
import type { Command } from 'commander';
import type { ClusterEvent } from '../../cluster/history.js';
import type { Store } from '../../stores/store.js';
import { textTable } from '../text-table.js';
import {
  CLUSTER_HELP,
  type ClusterFlags,
  clusterOptions,
  STORE_FAILED,
  withCluster,
} from './cluster-options.js';

const HISTORY_TEXT = `
The last hundred events of the cluster, oldest first: elections, what was left behind, what operators asked for. Each node
writes its own, all changes of its agent's state too, into DATA.sluice/events.jsonl beside its data folder.
${CLUSTER_HELP}

Exit code: 0, or ${STORE_FAILED} if the store can't be asked.`;

const LOST_TEXT = `
A node that has to follow another one, and has WAL of its own that nobody else follows, says from where to where, and keeps a
copy of that WAL before it is rewound or cloned: in DATA.sluice/kept-wal beside its data folder. In a cluster that is
"durable" or "available" nothing of it was acknowledged to a client as committed, unless an operator has forced a failover;
transactions that were about to commit may be in it. In one that is "asynchronous" acknowledged commits can be.
pg_waldump shows what is in the kept files.
${CLUSTER_HELP}

Exit code: 0 if nothing was left behind, 1 if something was, ${STORE_FAILED} if the store can't be asked.`;

/** Adds them to the command line. */
export function registerHistory(program: Command): void {
  clusterOptions(program.command('history'))
    .summary('what has happened in the cluster')
    .description('Prints the events that the store keeps.')
    .addHelpText('after', HISTORY_TEXT)
    .action((flags: ClusterFlags) => withCluster(flags, (store) => history(flags, store)));
  clusterOptions(program.command('lost'))
    .summary('what failovers have left behind')
    .description('Prints the WAL, by LSN, that nobody has followed.')
    .addHelpText('after', LOST_TEXT)
    .action((flags: ClusterFlags) => withCluster(flags, (store) => lost(flags, store)));
}

async function events(store: Store): Promise<ClusterEvent[]> {
  const { HISTORY, readHistory } = await import('../../cluster/history.js');
  return readHistory((await store.read()).values.get(HISTORY)?.text);
}

async function history({ json }: ClusterFlags, store: Store): Promise<void> {
  const all = await events(store);
  if (json === true) process.stdout.write(`${JSON.stringify(all)}\n`);
  else process.stdout.write(all.length === 0 ? 'nothing has happened yet\n' : historyText(all));
}

async function lost({ json }: ClusterFlags, store: Store): Promise<void> {
  const left = (await events(store)).filter(({ what }) => what === 'left behind');
  process.exitCode = left.length === 0 ? 0 : 1;
  if (json === true) process.stdout.write(`${JSON.stringify(left)}\n`);
  else process.stdout.write(left.length === 0 ? 'nothing was left behind\n' : lostText(left));
}

/** One line an event. */
export function historyText(all: readonly ClusterEvent[]): string {
  const rows = all.map(({ at, term, text }) => [at, String(term), text]);
  return `${textTable([['time', 'term', 'event'], ...rows]).join('\n')}\n`;
}

/** A table of LSNs, and where the WAL is. */
export function lostText(left: readonly ClusterEvent[]): string {
  const rows = left.map(({ at, node, term, details = {} }) =>
    [at, node, term, details.timeline, details.from, details.to, details.bytes, details.keptIn].map((value) =>
      String(value ?? '-'),
    ),
  );
  const heading = ['time', 'node', 'term', 'timeline', 'from', 'to', 'bytes', 'kept there in'];
  return `${textTable([heading, ...rows]).join('\n')}\n`;
}
