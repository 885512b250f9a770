/** What a standby is told: to start, to follow, and to receive nothing more. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Position, TimelineOrigin } from '../../cluster/position.js';
import type { Contact } from '../../cluster/records.js';
import { forgetOwnConfiguration } from './own-configuration.js';
import { standbyPosition, untilReplayed } from './position.js';
import { undoUnfinished } from './promotion.js';
import type { Server } from './server.js';
import { conninfo } from './server-files.js';
import type { TermLedger } from './term-ledger.js';

/** Queries on the standby may hold up its startup process; where they do, ending PostgreSQL is sooner done. */
const DETACH_MS = 1_500;
/** A vote is better early than exact: what has been received counts, too. */
const REPLAY_MS = 200;
/** Between two looks whether a start gets on. */
const START_MS = 10_000;
const POLL_MS = 3;

/** Starts PostgreSQL as a standby of nobody, and waits until it has replayed everything that it has. */
export async function start(server: Server, ledger: TermLedger): Promise<Position> {
  await undoUnfinished(server, ledger);
  // What is started is whole: a replacement that was put off has left this.
  await forgetOwnConfiguration(server.paths);
  await server.start();
  while (!(await untilReplayed(server, START_MS))) {
    if (!server.isRunning) throw new Error('it ended while it replayed its WAL');
  }
  return standbyPosition(server, ledger);
}

/** Lets it receive from a primary, of whose timelines the store says so much. */
export async function follow(
  server: Server,
  ledger: TermLedger,
  contact: Contact | null,
  history: readonly TimelineOrigin[],
): Promise<void> {
  await ledger.learn(history);
  const target = contact === null ? '' : conninfo(server.settings, contact, server.paths.passfile);
  await server.reloadSoon({ primaryConninfo: target });
}

/**
 * Ends the stream, for certain, and says what has come.
 *
 * The WAL receiver is started by PostgreSQL's startup process, which may be about to do that once more by the old
 * configuration. It says that it has paused the replay only after it has looked for signals, and the one to read the configuration
 * again was sent before: so from then on it starts none, and one that runs is ended.
 */
export async function detach(server: Server, ledger: TermLedger): Promise<Position> {
  await server.reload({ primaryConninfo: '' });
  await server.query('SELECT pg_wal_replay_pause()');
  await untilTrue(server, `SELECT pg_get_wal_replay_pause_state() = 'paused' AS done`);
  await server.query(
    `SELECT pg_wal_replay_resume(), pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'walreceiver'
     UNION ALL SELECT pg_wal_replay_resume(), true`,
  );
  await untilTrue(
    server,
    `SELECT count(*) = 0 AS done FROM pg_stat_activity WHERE backend_type = 'walreceiver'`,
  );
  await untilReplayed(server, REPLAY_MS);
  return standbyPosition(server, ledger);
}

async function untilTrue(server: Server, sql: string): Promise<void> {
  const deadline = performance.now() + DETACH_MS;
  for (;;) {
    const [row] = await server.query<{ done: boolean }>(sql);
    if (row?.done === true) return;
    if (performance.now() > deadline) throw new Error(`it took too long: ${sql}`);
    await pause(POLL_MS);
  }
}
