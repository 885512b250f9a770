/**
 * Statements that a client has prepared by SQL. They follow it, by being prepared again from their text, where that is
 * certain to give the same statement.
 */
import { readPreparedStatementCommand } from '../../sql/prepared-statements.js';
import { buildErrorResponse } from '../../wire/error-fields.js';
import { SqlState } from '../../wire/sqlstate.js';
import type { ParameterSet } from '../parameters.js';
import { ROLE, SESSION_AUTHORIZATION } from '../session-state.js';
import { SERVER_NAME_PREFIX } from '../statements.js';

const OTHER_THAN_ASCII = /[^\x20-\x7e\s]/;
const ASCII_NAME = /^[\x20-\x7e]+$/;

/**
 * On these it depends what a text means when it is prepared: the types of its parameters, the values of its literals. What
 * it names may have another meaning behind a change of search_path; PostgreSQL looks for it anew then, but not for the types.
 */
const READ_BY = [
  'search_path',
  ROLE,
  SESSION_AUTHORIZATION,
  'DateStyle',
  'IntervalStyle',
  'TimeZone',
  'standard_conforming_strings',
  'array_nulls',
  'backslash_quote',
  'lc_monetary',
  'timezone_abbreviations',
  'transform_null_equals',
  'xmloption',
] as const;

/** The client's session, as this sees it. */
export interface PreparingSession {
  readonly parameters: ParameterSet;
  readonly settings: ParameterSet;
}

export class SqlStatements {
  /** What texts are read by, as of the last look. */
  private rules: string;
  /** Some of the statements were prepared under other rules than those that are in force, or may have been. */
  private isUncertain = false;

  constructor(session: PreparingSession) {
    this.rules = rulesOf(session);
  }

  /**
   * Whether the statements can be prepared again as they are. To be asked behind each transaction that may have changed any
   * of this.
   * @param statements their texts as `pg_prepared_statements` shows them, by their names
   */
  canFollow(statements: ReadonlyMap<string, string>, session: PreparingSession): boolean {
    const rules = rulesOf(session);
    // Which came first, the change or the statement, nothing tells.
    this.isUncertain = statements.size > 0 && (this.isUncertain || rules !== this.rules);
    this.rules = rules;
    if (this.isUncertain) return false;
    const isUtf8 = session.parameters.values.get('client_encoding') === 'UTF8';
    return [...statements].every(([name, text]) => isRepeatable(name, text, isUtf8));
  }
}

function rulesOf({ parameters, settings }: PreparingSession): string {
  return JSON.stringify(READ_BY.map((name) => settings.values.get(name) ?? parameters.values.get(name)));
}

/** Whether the text is one PREPARE alone, and means the same in every session. */
function isRepeatable(name: string, text: string, isUtf8: boolean): boolean {
  // What a backslash in a literal means depends on settings that may have been others then.
  if (!ASCII_NAME.test(name) || text.includes('\\')) return false;
  if (!isUtf8 && OTHER_THAN_ASCII.test(text)) return false;
  const bytes = Buffer.from(text, 'utf8');
  const command = readPreparedStatementCommand(bytes, 0, bytes.length);
  return command?.verb === 'prepare' && command.name?.text === name && !command.doubtful;
}

/**
 * What a client is told if `bytes[start, end)` is a command about a statement under one of the names that the protocol's
 * statements have on servers, which are the gateway's and may be anybody's: an ErrorResponse; null: it isn't.
 */
export function takenName(bytes: Uint8Array, start: number, end: number): Uint8Array | null {
  const command = readPreparedStatementCommand(bytes, start, end);
  const name = command?.name?.text;
  if (name?.startsWith(SERVER_NAME_PREFIX) !== true) return null;
  const isNew = command?.verb === 'prepare';
  return buildErrorResponse({
    severity: 'ERROR',
    code: isNew ? SqlState.duplicate_prepared_statement : SqlState.invalid_sql_statement_name,
    message: `prepared statement "${name}" ${isNew ? 'already exists' : 'does not exist'}`,
    hint: `Names that begin with ${SERVER_NAME_PREFIX} are the gateway's.`,
  });
}
