/**
 * What one reactor runs: clients, server connections and pools, put together. Events of the driver come in here and
 * go to the connection that they belong to.
 */
import * as Backend from '../wire/backend.js';
import { buildNoticeResponse, type ErrorFields } from '../wire/error-fields.js';
import { MessageWriter } from '../wire/message-writer.js';
import { SqlState } from '../wire/sqlstate.js';
import { NEWEST_MINOR } from '../wire/startup.js';
import { Administration } from './administration.js';
import type { AuthorityAnswer } from './authority.js';
import type { CancelRequest } from './cancel-request.js';
import { Cancels } from './cancels.js';
import { ClientCounts } from './client-counts.js';
import type { CommandOutcome, GatewayCommand } from './command.js';
import { CONSOLE_DATABASES, type ConsoleAnswer } from './console.js';
import { Consoles } from './consoles.js';
import type { GatewayContext } from './context.js';
import { newCounters } from './counters.js';
import { type Database, Databases } from './databases.js';
import { FailedLogins } from './failed-logins.js';
import type { Hosts } from './hosts.js';
import { housekeepingMs } from './housekeeping-interval.js';
import type { ConnectionId, Io, IoEvents, TlsFacts } from './io.js';
import { ADVANCE_MS_MAX, POOLS_MAX, REFUSED_CLIENTS_MAX } from './limits.js';
import type { Listener } from './listening/listener.js';
import type { Listening } from './listening/listening.js';
import { LocalSockets } from './local-sockets.js';
import { ParameterSets } from './parameters.js';
import { PinCounts } from './pin-counts.js';
import { Capacity } from './pool/capacity.js';
import { PipelineWatch } from './pool/pipeline-watch.js';
import type { Pool } from './pool/pool.js';
import type { PoolOwner } from './pool/pool-owner.js';
import { Pools } from './pools.js';
import type { Clusters } from './route/clusters.js';
import type { DatabaseShapes } from './route/database-shapes.js';
import type { ClusterNews } from './route/epoch.js';
import type { FoundNodes } from './route/found-nodes.js';
import { LearntScramKeys } from './scram-keys.js';
import type { ServerConnection } from './server/server-connection.js';
import { ServerLogin } from './server/server-login.js';
import { ClientEncryption } from './session/client-encryption.js';
import { ClientLogin, type LoginStep } from './session/client-login.js';
import type { ListeningSession } from './session/listening-session.js';
import { ReadRouting } from './session/read-routing.js';
import { Session } from './session/session.js';
import type { SessionOwner } from './session/session-owner.js';
import {
  divideStartupParameters,
  readReplication,
  replicationParameters,
  withHost,
} from './session/startup-parameters.js';
import { StatementTraffic } from './session/statement-traffic.js';
import type { DatabaseSettings, GatewaySettings, UserSettings } from './settings.js';
import { SlowAnswers } from './slow-answers.js';
import type { Snapshot, SnapshotDetail } from './snapshot.js';
import { StatementCatalogue } from './statements.js';
import { type Observed, takeSnapshot } from './take-snapshot.js';

type Connection = Session | ServerConnection | CancelRequest;

const NONCE_BYTES = 18;
const MOCK_KEY_BYTES = 32;
/** The minor version of the protocol from which on cancel keys may be long. */
const LONG_KEYS_SINCE = 2;

export class Gateway implements IoEvents, SessionOwner, PoolOwner, Observed {
  private readonly io: Io;
  readonly context: GatewayContext;
  readonly databases = new Databases();
  readonly capacity = new Capacity();
  readonly clientCounts = new ClientCounts();
  readonly consoles: Consoles;
  private readonly poolTable: Pools;
  readonly administration: Administration;
  private readonly connections: (Connection | undefined)[] = [];
  readonly sessions = new Set<Session>();
  readonly loggingIn = new Set<Session>();
  readonly cancels: Cancels;
  private readonly writer = new MessageWriter();
  private openConnections = 0;
  servers = 0;
  private lastId = 0;
  private housekeepingMs: number;
  /** Time in ms of the next housekeeping. Whatever begins later is due later than that by its own timeout. */
  private nextHousekeeping = 0;

  constructor(io: Io, settings: GatewaySettings) {
    this.io = io;
    this.housekeepingMs = housekeepingMs(settings);
    this.context = {
      io,
      settings,
      catalogue: new StatementCatalogue(),
      parameterSets: new ParameterSets(),
      counters: newCounters(),
      pinCounts: new PinCounts(),
      pipelineWatch: new PipelineWatch(),
      newId: () => ++this.lastId,
      slow: new SlowAnswers(io),
      localSockets: new LocalSockets(),
      scramKeys: new LearntScramKeys(),
      failedLogins: new FailedLogins(),
      mockKey: io.randomBytes(MOCK_KEY_BYTES),
      suspended: false,
      stopping: false,
      farewell: null,
    };
    this.cancels = new Cancels(this.context, this);
    this.administration = new Administration(this);
    this.consoles = new Consoles(this.context, (client) => this.greet(client));
    this.poolTable = new Pools(this.context, this, this.databases);
    this.poolTable.openWarm();
  }

