/**
 * Says what is being measured and how long it will still take. Progress goes to standard error, so that standard
 * output has the tables alone.
 */

/** e.g. `45 s`, `12 min`. */
export function duration(seconds: number): string {
  return seconds < 90 ? `${Math.max(0, Math.round(seconds))} s` : `${Math.round(seconds / 60)} min`;
}

export class Progress {
  #secondsLeft: number;
  readonly #stream: NodeJS.WriteStream;

  constructor(totalSeconds: number, stream: NodeJS.WriteStream = process.stderr) {
    this.#secondsLeft = totalSeconds;
    this.#stream = stream;
  }

  #prefix(): string {
    return `[${duration(this.#secondsLeft)} left]`;
  }

  /** What runs at this moment: on a terminal, in the last line. */
  now(what: string): void {
    if (!this.#stream.isTTY) return;
    const line = `${this.#prefix()} ${what}`.slice(0, (this.#stream.columns ?? 80) - 1);
    this.#stream.write(`\r\x1b[K${line}`);
  }

  /** Takes planned work off what is left. */
  spent(seconds: number): void {
    this.#secondsLeft -= seconds;
  }

  /** Something that was done, in a line that stays. */
  line(text: string): void {
    this.#stream.write(`${this.#stream.isTTY ? '\r\x1b[K' : ''}${this.#prefix()} ${text}\n`);
  }
}
