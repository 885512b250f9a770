/** `sluice pause`, `resume` and `failover`: what operators wish, and agents obey. */
import type { Command } from 'commander';
import type { EventKind } from '../../cluster/history.js';
import type { Store } from '../../stores/store.js';
import type { Wish } from '../../stores/wishes.js';
import { UsageError } from '../usage-error.js';
import {
  CLUSTER_HELP,
  type ClusterFlags,
  clusterOptions,
  STORE_FAILED,
  withCluster,
} from './cluster-options.js';
import { isConfirmed } from './confirm.js';

const EXIT_CODES = `
Exit code: 0 when it is written, 1 if it can't be done, ${STORE_FAILED} if the store can't be asked.`;

const PAUSE_TEXT = `
For maintenance: in a paused cluster nobody but the last primary is elected, no switchover is done, and nobody's data is
cloned or rewound. Replication goes on, and a primary whose lease can't be renewed still ends.
${CLUSTER_HELP}
${EXIT_CODES}`;

const FAILOVER_TEXT = `
For a cluster that nobody leads, and that waits for nodes which are lost for good. Agents elect nobody who may lack
acknowledged commits; this says that the operator takes upon himself what is lost: the node leads as soon as it has said how
far it is, whatever others may have, in a paused cluster too. "sluice status" says what the cluster waits for, and
"sluice lost" what was left behind. While somebody leads this is refused: use "sluice switchover", which loses nothing.
${CLUSTER_HELP}
${EXIT_CODES}

Example:
  sluice failover -c agent.yaml --to db2 --accept-loss`;

/** Adds them to the command line. */
export function registerWishes(program: Command): void {
  clusterOptions(program.command('pause'))
    .summary('maintenance begins: no failover')
    .description('Lets agents elect and replace nobody.')
    .addHelpText('after', PAUSE_TEXT)
    .action((flags: ClusterFlags) => withCluster(flags, (store) => pause(flags, store, true)));
  clusterOptions(program.command('resume'))
    .summary('maintenance is over')
    .description('Lets a paused cluster go on.')
    .addHelpText('after', `${CLUSTER_HELP}\n${EXIT_CODES}`)
    .action((flags: ClusterFlags) => withCluster(flags, (store) => pause(flags, store, false)));
  clusterOptions(program.command('failover'))
    .summary('a primary at any price, where nobody leads')
    .description('Lets a node lead although it may lack acknowledged commits.')
    .requiredOption('--to <NODE>', 'the next primary')
    .option('--accept-loss', 'commits may be lost that were acknowledged')
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', FAILOVER_TEXT)
    .action((flags: FailoverFlags) => withCluster(flags, (store) => failOver(flags, store)));
}

interface FailoverFlags extends ClusterFlags {
  readonly to: string;
  readonly acceptLoss?: true;
  readonly yes?: true;
}

async function pause(flags: ClusterFlags, store: Store, paused: boolean): Promise<void> {
  const { setPaused } = await import('../../stores/wishes.js');
  const wish = await setPaused(store, paused);
  const done = paused ? 'paused: nobody but the last primary is elected' : 'the cluster goes on';
  await tell(flags, store, wish, paused ? 'paused' : 'resumed', null, done);
}

async function failOver(flags: FailoverFlags, store: Store): Promise<void> {
  const { to } = flags;
  if (flags.acceptLoss !== true) {
    throw new UsageError(
      'a failover may lose acknowledged commits: say --accept-loss, if that is what you want',
    );
  }
  const { askFailover } = await import('../../stores/wishes.js');
  if (!(await isConfirmed(`Let ${to} lead, whatever is lost by it?`, flags.yes === true))) {
    process.exitCode = 1;
    return;
  }
  const wish = await askFailover(store, to);
  const done = `${to} leads as soon as it has said how far it is; "sluice status" shows it`;
  await tell(flags, store, wish, 'failover asked', to, done);
}

async function tell(
  { json }: ClusterFlags,
  store: Store,
  { view, control }: Wish,
  what: EventKind,
  node: string | null,
  done: string,
): Promise<void> {
  const { recordEvent } = await import('../../stores/wishes.js');
  const text = {
    paused: 'an operator has paused the cluster',
    resumed: 'an operator lets the cluster go on',
  };
  await recordEvent(store, {
    ...{ at: new Date().toISOString(), node, term: view.term, what },
    text:
      what === 'paused' || what === 'resumed'
        ? text[what]
        : `an operator wants ${node} to lead, whatever is lost by it`,
  });
  process.stdout.write(json === true ? `${JSON.stringify(control)}\n` : `${done}\n`);
}
