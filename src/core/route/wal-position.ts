/**
 * Positions in the write-ahead log (PostgreSQL's `pg_lsn`) as numbers: exact up to 2^53, which is nine petabytes of WAL.
 */

const HALF = 2 ** 32;
const TEXT = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i;
/** Bytes of a page's header: SizeOfXLogShortPHD, and SizeOfXLogLongPHD on the first page of a segment. */
const SHORT_HEADER = 24;
const LONG_HEADER = 40;
const BYTES = 8;

/** Nothing is behind it. */
export const NO_POSITION = 0;

/** Of its text, as PostgreSQL writes it: `16/B374D848`; null: it is none. */
export function parsePosition(text: string): number | null {
  const parts = TEXT.exec(text);
  if (parts === null) return null;
  return Number.parseInt(parts[1]!, 16) * HALF + Number.parseInt(parts[2]!, 16);
}

/** As PostgreSQL writes it. */
export function formatPosition(position: number): string {
  const high = Math.floor(position / HALF);
  return `${high.toString(16)}/${(position % HALF).toString(16)}`.toUpperCase();
}

/** Reads what a FunctionCallResponse with a binary `pg_lsn` holds (its length, then 8 bytes); -1: something else. */
export function readPosition(bytes: Uint8Array, start: number, end: number): number {
  if (end - start !== 4 + BYTES || bytes[start + 3] !== BYTES) return -1;
  let position = 0;
  for (let at = start + 4; at < end; at++) position = position * 256 + bytes[at]!;
  return position;
}

/**
 * The end of the last record before an insert position. Where a record ends with its page, `pg_current_wal_insert_lsn()` points
 * behind the header of the next page, and the replay position of the same record to the page's beginning. No record ends
 * between the two: what is replayed up to the beginning is replayed up to the other. @param pageBytes `wal_block_size`; 0: unknown
 */
export function recordEnd(position: number, pageBytes: number): number {
  if (pageBytes === 0) return position;
  const offset = position % pageBytes;
  // With 40 on another page than a segment's first, a record of before ends there: none ends in between either.
  return offset === SHORT_HEADER || offset === LONG_HEADER ? position - offset : position;
}
