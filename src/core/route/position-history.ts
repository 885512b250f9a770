/**
 * Where the primary was when. A standby that has replayed what the primary had written at some time shows everything that was
 * committed before, so that its age needs no clock but ours, and an idle primary makes nobody old.
 */
import { NO_POSITION } from './wal-position.js';

/** How many looks are remembered, and the least time between two, in ms: half a minute and more at the pace of the watching. */
const LOOKS = 128;
const LOOK_MS_MIN = 20;
const NEVER = Number.NEGATIVE_INFINITY;

export class PositionHistory {
  private readonly times = new Float64Array(LOOKS).fill(NEVER);
  private readonly positions = new Float64Array(LOOKS);
  private newest = 0;
  /** The primary's last known position. */
  position = NO_POSITION;

  /** Another primary: what is remembered is of no use. */
  clear(): void {
    this.times.fill(NEVER);
    this.position = NO_POSITION;
  }

  /** The primary was at `position` some time after `askedAt` (in ms). */
  note(position: number, askedAt: number): void {
    if (position < this.position) return;
    this.position = position;
    const previous = (this.newest + LOOKS - 1) % LOOKS;
    // The newest look moves on until it is far enough from the one before.
    if (this.times[this.newest]! >= this.times[previous]! + LOOK_MS_MIN)
      this.newest = (this.newest + 1) % LOOKS;
    this.times[this.newest] = askedAt;
    this.positions[this.newest] = position;
  }

  /** How old the state is at most, in ms, that a standby shows which has replayed so much; infinite: not known. */
  ageOf(replayed: number, now: number): number {
    for (let i = 0; i < LOOKS; i++) {
      const at = (this.newest + LOOKS - i) % LOOKS;
      if (this.positions[at]! <= replayed) return now - this.times[at]!;
    }
    return Number.POSITIVE_INFINITY;
  }
}
