import type { ErrorFields } from '../../wire/error-fields.js';
import type { Listener } from '../listening/listener.js';
import type { ServerConnection } from '../server/server-connection.js';
import type { LoginStep } from './client-login.js';
import type { ListeningSession } from './listening-session.js';
import type { Session } from './session.js';

/** The pool, as its clients see it. */
export interface ClientPool {
  /** Lets a new client in, at once or when a server connection has accepted what it asked for. */
  welcome(client: Session): void;
  /** Links the client now (true), or makes it wait and calls {@link Session.linked} later (false). */
  acquire(client: Session): boolean;
  /**
   * Gives the linked server connection what the client's session has, where that differs, or ends the link while new
   * transactions wait. False when that takes a query, after which {@link Session.linked} is called.
   */
  alignAgain(client: Session, server: ServerConnection): boolean;
  /** The client is gone, or leaves the queue. */
  leave(client: Session): void;
  readonly name: string;
}

/** What a session asks of its gateway. */
export interface SessionOwner {
  /** The client's identity is proved: gives it its pool, and calls {@link Session.welcome} when it can. */
  authenticated(client: Session, step: Extract<LoginStep, { kind: 'authenticated' }>): void;
  cancelRequested(client: Session, step: Extract<LoginStep, { kind: 'cancel' }>): void;
  sessionEnded(client: Session): void;
  /** Null: what it listens to can't be heard over a connection that is shared. */
  listen(client: ListeningSession): Listener | null;
  /** It sends a statement over its server connection that notifies others. */
  notifies(client: ListeningSession, server: ServerConnection): void;
  /** Non-null when this client must be turned away after its startup packet. */
  refusal(step: Extract<LoginStep, { kind: 'authenticated' }>): ErrorFields | null;
}
