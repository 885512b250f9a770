/** Buffers for units that may have to be repeated. */

/** Most units are small, and many clients have one at a time: their copies take turns with a few buffers. */
const SPARE_BYTES = 1024;
const SPARES_MAX = 256;
const spares: Uint8Array[] = [];

/** One for a copy of so many bytes. */
export function takeBuffer(bytes: number): Uint8Array {
  return (bytes <= SPARE_BYTES ? spares.pop() : undefined) ?? new Uint8Array(Math.max(bytes, SPARE_BYTES));
}

/** Nobody reads it any more. */
export function giveBack(buffer: Uint8Array): void {
  if (buffer.length === SPARE_BYTES && spares.length < SPARES_MAX) spares.push(buffer);
}
