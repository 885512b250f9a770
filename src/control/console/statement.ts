/** The console's statements: PgBouncer's, in any case, and what drivers and tools send by themselves. */
import { SqlState } from '../../wire/sqlstate.js';
import { ConsoleError } from './console-error.js';
import { type Filter, readFilter } from './filter.js';
import type { Table } from './table.js';
import { TABLES } from './tables.js';
import { TokenReader } from './token-reader.js';
import { tokenize } from './tokens.js';

/** Commands that may name a database, and those that must. */
const DATABASE_COMMANDS = [
  'PAUSE',
  'RESUME',
  'RECONNECT',
  'KILL',
  'WAIT_CLOSE',
  'DISABLE',
  'ENABLE',
] as const;
const LONE_COMMANDS = ['SUSPEND', 'RELOAD'] as const;
/** Transactions mean nothing here, and are begun by drivers all the same. */
const TRANSACTION_WORDS = [
  'BEGIN',
  'START',
  'COMMIT',
  'END',
  'ROLLBACK',
  'DISCARD',
  'RESET',
  'DEALLOCATE',
] as const;

type DatabaseCommand = (typeof DATABASE_COMMANDS)[number];

export type Statement =
  | { readonly kind: 'show'; readonly name: string; readonly table: Table; readonly filter: Filter }
  /** SHOW ROUTE: where a statement would go. Null: in the only database with standbys. */
  | { readonly kind: 'route'; readonly database: string | null; readonly sql: string }
  | { readonly kind: 'help' }
  /** SHOW of a parameter that sessions of PostgreSQL have. */
  | { readonly kind: 'parameter'; readonly name: string }
  | { readonly kind: 'set'; readonly name: string; readonly value: string }
  | { readonly kind: 'command'; readonly command: DatabaseCommand; readonly database: string | null }
  | { readonly kind: 'command'; readonly command: 'SUSPEND' | 'RELOAD' }
  | { readonly kind: 'killClient'; readonly client: string }
  | { readonly kind: 'shutdown'; readonly wait: 'servers' | 'clients' | null }
  /** Answered with this tag, without doing anything. */
  | { readonly kind: 'nothing'; readonly tag: string }
  /** A SELECT of a constant: what drivers ask to see whether the connection lives. */
  | { readonly kind: 'select'; readonly value: string; readonly type: 'int4' | 'text' }
  /** A question to the system catalogue, as drivers ask for types: there are none. */
  | { readonly kind: 'catalogue' };

/** What PgBouncer shows of a session's parameters (admin.c). */
export const SESSION_PARAMETERS: Readonly<Record<string, string>> = {
  client_encoding: 'UTF-8',
  datestyle: 'ISO',
  default_transaction_isolation: 'read committed',
  server_encoding: 'UTF-8',
  server_version: '',
  standard_conforming_strings: 'on',
  timezone: 'GMT',
  transaction_isolation: 'read committed',
};

/** Set by drivers at connect; here they change nothing. */
const IGNORED_SETTINGS: ReadonlySet<string> = new Set([
  ...Object.keys(SESSION_PARAMETERS),
  ...['application_name', 'bytea_output', 'client_min_messages', 'extra_float_digits', 'intervalstyle'],
  ...['lock_timeout', 'search_path', 'session', 'statement_timeout'],
]);

/**
 * Reads the statements of a text, one after the other, so that what stands before a mistake can be carried out.
 * @throws {ConsoleError} at a mistake
 */
export function* readStatements(text: string, parameters: readonly (string | null)[]): Generator<Statement> {
  const reader = new TokenReader(tokenize(text));
  while (reader.next !== undefined) {
    if (reader.sign(';')) continue;
    yield readStatement(reader, text, parameters);
  }
}

/** The highest `$n` of a text. */
export function countParameters(text: string): number {
  let highest = 0;
  for (const token of tokenize(text))
    if (token.kind === 'parameter') highest = Math.max(highest, token.index);
  return highest;
}

