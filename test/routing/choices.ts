/** Which server a router sends a statement to, as the servers' own logs tell. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { PGPOOL, pgpoolConfiguration } from '../../bench/pgpool.js';
import { start } from '../harness/command.js';
import { serverIdentity } from '../harness/postgres-binaries.js';
import { DATABASE, type PostgresServer, SUPERUSER } from '../harness/postgres-server.js';
import { handOver } from '../harness/process-group.js';
import { freePort, scratchFolder } from '../harness/scratch.js';
import { until } from '../harness/until.js';

/**
 * `both`: to each of the two, as a statement that the standby has refused and the primary has run. `neither`: the router has
 * answered it itself.
 */
export type Place = 'primary' | 'standby' | 'both' | 'neither';

/** Servers must log so that statements can be found. */
export const LOGGING = { log_statement: 'all' };

/** A statement of ours that is found in a log has everything before it that came before. */
const MARK = 'mark of the end';
const START_LIMIT_MS = 20_000;

/** Sends a statement, in a session of its own, to a port of this machine. Errors are answers, too. */
export async function placeOf(
  sql: string,
  port: number,
  primary: PostgresServer,
  standby: PostgresServer,
): Promise<Place> {
  const before = [primary, standby].map(({ log }) => log.length);
  const client = new pg.Client({ host: '127.0.0.1', port, user: SUPERUSER, database: DATABASE });
  client.on('error', () => {});
  await client.connect();
  await client.query(sql).catch(() => {});
  await client.end().catch(() => {});
  const [onPrimary, onStandby] = await Promise.all(
    [primary, standby].map((server, index) => hasLogged(server, before[index]!, sql)),
  );
  if (onPrimary) return onStandby ? 'both' : 'primary';
  return onStandby ? 'standby' : 'neither';
}

async function hasLogged(server: PostgresServer, from: number, sql: string): Promise<boolean> {
  const mark = `${MARK} ${from}`;
  await server.query(`SELECT '${mark}'`);
  await until('the log', () => server.log.includes(mark, from));
  // Further lines of a statement begin with a tab; one that can't be parsed is logged with its error only.
  const log = server.log.slice(from).replaceAll('\n\t', '\n');
  return log.includes(`statement: ${sql}\n`) || log.includes(`STATEMENT:  ${sql}\n`);
}

/** Starts Pgpool-II before a primary and a standby, until this process ends. @returns its port */
export async function startPgpool(
  program: string,
  primary: PostgresServer,
  standby: PostgresServer,
): Promise<number> {
  const folder = scratchFolder('pgpool');
  const ports = { client: await freePort(), control: await freePort() };
  const databases = { sr_check_database: DATABASE, health_check_database: DATABASE };
  const file = join(folder, 'pgpool.conf');
  writeFileSync(file, pgpoolConfiguration([primary, standby], ports, folder, databases));
  const empty = join(folder, 'empty');
  writeFileSync(empty, '');
  handOver(folder);
  const child = start(program, ['-n', '-f', file, '-F', empty, '-a', empty], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...serverIdentity(),
  });
  process.once('exit', () => child.kill('SIGINT'));
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      log += chunk.toString();
    });
  }
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  await until(`${PGPOOL} to start`, () => log.includes('successfully started') || hasEnded(), START_LIMIT_MS);
  if (hasEnded()) throw new Error(`${PGPOOL} did not start:\n${log}`);
  return ports.client;
}
