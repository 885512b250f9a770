/**
 * How an answer begins, before anything in it depends on what the server found: confirmations and descriptions. They are held
 * until the first row, error or end comes, since a chunk may end behind them: who has seen nothing of an answer can be given
 * another one.
 */
import * as Backend from '../../wire/backend.js';
import { copyBytes } from '../../wire/bytes.js';
import { readInt32 } from '../../wire/framing.js';

/** A longer beginning is passed on. */
export const PRELUDE_BYTES_MAX = 16_384;

const SMALLEST_BYTES = 512;

const PRELUDE: ReadonlySet<number> = new Set([
  Backend.ParseComplete,
  Backend.BindComplete,
  Backend.CloseComplete,
  Backend.ParameterDescription,
  Backend.RowDescription,
  Backend.NoData,
  Backend.CopyOutResponse,
]);

export class AnswerPrelude {
  private bytes: Uint8Array | null = null;
  private length = 0;
  /** Bytes of the last message in it that have not come. */
  private missing = 0;

  /** More of the answer: `bytes[start, end)`, which begins where the last piece ended. True: it is held, too. */
  holds(bytes: Uint8Array, start: number, end: number): boolean {
    let at = start + this.missing;
    while (at < end && PRELUDE.has(bytes[at]!)) at += readInt32(bytes, at + 1) + 1;
    if (at < end || this.length + end - start > PRELUDE_BYTES_MAX) return false;
    this.missing = at - end;
    this.bytes = withRoom(this.bytes, this.length, end - start);
    this.length = copyBytes(bytes, start, end, this.bytes, this.length);
    return true;
  }

  /** What is held goes to the client. */
  letGo(client: { send(message: Uint8Array): void }): void {
    const { bytes, length } = this;
    this.drop();
    if (bytes !== null) client.send(bytes.subarray(0, length));
  }

  drop(): void {
    this.bytes = null;
    this.length = 0;
    this.missing = 0;
  }
}

/** The same bytes in a buffer that takes so many more. */
function withRoom(bytes: Uint8Array | null, length: number, more: number): Uint8Array {
  if (bytes !== null && bytes.length >= length + more) return bytes;
  const larger = new Uint8Array(Math.max(SMALLEST_BYTES, 2 * (length + more)));
  if (bytes !== null) copyBytes(bytes, 0, length, larger, 0);
  return larger;
}
