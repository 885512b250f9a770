/** Every SHOW table, by its name. Columns, their order and their types are PgBouncer's (admin.c, stats.c). */
import type { DatabaseSettings, GatewaySettings } from '../../core/settings.js';
import { EPOCH, EVENTS } from './cluster-tables.js';
import { ACTIVE_SOCKETS, CLIENTS, PINS, SERVERS, SOCKETS } from './connection-tables.js';
import type { Row } from './filter.js';
import { LATENCIES } from './latency-table.js';
import { NODES } from './node-table.js';
import { SHAPES } from './shape-table.js';
import { STATS, STATS_AVERAGES, STATS_TOTALS, TOTALS } from './stats-tables.js';
import { columns, type Facts, row, type Table } from './table.js';

const US_PER_MS = 1000;

const POOLS: Table = {
  columns: columns(`
    database user cl_active:i cl_waiting:i cl_active_cancel_req:i cl_waiting_cancel_req:i sv_active:i sv_active_cancel:i
    sv_being_canceled:i sv_idle:i sv_used:i sv_tested:i sv_login:i maxwait:i maxwait_us:i pool_mode load_balance_hosts`),
  rows: ({ snapshot, settings }) =>
    snapshot.pools.map((pool) =>
      row(
        pool.database,
        pool.user,
        pool.clActive,
        pool.clWaiting,
        pool.clActiveCancelReq,
        pool.clWaitingCancelReq,
        pool.svActive,
        pool.svActiveCancel,
        pool.svBeingCanceled,
        pool.svIdle,
        pool.svUsed,
        pool.svTested,
        pool.svLogin,
        Math.floor(pool.maxWaitMs / 1000),
        Math.round((pool.maxWaitMs % 1000) * US_PER_MS),
        pool.poolMode,
        hasSeveralHosts(settings, pool.database) ? pool.loadBalanceHosts : null,
      ),
    ),
};

function hasSeveralHosts(settings: GatewaySettings, database: string): boolean {
  return (settings.databases.get(database)?.addresses.length ?? 1) > 1;
}

const DATABASES: Table = {
  columns: columns(`
    name host port:i database force_user pool_size:i min_pool_size:i reserve_pool_size:i server_lifetime:i pool_mode
    load_balance_hosts max_connections:i current_connections:i max_client_connections:i current_client_connections:i
    paused:i disabled:i`),
  rows: (facts) => [...configured(facts), ...automatic(facts), consoleRow(facts)],
};

function configured(facts: Facts): Row[] {
  return [...facts.settings.databases.values()]
    .filter(({ name }) => name !== '*')
    .map((settings) => databaseRow(settings.name, settings, facts));
}

/** Databases without an entry of their own, which `*` serves. */
function automatic(facts: Facts): Row[] {
  const any = facts.settings.databases.get('*');
  if (any === undefined) return [];
  return facts.snapshot.databases
    .filter(({ isAuto }) => isAuto)
    .map(({ name }) => databaseRow(name, any, facts));
}

function databaseRow(name: string, database: DatabaseSettings, { settings, snapshot }: Facts): Row {
  const state = snapshot.databases.find((it) => it.name === name);
  const [first] = database.addresses;
  const hosts = database.addresses.map((it) =>
    'host' in it ? it.host : it.socketPath.replace(/\/[^/]*$/, ''),
  );
  const lifetime = database.serverLifetimeMs || settings.serverLifetimeMs;
  return row(
    name,
    hosts.join(','),
    first === undefined ? 0 : 'port' in first ? first.port : Number(first.socketPath.split('.').at(-1)),
    database.serverDatabase ?? name,
    database.forcedUser?.name ?? null,
    database.poolSize ?? settings.defaultPoolSize,
    database.minPoolSize ?? settings.minPoolSize,
    database.reservePoolSize ?? settings.reservePoolSize,
    Math.floor(lifetime / 1000),
    database.poolMode,
    hosts.length > 1 ? database.loadBalanceHosts : null,
    database.maxDbConnections || settings.maxDbConnections,
    state?.serverConnections ?? 0,
    database.maxDbClientConnections || settings.maxDbClientConnections,
    state?.clientConnections ?? 0,
    state?.paused ?? false,
    state?.disabled ?? false,
  );
}

function consoleRow({ listenPort, settings, snapshot }: Facts): Row {
  const pool = [2, 0, 0, 3600, 'statement', null, 0, 0] as const;
  const clients = [settings.maxDbClientConnections, snapshot.consoleClients] as const;
  return row('pgbouncer', null, listenPort, 'pgbouncer', 'pgbouncer', ...pool, ...clients, 0, 0);
}

const USERS: Table = {
  columns: columns(`
    name pool_size reserve_pool_size pool_mode max_user_connections:i current_connections:i
    max_user_client_connections:i current_client_connections:i`),
  rows({ settings, snapshot }) {
    const inUse = new Map(snapshot.users.map((user) => [user.name, user]));
    const names = new Set([...settings.users.keys(), ...inUse.keys()]);
    return [...names].map((name) => {
      const limits = settings.users.get(name)?.limits ?? null;
      return row(
        name,
        limits?.poolSize ?? '',
        limits?.reservePoolSize ?? '',
        limits?.poolMode ?? null,
        limits?.maxUserConnections || settings.maxUserConnections,
        inUse.get(name)?.serverConnections ?? 0,
        limits?.maxUserClientConnections || settings.maxUserClientConnections,
        inUse.get(name)?.clientConnections ?? 0,
      );
    });
  },
};

