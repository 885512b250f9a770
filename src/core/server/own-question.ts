/** A question of the gateway's own whose answer it reads itself, on a server connection that serves no client. */
import type { ErrorFields } from '../../wire/error-fields.js';
import { HEADER_BYTES, SWALLOW, type Verdict, WHOLE } from '../../wire/framing.js';
import { OWN_ANSWER_BYTES_MAX } from '../limits.js';
import { protocolFailure } from './server-errors.js';

/** The object may be used again when its question is over, so that asking allocates nothing. */
export interface OwnQuestion {
  readonly what: 'question';
  /** What the server has said against it; set before {@link answered}. */
  error: ErrorFields | null;
  /**
   * A row of the answer, the body `bytes[start, end)` of a DataRow, or the one value of a FunctionCallResponse. Whole; a longer
   * one than OWN_ANSWER_BYTES_MAX is an error.
   */
  row(bytes: Uint8Array, start: number, end: number): void;
  /** It is over. Not called when the connection is lost: the owner of the connection is told of that. */
  answered(): void;
}

/** Takes the row of its answer that lies at `position`: what becomes of the message. */
export function takeRow(
  question: OwnQuestion,
  total: number,
  bytes: Uint8Array,
  position: number,
  end: number,
): Verdict {
  if (total > OWN_ANSWER_BYTES_MAX) question.error ??= protocolFailure('too long a row');
  else if (end - position < total) return WHOLE;
  else question.row(bytes, position + HEADER_BYTES, position + total);
  return SWALLOW;
}
