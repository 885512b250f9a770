import { SqlState } from '../../wire/sqlstate.js';
import { ConsoleError } from './console-error.js';
import type { Token } from './tokens.js';

/** Reads tokens one after the other; keywords whatever their case. */
export class TokenReader {
  private readonly tokens: readonly Token[];
  private at = 0;

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  get next(): Token | undefined {
    return this.tokens[this.at];
  }

  /** True at the end of the statement, by `;` or by the end of the text. */
  get atEnd(): boolean {
    return this.next === undefined || this.isSign(';');
  }

  /** Takes a keyword if it is the next token. */
  word(keyword: string): boolean {
    const { next } = this;
    if (next?.kind !== 'word' || next.quoted || next.text.toUpperCase() !== keyword) return false;
    this.at += 1;
    return true;
  }

  sign(text: string): boolean {
    if (!this.isSign(text)) return false;
    this.at += 1;
    return true;
  }

  take(): Token | undefined {
    const { next } = this;
    this.at += 1;
    return next;
  }

  expectSign(text: string): void {
    if (!this.sign(text)) throw this.unexpected();
  }

  /** A name: as it is written where it is quoted, else in lower case. */
  name(): string {
    const token = this.take();
    if (token?.kind === 'word') return token.quoted ? token.text : token.text.toLowerCase();
    if (token?.kind === 'string' || token?.kind === 'number') return token.text;
    this.at -= 1;
    throw this.unexpected();
  }

  /** Skips to behind the end of this statement. */
  skipStatement(): void {
    while (!this.atEnd) this.at += 1;
    this.sign(';');
  }

  expectEnd(): void {
    if (!this.atEnd) throw this.unexpected();
    this.sign(';');
  }

  unexpected(): ConsoleError {
    const { next } = this;
    if (next === undefined)
      return new ConsoleError('syntax error at end of input', { sqlstate: SqlState.syntax_error });
    const text = next.kind === 'parameter' ? `$${next.index}` : next.text;
    return new ConsoleError(`syntax error at or near "${text}"`, { sqlstate: SqlState.syntax_error });
  }

  private isSign(text: string): boolean {
    return this.next?.kind === 'sign' && this.next.text === text;
  }
}
