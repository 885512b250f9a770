/** Statements that drop all prepared statements, told by their text: what is sent behind them must know before they are answered. */
import { latin1 } from '../wire/bytes.js';

const TEXT = /^\s*(deallocate\s+(prepare\s+)?all|discard\s+all)\b/i;
/** More of a text isn't looked at. */
const TEXT_BYTES_MAX = 64;
const SPACE = 0x20;
const LOWER_CASE = 0x20;
const [A, D, S] = [0x61, 0x64, 0x73];

/**
 * Whether the query text at `start` is DEALLOCATE ALL or DISCARD ALL. One that hides it behind a comment is not seen: then
 * it counts from its answer on, as every other.
 */
export function dropsAll(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end && bytes[at]! <= SPACE && bytes[at] !== 0) at += 1;
  if ((bytes[at]! | LOWER_CASE) !== D) return false;
  // Not for every DELETE and DECLARE.
  const third = bytes[at + 2]! | LOWER_CASE;
  return (third === A || third === S) && TEXT.test(latin1(bytes, at, Math.min(end, at + TEXT_BYTES_MAX)));
}
