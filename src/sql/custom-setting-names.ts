/** The names of made-up settings in a text, for the question to the server whether they are set. Off the hot path. */
import { TOKEN } from './lexer.js';
import { dottedName, type Token, tokensOf } from './tokens.js';

/** Behind these words of SET and RESET comes the setting's name, if what follows is not a dot. */
const SCOPES = new Set(['local', 'session']);

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
