/** The words of a line of `pg_hba.conf` and `pg_ident.conf` (PostgreSQL documentation, "The pg_hba.conf File"). */

export interface Token {
  readonly kind: 'word' | 'quoted' | 'comma' | 'broken' | 'end';
  readonly text: string;
}

const TOKEN = /[\s]*(?:(,)|"((?:[^"]|"")*)"|([^\s,#"][^\s,#"]*))/y;
const END: Token = Object.freeze({ kind: 'end', text: '' });

/** Reads a line word by word: what is in quotes is never a keyword. */
export class TokenLine {
  private readonly line: string;
  /** Where the current word begins, and where the next one is looked for. */
  private start = 0;
  private position = 0;
  private next: Token = END;

  constructor(line: string) {
    this.line = line;
    this.advance();
  }

  /** The word that is next. */
  get current(): Token {
    return this.next;
  }

  /** Nothing follows but a comment. */
  get isAtEnd(): boolean {
    return this.next.kind === 'end';
  }

  /** The line from the current word on, as it is written. */
  get remaining(): string {
    return this.line.slice(this.start);
  }

  /** The current word, and on to the next. */
  take(): Token {
    const token = this.current;
    if (token.kind !== 'end' && token.kind !== 'broken') this.advance();
    return token;
  }

  /** True, and on to the next word, if the current one is this keyword. */
  takeKeyword(keyword: string): boolean {
    if (this.current.kind !== 'word' || this.current.text !== keyword) return false;
    this.advance();
    return true;
  }

  takeComma(): boolean {
    if (this.current.kind !== 'comma') return false;
    this.advance();
    return true;
  }

  private advance(): void {
    this.start = this.position;
    TOKEN.lastIndex = this.position;
    const match = TOKEN.exec(this.line);
    if (match === null) {
      const left = this.line.slice(this.position).trimStart();
      this.next = left === '' || left.startsWith('#') ? END : { kind: 'broken', text: left };
      return;
    }
    this.position = TOKEN.lastIndex;
    const [, comma, quoted, word] = match;
    if (comma !== undefined) this.next = { kind: 'comma', text: ',' };
    else if (quoted !== undefined) this.next = { kind: 'quoted', text: quoted.replaceAll('""', '"') };
    else this.next = { kind: 'word', text: word! };
  }
}
