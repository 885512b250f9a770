/** A text's tokens as a list, for what is looked at off the hot path. */
import { decodeText } from '../wire/text.js';
import { Lexer, TOKEN } from './lexer.js';

export interface Token {
  /** Of {@link TOKEN}. */
  readonly kind: number;
  /** Folded to lower case if it is a WORD; without the quotes if it is QUOTED or a plain LITERAL. */
  readonly text: string;
  /** The text is what is meant: not so for a literal with a prefix. */
  readonly isPlain: boolean;
}

/**
 * The tokens of `bytes[start, end)`; null where they are not certain.
 *
 * @param standardStrings as for `sessionEffects`.
 */
export function tokensOf(
  bytes: Uint8Array,
  start: number,
  end: number,
  standardStrings: boolean,
): Token[] | null {
  const lexer = new Lexer();
  const tokens: Token[] = [];
  lexer.begin(bytes, start, end);
  for (let kind = lexer.next(); kind !== TOKEN.END; kind = lexer.next()) {
    if (kind === TOKEN.UNCERTAIN) return null;
    const text = decodeText(bytes, lexer.start, lexer.position);
    tokens.push({ kind, text: textOf(kind, text), isPlain: kind !== TOKEN.LITERAL || text.startsWith("'") });
  }
  return lexer.doubtful && !standardStrings ? null : tokens;
}

function textOf(kind: number, text: string): string {
  if (kind === TOKEN.WORD) return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
  if (kind === TOKEN.QUOTED) return text.slice(1, -1).replaceAll('""', '"');
  return kind === TOKEN.LITERAL && text.startsWith("'") ? text.slice(1, -1).replaceAll("''", "'") : text;
}

/** A name and its dots from `at` on; empty where nothing stands. */
export function dottedName(tokens: readonly Token[], at: number): string {
  let name = tokens[at]?.text ?? '';
  for (let dot = at + 1; tokens[dot]?.kind === TOKEN.DOT; dot += 2) name += `.${tokens[dot + 1]?.text ?? ''}`;
  return name;
}

/** The unquoted word at `at`; empty if there is none. */
export function wordAt(tokens: readonly Token[], at: number): string {
  const token = tokens[at];
  return token?.kind === TOKEN.WORD ? token.text : '';
}
