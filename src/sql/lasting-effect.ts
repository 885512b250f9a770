/** What a statement may leave in its session that outlasts its transaction. See `lasting-statement.ts`. */

export type LastingKind =
  | 'setting'
  | 'identity'
  | 'temporary object'
  | 'lock'
  | 'cursor'
  | 'prepared statement'
  | 'listening'
  | 'library'
  | 'sequence'
  | 'unseen';

export interface LastingStatement {
  readonly kind: LastingKind;
  /** What to call it: `LISTEN`, `SET work_mem`, `pg_advisory_lock()`. ASCII alone. */
  readonly command: string;
}

/** Whether a setting, by its name in lower case, may be set for the session. */
export type MayBeSet = (name: string) => boolean;