const CONFIG: Table = {
  columns: columns('key value default changeable'),
  rows: ({ config }) => config.map((it) => row(it.key, it.value, it.default, it.changeable ? 'yes' : 'no')),
};

const STATE: Table = {
  columns: columns('key value'),
  rows: ({ snapshot }) =>
    ['active', 'paused', 'suspended'].map((state) => row(state, snapshot.state === state ? 'yes' : 'no')),
};

const VERSION: Table = { columns: columns('version'), rows: ({ version }) => [row(version)] };

const LISTS: Table = {
  columns: columns('list items:i'),
  rows({ settings, snapshot }) {
    return [
      row('databases', settings.databases.size + 1),
      row('users', settings.users.size),
      row('peers', settings.peers.size),
      row('pools', snapshot.pools.length),
      row('peer_pools', snapshot.peers.length),
      row('free_clients', 0),
      row('used_clients', snapshot.clients),
      row('login_clients', snapshot.clientsLoggingIn),
      row('free_servers', 0),
      row('used_servers', snapshot.servers),
      row('dns_names', snapshot.hosts.length),
      ...['dns_zones', 'dns_queries', 'dns_pending'].map((list) => row(list, 0)),
    ];
  },
};

const INT4_MAX = 2_147_483_647;

/**
 * PgBouncer lists its slabs here. Objects of this program have no fixed size, so that of them only the numbers are told
 * (with size 0); then what the process holds, by Node's account, in bytes (size 1): `heap` and `buffers` are the main
 * thread's, and `process` is missing while that can't be found out.
 */
const MEM: Table = {
  columns: columns('name size:i used:i free:i memtotal:i'),
  rows: ({ snapshot, memory }) => [
    row('clients', 0, snapshot.clients, 0, 0),
    row('servers', 0, snapshot.servers, 0, 0),
    row('prepared_statements', 0, snapshot.preparedStatements, 0, 0),
    memoryRow('heap', memory.heapUsed, memory.heapTotal),
    memoryRow('buffers', memory.external, memory.external),
    ...(memory.resident === null ? [] : [memoryRow('process', memory.resident, memory.resident)]),
  ],
};

/** The columns hold 2 GiB at most. */
function memoryRow(name: string, used: number, total: number): Row {
  const fit = (bytes: number): number => Math.min(bytes, INT4_MAX);
  return row(name, 1, fit(used), fit(total - used), fit(total));
}

const PEERS: Table = {
  columns: columns('peer_id:i host port:i pool_size:i'),
  rows: ({ settings }) =>
    [...settings.peers.values()].map(({ id, address, poolSize }) => {
      const [host, port] = 'host' in address ? [address.host, address.port] : [address.socketPath, 0];
      return row(id, host, port, poolSize ?? settings.defaultPoolSize);
    }),
};

const PEER_POOLS: Table = {
  columns: columns('peer_id:i cl_active_cancel_req:i cl_waiting_cancel_req:i sv_active_cancel:i sv_login:i'),
  rows: ({ snapshot }) =>
    snapshot.peers.map((peer) =>
      row(peer.id, peer.clActiveCancelReq, peer.clWaitingCancelReq, peer.svActiveCancel, peer.svLogin),
    ),
};

/** Encoding, parameters, password and keys. */
const NOT_OF_LISTENERS = [null, null, null, null, null, null, null] as const;

/** What a successor is given: the listening sockets. PgBouncer's successor gets its clients and servers, too. */
const FDS: Table = {
  columns: columns(`
    fd:i task user database addr port:i cancel:q link:i client_encoding std_strings datestyle timezone password
    scram_client_key:b scram_server_key:b`),
  adminOnly: true,
  rows: ({ listeningSockets, listenPort }) =>
    listeningSockets.map(({ descriptor, address }) => {
      const [host, port] = 'host' in address ? [address.host, address.port] : ['unix', listenPort];
      return row(descriptor, 'pooler', null, null, host, port, 0, 0, ...NOT_OF_LISTENERS);
    }),
};

/** Names are resolved for every new server connection; nothing is kept that could be listed. */
const DNS_HOSTS: Table = {
  columns: columns('hostname ttl:q addrs'),
  rows: ({ snapshot }) =>
    snapshot.hosts.map(({ name, ttlMs, addresses }) =>
      row(name, Math.floor(ttlMs / 1000), addresses.join(',')),
    ),
};
const DNS_ZONES: Table = { columns: columns('zonename serial:q count:i'), rows: () => [] };

/** By what stands behind SHOW. */
export const TABLES: ReadonlyMap<string, Table> = new Map(
  Object.entries({
    ACTIVE_SOCKETS,
    CLIENTS,
    CONFIG,
    DATABASES,
    DNS_HOSTS,
    DNS_ZONES,
    EPOCH,
    EVENTS,
    FDS,
    LATENCIES,
    LISTS,
    MEM,
    NODES,
    PEERS,
    PEER_POOLS,
    PINS,
    POOLS,
    SERVERS,
    SHAPES,
    SOCKETS,
    STATE,
    STATS,
    STATS_AVERAGES,
    STATS_TOTALS,
    TOTALS,
    USERS,
    VERSION,
  }),
);
