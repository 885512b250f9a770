/**
 * The shape of a statement: a hash of what is left of its text when comments, white space, the case of unquoted words
 * and the values of literals, numbers and parameters are taken away. Statements of one shape have the same parse tree but
 * for its constants, so that one look at the tree is enough for all of them.
 *
 * Lists of constants behind IN count as one, and so do the rows of constants behind VALUES if they are equally long:
 * batches of all sizes have one shape.
 *
 * Where a constant can change what a statement does, it is part of the shape: everywhere but in the statements of
 * LITERALS_FORGOTTEN, and behind `current_setting`, whose argument says what is read. Whoever adds to what is read out of a
 * parse tree must see that no forgotten literal decides about it.
 *
 * The hash has 64 bits and a seed, which must be secret: then nobody can make a text that has another's shape. If two
 * met nevertheless, a write might be sent to a standby, which refuses it and does nothing.
 */
import { foldedByte, hashStep, Lexer, TOKEN } from './lexer.js';

/** How a statement begins whose literals don't matter. A parenthesis may stand before it. */
const LITERALS_FORGOTTEN = hashesOf('select values table with insert update delete merge execute declare');
const CURRENT_SETTING = hashOf('current_setting');
/** No other words of as many letters have these hashes. */
const IN = hashOf('in');
const NULL = hashOf('null');
const VALUES = hashOf('values');

/** What stands in the hash for a constant; no value of {@link TOKEN}, nor of a byte of an operator. */
const CONSTANT = 0x101;
const WORD_END = 0x102;
const QUOTED_NAME = 0x103;
const BARE_CONSTANT = 0x104;
/** No space stands between two tokens where one would change their meaning. */
const JOINED = 0x105;

const MINUS = 0x2d;
const SLASH = 0x2f;
const STAR = 0x2a;
const QUOTE = 0x27;
/** 1 for the bytes of which operators consist. */
const OPERATOR_BYTES = new Uint8Array(256);
for (const letter of '~!@#^&|`?+-*/%<>=') OPERATOR_BYTES[letter.charCodeAt(0)] = 1;

const NOTHING = new Uint8Array(0);

/** Odd numbers without a pattern, one for each half. */
const LOW_FACTOR = 0x01000193;
const HIGH_FACTOR = 0x5bd1e995;

function hashOf(word: string): number {
  let hash = 0;
  for (let at = 0; at < word.length; at += 1) hash = hashStep(hash, word.charCodeAt(at));
  return hash;
}

function hashesOf(words: string): ReadonlySet<number> {
  return new Set(words.split(' ').map(hashOf));
}

/** Makes shapes, one after the other; the last one's hash is in `low` and `high`. */
export class ShapeReader {
  /** The halves of the hash, as signed integers of 32 bits. */
  low = 0;
  high = 0;
  /** The hash of the text's first word (see `hashStep`), which a parenthesis may precede; 0: there is none. */
  firstWord = 0;
  /**
   * The text has no shape: it isn't complete SQL, or its meaning depends on a setting (see `Lexer.doubtful`) that the
   * caller doesn't know.
   */
  uncertain = false;
  readonly #lexer = new Lexer();
  readonly #seedLow: number;
  readonly #seedHigh: number;
  /** Constants are part of the shape. */
  #literals = false;
  /** The next word is a statement's first. */
  #beginning = true;
  /** How deep in parentheses the list of an IN began; -1: there is none. */
  #list = -1;
  #depth = 0;
  #afterIn = false;
  /** A constant of such a list has ended, and perhaps the comma behind it: 0, 1, 2. */
  #folding = 0;
  /** How deep in parentheses the rows of a VALUES stand; -1: there are none. */
  #rows = -1;
  /** How many constants the row at hand has; -1: it has something else. */
  #rowLength = -1;
  /** The same of the row before it, and the hash behind that. */
  #lastRowLength = -1;
  #lastRowLow = 0;
  #lastRowHigh = 0;

