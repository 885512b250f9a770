import { SqlState } from '../../wire/sqlstate.js';

/** Why the console refuses a statement: one sentence for the client, PgBouncer's where it has one. */
export class ConsoleError extends Error {
  readonly sqlstate: string;
  readonly detail: string | null;
  readonly hint: string | null;

  constructor(message: string, options: { sqlstate?: string; detail?: string; hint?: string } = {}) {
    super(message);
    this.name = 'ConsoleError';
    // PgBouncer's for everything that its console refuses.
    this.sqlstate = options.sqlstate ?? SqlState.protocol_violation;
    this.detail = options.detail ?? null;
    this.hint = options.hint ?? null;
  }
}
