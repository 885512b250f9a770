/** The beat of an agent's loop, and how late it comes: a loop that is late may lose its lease. */

/** Later than this is worth a line in the log. ms. */
const LATE_MS = 250;
/** Between two such lines. ms. */
const QUIET_MS = 10_000;

/** How late the beat has come. */
export interface Lateness {
  /** ms; the worst since the start. */
  readonly worstMs: number;
  /** How often it was later than a quarter of a second. */
  readonly lateBeats: number;
}

/** Calls back each `everyMs`. */
export class Tick {
  readonly #everyMs: number;
  readonly #clock: () => number;
  readonly #beat: () => void;
  readonly #warn: (lateMs: number) => void;
  #timer: NodeJS.Timeout | null = null;
  #last: number;
  #warnedAt = Number.NEGATIVE_INFINITY;
  #worstMs = 0;
  #lateBeats = 0;

  constructor(everyMs: number, clock: () => number, beat: () => void, warn: (lateMs: number) => void) {
    this.#everyMs = everyMs;
    this.#clock = clock;
    this.#beat = beat;
    this.#warn = warn;
    this.#last = clock();
    // Answers that have arrived while the process stood still come first: nobody shall lose a lease that has been renewed.
    this.#timer = setInterval(() => setImmediate(() => this.#onBeat()), everyMs);
  }

  get lateness(): Lateness {
    return { worstMs: this.#worstMs, lateBeats: this.#lateBeats };
  }

  /** When the last beat came, by the clock. ms. */
  get last(): number {
    return this.#last;
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #onBeat(): void {
    if (this.#timer === null) return;
    const now = this.#clock();
    const lateMs = now - this.#last - this.#everyMs;
    this.#last = now;
    this.#worstMs = Math.max(this.#worstMs, Math.round(lateMs));
    if (lateMs > LATE_MS) {
      this.#lateBeats++;
      if (now - this.#warnedAt >= QUIET_MS) {
        this.#warnedAt = now;
        this.#warn(Math.round(lateMs));
      }
    }
    this.#beat();
  }
}
