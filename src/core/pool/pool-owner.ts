import type { ServerConnection } from '../server/server-connection.js';
import type { Session } from '../session/session.js';
import type { Capacity } from './capacity.js';
import type { NewLogin } from './launching.js';
import type { Pool } from './pool.js';
import type { WaiterQueue } from './waiter-queue.js';

/** Who belongs to a pool. */
export interface PoolMembers {
  readonly servers: ReadonlySet<ServerConnection>;
  readonly clients: ReadonlySet<Session>;
  readonly waiters: Pick<WaiterQueue<Session>, 'first' | 'length'>;
}

/** What a pool asks of its gateway. */
export interface PoolOwner {
  readonly capacity: Capacity;
  newLogin: NewLogin;
  serverOpened(server: ServerConnection): void;
  serverClosed(server: ServerConnection): void;
  /** Cancels what runs for a client that is gone; false when that can't be done. */
  cancelAbandoned(pool: Pool, server: ServerConnection): boolean;
  /** Sends a client its greeting. */
  greet(client: Session): void;
}
