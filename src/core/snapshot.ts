import type { HostSnapshot } from './hosts.js';
import type { PinFigures } from './pin-counts.js';
import type { NodeSnapshot } from './route/node-snapshot.js';
import type { ShapeFigures } from './route/shapes.js';
import type { RouteCounters } from './route/strong-reads.js';
import type { HostBalancing, PoolMode } from './settings.js';

/** What one gateway is doing at a moment: the single source of console, metrics, dashboard and logs. */
export interface PoolSnapshot {
  readonly database: string;
  readonly user: string;
  readonly poolMode: PoolMode;
  readonly loadBalanceHosts: HostBalancing;
  /** Clients that hold a server connection, or need none for now. */
  readonly clActive: number;
  /** Clients that wait for a server connection. */
  readonly clWaiting: number;
  /** Cancel requests that have been passed on, and that wait for that. */
  readonly clActiveCancelReq: number;
  readonly clWaitingCancelReq: number;
  /** Server connections that serve a client. */
  readonly svActive: number;
  /** Server connections over which a cancel request goes. */
  readonly svActiveCancel: number;
  /** Server connections that could serve, but for a cancel request that has not ended. */
  readonly svBeingCanceled: number;
  /** Free server connections that may be used at once. */
  readonly svIdle: number;
  /** Free server connections that must be tested before. */
  readonly svUsed: number;
  /** Server connections that are being tested or made clean. */
  readonly svTested: number;
  /** Server connections that are being established. */
  readonly svLogin: number;
  /** How long the oldest waiting client has waited, in ms. */
  readonly maxWaitMs: number;
}

/** Counters since the start. They only grow. */
export interface Counters {
  clientsAccepted: number;
  clientsRefused: number;
  loginFailures: number;
  /** Logins that were refused unchecked, by `failed_login_rate`. */
  loginsThrottled: number;
  protocolViolations: number;
  serverConnections: number;
  serverConnectFailures: number;
  queryWaitTimeouts: number;
  /** How often a session began to keep its server connection behind its transactions. */
  sessionsPinned: number;
  /** Statements that `session_state = strict` has refused. */
  statementsRefused: number;
  cancelRequests: number;
  /** Clients that were ended because too many notifications waited for them. */
  notificationsOverrun: number;
  /** Reads that a standby could not carry out, and the primary did. */
  readsRepeated: number;
  /** Reads that were sent to a standby before the primary was asked, their answers held. */
  readsEarly: number;
  /** Of those, the ones that had to run again, since the primary had written meanwhile. */
  readsTooEarly: number;
  /** Reads that were sent in a pipeline with others, if there were any. */
  readsPipelined: number;
  /** How many pipelines those were. */
  pipelines: number;
  /** Of the reads in them, those that were sent once more, by themselves, since one before them took long. */
  readsDispersed: number;
  /** BEGINs that were answered here, and said to the primary with what came next. */
  beginsDeferred: number;
  /** Requests outside of transactions that went to the primary since they are longer than `UNIT_BYTES_MAX`. */
  longUnits: number;
  /** How often clients of a database had to wait for a primary, and for how long in all, in ms; those that still do not counted. */
  holds: number;
  holdMs: number;
  /** Requests that were refused since no primary came in time (`failover_timeout`). */
  failoverTimeouts: number;
  /** Server connections that were closed because the term of their primary was over. */
  serversCut: number;
  /** How often another node than before became the primary of a database that has clients. */
  primaryChanges: number;
}

/** What is asked for beside the figures, since there may be much of it: every connection, or every shape. */
export type SnapshotDetail = 'figures' | 'connections' | 'shapes';

/** All of it. */
export interface Snapshot {
  /** Clients that are logged in, or on the way. */
  readonly clients: number;
  readonly clientsLoggingIn: number;
  /** Clients of the admin console. */
  readonly consoleClients: number;
  readonly servers: number;
  readonly preparedStatements: number;
  readonly pools: readonly PoolSnapshot[];
  readonly databases: readonly DatabaseSnapshot[];
  readonly totals: readonly DatabaseTotals[];
  readonly latencies: readonly DatabaseLatencies[];
  readonly users: readonly UserSnapshot[];
  /** Host names of servers, with their addresses. */
  readonly hosts: readonly HostSnapshot[];
  readonly peers: readonly PeerSnapshot[];
  readonly counters: Readonly<Counters>;
  /** The reasons for which sessions keep their server connections, as far as they have occurred. */
  readonly pins: readonly PinFigures[];
  /** The gateway's clock, in ms, to which the times of connections are to be compared. */
  readonly now: number;
  readonly state: 'active' | 'paused' | 'suspended';
  /** Databases whose statements are routed, while they have clients. */
  readonly routed: readonly RoutedDatabaseSnapshot[];
  /** Null unless they were asked for: there may be many. Of each database those that were called most. */
  readonly shapes: readonly ShapeSnapshot[] | null;
  /** Null unless they were asked for: there may be many. */
  readonly connections: {
    readonly clients: readonly ConnectionSnapshot[];
    readonly servers: readonly ConnectionSnapshot[];
  } | null;
}

