/** What one gateway is doing at a moment: the single source of console, metrics, dashboard and logs. */
export interface PoolSnapshot {
  readonly database: string;
  readonly user: string;
  /** Clients that hold a server connection. */
  readonly clActive: number;
  /** Clients that wait for one. */
  readonly clWaiting: number;
  readonly svActive: number;
  readonly svIdle: number;
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
  protocolViolations: number;
  serverConnections: number;
  serverConnectFailures: number;
  transactions: number;
  queryWaitTimeouts: number;
  cancelRequests: number;
  parsesForwarded: number;
  parsesAnswered: number;
}

export interface Snapshot {
  /** Clients that are logged in, or on the way. */
  readonly clients: number;
  readonly clientsLoggingIn: number;
  readonly servers: number;
  readonly preparedStatements: number;
  readonly pools: readonly PoolSnapshot[];
  readonly counters: Readonly<Counters>;
}
