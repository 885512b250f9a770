/**
 * The tiny language of the simulator's statements: real SQL in form, so that the gateway may look at it, but of a few
 * shapes only. Every statement carries a token (`c17:42` is client 17's 42nd), in a literal, a parameter or a
 * comment, and what answers it repeats the token: so each byte can be attributed.
 */

/** `$1` in place of a token: the value comes with Bind. */
export const PARAMETER = '$1';

export interface Select {
  readonly kind: 'select';
  readonly token: string;
  /** Tells statements apart in what they return. */
  readonly variant: number;
  readonly rows: number;
  /** Bytes of filling per row. */
  readonly size: number;
  readonly sleepMs: number;
}

export type Statement =
  | Select
  | { readonly kind: 'fail'; readonly token: string }
  | { readonly kind: 'missing'; readonly token: string }
  | { readonly kind: 'syntax'; readonly token: string }
  | { readonly kind: 'notice'; readonly token: string }
  | { readonly kind: 'notify'; readonly token: string }
  | { readonly kind: 'insert'; readonly token: string }
  | { readonly kind: 'begin' | 'commit' | 'rollback'; readonly token: string }
  | {
      readonly kind: 'savepoint' | 'release-savepoint' | 'rollback-to-savepoint';
      readonly token: string;
      readonly name: string;
    }
  /** PREPARE, EXECUTE and DEALLOCATE of SQL. */
  | {
      readonly kind: 'sql-prepare' | 'sql-execute' | 'sql-deallocate';
      readonly token: string;
      readonly name: string;
    }
  | {
      readonly kind: 'set';
      readonly token: string;
      readonly name: string;
      readonly value: string;
      readonly local: boolean;
    }
  | { readonly kind: 'show'; readonly token: string; readonly name: string }
  | { readonly kind: 'discard-all' | 'deallocate-all'; readonly token: string }
  | { readonly kind: 'copy-in'; readonly token: string }
  | { readonly kind: 'copy-out'; readonly token: string; readonly rows: number; readonly size: number }
  /** What the gateway itself asks, to give a session its parameters. */
  | {
      readonly kind: 'set-config';
      readonly token: '';
      readonly settings: readonly (readonly [string, string])[];
    };

const TOKEN = /c(\d+):\d+/g;
const SELECT =
  /^SELECT (\$1|'[^']*'), (\d+), fill\((\d+)\)(?:, pg_sleep\((\d+)\))? FROM generate_series\(1, (\d+)\)$/;
