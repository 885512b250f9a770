/**
 * The bytes of the batch that was begun last on a quiet server connection: from a Bind of a prepared statement to
 * the Sync. Kept until the next one, so that the batch can be repeated when the server refuses its first request.
 *
 * This is on the hot path: one copy of a small batch, into memory that is allocated once for a server connection.
 */
import { copyBytes } from '../../wire/bytes.js';
import { HELD_BATCH_BYTES_MAX } from '../limits.js';

const NOTHING = new Uint8Array(0);

export class HeldBatch {
  /** What is sent belongs to the batch. */
  isOpen = false;
  private bytes = NOTHING;
  private length = 0;

  /** A batch begins. */
  begin(): void {
    this.length = 0;
    this.isOpen = true;
  }

  /** Keeps bytes that go to the server. `goesOn`: the Sync is not among them. A batch that is too long is let go. */
  keep(bytes: Uint8Array, start: number, end: number, goesOn: boolean): void {
    if (this.length + end - start > HELD_BATCH_BYTES_MAX) return this.drop();
    if (this.bytes.length === 0) this.bytes = new Uint8Array(HELD_BATCH_BYTES_MAX);
    this.length = copyBytes(bytes, start, end, this.bytes, this.length);
    this.isOpen = goesOn;
  }

  drop(): void {
    this.isOpen = false;
    this.length = 0;
  }

  /** The whole batch, once; null when there is none. A view, valid until the next batch begins. */
  take(): Uint8Array | null {
    const { length, isOpen } = this;
    this.drop();
    return length > 0 && !isOpen ? this.bytes.subarray(0, length) : null;
  }
}