  /** @param seed two integers of 32 bits that no client knows */
  constructor(seed: readonly [number, number]) {
    this.#seedLow = seed[0] | 0;
    this.#seedHigh = seed[1] | 0;
  }

  /**
   * Reads the text `bytes[start, end)`, without its zero byte, and returns true if it has a shape.
   *
   * @param standardStrings the server has `standard_conforming_strings = on` when it reads the text
   */
  read(bytes: Uint8Array, start: number, end: number, standardStrings: boolean): boolean {
    const lexer = this.#lexer;
    lexer.begin(bytes, start, end);
    this.low = this.#seedLow;
    this.high = this.#seedHigh;
    this.firstWord = 0;
    this.#beginStatement();
    let token = lexer.next();
    while (token !== TOKEN.END && token !== TOKEN.UNCERTAIN) {
      this.#take(token);
      token = lexer.next();
    }
    this.uncertain = token === TOKEN.UNCERTAIN || (lexer.doubtful && !standardStrings);
    this.#finish();
    // The memory belongs to the caller.
    lexer.begin(NOTHING, 0, 0);
    return !this.uncertain;
  }

  #beginStatement(): void {
    this.#literals = false;
    this.#beginning = true;
    this.#list = -1;
    this.#depth = 0;
    this.#afterIn = false;
    this.#folding = 0;
    this.#rows = -1;
  }

  #take(token: number): void {
    if (this.#rows >= 0 && this.#inRows(token)) return;
    if (token === TOKEN.NUMBER || token === TOKEN.PARAMETER || token === TOKEN.LITERAL) {
      this.#constant(token);
      return;
    }
    if (this.#folding !== 0) {
      if (token === TOKEN.COMMA && this.#folding === 1) {
        this.#folding = 2;
        return;
      }
      if (this.#folding === 2) this.#mix(TOKEN.COMMA);
      this.#folding = 0;
    }
    const afterIn = this.#afterIn;
    this.#afterIn = false;
    switch (token) {
      case TOKEN.WORD:
        this.#word();
        break;
      case TOKEN.QUOTED:
        this.#quoted();
        break;
      case TOKEN.OPERATOR:
        this.#operator();
        break;
      case TOKEN.OPEN:
        this.#depth += 1;
        if (afterIn && this.#list < 0) this.#list = this.#depth;
        this.#mix(token);
        break;
      case TOKEN.CLOSE:
        if (this.#depth === this.#list) this.#list = -1;
        this.#depth -= 1;
        this.#mix(token);
        if (this.#rows >= 0 && this.#depth === this.#rows) this.#endRow();
        break;
      case TOKEN.SEMICOLON:
        this.#mix(token);
        this.#beginStatement();
        break;
      default:
        this.#mix(token);
    }
  }

  /** Looks at a token behind VALUES; true: it was a constant of a row. */
  #inRows(token: number): boolean {
    if (this.#depth === this.#rows) {
      if (token === TOKEN.OPEN) this.#rowLength = 0;
      else if (token !== TOKEN.COMMA) this.#rows = -1;
      return false;
    }
    if (token === TOKEN.COMMA || token === TOKEN.CLOSE) return false;
    const { start, position, hash } = this.#lexer;
    const constant =
      token === TOKEN.NUMBER ||
      token === TOKEN.PARAMETER ||
      token === TOKEN.LITERAL ||
      (token === TOKEN.WORD && hash === NULL && position - start === 4);
    if (!constant || this.#depth > this.#rows + 1 || this.#literals) {
      this.#rowLength = -1;
      return false;
    }
    if (this.#rowLength < 0) return false;
    this.#rowLength += 1;
    this.#mix(CONSTANT);
    return true;
  }

  /** A row that is as the one before it leaves nothing in the hash. */
  #endRow(): void {
    const length = this.#rowLength;
    if (length >= 0 && length === this.#lastRowLength) {
      this.low = this.#lastRowLow;
      this.high = this.#lastRowHigh;
      return;
    }
    this.#lastRowLength = length;
    this.#lastRowLow = this.low;
    this.#lastRowHigh = this.high;
  }

  #mix(value: number): void {
    this.low = Math.imul(this.low ^ value, LOW_FACTOR);
    this.high = Math.imul((this.high << 5) ^ (this.high >>> 27) ^ value, HIGH_FACTOR);
  }

  #word(): void {
    const { bytes, start, position, hash } = this.#lexer;
    let { low, high } = this;
    for (let at = start; at < position; at += 1) {
      const folded = foldedByte(bytes[at]!);
      low = Math.imul(low ^ folded, LOW_FACTOR);
      high = Math.imul((high << 5) ^ (high >>> 27) ^ folded, HIGH_FACTOR);
    }
    this.low = low;
    this.high = high;
    this.#mix(WORD_END);
    // X'1F' is a string of bits, X '1F' a value of the type X.
    if (position === start + 1 && this.#byte(position) === QUOTE) this.#mix(JOINED);
    if (hash === VALUES) {
      this.#rows = this.#depth;
      this.#lastRowLength = -1;
    }
    if (this.#beginning) {
      this.#beginning = false;
      if (this.firstWord === 0) this.firstWord = hash;
      this.#literals = !LITERALS_FORGOTTEN.has(hash);
    } else if (hash === CURRENT_SETTING) {
      this.#literals = true;
    } else if (hash === IN && position === start + 2) {
      this.#afterIn = true;
    }
  }

  #quoted(): void {
    const { bytes, start, position } = this.#lexer;
    this.#beginning = false;
    this.#mix(QUOTED_NAME);
    let hash = 0;
    for (let at = start; at < position; at += 1) {
      const byte = bytes[at]!;
      this.#mix(byte);
      if (at > start && at < position - 1) hash = hashStep(hash, byte);
    }
    if (hash === CURRENT_SETTING) this.#literals = true;
  }

  #mixBytes(): void {
    const { bytes, start, position } = this.#lexer;
    for (let at = start; at < position; at += 1) this.#mix(bytes[at]!);
  }

  /** Neighbours make one operator, which spaces would divide: what follows at once is told apart. */
  #operator(): void {
    const { bytes, start, position } = this.#lexer;
    this.#mix(bytes[start]!);
    const next = this.#byte(position);
    if (OPERATOR_BYTES[next] === 0) return;
    const after = this.#byte(position + 1);
    const comment = (next === MINUS && after === MINUS) || (next === SLASH && after === STAR);
    if (!comment) this.#mix(JOINED);
  }

  /** The byte at `at`; 0 behind the end of the text. */
  #byte(at: number): number {
    return at < this.#lexer.end ? this.#lexer.bytes[at]! : 0;
  }

  #constant(token: number): void {
    this.#beginning = false;
    this.#afterIn = false;
    if (this.#literals) {
      this.#mix(BARE_CONSTANT);
      this.#mixBytes();
      return;
    }
    const repeated = this.#folding === 2;
    this.#folding = this.#list >= 0 && this.#depth === this.#list ? 1 : 0;
    // `IN (1, 2)` is `IN (1)`.
    if (!repeated) this.#mix(token === TOKEN.LITERAL ? TOKEN.LITERAL : CONSTANT);
  }

  /** What has been seen of the last list is complete, and the halves are stirred, so that each bit counts. */
  #finish(): void {
    if (this.#folding === 2) this.#mix(TOKEN.COMMA);
    this.#mix(TOKEN.END);
    this.low = stir(this.low ^ Math.imul(this.high, HIGH_FACTOR));
    this.high = stir(this.high);
  }
}

/** Each bit of the argument changes each bit of the result: MurmurHash3's finalizer. */
function stir(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
