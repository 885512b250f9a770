/**
 * What sessions did and saw, in the order of the checker's own clock. All times are in ms since the same moment, taken in one
 * process: `start` before the request is sent, `end` after its answer has come, so that "ended before it began" is certain.
 */

/** Reads one register. Several come from one statement or one transaction; then they share their `start`. */
export interface RegisterRead {
  readonly kind: 'read';
  readonly session: number;
  readonly key: number;
  readonly value: number;
  readonly start: number;
  readonly end: number;
  /** The node that answered. */
  readonly node: string;
  /** How it was asked, e.g. `prepared`; only told, never judged. */
  readonly form: string;
}

/**
 * Adds one to a register. The row's lock is held until the commit, so that the values of a register are the order of its
 * writes, whoever made them.
 */
export interface RegisterWrite {
  readonly kind: 'write';
  readonly session: number;
  readonly key: number;
  /** What the register has been made; null: it isn't known whether it was written. */
  readonly value: number | null;
  readonly start: number;
  readonly end: number;
  readonly form: string;
}

export type RegisterOperation = RegisterRead | RegisterWrite;

/** Registers: what each began with, and what was done. A register that is not named began with 0. */
export interface RegisterHistory {
  readonly initial: ReadonlyMap<number, number>;
  readonly operations: readonly RegisterOperation[];
}

/** One step of a transaction: an element that is unique over all lists is put behind a list, or a list is read. */
export type ListStep =
  | { readonly append: number; readonly key: number }
  | { readonly read: readonly number[]; readonly key: number };

/** A transaction over lists, at REPEATABLE READ or stricter, or of a single statement. */
export interface ListTransaction {
  readonly session: number;
  readonly steps: readonly ListStep[];
  readonly start: number;
  readonly end: number;
  /** `unknown`: the answer to the commit never came. */
  readonly outcome: 'committed' | 'aborted' | 'unknown';
  /** The node that it ran on. */
  readonly node: string;
}

/** Lists, which all began empty. */
export interface ListHistory {
  readonly transactions: readonly ListTransaction[];
  /** What the primary shows at the end, when nothing is under way. */
  readonly final: ReadonlyMap<number, readonly number[]>;
}

/** A contradiction in a history. */
export interface Finding {
  /** A sentence with the keys, values, sessions and nodes. */
  readonly text: string;
  /** How old was what was seen, in ms: since the first write that is missing was acknowledged. Null: no matter of age. */
  readonly ageMs: number | null;
}

/** A standby's answer may be seen before the primary shows the same commit: PostgreSQL's own, whatever routes. */
export type IsPrimary = (node: string) => boolean;

/** A key's elements in the order in which they were appended, as far as anybody has seen them. */
export type VersionOrder = ReadonlyMap<number, readonly number[]>;
/** Who has appended an element: its position among the transactions. */
export type Writers = ReadonlyMap<number, number>;

/** Which transaction, e.g. `session 3 on 5433 at 120.4 ms` */
export function told({ session, node, start }: ListTransaction): string {
  return `session ${session} on ${node} at ${start.toFixed(1)} ms`;
}
