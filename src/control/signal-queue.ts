/**
 * Signals in the order in which they came, so that none is lost while another is being handled. A SIGHUP behind one that
 * waits still asks for nothing more: a storm of them is two reloads.
 */
export class SignalQueue {
  readonly #signals: readonly NodeJS.Signals[];
  readonly #waiting: NodeJS.Signals[] = [];
  #wake: () => void = () => {};
  readonly #listener = (signal: NodeJS.Signals): void => {
    if (signal === 'SIGHUP' && this.#waiting.at(-1) === signal) return;
    this.#waiting.push(signal);
    this.#wake();
  };

  constructor(signals: readonly NodeJS.Signals[]) {
    this.#signals = signals;
    for (const signal of signals) process.on(signal, this.#listener);
  }

  /** The next signal; one reader at a time. */
  async next(): Promise<NodeJS.Signals> {
    for (;;) {
      const signal = this.#waiting.shift();
      if (signal !== undefined) return signal;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    for (const signal of this.#signals) process.off(signal, this.#listener);
  }
}
