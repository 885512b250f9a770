/**
 * The bytes of the batch that was begun last on a quiet server connection: from a Bind of a prepared statement to
 * the Sync. Kept until the next one, so that the batch can be repeated when the server refuses its first request.
 *
 * This is on the hot path: one copy of a small batch, into memory that is allocated once for a server connection.
 */
import { copyBytes } from '../../wire/bytes.js';
import { HELD_BATCH_BYTES_MAX } from '../limits.js';
import { NO_BATCH } from './prepared.js';

const NOTHING = new Uint8Array(0);

export class HeldBatch {
  /** What is sent belongs to the batch. */
  isOpen = false;
  private bytes = NOTHING;
  private length = 0;
  private batch = NO_BATCH;

  /** A batch begins. `batch`: its number, as the exchange counts. */
  begin(batch: number): void {
    this.length = 0;
    this.isOpen = true;
    this.batch = batch;
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

  /** The whole batch with this number, once; null: it is not kept. A view, valid until the next batch begins. */
  take(batch: number): Uint8Array | null {
    const { length, isOpen } = this;
    this.drop();
    return length > 0 && !isOpen && this.batch === batch ? this.bytes.subarray(0, length) : null;
  }
}
