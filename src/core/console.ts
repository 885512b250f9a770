/**
 * The admin console, as the core sees it: statements go to the control plane as text and come back as values. The core
 * knows the protocol, the control plane knows what the statements mean.
 */
import type { ErrorFields } from '../wire/error-fields.js';

/** The databases that are the console. `pgbouncer` is PgBouncer's name for it. */
export const CONSOLE_DATABASES: ReadonlySet<string> = new Set(['pgbouncer', 'sluice']);

/** Who asks. */
export interface ConsoleUser {
  readonly name: string;
  /** May do everything; else only look. */
  readonly isAdmin: boolean;
}

export interface ConsoleQuestion {
  /** Chosen by the core; comes back with the answer. */
  readonly id: number;
  readonly user: ConsoleUser;
  /** One statement or several (those only of a simple Query). */
  readonly text: string;
  /** Values of `$1`, `$2`, ... as text. */
  readonly parameters: readonly (string | null)[];
  /** `describe`: only the columns are asked for, and nothing is done. */
  readonly want: 'execute' | 'describe';
}

/** The types of columns, by PostgreSQL's names. */
export type ConsoleType = 'text' | 'int4' | 'int8' | 'numeric' | 'bool' | 'bytea';

export interface ConsoleColumn {
  readonly name: string;
  readonly type: ConsoleType;
}

/** What one statement led to. */
export interface ConsoleResult {
  /** Null: it returns no rows. */
  readonly columns: readonly ConsoleColumn[] | null;
  readonly rows: readonly (readonly (string | null)[])[];
  /** As in CommandComplete: `SHOW`, `PAUSE`; empty: the statement was empty. */
  readonly tag: string;
  readonly notices: readonly string[];
}

export interface ConsoleAnswer {
  readonly results: readonly ConsoleResult[];
  /** What ended the statements behind the last result. */
  readonly error: ErrorFields | null;
  /** How many parameters the text refers to. */
  readonly parameterCount: number;
}