  get hosts(): Hosts {
    return this.poolTable.hosts;
  }

  get listening(): Listening {
    return this.poolTable.listening;
  }

  get shapes(): DatabaseShapes {
    return this.poolTable.shapes;
  }

  get clusters(): Clusters {
    return this.poolTable.clusters;
  }

  get pools(): ReadonlyMap<string, Pool> {
    return this.poolTable.byKey;
  }

  // --- Events -------------------------------------------------------------------------------------------------

  accepted(connection: ConnectionId, _listener: number): void {
    this.openConnections += 1;
    this.context.counters.clientsAccepted += 1;
    if (
      this.context.stopping ||
      this.sessions.size >= this.context.settings.maxClientConn + REFUSED_CLIENTS_MAX
    ) {
      this.context.counters.clientsRefused += 1;
      this.io.reset(connection);
      return;
    }
    const login = new ClientLogin({
      context: this.context,
      connection,
      databases: this.databases,
      encryption: new ClientEncryption(this.context, connection),
      isOwner: ({ parameters }) => this.consoles.isOwner(connection, parameters),
    });
    const session = new Session(this.context, this, connection, login);
    this.connections[connection] = session;
    this.sessions.add(session);
    this.loggingIn.add(session);
  }

  connected(connection: ConnectionId): void {
    const handler = this.connections[connection];
    if (handler !== undefined && !(handler instanceof Session)) handler.connected();
  }

  secured(connection: ConnectionId, facts: TlsFacts): void {
    this.connections[connection]?.secured(facts);
  }

  received(connection: ConnectionId, start: number, end: number): void {
    const handler = this.connections[connection];
    if (handler === undefined) return;
    try {
      handler.receive(this.io.memory, start, end);
    } catch (error) {
      this.contain(handler, error);
    }
  }

  /** A defect of ours costs the connection in which it showed and its link, not the other clients. */
  private contain(handler: Connection, error: unknown): void {
    const trace = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.io.report({ level: 'error', message: `internal error: ${trace}` });
    const link = 'link' in handler ? handler.link : null;
    for (const end of [handler, link]) {
      if (end === null || this.connections[end.connection] !== end) continue;
      this.io.reset(end.connection);
      this.connections[end.connection] = undefined;
      (end as Connection).closed('internal error');
    }
  }

  ended(connection: ConnectionId): void {
    this.connections[connection]?.ended();
  }

  drained(connection: ConnectionId): void {
    this.connections[connection]?.drained();
  }

  closed(connection: ConnectionId, error: string | null): void {
    this.openConnections -= 1;
    const handler = this.connections[connection];
    this.connections[connection] = undefined;
    handler?.closed(error);
  }

  consoleAnswered(id: number, answer: ConsoleAnswer): void {
    this.consoles.answered(id, answer);
  }

  keyDerived(id: number, key: Uint8Array | null): void {
    this.context.slow.keyDerived(id, key);
  }

  authorityAnswered(id: number, answer: AuthorityAnswer): void {
    this.context.slow.answered(id, answer);
  }

  advance(): number {
    const now = this.io.now();
    // Called every turn of the loop: mostly there is nothing to look at yet.
    if (now >= this.nextHousekeeping) this.nextHousekeeping = this.keepHouse(now);
    const next = Math.min(
      this.nextHousekeeping,
      this.poolTable.clusters.turn(now),
      this.context.pipelineWatch.turn(now),
    );
    return Math.min(ADVANCE_MS_MAX, Math.max(0, next - now));
  }

  /** Does what is due, and returns the time in ms at which it is to be called again. */
  private keepHouse(now: number): number {
    let next = now + this.housekeepingMs;
    next = Math.min(next, this.checkLogins(now));
    next = Math.min(next, this.cancels.advance(now));
    next = Math.min(next, this.administration.advance(now));
    return Math.min(next, this.poolTable.advance(now));
  }

  private checkLogins(now: number): number {
    const timeout = this.context.settings.clientLoginTimeoutMs;
    if (timeout === 0) return Number.POSITIVE_INFINITY;
    for (const session of this.loggingIn) {
      const due = session.createdAt + timeout;
      if (now < due) return due;
      session.fail({
        severity: 'FATAL',
        code: SqlState.protocol_violation,
        message: `client_login_timeout: login took longer than ${timeout / 1000} s`,
      });
    }
    return Number.POSITIVE_INFINITY;
  }

