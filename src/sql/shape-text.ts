/** A statement's text without its comments and constants, so that it can be shown: constants may be secrets. */
import { Lexer, TOKEN } from './lexer.js';

const SPACE = 0x20;
const MARK = 0x3f;
const ELLIPSIS = '...';

/** Constants become question marks, what stands between tokens at most one space. */
class TextWriter {
  readonly #lexer = new Lexer();
  readonly #out: Uint8Array;
  #length = 0;

  constructor(bytesMax: number) {
    this.#out = new Uint8Array(bytesMax);
  }

  write(bytes: Uint8Array, start: number, end: number): string {
    const lexer = this.#lexer;
    lexer.begin(bytes, start, end);
    let last = start;
    for (let token = lexer.next(); token !== TOKEN.END; token = lexer.next()) {
      if (token === TOKEN.UNCERTAIN) return this.#cut();
      if (lexer.start > last && this.#length > 0 && !this.#put(SPACE)) return this.#cut();
      if (!this.#token(token)) return this.#cut();
      last = lexer.position;
    }
    return this.#text();
  }

  #token(token: number): boolean {
    if (token === TOKEN.LITERAL || token === TOKEN.NUMBER) return this.#put(MARK);
    const { bytes, start, position } = this.#lexer;
    for (let at = start; at < position; at += 1) if (!this.#put(bytes[at]!)) return false;
    return true;
  }

  /** False: there is no room. */
  #put(byte: number): boolean {
    if (this.#length === this.#out.length) return false;
    this.#out[this.#length++] = byte;
    return true;
  }

  #cut(): string {
    return `${this.#text()}${ELLIPSIS}`;
  }

  #text(): string {
    return Buffer.from(this.#out.buffer, 0, this.#length).toString();
  }
}

/**
 * The text `bytes[start, end)`, without its zero byte, as it may be shown: `SELECT a FROM t WHERE b = ?`.
 *
 * @param bytesMax what is longer is cut, and ends with three dots
 */
export function shapeText(bytes: Uint8Array, start: number, end: number, bytesMax: number): string {
  return new TextWriter(bytesMax).write(bytes, start, end);
}
