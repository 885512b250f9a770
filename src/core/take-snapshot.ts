/** Looks at a running gateway. Owns nothing and changes nothing. */
import type { Administration } from './administration.js';
import type { CancelFigures, Cancels } from './cancels.js';
import type { ClientCounts } from './client-counts.js';
import type { Consoles } from './consoles.js';
import type { GatewayContext } from './context.js';
import type { Database, Databases } from './databases.js';
import type { Hosts } from './hosts.js';
import type { ConnectionId, Io } from './io.js';
import type { Listening } from './listening/listening.js';
import { pinReasons } from './pin-words.js';
import type { Pool } from './pool/pool.js';
import type { Clusters } from './route/clusters.js';
import type { DatabaseShapes } from './route/database-shapes.js';
import { shapesOf } from './route/shape-snapshots.js';
import type { ServerConnection } from './server/server-connection.js';
import { ReadPipeline } from './session/read-pipeline.js';
import type { Session } from './session/session.js';
import { Pin } from './session-state.js';
import type {
  ConnectionSnapshot,
  DatabaseLatencies,
  DatabaseTotals,
  PoolSnapshot,
  Snapshot,
  SnapshotDetail,
  UserSnapshot,
} from './snapshot.js';

/** What is looked at. */
export interface Observed {
  readonly context: GatewayContext;
  readonly databases: Databases;
  readonly pools: ReadonlyMap<string, Pool>;
  readonly listening: Listening;
  readonly sessions: ReadonlySet<Session>;
  readonly loggingIn: ReadonlySet<Session>;
  readonly cancels: Cancels;
  readonly clientCounts: ClientCounts;
  readonly hosts: Hosts;
  readonly administration: Administration;
  readonly consoles: Consoles;
  readonly servers: number;
  readonly clusters: Clusters;
  readonly shapes: DatabaseShapes;
}

export function takeSnapshot(gateway: Observed, detail: SnapshotDetail): Snapshot {
  const { context, databases, sessions } = gateway;
  const now = context.io.now();
  const pools = [...gateway.pools.values()];
  const servers = countServers([...pools, ...sharedOf(gateway)]);
  return {
    clients: sessions.size,
    clientsLoggingIn: gateway.loggingIn.size,
    consoleClients: gateway.clientCounts.ofDatabase('pgbouncer'),
    servers: gateway.servers,
    preparedStatements: context.catalogue.size,
    pools: together(pools.map((pool) => poolSnapshot(pool, gateway.cancels.figures(pool), now))),
    databases: [...databases].map((database) => ({
      name: database.name,
      serverConnections: servers.get(database) ?? 0,
      clientConnections: gateway.clientCounts.ofDatabase(database.name),
      paused: database.paused,
      disabled: database.disabled,
      isAuto: database.isAuto,
    })),
    totals: [...databases, { name: 'pgbouncer', totals: gateway.consoles.totals }].map(totalsOf),
    latencies: [...databases].map(latenciesOf),
    hosts: gateway.hosts.snapshot(),
    users: usersOf([...pools, ...sharedOf(gateway)], gateway.clientCounts),
    peers: gateway.cancels.peers(),
    counters: { ...context.counters },
    pins: context.pinCounts.figures([...sessions].map(({ virtual }) => virtual?.pins ?? Pin.NONE)),
    now,
    state: gateway.administration.state,
    routed: gateway.clusters.inUse.map(([database, cluster]) => ({
      database: database.name,
      nodes: cluster.snapshot(),
      reads: { ...cluster.counters },
      loginsForgotten: cluster.loginsForgotten,
      shapes: gateway.shapes.find(database)?.figures ?? null,
    })),
    shapes: detail === 'shapes' ? gateway.shapes.routed.flatMap(shapesOf) : null,
    connections: detail === 'connections' ? listConnections(gateway, pools, now) : null,
  };
}

/** Each counts as a pool of one. */
function sharedOf({ listening }: Observed): Counted[] {
  return listening.servers.map(({ database, identity }) => ({ database, identity, serverCount: 1 }));
}

