/**
 * A client's unnamed statement: what it is as of the last answer, and what requests that are under way will make of it.
 * It lives across a Sync, when another server connection may serve, so its definition is kept.
 */
import { sameBytes } from '../../wire/bytes.js';

export class UnnamedStatement {
  /** The definition (a Parse body behind the name), as of the last answer; null: there is none. */
  private settled: Buffer | null = null;
  /** What unanswered Parse messages will make of it, oldest first; null where it has been destroyed since. */
  private pending: (Buffer | null)[] | null = null;
  /** The batch of the newest of them. */
  private batch = 0;
  /** What the one parsed last may do to its session (`SessionEffect`). */
  effects = 0;

  /** The one that a Bind sent now would mean. */
  get now(): Buffer | null {
    const { pending } = this;
    return pending === null || pending.length === 0 ? this.settled : pending[pending.length - 1]!;
  }

  /** A Parse is sent. A driver that sends the same statement again and again allocates nothing here. */
  parse(bytes: Uint8Array, start: number, end: number, batch: number): Buffer {
    const latest = this.now;
    const isSame =
      latest !== null && latest.length === end - start && sameBytes(latest, 0, bytes, start, end - start);
    const definition = isSame ? latest : Buffer.from(bytes.subarray(start, end));
    this.expect(definition, batch);
    return definition;
  }

  /** A simple Query within a batch is sent: it destroys the statement, unless it is skipped. */
  queryInBatch(batch: number): void {
    this.expect(null, batch);
  }

  private expect(definition: Buffer | null, batch: number): void {
    this.pending ??= [];
    this.pending.push(definition);
    this.batch = batch;
  }

  /** It is gone for sure. */
  destroy(): void {
    this.settled = null;
    this.pending?.fill(null);
  }

  /** The server has dropped it; what is under way comes after that. */
  dropped(): void {
    this.settled = null;
  }

  /** What has become of the oldest unanswered Parse, or of a Query that destroys it. */
  answered(how: 'parsed' | 'refused' | 'skipped'): void {
    const definition = this.pending?.shift() ?? null;
    // A Parse that is refused has destroyed the unnamed statement all the same.
    if (how !== 'skipped') this.settled = how === 'parsed' ? definition : null;
  }

  /** Whether the Parse of it lies in an earlier batch than this one, and is not answered. */
  isUnsettled(batch: number): boolean {
    return this.pending !== null && this.pending.length > 0 && this.batch !== batch;
  }
}
