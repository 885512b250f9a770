/**
 * The bytes of the batch that was begun last on a quiet server connection: from a Bind or a Describe of a prepared statement
 * to the Sync. Kept until the next one, so that the batch can be repeated when the server refuses its first request.
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
  /** It begins with the Describe of a statement, of which nothing has come yet. */
  private awaitsParameters = false;
  /** What the server has told of that statement's parameters; it refuses the columns, if it does, only behind that. */
  private parameters: Uint8Array | null = null;

  /** A batch begins. `batch`: its number, as the exchange counts. `describes`: with the Describe of a statement. */
  begin(batch: number, describes = false): void {
    this.length = 0;
    this.isOpen = true;
    this.batch = batch;
    this.awaitsParameters = describes;
    this.parameters = null;
  }

  /** Whether the next ParameterDescription answers its beginning, and is to be kept until the columns are known. */
  keepsParameters(messageBytes: number): boolean {
    const keeps = this.awaitsParameters && messageBytes <= HELD_BATCH_BYTES_MAX;
    if (!keeps) this.awaitsParameters = false;
    return keeps;
  }

  /** Keeps that message. */
  keepParameters(bytes: Uint8Array, start: number, end: number): void {
    this.awaitsParameters = false;
    this.parameters = bytes.slice(start, end);
  }

  /** The kept message, once; null: there is none. */
  takeParameters(): Uint8Array | null {
    const { parameters } = this;
    this.parameters = null;
    return parameters;
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