/** What has server connections. */
type Counted = Pick<Pool, 'database' | 'serverCount'> & { readonly identity: Pick<Pool['identity'], 'user'> };

function countServers(pools: readonly Counted[]): Map<Database, number> {
  const counts = new Map<Database, number>();
  for (const pool of pools) counts.set(pool.database, (counts.get(pool.database) ?? 0) + pool.serverCount);
  return counts;
}

function poolSnapshot(pool: Pool, cancels: CancelFigures, now: number): PoolSnapshot {
  const { servers, clients, waiters } = pool;
  const count = { active: 0, idle: 0, used: 0, tested: 0, login: 0, beingCanceled: 0 };
  for (const server of servers) count[serverState(server)] += 1;
  const oldest = waiters.first;
  return {
    database: pool.database.name,
    user: pool.identity.user.name,
    poolMode: pool.limits.mode,
    loadBalanceHosts: pool.limits.loadBalanceHosts,
    clActive: clients.size - waiters.length,
    clWaiting: waiters.length,
    clActiveCancelReq: cancels.active,
    clWaitingCancelReq: cancels.waiting,
    svActive: count.active,
    svActiveCancel: cancels.active,
    svBeingCanceled: count.beingCanceled,
    svIdle: count.idle,
    svUsed: count.used,
    svTested: count.tested,
    svLogin: count.login,
    maxWaitMs: oldest === null ? 0 : now - oldest.waitingSince,
  };
}

/** One for each database and user, as in PgBouncer: theirs may be several, for other startup parameters and other servers. */
function together(pools: readonly PoolSnapshot[]): PoolSnapshot[] {
  const byIdentity = new Map<string, PoolSnapshot>();
  for (const pool of pools) {
    const key = JSON.stringify([pool.database, pool.user]);
    const known = byIdentity.get(key);
    byIdentity.set(key, known === undefined ? pool : sumOf(known, pool));
  }
  return [...byIdentity.values()];
}

function sumOf(a: PoolSnapshot, b: PoolSnapshot): PoolSnapshot {
  return {
    ...a,
    clActive: a.clActive + b.clActive,
    clWaiting: a.clWaiting + b.clWaiting,
    clActiveCancelReq: a.clActiveCancelReq + b.clActiveCancelReq,
    clWaitingCancelReq: a.clWaitingCancelReq + b.clWaitingCancelReq,
    svActive: a.svActive + b.svActive,
    svActiveCancel: a.svActiveCancel + b.svActiveCancel,
    svBeingCanceled: a.svBeingCanceled + b.svBeingCanceled,
    svIdle: a.svIdle + b.svIdle,
    svUsed: a.svUsed + b.svUsed,
    svTested: a.svTested + b.svTested,
    svLogin: a.svLogin + b.svLogin,
    maxWaitMs: Math.max(a.maxWaitMs, b.maxWaitMs),
  };
}

function serverState(
  server: ServerConnection,
): 'active' | 'idle' | 'used' | 'tested' | 'login' | 'beingCanceled' {
  if (server.phase !== 'ready' || server.place.isOpening) return 'login';
  if (server.link !== null) return 'active';
  if (server.cancelsInFlight > 0) return 'beingCanceled';
  if (!server.place.isResting) return 'tested';
  return server.place.needsTest ? 'used' : 'idle';
}

function totalsOf({ name, totals }: Pick<Database, 'name' | 'totals'>): DatabaseTotals {
  const { transactionMs, queryMs, waitMs, ...counts } = totals;
  const toUs = (ms: number): number => Math.round(ms * 1000);
  return {
    database: name,
    ...counts,
    transactionUs: toUs(transactionMs),
    queryUs: toUs(queryMs),
    waitUs: toUs(waitMs),
  };
}

function latenciesOf({ name, latencies: { query, transaction, wait } }: Database): DatabaseLatencies {
  return {
    database: name,
    query: query.counts.slice(),
    transaction: transaction.counts.slice(),
    wait: wait.counts.slice(),
  };
}

