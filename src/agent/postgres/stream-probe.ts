/**
 * Why a standby doesn't stream: its WAL receiver says that in the log alone, in the server's language. So the agent asks the
 * primary for the same WAL by the replication protocol, and looks at the error's code.
 */
import pg from 'pg';
import type { Contact } from '../../cluster/records.js';
import { abandon } from './own-connection.js';
import { tlsOptions } from './primary-contact.js';
import type { Server } from './server.js';
import { findHistories, formatLsn, readHistory } from './timeline-history.js';

const ANSWER_MS = 3_000;
/** `undefined_file`: the WAL has been removed. */
const WAL_REMOVED = '58P01';

const SQLSTATE = /^[0-9A-Z]{5}$/;

interface Refusal {
  readonly code?: string;
  readonly message: string;
}

/** What `pg` shows of a connection that streams. */
interface Wire {
  once(event: 'copyData' | 'errorMessage', listener: (message: Refusal) => void): void;
}

/** Why the primary lets nobody stream who asks as this standby does; null: it would let it. */
export type StreamObstacle =
  | { readonly kind: 'WAL is gone' }
  /** In the primary's words. */
  | { readonly kind: 'refused'; readonly reason: string; readonly isLogin: boolean }
  /** In those of the network. */
  | { readonly kind: 'not reached'; readonly reason: string };

/** Asks it for the WAL that comes next here. */
export async function findObstacle(server: Server, { host, port }: Contact): Promise<StreamObstacle | null> {
  const start = await nextSegment(server);
  const { user, password } = server.replication;
  const ssl = tlsOptions(server.settings.replicationTls, host);
  const client = new pg.Client({
    ...{ host, port, user, ssl, application_name: 'sluice agent' },
    ...(password === null ? {} : { password }),
    ...{ connectionTimeoutMillis: ANSWER_MS, replication: 'true' },
  } as pg.ClientConfig);
  client.on('error', () => {});
  try {
    await client.connect();
    const wire = (client as unknown as { connection: Wire }).connection;
    const refusal = await new Promise<Refusal | null>((resolve) => {
      setTimeout(() => resolve(null), ANSWER_MS).unref();
      wire.once('copyData', () => resolve(null));
      wire.once('errorMessage', resolve);
      client.query(`START_REPLICATION PHYSICAL ${start.lsn} TIMELINE ${start.timeline}`).catch(() => {});
    });
    if (refusal === null) return null;
    if (refusal.code === WAL_REMOVED) return { kind: 'WAL is gone' };
    return { kind: 'refused', reason: refusal.message, isLogin: false };
  } catch (error) {
    const { code = '', message } = error as Partial<Refusal> & Error;
    if (!SQLSTATE.test(code)) return { kind: 'not reached', reason: message };
    return { kind: 'refused', reason: message, isLogin: code.startsWith('28') };
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
