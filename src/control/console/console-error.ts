import { SqlState } from '../../wire/sqlstate.js';

/** Why the console refuses a statement: one sentence for the client, PgBouncer's where it has one. */
export class ConsoleError extends Error {
  readonly sqlstate: string;
  readonly hint: string | null;

  constructor(message: string, options: { sqlstate?: string; hint?: string } = {}) {
    super(message);
    this.name = 'ConsoleError';
    this.sqlstate = options.sqlstate ?? SqlState.syntax_error;
    this.hint = options.hint ?? null;
  }
}
