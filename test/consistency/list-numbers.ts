/** Which lists there are, and what is appended to them. */
import type { SeededRandom } from '../fuzz/random.js';

/** Keys and elements, for all sessions of all rounds on one cluster: none comes twice. */
export class ListNumbers {
  static readonly #LISTS = 8;
  /** Longer ones tell nothing more, and reading them costs more. */
  static readonly #APPENDS_MAX = 60;
  readonly #appends = new Array<number>(ListNumbers.#LISTS).fill(0);
  readonly #keys = Array.from(this.#appends, (_, slot) => slot);
  #nextKey = this.#keys.length;
  #nextElement = 1;

  /** A new round has lists of its own: they all begin empty. */
  renew(): void {
    for (const slot of this.#keys.keys()) this.#replace(slot);
  }

  /** A list to read. */
  key(random: SeededRandom): number {
    return random.pick(this.#keys);
  }

  /** An element that nobody has had before. */
  element(): number {
    return this.#nextElement++;
  }

  /** A list to append to, which soon gives way to another one. */
  keyToAppend(random: SeededRandom): number {
    const slot = random.below(this.#keys.length);
    const key = this.#keys[slot]!;
    this.#appends[slot]! += 1;
    if (this.#appends[slot]! >= ListNumbers.#APPENDS_MAX) this.#replace(slot);
    return key;
  }

  #replace(slot: number): void {
    this.#appends[slot] = 0;
    this.#keys[slot] = this.#nextKey++;
  }
}
