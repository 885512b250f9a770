/** What an operator may ask of a running gateway, beside new settings (PgBouncer's console commands). */
import type { ErrorFields } from '../wire/error-fields.js';

export type GatewayCommand =
  /** `database` null: all of them. Answered when the last server connection has been released. */
  | { readonly kind: 'pause'; readonly database: string | null }
  | { readonly kind: 'resume'; readonly database: string | null }
  /** New clients are refused; those that are there go on. */
  | { readonly kind: 'disable'; readonly database: string }
  | { readonly kind: 'enable'; readonly database: string }
  /** Server connections are closed as their links end. */
  | { readonly kind: 'reconnect'; readonly database: string | null }
  /** Answered when every connection marked by `reconnect` has gone. */
  | { readonly kind: 'waitClose'; readonly database: string | null }
  /** Drops clients and server connections at once, and pauses. */
  | { readonly kind: 'kill'; readonly database: string | null }
  | { readonly kind: 'killClient'; readonly client: number }
  /** Everything sent has been flushed, and nothing more is read, until `resume`. */
  | { readonly kind: 'suspend' }
  /**
   * No new clients; answered when the last one is gone. `servers`: as soon as no server connection is in use clients
   * are closed; `clients`: they may stay as long as they like; `successor`: the same, and those that were accepted
   * before another process took over may still log in; `transactions`: each is closed when it is between two
   * transactions, and the rest when `deadlineMs` has passed (but for connections that have not logged in).
   */
  | {
      readonly kind: 'drain';
      readonly until: 'servers' | 'clients' | 'successor' | 'transactions';
      readonly deadlineMs: number;
    };

/** Null: done. */
export type CommandOutcome = ErrorFields | null;
