/**
 * Cuts SQL text into tokens as PostgreSQL's scanner does (documentation, "Lexical Structure";
 * src/backend/parser/scan.l for what that leaves open): nested comments, quoted identifiers, literals of every kind,
 * dollar quotes, numbers.
 *
 * It finds boundaries and decodes nothing. What PostgreSQL refuses, or reads in another way in another version or
 * with another setting, is told by UNCERTAIN or by {@link Lexer.doubtful}. The text's encoding must be one whose
 * multi-byte characters hold no ASCII byte: all that a server can have, but not the clients' BIG5, GB18030, GBK,
 * JOHAB, SJIS, SHIFT_JIS_2004 and UHC.
 */

/** What {@link Lexer.next} has found. */
export const TOKEN = {
  /** The text has ended. */
  END: 0,
  /** A keyword or an unquoted identifier. */
  WORD: 1,
  /** A quoted identifier; the token's range includes the quotes. */
  QUOTED: 2,
  /** A literal in quotes of any kind, with its prefix. */
  LITERAL: 3,
  NUMBER: 4,
  /** `$1` */
  PARAMETER: 5,
  OPEN: 6,
  CLOSE: 7,
  CLOSE_BRACKET: 8,
  COMMA: 9,
  DOT: 10,
  SEMICOLON: 11,
  /** `::` */
  CAST: 12,
  /** One byte of an operator, or other punctuation. */
  OPERATOR: 13,
  /** From here on nothing is certain. */
  UNCERTAIN: 14,
} as const;

const QUOTE = 0x27;
const DOUBLE_QUOTE = 0x22;
const BACKSLASH = 0x5c;
const DOLLAR = 0x24;
const DOT_BYTE = 0x2e;
const MINUS = 0x2d;
const STAR = 0x2a;
const SLASH = 0x2f;
const COLON = 0x3a;
const AMPERSAND = 0x26;
const UNDERSCORE = 0x5f;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const LETTER_E = 0x65;
const LETTER_U = 0x75;

/** Classes of bytes that begin a token; the values of {@link TOKEN} stand for tokens of one byte. */
const SPACE = 32;
const LETTER = 33;
const DIGIT = 34;
const SINGLE_QUOTE_CLASS = 35;
const DOUBLE_QUOTE_CLASS = 36;
const DOLLAR_CLASS = 37;
const DASH_CLASS = 38;
const SLASH_CLASS = 39;
const DOT_CLASS = 40;
const COLON_CLASS = 41;

const CLASS = classTable();
/** Bytes of which identifiers consist, in lower case; 0 for all others. */
const FOLDED = foldTable();

