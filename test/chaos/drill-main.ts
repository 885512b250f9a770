/** `npm run drill`: a rehearsal of a failover for a person to watch, on this machine. `--help` says more. */
import { spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Command } from 'commander';
import pg from 'pg';
import { readPostmasterFile } from '../../src/agent/postmaster-file.js';
import { start } from '../harness/command.js';
import { GATEWAY_PROGRAM } from '../harness/gateway-under-test.js';
import { freePort } from '../harness/scratch.js';
import { until } from '../harness/until.js';
import type { Place } from './ground/ground.js';
import { monotonic, type Operation } from './load/history.js';
import { LoadMachines } from './load/load-machines.js';
import {
  acknowledged,
  failures,
  harmedBystanders,
  longestGap,
  lostWrites,
  takenOverAfter,
} from './load/oracles.js';
import { READ_SQL, SET_SQL } from './load/workload.js';

const HELP = `
Starts "sluice up" in a folder of its own (a primary, two standbys, their agents, a gateway), writes through the gateway, and kills
the primary's PostgreSQL with kill -9. Shows while it runs what happens, and at the end what clients have felt, and
whether everything that was acknowledged is there. Needs neither root nor a network. Ends with 0 if nothing was lost.`;

const NODES = ['node1', 'node2', 'node3'];
const LOGIN = { host: '127.0.0.1', user: 'postgres', database: 'postgres' } as const;
const CLIENTS = { autocommit: 8, transaction: 4, idle: 8, open: 2 } as const;
const START_LIMIT_MS = 120_000;
const BEFORE_MS = 4_000;
const AFTER_MS = 4_000;
const TAKE_OVER_LIMIT_MS = 60_000;

const begin = monotonic();
const say = (text: string): void => {
  console.log(`[${((monotonic() - begin) / 1_000).toFixed(1).padStart(5)} s] ${text}`);
};

const here: Place = {
  name: 'this machine',
  address: LOGIN.host,
  listens: LOGIN.host,
  start: ({ program, args, stdio }) => start(program, args, { stdio: stdio ?? 'ignore' }),
};

/** Nodes are told apart by their ports: the gateway reaches them by TCP or by their unix sockets. */
function byPort(history: readonly Operation[]): Operation[] {
  return history.map((one) => ({ ...one, server: one.server?.split(':').at(-1) ?? null }));
}

async function ask(port: number, sql: string): Promise<pg.QueryResultRow[]> {
  const client = new pg.Client({ ...LOGIN, port });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

async function postmasterAt(folder: string, port: string): Promise<{ node: string; pid: number }> {
  for (const node of NODES) {
    const file = await readPostmasterFile(join(folder, node, 'data'));
    if (file !== null && String(file.port) === port) return { node, pid: file.pid };
  }
  throw new Error(`no node of the cluster listens on port ${port}`);
}

/** Says once a second how the load is, until it is told to stop. */
async function watch(load: LoadMachines, stop: AbortSignal): Promise<void> {
  for (let before = 0; !stop.aborted; ) {
    await pause(1_000, undefined, { signal: stop }).catch(() => {});
    if (stop.aborted) return;
    const writes = acknowledged(load.history);
    const port = writes.at(-1)?.server?.split(':').at(-1);
    const failed = load.history.length - writes.length;
    say(
      `${writes.length - before} writes in the last second, by the node on port ${port}; failed so far: ${failed}`,
    );
    before = writes.length;
  }
}

async function rehearse(folder: string, port: number): Promise<boolean> {
  await ask(port, SET_SQL);
  const shape = { database: LOGIN.database, user: LOGIN.user, clients: CLIENTS, paceMs: 50 };
  const load = LoadMachines.start([here], [{ host: LOGIN.host, port }], shape);
  const stop = new AbortController();
  const watching = watch(load, stop.signal);
  try {
    await pause(BEFORE_MS);
    const write = await until('writes', () => byPort(acknowledged(load.history)).at(-1));
    const old = { server: write.server!, timeline: write.timeline! };
    const { node, pid } = await postmasterAt(folder, old.server);
    const since = monotonic();
    process.kill(pid, 'SIGKILL');
    say(`KILLED the PostgreSQL of ${node}, the primary (kill -9 ${pid})`);
    const isTakenOver = () => Number.isFinite(takenOverAfter(byPort(load.history), since, old));
    await until('another primary', isTakenOver, TAKE_OVER_LIMIT_MS);
    say(`ANOTHER PRIMARY has acknowledged a write`);
    await pause(AFTER_MS);
    stop.abort();
    await load.stop();
    const present = new Set((await ask(port, READ_SQL)).map(({ number }) => Number(number)));
    return tell(byPort(load.history), since, old, present);
  } finally {
    stop.abort();
    await watching;
    await load.stop();
  }
}

function tell(
  history: readonly Operation[],
  since: number,
  old: { server: string; timeline: number },
  present: ReadonlySet<number>,
): boolean {
  const lost = lostWrites(history, present);
  const harmed = harmedBystanders(history, since, false);
  const groups = failures(history, since);
  const ms = (value: number): string => `${(value / 1_000).toFixed(2)} s`;
  console.log(`
from the kill to the next acknowledged write   ${ms(takenOverAfter(history, since, old))}
longest time without an acknowledged write     ${ms(longestGap(history, since).ms)}
acknowledged commits                           ${acknowledged(history).length}
  of these, there now                          ${acknowledged(history).length - lost.length}
clients between transactions who got an error  ${harmed.length}
errors                                         ${groups.length === 0 ? 'none' : ''}`);
  for (const { code, kind, count, message } of groups) {
    console.log(`  ${count} x ${code} (${kind}): ${message.split('\n')[0]}`);
  }
  console.log(
    lost.length === 0 ? '\nNothing that was acknowledged is lost.' : '\nACKNOWLEDGED COMMITS ARE LOST.',
  );
  return lost.length === 0;
}

new Command('drill')
  .description('Kills the primary of a demo cluster under load, and tells what clients felt.')
  .addHelpText('after', HELP)
  .parse();
const folder = mkdtempSync(join(tmpdir(), 'sluice-drill-'));
// PostgreSQL runs as another user where we are root.
chmodSync(folder, 0o755);
const port = await freePort();
const up = spawn(
  process.execPath,
  [GATEWAY_PROGRAM, 'up', '--data', join(folder, 'data'), '--port', String(port)],
  {
    stdio: ['ignore', 'pipe', 'inherit'],
  },
);
const hasEnded = (): boolean => up.exitCode !== null || up.signalCode !== null;
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => up.kill('SIGTERM'));
try {
  let printed = '';
  up.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
    for (const line of text.split('\n')) if (/^\[/.test(line)) say(line.replace(/^\[[^\]]*\] /, ''));
  });
  await until(
    'the cluster to be ready',
    () => hasEnded() || printed.includes('Sluice is ready'),
    START_LIMIT_MS,
  );
  if (hasEnded()) throw new Error(`sluice up has ended:\n${printed}`);
  say('ready; clients begin to write');
  process.exitCode = (await rehearse(join(folder, 'data'), port)) ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
} finally {
  up.kill('SIGTERM');
  await until('the cluster to stop', hasEnded, 60_000).catch(() => up.kill('SIGKILL'));
  rmSync(folder, { recursive: true, force: true });
}
