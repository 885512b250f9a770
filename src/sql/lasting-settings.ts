/** `SET` as far as it outlasts its transaction (documentation: SET, SET ROLE, SET SESSION AUTHORIZATION). */
import type { LastingStatement, MayBeSet } from './lasting-effect.js';
import { TOKEN } from './lexer.js';
import { dottedName, type Token, wordAt } from './tokens.js';

/** Settings that say who the session is. */
const IDENTITY = new Set(['role', 'session_authorization']);
const NAME_CHARS_MAX = 63;

/** What stands behind SET at `from`; null if it is for the transaction, or may be set, or goes back to the default. */
export function lastingSetting(
  tokens: readonly Token[],
  from: number,
  mayBeSet: MayBeSet,
): LastingStatement | null {
  const word = (at: number): string => wordAt(tokens, at);
  const isScope = (at: number): boolean =>
    tokens[at + 1]?.kind !== TOKEN.DOT && !isAssignment(tokens[at + 1]);
  if (['local', 'transaction', 'constraints'].includes(word(from)) && isScope(from)) return null;
  const isSession = word(from) === 'session' && isScope(from);
  const at = isSession ? from + 1 : from;
  if (isSession && word(at) === 'characteristics')
    return { kind: 'setting', command: 'SET SESSION CHARACTERISTICS' };
  if (isSession && word(at) === 'authorization') {
    return isDefault(tokens, at + 1) ? null : { kind: 'identity', command: 'SET SESSION AUTHORIZATION' };
  }
  const special = isAssignment(tokens[at + 1]) ? undefined : SPECIAL_FORMS[word(at)];
  // SET a.b = ...: a name that begins like a special form.
  const isSpecial = special !== undefined && tokens[at + 1]?.kind !== TOKEN.DOT;
  const name = isSpecial ? special : dottedName(tokens, at).toLowerCase();
  const valueAt = isSpecial
    ? at + (word(at) === 'role' || word(at) === 'schema' ? 1 : 2)
    : valuePosition(tokens, at);
  return assignment(tokens, name, valueAt, mayBeSet);
}

/** Ways to set a setting without its name. */
const SPECIAL_FORMS: Readonly<Record<string, string>> = Object.assign(Object.create(null), {
  time: 'timezone',
  names: 'client_encoding',
  schema: 'search_path',
  xml: 'xmloption',
  role: 'role',
});

function assignment(
  tokens: readonly Token[],
  name: string,
  valueAt: number,
  mayBeSet: MayBeSet,
): LastingStatement | null {
  if (name === '' || isDefault(tokens, valueAt) || mayBeSet(name)) return null;
  if (name === 'role' && tokens[valueAt]?.text === 'none') return null;
  return { kind: kindOf(name), command: name === 'role' ? 'SET ROLE' : `SET ${shown(name)}`.trimEnd() };
}

/** What a setting by this name is to the session. */
export function kindOf(name: string): LastingStatement['kind'] {
  if (IDENTITY.has(name)) return 'identity';
  return name === 'seed' ? 'unseen' : 'setting';
}

/** A name as it may stand in a message, whatever the client's encoding is; empty where it can't. */
export function shown(name: string): string {
  const isPlain = /^[\w.$ -]+$/.test(name) && name.length <= NAME_CHARS_MAX;
  return isPlain ? name : '';
}

/** `=` or TO. */
function isAssignment(token: Token | undefined): boolean {
  if (token?.kind === TOKEN.WORD) return token.text === 'to';
  return token?.kind === TOKEN.OPERATOR && token.text === '=';
}

function isDefault(tokens: readonly Token[], at: number): boolean {
  return wordAt(tokens, at) === 'default';
}

/** Where the value stands, the name being at `at`. */
function valuePosition(tokens: readonly Token[], at: number): number {
  let end = at + 1;
  while (tokens[end]?.kind === TOKEN.DOT) end += 2;
  return end + 1;
}
