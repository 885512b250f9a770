import type { ErrorFields } from '../../wire/error-fields.js';
import type { Database } from '../databases.js';
import type { OwnQuery } from './exchange.js';

/** A pool, as its server connections see it. */
export interface ServerOwner<Server> {
  /** Whose server it is. */
  readonly database: Database;
  /** Who it is logged in as. */
  readonly userName: string;
  /** The packet that opens a session on the server. */
  startupPacket(server: Server): Buffer;
  /** Logged in: it can serve. */
  serverReady(server: Server): void;
  /** The transaction is over and nothing is outstanding: the link ends. */
  linkIdle(server: Server): void;
  /** What its departed client had asked for is done. */
  finishedAlone(server: Server): void;
  /** A query of the gateway's own is over; with its `error` when it failed. */
  ownQueryDone(server: Server, query: OwnQuery): void;
  /** The whole NotificationResponse at `position` has come while the server served no client. */
  notified?(bytes: Uint8Array, position: number, total: number): void;
  cancelEnded(server: Server): void;
  /** Why a connection is closed that could not be opened, for the log. */
  openingFailure(error: ErrorFields): string;
  /** The server was a standby when the connection was opened, and has been promoted since (it says so since PostgreSQL 14). */
  leftRecovery?(): void;
  /** The connection is gone. `error`: what the server or the system said, if anything. */
  serverGone(server: Server, error: ErrorFields | null): void;
}