function readStatement(reader: TokenReader, text: string, parameters: readonly (string | null)[]): Statement {
  if (reader.word('SHOW')) return readShow(reader, parameters);
  if (reader.word('SET')) return readSet(reader);
  if (reader.word('KILL_CLIENT')) return readKillClient(reader);
  if (reader.word('SHUTDOWN')) return readShutdown(reader);
  if (reader.word('SELECT')) return readSelect(reader, text);
  for (const command of LONE_COMMANDS) {
    if (!reader.word(command)) continue;
    reader.expectEnd();
    return { kind: 'command', command };
  }
  for (const command of DATABASE_COMMANDS) {
    if (!reader.word(command)) continue;
    const database = reader.atEnd ? null : reader.name();
    reader.expectEnd();
    return { kind: 'command', command, database };
  }
  for (const tag of TRANSACTION_WORDS) {
    if (!reader.word(tag)) continue;
    reader.skipStatement();
    return { kind: 'nothing', tag: tag === 'START' ? 'BEGIN' : tag === 'END' ? 'COMMIT' : tag };
  }
  throw invalidCommand(text);
}

/** PgBouncer's words. */
export function invalidCommand(text: string): ConsoleError {
  return new ConsoleError(`invalid command '${text.trim().slice(0, 200)}', use SHOW HELP;`);
}

function readShow(reader: TokenReader, parameters: readonly (string | null)[]): Statement {
  const name = reader.atEnd ? 'help' : reader.name();
  const table = TABLES.get(name.toUpperCase());
  if (table !== undefined) {
    return { kind: 'show', name, table, filter: readFilter(reader, table.columns, parameters) };
  }
  if (name === 'route') return readRoute(reader, parameters);
  if (name === 'help') {
    reader.expectEnd();
    return { kind: 'help' };
  }
  const words = [name];
  while (!reader.atEnd) words.push(reader.name());
  reader.expectEnd();
  const parameter = words.join('_') === 'time_zone' ? 'timezone' : words.join('_').replace(/_level$/, '');
  if (parameter in SESSION_PARAMETERS) return { kind: 'parameter', name: parameter };
  throw new ConsoleError(`invalid command 'SHOW ${words.join(' ')}', use SHOW HELP;`);
}

function readRoute(reader: TokenReader, parameters: readonly (string | null)[]): Statement {
  const database = reader.next?.kind === 'word' ? reader.name() : null;
  const token = reader.take();
  if (token?.kind !== 'parameter' && token?.kind !== 'string') {
    throw new ConsoleError("SHOW ROUTE takes a statement in quotes: SHOW ROUTE [<db>] '<sql>'", {
      sqlstate: SqlState.syntax_error,
    });
  }
  reader.expectEnd();
  const sql = token.kind === 'string' ? token.text : (parameters[token.index - 1] ?? '');
  return { kind: 'route', database, sql };
}

function readSet(reader: TokenReader): Statement {
  const name = reader.name();
  if (IGNORED_SETTINGS.has(name)) {
    reader.skipStatement();
    return { kind: 'nothing', tag: 'SET' };
  }
  if (!reader.sign('=') && !reader.word('TO')) throw reader.unexpected();
  const values: string[] = [];
  // A list stays one text, as a file would have it.
  while (!reader.atEnd) values.push(reader.sign(',') ? ',' : (setValue(reader) ?? ''));
  reader.expectEnd();
  return { kind: 'set', name, value: values.join(' ').replaceAll(' ,', ',') };
}

function setValue(reader: TokenReader): string | null {
  const token = reader.take();
  if (token?.kind === 'parameter' || token === undefined) throw reader.unexpected();
  return token.text;
}

function readKillClient(reader: TokenReader): Statement {
  if (reader.atEnd) throw new ConsoleError('invalid client pointer supplied');
  const client = reader.name();
  reader.expectEnd();
  return { kind: 'killClient', client };
}

function readShutdown(reader: TokenReader): Statement {
  const wait = reader.word('WAIT_FOR_SERVERS')
    ? 'servers'
    : reader.word('WAIT_FOR_CLIENTS')
      ? 'clients'
      : null;
  reader.expectEnd();
  return { kind: 'shutdown', wait };
}

function readSelect(reader: TokenReader, text: string): Statement {
  if (/\bfrom\s+(pg_catalog\.)?pg_/i.test(text)) {
    reader.skipStatement();
    return { kind: 'catalogue' };
  }
  const token = reader.take();
  if (token?.kind === 'number' || token?.kind === 'string') {
    reader.expectEnd();
    return { kind: 'select', value: token.text, type: token.kind === 'number' ? 'int4' : 'text' };
  }
  throw new ConsoleError(`invalid command '${text.trim().slice(0, 200)}', use SHOW HELP;`, {
    hint: 'This is the admin console, which has no tables to select from. SHOW takes WHERE, ORDER BY and LIMIT.',
  });
}
