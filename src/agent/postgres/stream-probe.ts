/**
 * Why a standby doesn't stream: its WAL receiver says that in the log alone, in the server's language. So the agent asks the
 * primary for the same WAL by the replication protocol, and looks at the error's code.
 */
import pg from 'pg';
import type { Contact } from '../../cluster/records.js';
import { abandon } from './own-connection.js';
import type { Server } from './server.js';
import { findHistories, formatLsn, readHistory } from './timeline-history.js';

const ANSWER_MS = 3_000;
/** `undefined_file`: the WAL has been removed. */
const WAL_REMOVED = '58P01';

/** What `pg` shows of a connection that streams. */
interface Wire {
  once(event: 'copyData' | 'errorMessage', listener: (message: { code?: string }) => void): void;
}

/** Whether the primary no longer has the WAL that comes next here. Not knowing is no yes. */
export async function isWalGone(server: Server, { host, port }: Contact): Promise<boolean> {
  const start = await nextSegment(server);
  const { user, password } = server.settings.replication;
  const client = new pg.Client({
    ...{ host, port, user, ssl: false, application_name: 'sluice agent' },
    ...(password === null ? {} : { password }),
    ...{ connectionTimeoutMillis: ANSWER_MS, replication: 'true' },
  } as pg.ClientConfig);
  client.on('error', () => {});
  try {
    await client.connect();
    const wire = (client as unknown as { connection: Wire }).connection;
    const code = await new Promise<string | null>((resolve) => {
      setTimeout(() => resolve(null), ANSWER_MS).unref();
      wire.once('copyData', () => resolve(null));
      wire.once('errorMessage', ({ code }) => resolve(code ?? null));
      client.query(`START_REPLICATION PHYSICAL ${start.lsn} TIMELINE ${start.timeline}`).catch(() => {});
    });
    return code === WAL_REMOVED;
  } catch {
    return false;
  } finally {
    abandon(client);
  }
}

/** As PostgreSQL does, from the beginning of the file that holds the next byte. */
async function nextSegment(server: Server): Promise<{ readonly lsn: string; readonly timeline: number }> {
  const [row] = await server.query<{ lsn: string; segment: string }>(
    `SELECT (greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'::pg_lsn)::text AS lsn,
            (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size') AS segment`,
  );
  const lsn = Number(row!.lsn);
  const segment = Number(row!.segment);
  const history = await readHistory(server.wal, (await findHistories(server.wal)).newest);
  const { timeline } = history.findLast(({ from }) => from <= lsn) ?? history[0]!;
  return { lsn: formatLsn(lsn - (lsn % segment)), timeline };
}
