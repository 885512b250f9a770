/** What clients did and saw, in a form that can be kept in a file and judged later. */

/** What a client is. Each is at something else when a fault comes. */
export const CLIENT_KINDS = ['autocommit', 'transaction', 'idle', 'open'] as const;
/**
 * `autocommit` writes one row after the other, `transaction` two rows in each transaction, `idle` rests for seconds between
 * its writes, `open` rests inside its transactions.
 */
export type ClientKind = (typeof CLIENT_KINDS)[number];

/** `ok`: acknowledged. `failed`: certainly not done. `unknown`: it may have been done or not. */
export type Outcome = 'ok' | 'failed' | 'unknown';

/** One write, or one attempt to connect (then there are no numbers). Times are of the machine's monotonic clock, in ms. */
export interface Operation {
  /** Names the client. */
  readonly client: string;
  readonly kind: ClientKind;
  readonly what: 'write' | 'connect';
  /** The numbers that it added to the set. */
  readonly numbers: readonly number[];
  readonly invoked: number;
  readonly ended: number;
  readonly outcome: Outcome;
  /** SQLSTATE or the system's code, null if it went well. */
  readonly code: string | null;
  readonly message: string | null;
  /** The address of the server that wrote, and its timeline; null if that was not told. */
  readonly server: string | null;
  readonly timeline: number | null;
  /** The connection was lost with it. */
  readonly dropped: boolean;
  /** When the statement was sent that failed, or that ended it. */
  readonly sent: number;
  /** Its transaction had begun. */
  readonly inside: boolean;
}

/** The machine's monotonic clock in ms: the same in each of its processes. */
export function monotonic(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** One operation a line. */
export function writeHistory(operations: readonly Operation[]): string {
  return operations.map((operation) => `${JSON.stringify(operation)}\n`).join('');
}
