/** What PostgreSQL does with kinds of messages, whatever is in them. Tables by type code: they are read per message. */
import { END, FORWARD, HEADER_BYTES, type Verdict, WHOLE } from '../../wire/framing.js';
import * as Frontend from '../../wire/frontend.js';
import { STATEMENT } from '../server/statement-messages.js';

/** Messages that PostgreSQL keeps short (PQ_SMALL_MESSAGE_LIMIT), header included. Bytes. */
const SMALL_MESSAGE_BYTES_MAX = 10_001;
const NO_BOUND = 0xffff_ffff;

/** By type code: how long a message may be, header included. Others are bounded by max_packet_size alone. */
export const BYTES_MAX_BY_TYPE = new Uint32Array(256).fill(NO_BOUND);
for (const type of [Frontend.Close, Frontend.CopyFail, Frontend.Describe, Frontend.Execute]) {
  BYTES_MAX_BY_TYPE[type] = SMALL_MESSAGE_BYTES_MAX;
}
// Without a body. The server would answer a longer one with an error that belongs to no request.
for (const type of [Frontend.CopyDone, Frontend.Flush, Frontend.Sync, Frontend.Terminate]) {
  BYTES_MAX_BY_TYPE[type] = HEADER_BYTES;
}

/** The longest Describe or Close of a statement whose name doesn't reach the server, header included. Bytes. */
export const RENAMED_BYTES_MAX = 65_536;

/**
 * Whether a message that is longer than PostgreSQL takes it is a well-formed one about a prepared statement, which goes
 * there under a short name of ours: FORWARD, END (it is not), or WHOLE: it can't be told yet.
 */
export function renamed(
  type: number,
  total: number,
  bytes: Uint8Array,
  position: number,
  end: number,
): Verdict {
  if (type !== Frontend.Describe && type !== Frontend.Close) return END;
  if (end - position < total) return WHOLE;
  const isStatement = bytes[position + HEADER_BYTES] === STATEMENT;
  return isStatement && bytes.indexOf(0, position + HEADER_BYTES) === position + total - 1 ? FORWARD : END;
}

/** What a server ignores between an error and the next Sync. */
export const SKIPPED: ReadonlySet<number> = new Set([
  Frontend.Query,
  Frontend.Parse,
  Frontend.Bind,
  Frontend.Describe,
  Frontend.Close,
  Frontend.Execute,
  Frontend.FunctionCall,
  Frontend.Flush,
  Frontend.CopyData,
  Frontend.CopyDone,
  Frontend.CopyFail,
]);
