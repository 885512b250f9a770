/** How many connections a configuration may open to each server: the worst case, pool by pool. */
import type { SluiceConfig } from '../../config/load.js';
import type { ServerAddress } from '../../core/io.js';
import type { DatabaseSettings, GatewaySettings, UserSettings } from '../../core/settings.js';

/** One pool: a database as clients know it, and a user at the server. */
export interface PoolDemand {
  readonly database: string;
  /** Null: any number of users that the configuration doesn't name. */
  readonly user: string | null;
  readonly size: number;
  readonly reserve: number;
}

/** All pools of one entry of `databases`. */
export interface DatabaseDemand {
  readonly database: string;
  readonly pools: readonly PoolDemand[];
  /** `max_db_connections`; 0: no limit. */
  readonly cap: number;
  /** The most that its pools may hold together; infinite where nothing bounds their number. */
  readonly most: number;
  /** Beside its pools, the connection over which the gateway listens for clients that LISTEN: 1, or 0 where these use their own. */
  readonly listening: number;
  /** Beside its pools, on each of its nodes: one connection to watch it, and one to read the catalogue of the primary; 0: it has no nodes. */
  readonly watching: number;
}

/** What one server may be asked for. */
export interface ServerDemand {
  readonly address: ServerAddress;
  readonly databases: readonly DatabaseDemand[];
  /** Infinite where something is unbounded: see {@link DatabaseDemand.most}. */
  readonly most: number;
  /** With one user for each database: the least that a full use of every database comes to. */
  readonly least: number;
  /** What comes to `most` if clients LISTEN in every database. */
  readonly listening: number;
  /** What comes to `most` to know the nodes of databases that have some. */
  readonly watching: number;
  /** Sentences: what the worst case doesn't know. */
  readonly unknowns: readonly string[];
}

/** The most that a gateway opens to one node of a database, outside of the pools and of their limits. */
const WATCHING = 2;

/** The demand of `gateways` processes with this configuration, server by server. */
export function demandOf(config: SluiceConfig, settings: GatewaySettings, gateways: number): ServerDemand[] {
  const servers = new Map<string, { address: ServerAddress; databases: DatabaseSettings[] }>();
  for (const database of settings.databases.values()) {
    for (const address of database.addresses) {
      const known = servers.get(JSON.stringify(address)) ?? { address, databases: [] };
      if (!known.databases.includes(database)) known.databases.push(database);
      servers.set(JSON.stringify(address), known);
    }
  }
  const openUsers = usersAreOpen(config);
  return [...servers.values()].map(({ address, databases }) => {
    const demands = databases.map((database) => databaseDemand(database, settings, openUsers));
    const sum = (counts: readonly number[]): number => counts.reduce((total, each) => total + each, 0);
    return {
      address,
      databases: demands,
      most: gateways * capUsers(demands, settings),
      least: gateways * sum(demands.map(leastOf)),
      listening: gateways * sum(demands.map(({ listening }) => listening)),
      watching: gateways * sum(demands.map(({ watching }) => watching)),
      unknowns: unknownsOf(databases, openUsers),
    };
  });
}

/** Whether users may log in that the configuration doesn't name. */
function usersAreOpen({ values, users }: SluiceConfig): boolean {
  const asks =
    values.auth_user !== '' || Object.values(values.databases).some((it) => it.auth_user !== undefined);
  return asks || users.size === 0;
}

function databaseDemand(
  database: DatabaseSettings,
  settings: GatewaySettings,
  openUsers: boolean,
): DatabaseDemand {
  const pool = (user: UserSettings | null): PoolDemand => ({
    database: database.name,
    user: user?.name ?? null,
    size: user?.limits?.poolSize ?? database.poolSize ?? settings.defaultPoolSize,
    reserve: user?.limits?.reservePoolSize ?? database.reservePoolSize ?? settings.reservePoolSize,
  });
  const { forcedUser } = database;
  const named = forcedUser === null ? [...settings.users.values()] : [forcedUser];
  const pools = named.map(pool);
  const isOpen = forcedUser === null && openUsers;
  if (isOpen) pools.push(pool(null));
  const cap = database.maxDbConnections ?? settings.maxDbConnections;
  // Every name that "*" serves is a database of its own, with a cap of its own.
  const unbounded = database.name === '*' || (isOpen && cap === 0);
  const sum = pools.reduce((total, each) => total + each.size + each.reserve, 0);
  const most = unbounded ? Number.POSITIVE_INFINITY : cap > 0 && (isOpen || sum > cap) ? cap : sum;
  const users = isOpen ? [...named, null] : named;
  const mayListen = users.some((user) => listensForClients(database, settings, user));
  const listening = mayListen && (cap === 0 || most < cap) ? 1 : 0;
  const watching = database.nodes === null ? 0 : WATCHING;
  return { database: database.name, pools, cap, most, listening, watching };
}

/** Whether a LISTEN of the user's holds no server connection. @param user null: one whom nothing names */
function listensForClients(
  database: DatabaseSettings,
  settings: GatewaySettings,
  user: UserSettings | null,
): boolean {
  const mode = user?.limits?.poolMode ?? database.poolMode ?? settings.poolMode;
  const state = user?.limits?.sessionState ?? database.sessionState ?? settings.sessionState;
  return mode !== 'session' && state === 'transparent' && database.addresses.length === 1;
}

/** `max_user_connections` bounds a user over all of its pools; where all users are named, that may be less. */
function capUsers(demands: readonly DatabaseDemand[], settings: GatewaySettings): number {
  const byDatabase = demands.reduce((total, { most }) => total + most, 0);
  const byUser = new Map<string, number>();
  for (const { pools, database } of demands) {
    for (const { user, size, reserve } of pools) {
      if (user === null) return byDatabase;
      const cap = settings.users.get(user)?.limits?.maxUserConnections ?? settings.maxUserConnections;
      const wanted = database === '*' ? Number.POSITIVE_INFINITY : (byUser.get(user) ?? 0) + size + reserve;
      byUser.set(user, cap > 0 ? Math.min(cap, wanted) : wanted);
    }
  }
  return Math.min(
    byDatabase,
    [...byUser.values()].reduce((total, each) => total + each, 0),
  );
}

function leastOf({ pools, cap }: DatabaseDemand): number {
  const largest = Math.max(0, ...pools.map(({ size, reserve }) => size + reserve));
  return cap > 0 ? Math.min(cap, largest) : largest;
}

function unknownsOf(databases: readonly DatabaseSettings[], openUsers: boolean): string[] {
  const unknowns: string[] = [];
  if (databases.some(({ name }) => name === '*')) {
    unknowns.push('"*" stands for any number of databases, each with pools of its own');
  }
  if (openUsers && databases.some(({ forcedUser }) => forcedUser === null)) {
    unknowns.push('users whom the configuration does not name may log in, and each has a pool of its own');
  }
  return unknowns;
}
