/** Errors that model sessions raise. */
import type { Statement } from './sql.js';

/** A PostgreSQL error that ends the current statement. */
export class StatementError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export function syntaxError(statement: Statement): StatementError {
  return new StatementError('42601', `syntax error at or near "SELEC" (${statement.token})`);
}

/** Model clients expect it, too: what they are told instead is 0A000. */
export function missingColumn(): StatementError {
  return new StatementError('42703', 'column "refused by the gateway" does not exist');
}

export function missingRelation(statement: Statement): StatementError {
  return new StatementError('42P01', `relation "missing" does not exist (${statement.token})`);
}