function isLetter(byte: number): boolean {
  const lower = byte | 0x20;
  return (lower >= 0x61 && lower <= 0x7a) || byte === UNDERSCORE || byte >= 0x80;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function classTable(): Uint8Array {
  const table = new Uint8Array(256).fill(TOKEN.UNCERTAIN);
  for (let byte = 0; byte < 256; byte += 1) {
    if (isLetter(byte)) table[byte] = LETTER;
    else if (isDigit(byte)) table[byte] = DIGIT;
  }
  // The vertical tab is white space since PostgreSQL 16, an error before.
  for (const space of ' \t\n\v\f\r') table[space.charCodeAt(0)] = SPACE;
  for (const operator of '~!@#^&|`?+*%<>=[') table[operator.charCodeAt(0)] = TOKEN.OPERATOR;
  const others: Record<string, number> = { '(': TOKEN.OPEN, ')': TOKEN.CLOSE, ']': TOKEN.CLOSE_BRACKET };
  Object.assign(others, { ',': TOKEN.COMMA, ';': TOKEN.SEMICOLON, '.': DOT_CLASS, ':': COLON_CLASS });
  Object.assign(others, { "'": SINGLE_QUOTE_CLASS, '"': DOUBLE_QUOTE_CLASS, $: DOLLAR_CLASS });
  Object.assign(others, { '-': DASH_CLASS, '/': SLASH_CLASS });
  for (const [text, kind] of Object.entries(others)) table[text.charCodeAt(0)] = kind;
  return table;
}

function foldTable(): Uint8Array {
  const table = new Uint8Array(256);
  for (let byte = 0; byte < 256; byte += 1) {
    if (byte >= 0x41 && byte <= 0x5a) table[byte] = byte | 0x20;
    else if (isLetter(byte) || isDigit(byte) || byte === DOLLAR) table[byte] = byte;
  }
  return table;
}

/** One step of the hash of a word: {@link Lexer.hash} goes over its bytes in lower case. */
export function hashStep(hash: number, folded: number): number {
  return Math.imul(hash ^ folded, 0x01000193);
}

/** The byte in lower case if it can stand in an unquoted identifier, else 0. */
export function foldedByte(byte: number): number {
  return FOLDED[byte]!;
}

/** A cursor over one text. It allocates nothing, and is used again by {@link Lexer.begin}. */
export class Lexer {
  bytes: Uint8Array = new Uint8Array(0);
  end = 0;
  /** Where the token begins that was found last. */
  start = 0;
  /** Where it ends. */
  position = 0;
  /** The hash of a WORD, see {@link hashStep}. */
  hash = 0;
  /** A backslash stands before a quote: what follows was read as with `standard_conforming_strings = on`. */
  doubtful = false;

  begin(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.start = start;
    this.position = start;
    this.end = end;
    this.doubtful = false;
  }

  /** The next token's kind, of {@link TOKEN}; its range is from `start` to `position`. */
  next(): number {
    const { bytes, end } = this;
    let at = this.position;
    while (at < end) {
      const kind = CLASS[bytes[at]!]!;
      if (kind === SPACE) {
        at += 1;
        continue;
      }
      this.start = at;
      if (kind === LETTER) return this.#word(at);
      if (kind < SPACE) return this.#found(kind, at + 1);
      switch (kind) {
        case DIGIT:
          return this.#number(at);
        case SINGLE_QUOTE_CLASS:
          return this.#plainLiteral(at + 1);
        case DOUBLE_QUOTE_CLASS:
          return this.#quoted(at + 1);
        case DOLLAR_CLASS:
          return this.#dollar(at);
        case DASH_CLASS:
          if (this.#byte(at + 1) !== MINUS) return this.#found(TOKEN.OPERATOR, at + 1);
          at = this.#lineEnd(at + 2);
          break;
        case SLASH_CLASS:
          if (this.#byte(at + 1) !== STAR) return this.#found(TOKEN.OPERATOR, at + 1);
          at = this.#commentEnd(at + 2);
          if (at < 0) return this.#found(TOKEN.UNCERTAIN, end);
          break;
        case DOT_CLASS:
          if (isDigit(this.#byte(at + 1))) return this.#number(at);
          return this.#found(TOKEN.DOT, at + 1);
        default:
          if (this.#byte(at + 1) === COLON) return this.#found(TOKEN.CAST, at + 2);
          return this.#found(TOKEN.OPERATOR, at + 1);
      }
    }
    this.start = end;
    return this.#found(TOKEN.END, end);
  }

  #found(kind: number, position: number): number {
    this.position = position;
    return kind;
  }

  /** The byte at `at`; 0 behind the end of the text. */
  #byte(at: number): number {
    return at < this.end ? this.bytes[at]! : 0;
  }

  #word(start: number): number {
    const { bytes, end } = this;
    let at = start;
    let hash = 0;
    while (at < end) {
      const folded = FOLDED[bytes[at]!]!;
      if (folded === 0) break;
      hash = hashStep(hash, folded);
      at += 1;
    }
    this.hash = hash;
    this.position = at;
    return at === start + 1 ? this.#prefix(start, at) : TOKEN.WORD;
  }

  /** A word of one letter: E, and U with `&`, may belong to the quote behind it. (B, X and N may stand as words.) */
  #prefix(start: number, at: number): number {
    const letter = this.bytes[start]! | 0x20;
    if (letter === LETTER_E && this.#byte(at) === QUOTE) return this.#escapeLiteral(at + 1);
    if (letter === LETTER_U && this.#byte(at) === AMPERSAND) {
      // U&"..." may spell any name; U&'...' is an error unless standard_conforming_strings is on.
      if (this.#byte(at + 1) === DOUBLE_QUOTE) return this.#found(TOKEN.UNCERTAIN, this.end);
      if (this.#byte(at + 1) === QUOTE) return this.#plainLiteral(at + 2);
    }
    return TOKEN.WORD;
  }

  /** Digits with a point and an exponent. A letter right behind is an error, or before PostgreSQL 15 a word. */
  #number(start: number): number {
    let at = this.#digitsEnd(start);
    if (this.#byte(at) === DOT_BYTE && this.#byte(at + 1) !== DOT_BYTE) at = this.#digitsEnd(at + 1);
    if ((this.#byte(at) | 0x20) === LETTER_E) {
      const sign = this.#byte(at + 1);
      const digits = sign === MINUS || sign === 0x2b ? at + 2 : at + 1;
      if (isDigit(this.#byte(digits))) at = this.#digitsEnd(digits);
    }
    return this.#endOfDigits(TOKEN.NUMBER, at);
  }

  #endOfDigits(kind: number, at: number): number {
    if (FOLDED[this.#byte(at)] !== 0) return this.#found(TOKEN.UNCERTAIN, this.end);
    return this.#found(kind, at);
  }

  #digitsEnd(start: number): number {
    let at = start;
    while (isDigit(this.#byte(at))) at += 1;
    return at;
  }

  /** `'...'`, from behind the first quote; a quote in it is doubled. */
  #plainLiteral(start: number): number {
    const { bytes, end } = this;
    let escaped = false;
    for (let at = start; at < end; at += 1) {
      const byte = bytes[at]!;
      if (byte === BACKSLASH) {
        escaped = !escaped;
        continue;
      }
      if (byte === QUOTE) {
        if (escaped) this.doubtful = true;
        if (this.#byte(at + 1) !== QUOTE) return this.#found(TOKEN.LITERAL, at + 1);
        at += 1;
      } else if (byte === 0) {
        break;
      }
      escaped = false;
    }
    return this.#found(TOKEN.UNCERTAIN, end);
  }

  /** `E'...'`, from behind the first quote. */
  #escapeLiteral(start: number): number {
    const { bytes, end } = this;
    for (let at = start; at < end; at += 1) {
      const byte = bytes[at]!;
      if (byte === BACKSLASH) {
        at += 1;
      } else if (byte === QUOTE) {
        if (this.#byte(at + 1) !== QUOTE) return this.#escapeLiteralEnd(at + 1);
        at += 1;
      } else if (byte === 0) {
        break;
      }
    }
    return this.#found(TOKEN.UNCERTAIN, end);
  }

  /** A quote on a later line goes on with the literal, where backslashes still count: rare, so not followed. */
  #escapeLiteralEnd(position: number): number {
    let at = position;
    for (;;) {
      if (CLASS[this.#byte(at)] === SPACE) at += 1;
      else if (this.#byte(at) === MINUS && this.#byte(at + 1) === MINUS) at = this.#lineEnd(at + 2);
      else break;
    }
    if (this.#byte(at) === QUOTE) return this.#found(TOKEN.UNCERTAIN, this.end);
    return this.#found(TOKEN.LITERAL, position);
  }

  /** A quoted identifier, from behind the first quote. */
  #quoted(start: number): number {
    const { bytes, end } = this;
    for (let at = start; at < end; at += 1) {
      const byte = bytes[at]!;
      if (byte === DOUBLE_QUOTE) {
        if (this.#byte(at + 1) !== DOUBLE_QUOTE) return this.#found(TOKEN.QUOTED, at + 1);
        at += 1;
      } else if (byte === 0) {
        break;
      }
    }
    return this.#found(TOKEN.UNCERTAIN, end);
  }

  /** A parameter, or a literal in dollar quotes. */
  #dollar(start: number): number {
    let at = start + 1;
    if (isDigit(this.#byte(at))) return this.#endOfDigits(TOKEN.PARAMETER, this.#digitsEnd(at));
    while (this.#byte(at) !== DOLLAR && FOLDED[this.#byte(at)] !== 0) at += 1;
    if (this.#byte(at) !== DOLLAR) return this.#found(TOKEN.UNCERTAIN, this.end);
    const close = this.#find(start, at + 1);
    return close < 0 ? this.#found(TOKEN.UNCERTAIN, this.end) : this.#found(TOKEN.LITERAL, close);
  }

  /** Where the bytes from `start` to `end` have ended when they occur again behind `end`; -1: they don't. */
  #find(start: number, end: number): number {
    const { bytes } = this;
    const length = end - start;
    for (let at = end; at + length <= this.end; at += 1) {
      let same = 0;
      while (same < length && bytes[at + same] === bytes[start + same]) same += 1;
      if (same === length) return at + length;
      if (bytes[at] === 0) break;
    }
    return -1;
  }

  #lineEnd(start: number): number {
    let at = start;
    while (at < this.end && this.bytes[at] !== NEWLINE && this.bytes[at] !== RETURN) at += 1;
    return at;
  }

  /** Where a comment ends, from behind its beginning; -1: nowhere. Comments nest. */
  #commentEnd(start: number): number {
    let depth = 1;
    for (let at = start; at < this.end; at += 1) {
      const byte = this.bytes[at]!;
      if (byte === SLASH && this.#byte(at + 1) === STAR) {
        depth += 1;
        at += 1;
      } else if (byte === STAR && this.#byte(at + 1) === SLASH) {
        depth -= 1;
        at += 1;
        if (depth === 0) return at + 1;
      }
    }
    return -1;
  }
}
