/**
 * What the comments in front of a statement ask of routing: `sluice:` and words of {@link RoutingHint}, with spaces or
 * commas between, and Pgpool-II's NO LOAD BALANCE. A text that doesn't begin with a comment costs one look.
 */
import { foldedByte, hashStep } from './lexer.js';

/** Bits of what comments ask for. */
export const RoutingHint = {
  NONE: 0,
  /** Run it on the primary. */
  PRIMARY: 1,
  /** Run it on a standby: what is not known in it is harmless. */
  STANDBY: 2,
  /** The consistency that it needs. */
  STRONG: 4,
  SESSION: 8,
  BOUNDED: 16,
  EVENTUAL: 32,
  /** A word behind `sluice:` is none of these. */
  UNKNOWN: 64,
} as const;

const SLASH = 0x2f;
const STAR = 0x2a;
const MINUS = 0x2d;
const NEWLINE = 0x0a;
const COLON = 0x3a;
const SPACES = new Set([0x20, 0x09, 0x0a, 0x0b, 0x0c, 0x0d]);

const SLUICE = hashOf('sluice');
const NO_LOAD_BALANCE = ['no', 'load', 'balance'].map(hashOf);
const WORDS: ReadonlyMap<number, number> = new Map([
  [hashOf('primary'), RoutingHint.PRIMARY],
  [hashOf('standby'), RoutingHint.STANDBY],
  [hashOf('replica'), RoutingHint.STANDBY],
  [hashOf('strong'), RoutingHint.STRONG],
  [hashOf('session'), RoutingHint.SESSION],
  [hashOf('bounded'), RoutingHint.BOUNDED],
  [hashOf('eventual'), RoutingHint.EVENTUAL],
]);

function hashOf(word: string): number {
  let hash = 0;
  for (let at = 0; at < word.length; at += 1) hash = hashStep(hash, word.charCodeAt(at));
  return hash;
}

/** Reads the words of one comment after the other. */
class CommentReader {
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;

  run(bytes: Uint8Array, start: number, end: number): number {
    this.#bytes = bytes;
    let hints = 0;
    let at = start;
    for (;;) {
      while (at < end && SPACES.has(bytes[at]!)) at += 1;
      const close = commentEnd(bytes, at, end);
      if (close < 0) break;
      this.#at = at + 2;
      this.#end = close;
      hints |= this.#comment();
      at = close;
    }
    // The memory belongs to the caller.
    this.#bytes = new Uint8Array(0);
    return hints;
  }

  #comment(): number {
    const first = this.#word();
    if (first === NO_LOAD_BALANCE[0]) {
      const rest = this.#word() === NO_LOAD_BALANCE[1] && this.#word() === NO_LOAD_BALANCE[2];
      return rest && this.#word() === 0 ? RoutingHint.PRIMARY : RoutingHint.NONE;
    }
    if (first !== SLUICE || this.#bytes[this.#at] !== COLON) return RoutingHint.NONE;
    let hints = 0;
    for (let word = this.#word(); word !== 0; word = this.#word())
      hints |= WORDS.get(word) ?? RoutingHint.UNKNOWN;
    return hints;
  }

  /** The hash of the next word, 0 if there is none. */
  #word(): number {
    const bytes = this.#bytes;
    let at = this.#at;
    while (at < this.#end && foldedByte(bytes[at]!) === 0) at += 1;
    let hash = 0;
    while (at < this.#end && foldedByte(bytes[at]!) !== 0) {
      hash = hashStep(hash, foldedByte(bytes[at]!));
      at += 1;
    }
    this.#at = at;
    return hash;
  }
}

/** Where the comment at `at` ends; -1: there is none, or it doesn't end. What nests in it is not looked for. */
function commentEnd(bytes: Uint8Array, at: number, end: number): number {
  if (at + 1 >= end) return -1;
  if (bytes[at] === MINUS && bytes[at + 1] === MINUS) {
    let newline = at + 2;
    while (newline < end && bytes[newline] !== NEWLINE) newline += 1;
    return newline < end ? newline : -1;
  }
  if (bytes[at] !== SLASH || bytes[at + 1] !== STAR) return -1;
  for (let close = at + 2; close + 1 < end; close += 1) {
    if (bytes[close] === STAR && bytes[close + 1] === SLASH) return close + 2;
  }
  return -1;
}

const reader = new CommentReader();

/** What the comments at the beginning of the text `bytes[start, end)` ask for: bits of {@link RoutingHint}. */
export function routingHint(bytes: Uint8Array, start: number, end: number): number {
  const first = bytes[start];
  if (first !== SLASH && first !== MINUS && !(first !== undefined && SPACES.has(first)))
    return RoutingHint.NONE;
  return reader.run(bytes, start, end);
}
