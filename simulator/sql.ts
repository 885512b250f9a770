/**
 * The tiny language of the simulator's statements: real SQL in form, so that the gateway may look at it, but of a few
 * shapes only. Every statement carries a token (`c17:42` is client 17's 42nd), in a literal, a parameter or a
 * comment, and what answers it repeats the token: so each byte can be attributed.
 */

import { type ListStatement, parseList } from './list-sql.js';
import { literal, parseSelect, type Select, unquote } from './select-sql.js';
import { parseProbe, parseReplay, parseState, type StateStatement } from './state-sql.js';

export { PARAMETER, type Select, selectText } from './select-sql.js';

export type Statement =
  | Select
  | { readonly kind: 'fail'; readonly token: string }
  | { readonly kind: 'missing'; readonly token: string }
  | { readonly kind: 'syntax'; readonly token: string }
  /** What stands for a statement that is not allowed (`session_state = strict`). */
  | { readonly kind: 'refused'; readonly token: '' }
  | { readonly kind: 'notice'; readonly token: string }
  | { readonly kind: 'notify'; readonly token: string; readonly channel: string }
  | { readonly kind: 'insert'; readonly token: string }
  | { readonly kind: 'begin'; readonly token: string; readonly isReadOnly: boolean }
  | { readonly kind: 'commit' | 'rollback'; readonly token: string }
  | {
      readonly kind: 'savepoint' | 'release-savepoint' | 'rollback-to-savepoint';
      readonly token: string;
      readonly name: string;
    }
  | { readonly kind: 'copy-in'; readonly token: string }
  | { readonly kind: 'copy-out'; readonly token: string; readonly rows: number; readonly size: number }
  | ListStatement
  | StateStatement;

const TOKEN = /c(\d+):\d+/g;
const CALL = /^SELECT (fail|notice)\((\$1|'[^']*')\)$/;
const MISSING = /^SELECT (\$1|'[^']*') FROM missing$/;
const NOTIFY = /^NOTIFY (\w+), '([^']*)'$/;
const INSERT = /^INSERT INTO t VALUES \((\$1|'[^']*')\)$/;
const COMMENT = /^(.*?)(?: \/\* (\S+) \*\/)?$/s;
const COPY_OUT = /^COPY rows\((\d+), (\d+)\) TO STDOUT$/;
/** The gateway sends it, and no server knows the column. */
export const REFUSED_TEXT = 'SELECT "refused by the gateway"';
const SAVEPOINT = /^(SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK TO SAVEPOINT) (\w+|"[^"]+")$/;
const BEGIN = /^BEGIN(?: ISOLATION LEVEL READ COMMITTED(?:,|$))?( READ ONLY)?$/;

/** The numbers of all clients whose tokens are in the text. */
export function tokenOwners(text: string): number[] {
  return [...text.matchAll(TOKEN)].map((match) => Number(match[1]));
}

/** All tokens in the text, e.g. `c17:42`. */
export function tokens(text: string): string[] {
  return text.match(TOKEN) ?? [];
}

/** The statements of one query string. */
export function parseScript(text: string): Statement[] {
  const ours = parseProbe(text) ?? parseReplay(text);
  if (ours !== null) return [ours];
  return text
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(parseStatement);
}

function parseStatement(text: string): Statement {
  return parseRows(text) ?? parseCommand(text) ?? { kind: 'syntax', token: tokens(text)[0] ?? '' };
}

function parseRows(text: string): Statement | null {
  if (text === REFUSED_TEXT) return { kind: 'refused', token: '' };
  const select = parseSelect(text);
  if (select !== null) return select;
  const list = parseList(text);
  if (list !== null) return list;
  let match = CALL.exec(text);
  if (match !== null) return { kind: match[1] as 'fail' | 'notice', token: unquote(match[2]!) };
  match = MISSING.exec(text);
  if (match !== null) return { kind: 'missing', token: unquote(match[1]!) };
  match = NOTIFY.exec(text);
  if (match !== null) return { kind: 'notify', channel: match[1]!, token: match[2]! };
  match = INSERT.exec(text);
  return match === null ? null : { kind: 'insert', token: unquote(match[1]!) };
}

function parseCommand(text: string): Statement | null {
  const [, command = '', token = ''] = COMMENT.exec(text) ?? [];
  switch (command) {
    case 'COMMIT':
      return { kind: 'commit', token };
    case 'ROLLBACK':
      return { kind: 'rollback', token };
    case 'COPY t FROM STDIN':
      return { kind: 'copy-in', token };
  }
  const begin = BEGIN.exec(command);
  if (begin !== null) return { kind: 'begin', token, isReadOnly: begin[1] !== undefined };
  const copy = COPY_OUT.exec(command);
  if (copy !== null) return { kind: 'copy-out', token, rows: Number(copy[1]), size: Number(copy[2]) };
  const savepoint = SAVEPOINT.exec(command);
  if (savepoint !== null) return { kind: SAVEPOINT_KINDS[savepoint[1]!]!, token, name: savepoint[2]! };
  return parseState(command, token);
}

type SavepointKind = 'savepoint' | 'release-savepoint' | 'rollback-to-savepoint';

const SAVEPOINT_KINDS: Readonly<Record<string, SavepointKind>> = {
  SAVEPOINT: 'savepoint',
  'RELEASE SAVEPOINT': 'release-savepoint',
  'ROLLBACK TO SAVEPOINT': 'rollback-to-savepoint',
};

// --- Texts ----------------------------------------------------------------------------------------------------

export const failText = (token: string): string => `SELECT fail(${literal(token)})`;
export const noticeText = (token: string): string => `SELECT notice(${literal(token)})`;
export const missingText = (token: string): string => `SELECT ${literal(token)} FROM missing`;
export const syntaxErrorText = (token: string): string => `SELEC ${literal(token)}`;
export const insertText = (token: string): string => `INSERT INTO t VALUES (${literal(token)})`;
export const notifyText = (token: string, channel = 'channel'): string => `NOTIFY ${channel}, '${token}'`;
export const commandText = (command: string, token: string): string => `${command} /* ${token} */`;
export const copyOutText = (rows: number, size: number, token: string): string =>
  commandText(`COPY rows(${rows}, ${size}) TO STDOUT`, token);
