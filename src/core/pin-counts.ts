/** How many sessions keep their server connection, and how many have, by the reason. */
import { pinBits, pinReasons } from './pin-words.js';

/** One reason that has occurred. */
export interface PinFigures {
  /** In the words of `SHOW PINS`. */
  readonly reason: string;
  /** Sessions that are pinned by it now; one that has several reasons counts for each. */
  readonly clients: number;
  /** How often it began to hold for a session, since the start. */
  readonly total: number;
}

export class PinCounts {
  private readonly totals = new Map<number, number>();

  /** Reasons (`Pin`) hold for a session that did not before. */
  add(pins: number): void {
    for (const pin of pinBits(pins)) this.totals.set(pin, (this.totals.get(pin) ?? 0) + 1);
  }

  /** @param held the pins of each session that has any */
  figures(held: Iterable<number>): PinFigures[] {
    const now = new Map<number, number>();
    for (const pins of held) {
      for (const pin of pinBits(pins)) now.set(pin, (now.get(pin) ?? 0) + 1);
    }
    return [...this.totals].map(([pin, total]) => ({
      reason: pinReasons(pin),
      clients: now.get(pin) ?? 0,
      total,
    }));
  }
}
