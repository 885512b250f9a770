/**
 * Buffers for bytes that must be copied to be sent, used again as soon as they are: chunks of a big result would
 * otherwise pile up as garbage, which the collector leaves for a while since it sees little of them in its own heap.
 */

/** Smaller copies are left to the collector. */
const SMALLEST_BITS = 13;
const LARGEST_BITS = 16;
/** Bytes that are kept of each size. */
const SPARE_BYTES_MAX = 1 << 20;

export class CopyBuffers {
  readonly #spare: Buffer[][] = Array.from({ length: LARGEST_BITS - SMALLEST_BITS + 1 }, () => []);

  /** A buffer with room for so many bytes; its contents are arbitrary. */
  take(length: number): Buffer {
    const bits = sizeBits(length);
    if (bits < SMALLEST_BITS || bits > LARGEST_BITS) return Buffer.allocUnsafe(length);
    return this.#spare[bits - SMALLEST_BITS]!.pop() ?? Buffer.allocUnsafeSlow(1 << bits);
  }

  /** Nobody reads from this buffer any more. */
  giveBack(buffer: Buffer): void {
    const bits = sizeBits(buffer.length);
    if (bits < SMALLEST_BITS || bits > LARGEST_BITS || buffer.length !== 1 << bits) return;
    const spare = this.#spare[bits - SMALLEST_BITS]!;
    if (spare.length << bits < SPARE_BYTES_MAX) spare.push(buffer);
  }
}

/** The exponent of the least power of two that is not below `length`. */
function sizeBits(length: number): number {
  return length <= 1 ? 0 : 32 - Math.clz32(length - 1);
}
