/** The shared connections of one gateway: made when somebody listens, forgotten when nobody does. */
import { CONFIGURATION_CHANGED } from '../close-reasons.js';
import type { GatewayContext } from '../context.js';
import type { Database } from '../databases.js';
import { configuredAddress, type Hosts } from '../hosts.js';
import type { PoolLimits } from '../pool/pool-limits.js';
import type { ServerConnection } from '../server/server-connection.js';
import { Channels } from './channels.js';
import type { Listener, ListeningClient } from './listener.js';
import { SEVERAL_SERVERS } from './listening-messages.js';
import type { ListeningPool } from './listening-users.js';
import { SharedConnection, type SharedConnectionOwner } from './shared-connection.js';

/** The pool of a client that listens. */
interface PoolOfListener extends ListeningPool {
  readonly database: Database;
}

interface Shared {
  readonly connection: SharedConnection;
  readonly channels: Channels;
}

export class Listening {
  private readonly byDatabase = new Map<Database, Shared>();
  private readonly context: GatewayContext;
  private readonly owner: SharedConnectionOwner;
  private readonly hosts: Hosts;

  constructor(context: GatewayContext, owner: SharedConnectionOwner, hosts: Hosts) {
    this.context = context;
    this.owner = owner;
    this.hosts = hosts;
  }

  /** A client wants to listen; null: the servers of its pool are several, and each has notifications of its own. */
  join(client: ListeningClient, pool: PoolOfListener): Listener | null {
    if (!this.leadToOneServer(pool.limits)) return null;
    const { database } = pool;
    let shared = this.byDatabase.get(database);
    if (shared === undefined) {
      const connection = new SharedConnection(this.context, this.owner, this.hosts, database, pool);
      const channels = new Channels(this.context, connection);
      connection.hearer = channels;
      shared = { connection, channels };
      this.byDatabase.set(database, shared);
    }
    return shared.channels.join(client, pool);
  }

  private leadToOneServer({ addresses }: PoolLimits): boolean {
    const [address, ...others] = addresses;
    return address !== undefined && others.length === 0 && this.hosts.countOf(address) === 1;
  }

  /** A client without a listener sends a statement that notifies others. */
  notifies(database: Database, server: ServerConnection, processId: number): void {
    if (this.byDatabase.size === 0) return;
    this.byDatabase.get(database)?.channels.notifies(server, processId);
  }

  /** Does what is due, and returns the time in ms at which more will be. */
  advance(now: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const [database, { connection, channels }] of this.byDatabase) {
      // A host name may have got more addresses.
      if (!this.leadToOneServer(connection.limits)) channels.endAll(SEVERAL_SERVERS);
      next = Math.min(next, connection.advance(now));
      if (!connection.isUnused || !channels.isEmpty) continue;
      this.byDatabase.delete(database);
      this.owner.capacity.withdraw(connection);
    }
    return next;
  }

  // --- What becomes of the connections ------------------------------------------------------------------------

  /** Closes them, of all databases or of those given; who still listens gets another one when that may be. */
  replace(reason: string, databases: readonly Database[] | null = null): void {
    for (const connection of this.connectionsOf(databases)) connection.replace(reason);
  }

  resume(databases: readonly Database[] | null = null): void {
    for (const connection of this.connectionsOf(databases)) connection.resume();
  }

  /** A host name has other addresses. */
  leave(name: string, vanished: ReadonlySet<string>): void {
    for (const connection of this.connectionsOf(null)) {
      const address = connection.server === null ? null : configuredAddress(connection.server.address);
      if (address?.name === name && vanished.has(address.host)) connection.replace(CONFIGURATION_CHANGED);
    }
  }

  /** The database is written elsewhere now. */
  primaryChanged(database: Database): void {
    for (const connection of this.connectionsOf([database])) connection.applySettings();
  }

  applySettings(hasOtherTls: boolean): void {
    for (const { connection, channels } of this.byDatabase.values()) {
      connection.applySettings();
      channels.endUntracked();
      if (hasOtherTls) connection.replace(CONFIGURATION_CHANGED);
    }
  }

  /** The connections that there are, for `SHOW SERVERS`. */
  get servers(): SharedConnection[] {
    return this.connectionsOf(null).filter(({ server }) => server !== null);
  }

  private connectionsOf(databases: readonly Database[] | null): SharedConnection[] {
    const all = [...this.byDatabase.values()].map(({ connection }) => connection);
    return all.filter(({ database }) => databases === null || databases.includes(database));
  }
}
