/** A question of the gateway's own whose answer it reads itself, on a server connection that serves no client. */
import type { ErrorFields } from '../../wire/error-fields.js';

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