  // --- Sessions -----------------------------------------------------------------------------------------------

  refusal({ startup }: Extract<LoginStep, { kind: 'authenticated' }>): ErrorFields | null {
    const limit = this.context.settings.maxClientConn;
    if (this.consoles.isMeant(startup.parameters)) return null;
    if (this.sessions.size <= limit) return null;
    this.context.counters.clientsRefused += 1;
    return {
      severity: 'FATAL',
      code: SqlState.too_many_connections,
      message: 'no more connections allowed (max_client_conn)',
      hint: `max_client_conn is ${limit}: raise it, or let clients disconnect.`,
    };
  }

  authenticated(client: Session, step: Extract<LoginStep, { kind: 'authenticated' }>): void {
    this.loggingIn.delete(client);
    client.protocolMinor = Math.min(step.startup.minor, NEWEST_MINOR);
    const asked = new Map(step.startup.parameters);
    const databaseName = asked.get('database') || (asked.get('user') ?? '');
    client.asked = { database: databaseName, user: step.user.name };
    if (CONSOLE_DATABASES.has(databaseName)) return this.openConsole(client, asked);
    const { settings } = this.context;
    const database = settings.databases.get(databaseName) ?? settings.databases.get('*');
    if (database === undefined) {
      return client.fail({
        severity: 'FATAL',
        code: SqlState.invalid_catalog_name,
        message: `no such database: ${databaseName}`,
        hint: 'The gateway serves only the databases in its configuration ("*" stands for any).',
      });
    }
    const user = database.forcedUser ?? step.user;
    client.database = this.useDatabase(client, databaseName, database);
    client.replication = readReplication(asked.get('replication')) ?? 'none';
    const divided = this.divideStartup(client, client.database, asked);
    if ('code' in divided) return client.fail(divided);
    const closed = this.administration.refusal(client.database);
    const refused = closed ?? this.clientCounts.refusal(client.asked!, settings);
    if (refused !== null) return client.fail(refused);
    client.database.totals.clientLogins += 1;
    const identity = { database: client.database, user, startupParameters: divided.fixed };
    const pool = this.poolTable.openFor(client, database, identity, divided.reported);
    if (pool === null) return client.fail(TOO_MANY_POOLS);
    const { parameterSets } = this.context;
    const following = [...divided.reported].filter(([name]) => !pool.identity.startupParameters.has(name));
    client.startupParameters = parameterSets.overlay(parameterSets.empty, new Map(following));
    client.pool = pool;
    this.clientCounts.enter(client.asked!);
    if (pool.sharesServers) {
      client.statements = new StatementTraffic(this.context, client, pool, client.database);
      const routes = this.poolTable.routesOf(pool);
      if (routes !== null) client.routing = new ReadRouting(this.context, client, routes);
    }
    pool.join(client);
    pool.welcome(client);
  }

  /** Administrators may always come in. */
  private openConsole(client: Session, asked: ReadonlyMap<string, string>): void {
    const { settings } = this.context;
    const isAdmin = settings.adminUsers.has(client.userName);
    const crowded = isAdmin ? null : this.clientCounts.refusal(client.asked!, settings);
    if (crowded !== null) return client.fail(crowded);
    this.clientCounts.enter(client.asked!);
    this.consoles.open(client, asked);
    if (client.console === null) this.clientCounts.leave(client.asked!);
  }

  private useDatabase(client: Session, name: string, settings: DatabaseSettings): Database {
    const known = this.databases.find(name);
    if (known !== undefined) return known;
    const isAuto = settings.name !== name;
    if (isAuto) {
      const message = `registered new auto-database: ${name}`;
      this.io.report({ level: 'info', message, subject: client.subject });
    }
    return this.databases.use(name, isAuto);
  }

  private divideStartup(client: Session, database: Database, asked: Map<string, string>) {
    const { applicationNameAddHost, ignoreStartupParameters: ignored } = this.context.settings;
    if (applicationNameAddHost) {
      const address = this.io.peerAddress(client.connection);
      asked.set('application_name', withHost(asked.get('application_name'), address));
    }
    if (client.replication !== 'none') return replicationParameters(asked, ignored);
    return divideStartupParameters(asked, { ignored, reportedName: (name) => database.reportedName(name) });
  }

