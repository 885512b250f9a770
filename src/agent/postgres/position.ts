/** How far a PostgreSQL has WAL, and along which timelines. */
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Lsn, Position } from '../../cluster/position.js';
import type { Server } from './server.js';
import type { TermLedger } from './term-ledger.js';
import { findHistories, readHistory, segmentName, type TimelineStart } from './timeline-history.js';

const POLL_MS = 5;

/** `pg_lsn` as a number: exact, since it stays below 2^53. */
export function lsnSql(expression: string): string {
  return `(${expression} - '0/0'::pg_lsn)::text`;
}

/**
 * Waits until a standby that receives nothing has replayed all that it has. Its startup process waits for the next
 * attempt only after every source has been read to its end.
 * @returns false: it has not, within this time
 */
export async function untilReplayed(server: Server, patienceMs: number): Promise<boolean> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const [row] = await server.query<{ event: string | null }>(
      `SELECT wait_event AS event FROM pg_stat_activity WHERE backend_type = 'startup'`,
    );
    if (row?.event === 'RecoveryRetrieveRetryInterval') return true;
    if (row === undefined || performance.now() > deadline) return false;
    await pause(POLL_MS);
  }
}

/** What a standby has that receives nothing. */
export async function standbyPosition(server: Server, ledger: TermLedger): Promise<Position> {
  const [row] = await server.query<{ replayed: string; received: string; segment: string; standby: boolean }>(
    `SELECT ${lsnSql('pg_last_wal_replay_lsn()')} AS replayed, pg_is_in_recovery() AS standby,
            ${lsnSql(`coalesce(pg_last_wal_receive_lsn(), '0/0')`)} AS received,
            (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size') AS segment`,
  );
  if (row === undefined || !row.standby) throw new Error('it is no standby any more');
  // What has been received but not replayed yet counts; behind the last whole record there may be a piece of another one,
  // which is nothing: it is counted only as long as the replay is behind.
  const isReplayed = await untilReplayed(server, 0);
  const lsn = isReplayed ? Number(row.replayed) : Math.max(Number(row.replayed), Number(row.received));
  const { newest } = await findHistories(server.wal);
  const starts = await readHistory(server.wal, newest);
  await requireSegment(server.wal, starts, lsn, Number(row.segment));
  return { history: await ledger.withTerms(starts), lsn };
}

/** The WAL must lie where the timelines say: else they are not those that it was replayed along. */
async function requireSegment(
  wal: string,
  starts: readonly TimelineStart[],
  lsn: Lsn,
  segmentBytes: number,
): Promise<void> {
  const last = lsn - 1;
  const { timeline } = starts.findLast(({ from }) => from <= last) ?? starts[0]!;
  await access(join(wal, segmentName(timeline, last, segmentBytes)));
}

/** What a primary has on its disk, and the number of its timeline. */
export async function primaryPosition(
  server: Server,
  ledger: TermLedger,
): Promise<{ readonly position: Position; readonly timeline: number }> {
  const [row] = await server.query<{ flushed: string; file: string }>(
    `SELECT ${lsnSql('pg_current_wal_flush_lsn()')} AS flushed, pg_walfile_name(pg_current_wal_lsn()) AS file`,
  );
  const timeline = Number.parseInt(row!.file.slice(0, 8), 16);
  const starts = await readHistory(server.wal, timeline);
  return { position: { history: await ledger.withTerms(starts), lsn: Number(row!.flushed) }, timeline };
}
