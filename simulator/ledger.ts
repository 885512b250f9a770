/** What is known of a run as a whole: who asked what, whom a loss may befall, and what must not have happened. */
import { isSharedKey, type LockKeeper } from './advisory-locks.js';
import { NotificationLog } from './notifications.js';
import type { Counts, Situation } from './situations.js';

export class Ledger {
  readonly notifications = new NotificationLog();
  /** The first thing that must not have happened. The run ends with it. */
  violation: string | null = null;
  /** Clients that may still be lost because a server connection was. */
  lossCredits = 0;
  /** A server could not be reached, or refused a login: whoever waits may be told so. */
  serverTrouble = false;
  /** The gateway is shutting down: every client may be told so. */
  shuttingDown = false;
  /** Clients may be told that an operator ends them. */
  killing = false;
  /** Clients in a transaction are left alone up to this time, in ms; null: the gateway isn't being drained. */
  draining: { readonly until: number } | null = null;
  /** Requests that clients got answered. */
  answered = 0;
  /** What the run has come into, and how often. */
  readonly reached: Counts = new Map();
  private readonly refusedLocks = new Set<string>();
  private readonly tokensSeen = new Set<string>();
  private readonly gone = new Set<number>();
  private readonly cancelsSent = new Map<number, number>();
  private readonly cancelsLanded = new Map<number, number>();
  private readonly writeTrace: ((line: string) => void) | null;

  constructor(writeTrace: ((line: string) => void) | null) {
    this.writeTrace = writeTrace;
  }

  get tracing(): boolean {
    return this.writeTrace !== null;
  }

  trace(line: () => string): void {
    this.writeTrace?.(line());
  }

  fail(what: string): void {
    this.trace(() => `VIOLATION: ${what}`);
    this.violation ??= what;
  }

  note(situation: Situation): void {
    this.reached.set(situation, (this.reached.get(situation) ?? 0) + 1);
  }

  /** A server was asked to run this: each token may come once. */
  requested(token: string): void {
    if (this.tokensSeen.has(token)) this.fail(`request ${token} reached a server twice`);
    this.tokensSeen.add(token);
  }

  /** A server has refused an advisory lock, since another session had it. @param token of the statement. */
  lockRefused(token: string): void {
    this.refusedLocks.add(token);
  }

  /** What a client believes of advisory locks: its own are free, the others were free unless a server said no. */
  readonly believedLocks: LockKeeper = {
    mayHave: (key, token) => !isSharedKey(key) || !this.refusedLocks.has(token),
    freed: () => {},
  };

  /** The client is gone: the gateway may cancel what still runs for it. */
  departed(client: number): void {
    this.gone.add(client);
  }

  cancelSent(client: number): void {
    this.cancelsSent.set(client, (this.cancelsSent.get(client) ?? 0) + 1);
  }

  /** Whether this client has ever asked for a cancel that has not taken effect. */
  mayBeCancelled(client: number): boolean {
    return (this.cancelsSent.get(client) ?? 0) > (this.cancelsLanded.get(client) ?? 0);
  }

  /** The gateway cancels queries by itself: those of clients that have had their time. */
  hasQueryTimeouts = false;

  /** A cancel has hit a query of this client. */
  cancelLanded(client: number): void {
    if (this.gone.has(client) || this.killing || this.draining !== null)
      return this.note('a query is cancelled for a client that is gone');
    this.note('a cancel request hits its query');
    if (!this.mayBeCancelled(client) && !this.hasQueryTimeouts) {
      this.fail(`a cancel request hit a query of client ${client}, which had not asked for it`);
    }
    this.cancelsLanded.set(client, (this.cancelsLanded.get(client) ?? 0) + 1);
  }
}
