/**
 * A commit that has not been replicated: PostgreSQL has given up waiting for synchronous standbys, since somebody has cancelled
 * that, and calls it a success with a warning. To a client it is an outcome that is not known.
 */

import * as Backend from '../../wire/backend.js';
import { buildErrorResponse, readErrorFields } from '../../wire/error-fields.js';
import { FORWARD, SWALLOW, type Verdict, WHOLE } from '../../wire/framing.js';
import { SqlState } from '../../wire/sqlstate.js';

/** Where PostgreSQL raises the warning; its words may be translated. */
const ROUTINE = 'SyncRepWaitForLSN';

/** What the client gets in its place, and in place of all that follows up to ReadyForQuery. */
export const NOT_REPLICATED: Uint8Array = buildErrorResponse({
  severity: 'ERROR',
  code: SqlState.transaction_resolution_unknown,
  message: 'the commit was not confirmed by a synchronous standby',
  detail: 'It was made on the primary, and may be lost if that is.',
  hint: 'Check its effect before you repeat it.',
});

/** Whether `bytes[start, end)`, the body of a NoticeResponse, says that a commit is on the primary alone, and the session goes on. */
export function isCommittedLocally(bytes: Uint8Array, start: number, end: number): boolean {
  const { code, routine } = readErrorFields(bytes, start, end);
  return code === SqlState.warning && routine === ROUTINE;
}

/** Judges one message, as `FrameReader.message` does. */
type Judge = (type: number, total: number, bytes: Uint8Array, position: number, end: number) => Verdict;

/** Passes on nothing of what `judge` does, up to the next ReadyForQuery, with which it takes itself from its `server`. */
export function silenced(judge: Judge, server: { special: object | null }): Judge {
  return (type, total, bytes, position, end) => {
    const verdict = judge(type, total, bytes, position, end);
    if (type !== Backend.ReadyForQuery) return verdict === FORWARD ? SWALLOW : verdict;
    if (verdict !== WHOLE) server.special = null;
    return verdict;
  };
}