  greet(client: Session): void {
    client.idleSince = this.io.now();
    client.noteStartupValues();
    const { peerId } = this.context.settings;
    const key = this.cancels.keys.issue(
      peerId,
      client.protocolMinor >= LONG_KEYS_SINCE,
      client.link?.processId ?? null,
    );
    client.cancelKey = key;
    const { writer } = this;
    writer.reset();
    writer.begin(Backend.Authentication).int32(Backend.AuthenticationOk).end();
    for (const [name, value] of client.parameters.values) {
      writer.begin(Backend.ParameterStatus).cstring(name).cstring(value).end();
    }
    writer
      .begin(Backend.BackendKeyData)
      .int32(key.processId)
      .bytes(this.cancels.keys.secret(key, peerId))
      .end();
    const { loginNotifyMessage } = this.context.settings;
    if (loginNotifyMessage !== '') writer.bytes(buildNoticeResponse(notice(loginNotifyMessage)));
    writer.begin(Backend.ReadyForQuery).byte(Backend.Idle).end();
    client.welcome(writer.buffer.subarray(0, writer.length));
  }

  cancelRequested(asker: Session, step: Extract<LoginStep, { kind: 'cancel' }>): void {
    this.loggingIn.delete(asker);
    this.cancels.requested(asker, step.processId, step.secret);
  }

  cancelAbandoned(pool: Pool, server: ServerConnection): boolean {
    return !this.context.stopping && this.cancels.abandoned(pool, server);
  }

  cancelOpened(request: CancelRequest): void {
    this.openConnections += 1;
    this.connections[request.connection] = request;
  }

  listen(client: ListeningSession): Listener | null {
    return this.listening.join(client, client.pool as Pool);
  }

  notifies(client: ListeningSession, server: ServerConnection): void {
    this.listening.notifies(client.database as Database, server, client.processId);
  }

  sessionEnded(client: Session): void {
    this.sessions.delete(client);
    this.loggingIn.delete(client);
    if (client.pool !== null || client.console !== null) this.clientCounts.leave(client.asked!);
    this.connections[client.connection] = undefined;
    this.administration.connectionGone();
  }

  // --- Server connections -------------------------------------------------------------------------------------

  newLogin(connection: ConnectionId, user: UserSettings): ServerLogin {
    return new ServerLogin(user, {
      send: (message) => this.io.send(connection, message, 0, message.length),
      nonce: () => Buffer.from(this.io.randomBytes(NONCE_BYTES)).toString('base64'),
      deriveKey: (password, salt, iterations) => {
        const server = this.connections[connection] as ServerConnection;
        this.context.slow.deriveKey(password, salt, iterations, (key) => server.keyDerived(key));
      },
      tls: () => (this.connections[connection] as ServerConnection).encryption.facts,
      scramKeys: this.context.scramKeys,
    });
  }

  serverOpened(server: ServerConnection): void {
    this.openConnections += 1;
    this.servers += 1;
    this.connections[server.connection] = server;
  }

  serverClosed(server: ServerConnection): void {
    this.servers -= 1;
    this.administration.connectionGone();
    this.connections[server.connection] = undefined;
  }

  // --- Control ------------------------------------------------------------------------------------------------

  /** Replaces the settings. Clients stay; pools whose database is gone close their servers as links end. */
  applySettings(settings: GatewaySettings): void {
    const serverTlsChanged = settings.tls.serverRevision !== this.context.settings.tls.serverRevision;
    this.context.settings = settings;
    this.housekeepingMs = housekeepingMs(settings);
    this.poolTable.applySettings(serverTlsChanged);
  }

  /** Tells every client, and closes everything. {@link idle} says when it is done. */
  shutdown(): void {
    this.context.stopping = true;
    for (const session of [...this.sessions]) {
      session.fail({
        severity: 'FATAL',
        code: SqlState.admin_shutdown,
        message: 'terminating connection due to administrator command',
      });
    }
    for (const pool of this.pools.values()) pool.servers.close('shutdown');
    this.listening.replace('shutdown');
    this.clusters.replace('shutdown');
  }

  /** True when no connection is left. */
  get idle(): boolean {
    return this.openConnections === 0;
  }

  /** The store of a cluster has been read, `ageMs` ago. */
  clusterHeard(news: ClusterNews, ageMs: number): void {
    this.clusters.heard(news, ageMs);
  }

  /** Which nodes there are, as the source of some databases says. */
  nodesFound(found: FoundNodes): void {
    this.clusters.found(found);
  }

  snapshot(detail: SnapshotDetail = 'figures'): Snapshot {
    return takeSnapshot(this, detail);
  }

  /** Begins a command of an operator's; `done` is called once, when it has taken effect. */
  execute(command: GatewayCommand, done: (outcome: CommandOutcome) => void): void {
    this.administration.execute(command, done);
  }
}

const TOO_MANY_POOLS: ErrorFields = {
  severity: 'FATAL',
  code: SqlState.configuration_limit_exceeded,
  message: `more than ${POOLS_MAX} combinations of database, user and startup parameters are in use`,
  hint: 'List parameters that differ from client to client in ignore_startup_parameters.',
};

function notice(message: string): ErrorFields {
  return { severity: 'NOTICE', code: SqlState.successful_completion, message };
}
