/** Who reaches whom, and how long that takes. */
import type { Random } from '../random.js';
import type { Agenda } from './agenda.js';

/** The store's place among the nodes' names. */
export const STORE = 'store';

/** One way each: a cut from a to b leaves b to a as it is. */
export class Network {
  /** Of all messages. */
  loss = 0;
  /** The longest that a message is under way. ms. */
  delayMs = 2;
  readonly #agenda: Agenda;
  readonly #random: Random;
  readonly #cut = new Set<string>();

  constructor(agenda: Agenda, random: Random) {
    this.#agenda = agenda;
    this.#random = random;
  }

  cut(from: string, to: string): void {
    this.#cut.add(`${from} ${to}`);
  }

  heal(): void {
    this.#cut.clear();
    this.loss = 0;
    this.delayMs = 2;
  }

  mend(from: string, to: string): void {
    this.#cut.delete(`${from} ${to}`);
  }

  reaches(from: string, to: string): boolean {
    return !this.#cut.has(`${from} ${to}`);
  }

  /** A message that can be lost, and overtaken. */
  send(from: string, to: string, arrive: () => void): void {
    if (!this.reaches(from, to) || this.#random.chance(this.loss)) return;
    this.#agenda.in(this.#latency(), () => {
      if (this.reaches(from, to)) arrive();
    });
  }

  #latency(): number {
    return 0.2 + this.#random.fraction() * this.delayMs;
  }
}