const CALL = /^SELECT (fail|notice)\((\$1|'[^']*')\)$/;
const MISSING = /^SELECT (\$1|'[^']*') FROM missing$/;
const NOTIFY = /^NOTIFY channel, '([^']*)'$/;
const INSERT = /^INSERT INTO t VALUES \((\$1|'[^']*')\)$/;
const COMMENT = /^(.*?)(?: \/\* (\S+) \*\/)?$/s;
const SET = /^SET (LOCAL )?(\w+) = '((?:[^']|'')*)'$/;
const COPY_OUT = /^COPY rows\((\d+), (\d+)\) TO STDOUT$/;
const SAVEPOINT = /^(SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK TO SAVEPOINT) (\w+)$/;
const PREPARED = /^(PREPARE|EXECUTE|DEALLOCATE) (q\d)(?: AS SELECT 1)?$/;
const SET_CONFIG_LIST = /^SELECT (pg_catalog\.set_config\(.*\))$/s;
const SET_CONFIG = /set_config\((E?)'((?:[^']|'')*)', (E?)'((?:[^']|'')*)', false\)/g;

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
  let match = SELECT.exec(text);
  if (match !== null) {
    return {
      kind: 'select',
      token: unquote(match[1]!),
      variant: Number(match[2]),
      size: Number(match[3]),
      sleepMs: Number(match[4] ?? 0),
      rows: Number(match[5]),
    };
  }
  match = CALL.exec(text);
  if (match !== null) return { kind: match[1] as 'fail' | 'notice', token: unquote(match[2]!) };
  match = MISSING.exec(text);
  if (match !== null) return { kind: 'missing', token: unquote(match[1]!) };
  match = NOTIFY.exec(text);
  if (match !== null) return { kind: 'notify', token: match[1]! };
  match = INSERT.exec(text);
  if (match !== null) return { kind: 'insert', token: unquote(match[1]!) };
  match = SET_CONFIG_LIST.exec(text);
  if (match === null) return null;
  const settings = [...match[1]!.matchAll(SET_CONFIG)].map(
    (call) => [unquoteText(call[1]!, call[2]!), unquoteText(call[3]!, call[4]!)] as const,
  );
  return { kind: 'set-config', token: '', settings };
}

function parseCommand(text: string): Statement | null {
  const [, command = '', token = ''] = COMMENT.exec(text) ?? [];
  switch (command) {
    case 'BEGIN':
      return { kind: 'begin', token };
    case 'COMMIT':
      return { kind: 'commit', token };
    case 'ROLLBACK':
      return { kind: 'rollback', token };
    case 'DISCARD ALL':
      return { kind: 'discard-all', token };
    case 'DEALLOCATE ALL':
      return { kind: 'deallocate-all', token };
    case 'COPY t FROM STDIN':
      return { kind: 'copy-in', token };
  }
  const set = SET.exec(command);
  if (set !== null) {
    return {
      kind: 'set',
      token,
      name: set[2]!,
      value: unquoteText('', set[3]!),
      local: set[1] !== undefined,
    };
  }
  const copy = COPY_OUT.exec(command);
  if (copy !== null) return { kind: 'copy-out', token, rows: Number(copy[1]), size: Number(copy[2]) };
  const named = SAVEPOINT.exec(command) ?? PREPARED.exec(command);
  if (named !== null) return { kind: NAMED_KINDS[named[1]!]!, token, name: named[2]! };
  if (command.startsWith('SHOW ')) return { kind: 'show', token, name: command.slice(5) };
  return null;
}

type NamedKind =
  | 'savepoint'
  | 'release-savepoint'
  | 'rollback-to-savepoint'
  | 'sql-prepare'
  | 'sql-execute'
  | 'sql-deallocate';

const NAMED_KINDS: Readonly<Record<string, NamedKind>> = {
  SAVEPOINT: 'savepoint',
  'RELEASE SAVEPOINT': 'release-savepoint',
  'ROLLBACK TO SAVEPOINT': 'rollback-to-savepoint',
  PREPARE: 'sql-prepare',
  EXECUTE: 'sql-execute',
  DEALLOCATE: 'sql-deallocate',
};

function unquote(text: string): string {
  return text === PARAMETER ? PARAMETER : text.slice(1, -1);
}

function unquoteText(prefix: string, text: string): string {
  const plain = text.replaceAll("''", "'");
  return prefix === 'E' ? plain.replaceAll('\\\\', '\\') : plain;
}

// --- Texts ----------------------------------------------------------------------------------------------------

const literal = (token: string): string => (token === PARAMETER ? PARAMETER : `'${token}'`);

export function selectText(select: Omit<Select, 'kind'>): string {
  const sleep = select.sleepMs > 0 ? `, pg_sleep(${select.sleepMs})` : '';
  return `SELECT ${literal(select.token)}, ${select.variant}, fill(${select.size})${sleep} FROM generate_series(1, ${select.rows})`;
}

export const failText = (token: string): string => `SELECT fail(${literal(token)})`;
export const noticeText = (token: string): string => `SELECT notice(${literal(token)})`;
export const missingText = (token: string): string => `SELECT ${literal(token)} FROM missing`;
export const syntaxErrorText = (token: string): string => `SELEC ${literal(token)}`;
export const insertText = (token: string): string => `INSERT INTO t VALUES (${literal(token)})`;
export const notifyText = (token: string): string => `NOTIFY channel, '${token}'`;
export const commandText = (command: string, token: string): string => `${command} /* ${token} */`;
export const copyOutText = (rows: number, size: number, token: string): string =>
  commandText(`COPY rows(${rows}, ${size}) TO STDOUT`, token);
export const setText = (name: string, value: string, local: boolean, token: string): string =>
  commandText(`SET ${local ? 'LOCAL ' : ''}${name} = '${value.replaceAll("'", "''")}'`, token);
