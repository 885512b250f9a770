/**
 * Whether what a primary will say of its position can be foreseen: it has not moved, as the last questions have found. Whoever
 * relies on that and is wrong has worked in vain, so the more often that happens the longer must the primary have rested.
 */

/** So many questions in a row must have been foreseen, at least and at most. */
const RUN_MIN = 4;
const RUN_MAX = 256;
/** It has paid when it went well for so many times as long as it took to begin. */
const PAYING_RUNS = 4;

export class Foresight {
  private run = 0;
  private needed = RUN_MIN;

  get isLikely(): boolean {
    return this.run >= this.needed;
  }

  /** A question has been answered. */
  answered(wasForeseen: boolean): void {
    if (wasForeseen) {
      this.run += 1;
      return;
    }
    if (this.isLikely) {
      const hasPaid = this.run >= PAYING_RUNS * this.needed;
      this.needed = hasPaid ? Math.max(RUN_MIN, this.needed / 2) : Math.min(RUN_MAX, this.needed * 2);
    }
    this.run = 0;
  }

  /** Of this primary nothing is known. */
  restart(): void {
    this.run = 0;
  }
}