function usersOf(pools: readonly Counted[], clients: ClientCounts): UserSnapshot[] {
  const servers = new Map<string, number>();
  for (const name of clients.userNames) servers.set(name, 0);
  for (const { identity, serverCount } of pools) {
    servers.set(identity.user.name, (servers.get(identity.user.name) ?? 0) + serverCount);
  }
  return [...servers].map(([name, serverConnections]) => ({
    name,
    serverConnections,
    clientConnections: clients.ofUser(name),
  }));
}

function listConnections(gateway: Observed, pools: readonly Pool[], now: number) {
  const clients = [...gateway.sessions].map((session) => clientSnapshot(session, gateway.context.io, now));
  const { io } = gateway.context;
  const servers = pools.flatMap((pool) =>
    [...pool.servers].map((server) => serverSnapshot(server, pool.database, io)),
  );
  for (const { server, database } of gateway.listening.servers) {
    const isReady = server?.phase === 'ready';
    if (server === null) continue;
    servers.push({ ...serverSnapshot(server, database, io), state: isReady ? 'listening' : 'login' });
  }
  return { clients, servers };
}

function clientSnapshot(session: Session, io: Io, now: number): ConnectionSnapshot {
  const link = session.runsOn;
  const requestedAt = session.waiting
    ? session.waitingSince
    : (link?.timing.requestedAt ?? session.createdAt);
  return {
    ...ends(io, session.connection),
    id: session.id,
    database: session.database?.name ?? '',
    user: session.userName,
    replication: session.replication,
    state: clientState(session),
    connectedAt: session.createdAt,
    requestedAt,
    waitMs: session.waiting ? now - session.waitingSince : 0,
    closeNeeded: session.inputEnded,
    link: link?.id ?? null,
    remotePid: io.peerCredentials(session.connection)?.pid ?? 0,
    tls: session.encryption.facts?.description ?? '',
    applicationName: session.parameters.values.get('application_name') ?? '',
    preparedStatements: session.statements?.size ?? 0,
    pinned: pinReasons(session.virtual?.pins ?? Pin.NONE),
    pinnedAt: session.virtual?.pinnedSince ?? 0,
  };
}

function clientState(session: Session): string {
  if (session.phase === 'login') return 'login';
  if (session.waiting) return 'waiting';
  const isServed = session.runsOn !== null || session.routing?.isBusy === true;
  return isServed || session.console !== null ? 'active' : 'idle';
}

/** Whose request it is at. */
function servedBy({ link }: ServerConnection): Session | null {
  return (link instanceof ReadPipeline ? (link.head?.client ?? null) : link) as Session | null;
}

function serverSnapshot(server: ServerConnection, database: Database, io: Io): ConnectionSnapshot {
  const client = servedBy(server);
  const state = serverState(server);
  return {
    ...ends(io, server.connection),
    id: server.id,
    database: database.name,
    user: server.loginUser,
    replication: client?.replication ?? 'none',
    state: state === 'beingCanceled' ? 'being_canceled' : state,
    connectedAt: server.createdAt,
    requestedAt: server.timing.requestedAt || server.createdAt,
    waitMs: 0,
    closeNeeded: server.closeNeeded,
    link: client?.id ?? null,
    remotePid: server.processId,
    tls: server.encryption.facts?.description ?? '',
    applicationName: server.parameters.values.get('application_name') ?? '',
    preparedStatements: server.statements.named.count,
    pinned: pinReasons(client?.virtual?.pins ?? Pin.NONE),
    pinnedAt: client?.virtual?.pinnedSince ?? 0,
  };
}

function ends(io: Io, connection: ConnectionId) {
  const [address, port] = splitAddress(io.peerAddress(connection));
  const [localAddress, localPort] = splitAddress(io.localAddress(connection));
  return { address, port, localAddress, localPort };
}

/** Takes `10.0.0.7:51234`, `[::1]:51234` or `unix` apart. */
function splitAddress(text: string): [address: string, port: number] {
  const [, address, port] = /^\[?(.*?)\]?:(\d+)$/.exec(text) ?? [null, text, '0'];
  return [address ?? '', Number(port)];
}
