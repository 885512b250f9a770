import { randomFillSync } from 'node:crypto';

const BLOCK_BYTES = 1024;
/** More are drawn by themselves. */
const TAKEN_BYTES_MAX = 64;

/** Cryptographically strong random bytes, drawn in blocks: a call for the few that a login needs is dear. */
export class RandomBytes {
  readonly #block = new Uint8Array(BLOCK_BYTES);
  #used = BLOCK_BYTES;

  /** A new array. Nobody is given the same bytes, and none of them are kept here. */
  take(length: number): Uint8Array {
    if (length > TAKEN_BYTES_MAX) return randomFillSync(new Uint8Array(length));
    if (this.#used + length > BLOCK_BYTES) {
      randomFillSync(this.#block);
      this.#used = 0;
    }
    const taken = this.#block.slice(this.#used, this.#used + length);
    this.#block.fill(0, this.#used, this.#used + length);
    this.#used += length;
    return taken;
  }
}
