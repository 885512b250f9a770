/** The names of made-up settings in a text, for the question to the server whether they are set. Off the hot path. */
import { decodeText } from '../wire/text.js';
import { Lexer, TOKEN } from './lexer.js';

/** Behind these words of SET and RESET comes the setting's name, if what follows is not a dot. */
const SCOPES = new Set(['local', 'session']);

interface Token {
  readonly kind: number;
  /** Folded to lower case if it is a WORD; without the quotes if it is QUOTED or a plain LITERAL. */
  readonly text: string;
  /** The text is what is meant: not so for a literal with a prefix. */
  readonly isPlain: boolean;
}

function tokensOf(bytes: Uint8Array, start: number, end: number, standardStrings: boolean): Token[] | null {
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

/** A name and its dots from `at` on. */
function dottedName(tokens: readonly Token[], at: number): string {
  let name = tokens[at]?.text ?? '';
  for (let dot = at + 1; tokens[dot]?.kind === TOKEN.DOT; dot += 2) name += `.${tokens[dot + 1]?.text ?? ''}`;
  return name;
}

/** The name behind SET or RESET at `at`. */
function assignedName(tokens: readonly Token[], at: number): string {
  const scoped = SCOPES.has(tokens[at]?.text ?? '') && tokens[at + 1]?.kind !== TOKEN.DOT;
  return dottedName(tokens, scoped ? at + 1 : at);
}

/** The first argument of set_config, whose name stands at `at`; null if that isn't one plain literal. */
function configuredName(tokens: readonly Token[], at: number): string | null {
  const argument = tokens[at + 2];
  if (argument?.kind !== TOKEN.LITERAL || tokens[at + 3]?.kind !== TOKEN.COMMA) return null;
  return argument.isPlain ? argument.text : null;
}

/**
 * The settings with a dot in their names that the text sets or resets by SET, RESET and set_config(), in the order of
 * their first mention; null if it can't be known which. A setting's case doesn't matter to PostgreSQL. A name may
 * hold any character: whoever puts it into a statement quotes it.
 *
 * @param standardStrings as for `sessionEffects`.
 */
export function customSettingNames(
  bytes: Uint8Array,
  start: number,
  end: number,
  standardStrings = false,
): string[] | null {
  const tokens = tokensOf(bytes, start, end, standardStrings);
  if (tokens === null) return null;
  const names = new Set<string>();
  for (let at = 0; at < tokens.length; at += 1) {
    const { kind, text } = tokens[at]!;
    const begins = kind === TOKEN.WORD && (at === 0 || tokens[at - 1]!.kind === TOKEN.SEMICOLON);
    const isName = kind === TOKEN.WORD || kind === TOKEN.QUOTED;
    let name: string | null = '';
    if (isName && text === 'set_config' && tokens[at + 1]?.kind === TOKEN.OPEN)
      name = configuredName(tokens, at);
    else if (begins && (text === 'set' || text === 'reset')) name = assignedName(tokens, at + 1);
    if (name === null) return null;
    if (name.includes('.')) names.add(name);
  }
  return [...names];
}
