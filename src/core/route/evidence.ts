/** What a node says of itself, in one row: its role, and of which history. */

import { buildFunctionCall, buildQuery } from '../../wire/client-messages.js';
import { ProtocolViolation } from '../../wire/protocol-violation.js';
import { readDataRow } from '../../wire/server-message-readers.js';
import { NO_POSITION, parsePosition } from './wal-position.js';

/** One look at a node. */
export interface Evidence {
  readonly isInRecovery: boolean;
  /** The same for a primary and all of its standbys (`pg_control_system()`). */
  readonly systemId: string;
  /** Of a standby: one that it follows for certain; it may be on a newer one. */
  readonly timeline: number;
  /** Of a primary: where it writes next. Of a standby: what it has replayed. */
  readonly position: number;
  /** Of a primary: what is on its disk. Of a standby: what it has received by streaming. */
  readonly written: number;
  /** `wal_block_size`. */
  readonly pageBytes: number;
  /** When the server was started, to the microsecond: the same server under another address has the same. */
  readonly startedAt: string;
  /** Replay is paused by an operator. */
  readonly isPaused: boolean;
  /** After this time, in ms, a primary has written what was committed without waiting for the disk. */
  readonly asyncCommitMs: number;
  /** The functions that tell the position, for FunctionCall. */
  readonly insertOid: number;
  readonly replayOid: number;
}

/** Marks our queries in the server's log and in `pg_stat_activity`. */
const MARK = '/* sluice: watching */';

const IN_RECOVERY = 'pg_catalog.pg_is_in_recovery()';
const INSERT = 'pg_catalog.pg_current_wal_insert_lsn()';
const REPLAY = 'pg_catalog.pg_last_wal_replay_lsn()';

/**
 * Each of the three is a lower bound, since a standby never goes back. The control file knows of a new timeline only with the
 * next restartpoint; the receiver knows at once, and shows it to members of pg_read_all_stats (pg_monitor) alone.
 */
const STANDBY_TIMELINE = `(SELECT GREATEST(c.timeline_id, r.min_recovery_end_timeline,
 (SELECT received_tli FROM pg_catalog.pg_stat_wal_receiver))::pg_catalog.text
 FROM pg_catalog.pg_control_checkpoint() AS c, pg_catalog.pg_control_recovery() AS r)`;

/** The control file of a primary that was promoted knows of its timeline only with the next checkpoint; the name of a WAL file knows. */
const PRIMARY_TIMELINE = `pg_catalog.left(pg_catalog.pg_walfile_name(${INSERT}), 8)`;

const COLUMNS = [
  IN_RECOVERY,
  '(SELECT system_identifier FROM pg_catalog.pg_control_system())',
  `CASE WHEN ${IN_RECOVERY} THEN ${STANDBY_TIMELINE} ELSE ${PRIMARY_TIMELINE} END`,
  `CASE WHEN ${IN_RECOVERY} THEN ${REPLAY} ELSE ${INSERT} END`,
  `CASE WHEN ${IN_RECOVERY} THEN pg_catalog.pg_last_wal_receive_lsn() ELSE pg_catalog.pg_current_wal_flush_lsn() END`,
  "pg_catalog.current_setting('wal_block_size')",
  "pg_catalog.date_part('epoch', pg_catalog.pg_postmaster_start_time())",
  `CASE WHEN ${IN_RECOVERY} THEN pg_catalog.pg_is_wal_replay_paused() END`,
  "pg_catalog.date_part('epoch', pg_catalog.current_setting('wal_writer_delay')::pg_catalog.interval)",
  `'${INSERT}'::pg_catalog.regprocedure::pg_catalog.oid`,
  `'${REPLAY}'::pg_catalog.regprocedure::pg_catalog.oid`,
];

/** Asks for all that {@link Evidence} holds. */
export const EVIDENCE_QUERY: Uint8Array = buildQuery(`${MARK} SELECT ${COLUMNS.join(',\n ')}`);

const MS_PER_S = 1000;
/** The risk window of asynchronous commit is three times `wal_writer_delay` (PostgreSQL, "Asynchronous Commit"). */
const RISK_WINDOWS = 3;
const HEXADECIMAL = 16;

/** A FunctionCall for a `pg_lsn` in binary: the cheapest question there is, without a plan or a portal. */
export function buildPositionCall(functionOid: number): Uint8Array {
  return buildFunctionCall({ functionOid, argumentFormats: [], arguments: [], resultFormat: 1 });
}

/** The columns of a DataRow's body as text; null for a row that is not well-formed. */
export function readTexts(bytes: Uint8Array, start: number, end: number): (string | null)[] | null {
  try {
    return readDataRow(bytes, start, end).map((value) =>
      value === null ? null : Buffer.from(value).toString('utf8'),
    );
  } catch (error) {
    if (error instanceof ProtocolViolation) return null;
    throw error;
  }
}

/** Reads the answer to {@link EVIDENCE_QUERY}; null: it is none. */
export function readEvidence(texts: readonly (string | null)[] | null): Evidence | null {
  if (texts?.length !== COLUMNS.length) return null;
  const [recovery, systemId, timeline, position, written, page, startedAt, paused, delay, insert, replay] =
    texts;
  const isInRecovery = recovery === 't';
  const at = position === null ? NO_POSITION : parsePosition(position ?? '');
  const evidence = {
    isInRecovery,
    systemId: systemId ?? '',
    timeline: Number.parseInt(timeline ?? '', isInRecovery ? 10 : HEXADECIMAL),
    position: at ?? Number.NaN,
    written: parsePosition(written ?? '') ?? NO_POSITION,
    pageBytes: Number(page),
    startedAt: startedAt ?? '',
    isPaused: paused === 't',
    asyncCommitMs: Math.ceil(Number(delay) * MS_PER_S) * RISK_WINDOWS,
    insertOid: Number(insert),
    replayOid: Number(replay),
  };
  const numbers = Object.values(evidence).filter((value) => typeof value === 'number');
  return evidence.systemId !== '' && numbers.every(Number.isFinite) ? evidence : null;
}
