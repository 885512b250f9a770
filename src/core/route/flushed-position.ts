/**
 * The position that a standby needs when the primary rests in the middle of a transaction. What is inserted may be ahead of what
 * is on the primary's disk, and so of all standbys, for as long as nobody commits. Only a commit that did not wait for the disk
 * (`synchronous_commit=off`) could be in between, and only for a short time: where nothing was inserted for longer than that,
 * what is on the disk is enough.
 */
import type { Evidence } from './evidence.js';
import { NO_POSITION } from './wal-position.js';

export class FlushedPosition {
  private inserted = NO_POSITION;
  /** Since when nothing more has been inserted, in ms. */
  private since = 0;
  private flushed = NO_POSITION;

  /** A look at the primary, asked for and answered at these times, in ms. */
  note({ position, written, pageBytes, asyncCommitMs }: Evidence, askedAt: number, now: number): void {
    if (position !== this.inserted) {
      this.inserted = position;
      this.since = now;
      this.flushed = NO_POSITION;
    } else if (askedAt >= this.since + asyncCommitMs) {
      // The end of a page may lie in the middle of a record, which no standby can replay.
      this.flushed = pageBytes > 0 && written % pageBytes === 0 ? NO_POSITION : written;
    }
  }

  /** What is enough, for reads before which the primary was at `position`. */
  enoughFor(position: number): number {
    return position === this.inserted && this.flushed !== NO_POSITION ? this.flushed : position;
  }

  clear(): void {
    this.inserted = NO_POSITION;
  }
}