/** What is known for routing a database's statements, and where they have gone. */
export interface RoutedDatabaseSnapshot {
  readonly database: string;
  readonly nodes: readonly NodeSnapshot[];
  readonly reads: Readonly<RouteCounters>;
  /** How many users the watching of its nodes doesn't log in as any more: `NODE_LOGINS_MAX` are kept. */
  readonly loginsForgotten: number;
  /** Null: nothing has been asked about yet. */
  readonly shapes: ShapeFigures | null;
}

/** What is known of the statements of one shape, in sessions with one search_path, and what has become of them. */
export interface ShapeSnapshot {
  readonly database: string;
  /** How often it was sent to the primary because of what it is, or because no standby could serve it. */
  readonly onPrimary: number;
  readonly onStandby: number;
  /** How often a standby could not carry it out, and the primary did. */
  readonly rerouted: number;
  /** That standbys have answered, by their command tags. */
  readonly rows: number;
  /** How long they took on standbys, together. */
  readonly standbyMs: number;
  /** The same as counts by duration (`latency-histogram.ts`); null: there were few. */
  readonly latency: Uint32Array | null;
  readonly kind: 'read' | 'begin' | 'other';
  readonly mayRunOnStandby: boolean;
  readonly reason: string;
  /** Null: it isn't known. */
  readonly searchPath: string | null;
  /** Without comments and constants; empty: of all that are not told apart. */
  readonly text: string;
}

/** Both ends of one connection, for `SHOW CLIENTS` and `SHOW SERVERS`. Times are the gateway's monotonic ms. */
export interface ConnectionSnapshot {
  /** Unique for the life of the process. */
  readonly id: number;
  readonly database: string;
  readonly user: string;
  readonly replication: 'none' | 'physical' | 'logical';
  /** PgBouncer's words: `active`, `waiting`, `idle`, `used`, `tested`, `new`, `login`, ... */
  readonly state: string;
  /** The peer: an address and a port, or `unix` and 0. */
  readonly address: string;
  readonly port: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly connectedAt: number;
  /** When its last request began. */
  readonly requestedAt: number;
  /** How long it has been waiting; 0 when it isn't. */
  readonly waitMs: number;
  readonly closeNeeded: boolean;
  /** The {@link id} of the connection that it is linked with; null when there is none. */
  readonly link: number | null;
  /** The process id of the server's session, or of the client's process on a unix socket; 0: unknown. */
  readonly remotePid: number;
  /** `TLSv1.3/TLS_AES_256_GCM_SHA384`; empty without TLS. */
  readonly tls: string;
  readonly applicationName: string;
  readonly preparedStatements: number;
  /** Why a client keeps its server connection behind its transactions, in words; empty: it doesn't. */
  readonly pinned: string;
  /** Since when, in the gateway's ms. */
  readonly pinnedAt: number;
}

/** Sums since the start for one database, in PgBouncer's units: bytes and us. */
export interface DatabaseTotals {
  readonly database: string;
  readonly serverAssignments: number;
  readonly transactions: number;
  readonly queries: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly transactionUs: number;
  readonly queryUs: number;
  readonly waitUs: number;
  readonly clientParses: number;
  readonly serverParses: number;
  readonly binds: number;
  readonly clientLogins: number;
}

/** Counts by duration since the start (`latency-histogram.ts`) for one database. */
export interface DatabaseLatencies {
  readonly database: string;
  readonly query: Uint32Array;
  readonly transaction: Uint32Array;
  /** Of every client that was given a server connection, those that had not to wait too. */
  readonly wait: Uint32Array;
}

/** What goes to another process (PgBouncer's peer pools). */
export interface PeerSnapshot {
  /** Its `peer_id`. */
  readonly id: number;
  /** Cancel requests that have been passed on, and that wait for that. */
  readonly clActiveCancelReq: number;
  readonly clWaitingCancelReq: number;
  /** Connections that carry one, and that are being established. */
  readonly svActiveCancel: number;
  readonly svLogin: number;
}

/** How a database stands: its limits as they are in force, and what uses them. */
export interface DatabaseSnapshot {
  readonly name: string;
  readonly serverConnections: number;
  readonly clientConnections: number;
  readonly paused: boolean;
  readonly disabled: boolean;
  /** Made from `*` because a client asked for it. */
  readonly isAuto: boolean;
}

/** What one user, by the name it logs in with, has open. */
export interface UserSnapshot {
  readonly name: string;
  readonly serverConnections: number;
  readonly clientConnections: number;
}
