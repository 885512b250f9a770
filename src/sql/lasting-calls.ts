/** Calls of PostgreSQL's own functions whose effect outlasts the transaction, or that tell of such an effect. */
import type { LastingKind, LastingStatement, MayBeSet } from './lasting-effect.js';
import { kindOf, shown } from './lasting-settings.js';
import { TOKEN } from './lexer.js';
import type { Token } from './tokens.js';

const KINDS: readonly (readonly [kind: LastingKind, names: string])[] = [
  ['lock', 'pg_advisory_lock pg_advisory_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared'],
  ['sequence', 'currval lastval'],
  ['unseen', 'setseed pg_backup_start pg_start_backup pg_replication_origin_session_setup'],
];
const FUNCTIONS = new Map(
  KINDS.flatMap(([kind, names]) => names.split(' ').map((name) => [name, kind] as const)),
);

/** The first such call from `from` on; null: there is none. */
export function lastingCall(
  tokens: readonly Token[],
  from: number,
  mayBeSet: MayBeSet,
): LastingStatement | null {
  for (let at = from; at < tokens.length; at += 1) {
    if (!isCalled(tokens, at)) continue;
    const { text } = tokens[at]!;
    if (text === 'set_config') {
      const found = configuring(argumentsOf(tokens, at + 1), mayBeSet);
      if (found !== null) return found;
    }
    const kind = FUNCTIONS.get(text);
    if (kind !== undefined) return { kind, command: `${text}()` };
  }
  return null;
}

/** A name in front of a parenthesis, in pg_catalog or without a schema. */
function isCalled(tokens: readonly Token[], at: number): boolean {
  const kind = tokens[at]!.kind;
  if ((kind !== TOKEN.WORD && kind !== TOKEN.QUOTED) || tokens[at + 1]?.kind !== TOKEN.OPEN) return false;
  return tokens[at - 1]?.kind !== TOKEN.DOT || tokens[at - 2]?.text === 'pg_catalog';
}

/** The arguments in the parenthesis at `from`, each with its tokens. */
function argumentsOf(tokens: readonly Token[], from: number): Token[][] {
  const list: Token[][] = [[]];
  let depth = 0;
  for (const token of tokens.slice(from)) {
    if (token.kind === TOKEN.OPEN) depth += 1;
    else if (token.kind === TOKEN.CLOSE) depth -= 1;
    if (depth === 0) break;
    if (depth === 1 && token.kind === TOKEN.OPEN) continue;
    if (depth === 1 && token.kind === TOKEN.COMMA) list.push([]);
    else list.at(-1)!.push(token);
  }
  return list;
}

/** `set_config(name, value, false)`. Where the last argument is no literal it can't be known: that is asked of the server. */
function configuring([name, value, isLocal]: Token[][], mayBeSet: MayBeSet): LastingStatement | null {
  const isFalse = isLocal?.length === 1 && ['false', 'f', 'off', 'no', '0'].includes(isLocal[0]!.text);
  const takesBack = value?.length === 1 && value[0]!.kind === TOKEN.WORD && value[0]!.text === 'null';
  if (!isFalse || takesBack) return null;
  const known = name?.length === 1 && name[0]!.kind === TOKEN.LITERAL && name[0]!.isPlain;
  const setting = known ? name[0]!.text.toLowerCase() : '';
  if (mayBeSet(setting) || (setting === 'role' && value?.[0]?.text === 'none')) return null;
  return { kind: kindOf(setting), command: `set_config(${known ? `'${shown(setting)}', ` : ''}..., false)` };
}
