/** Small operations on bytes for the hot path, where a view object for each would cost more than the work itself. */

/** The engine's own conversion; unlike `toString` of a view it makes no object but the string. */
const latin1Slice = (
  Buffer.prototype as unknown as { latin1Slice(this: Uint8Array, start: number, end: number): string }
).latin1Slice;

/** `bytes[start, end)` as a string with one character a byte: cheap, and different for different bytes. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return latin1Slice.call(bytes, start, end);
}

/** Up to this length a loop is faster than `set` with a view, in bytes (measured: 29 ns against 76 ns at 16). */
const LOOP_BYTES_MAX = 24;

/** Copies `source[start, end)` to `target` from `at` on; returns the position behind it. */
export function copyBytes(
  source: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  at: number,
): number {
  const length = end - start;
  if (length > LOOP_BYTES_MAX) target.set(source.subarray(start, end), at);
  else for (let i = 0; i < length; i++) target[at + i] = source[start + i]!;
  return at + length;
}

/** Whether `length` bytes of the two are the same. */
export function sameBytes(a: Uint8Array, atA: number, b: Uint8Array, atB: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[atA + i] !== b[atB + i]) return false;
  return true;
}

/** Where the next zero byte lies in `bytes[start, end)`; -1: nowhere. */
export function zeroByte(bytes: Uint8Array, start: number, end: number): number {
  for (let i = start; i < end; i++) if (bytes[i] === 0) return i;
  return -1;
}
