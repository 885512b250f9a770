/** The page that GET /metrics answers: the figures of SHOW and GET /health in Prometheus' text format. */
import type { Counters, Snapshot } from '../../core/snapshot.js';
import { judge, look } from '../http/health.js';
import { residentBytes } from '../memory-use.js';
import type { Operator } from '../operator.js';
import { SLUICE_VERSION } from '../version.js';
import { addDatabases, addPools } from './database-metrics.js';
import { Exposition } from './exposition.js';
import { LatencyTotals } from './latency-totals.js';
import { DATABASES_SHOWN_MAX, NODES_SHOWN_MAX, POOLS_SHOWN_MAX } from './limits.js';
import { addCluster, addNodes, addRouting, addSources } from './routing-metrics.js';

const MS_PER_S = 1000;
const US_PER_S = 1e6;
/** Of the process; taken once, lest it flicker. Seconds since 1970. */
const STARTED_AT = Math.round(Date.now() / MS_PER_S - process.uptime());
const STATES: readonly Snapshot['state'][] = ['active', 'paused', 'suspended'];

/** Every counter has its place here, or the compiler says so. In ms where the name ends in `seconds`. */
const COUNTERS: Readonly<Record<keyof Counters, readonly [name: string, help: string]>> = {
  clientsAccepted: ['clients_accepted', 'Connections of clients that were accepted.'],
  clientsRefused: ['clients_refused', 'Clients that were refused, by a limit or otherwise.'],
  loginFailures: ['login_failures', 'Logins of clients that failed.'],
  loginsThrottled: ['logins_throttled', 'Logins refused unchecked by failed_login_rate.'],
  protocolViolations: ['protocol_violations', 'Connections closed since what came is not the protocol.'],
  serverConnections: ['server_connections', 'Server connections that were opened.'],
  serverConnectFailures: ['server_connect_failures', 'Server connections that could not be opened.'],
  queryWaitTimeouts: ['query_wait_timeouts', 'Clients refused after query_wait_timeout.'],
  sessionsPinned: ['sessions_pinned', 'How often a session began to keep its server connection.'],
  statementsRefused: ['statements_refused', 'Statements refused by session_state strict.'],
  cancelRequests: ['cancel_requests', 'Cancel requests of clients.'],
  notificationsOverrun: ['notifications_overrun', 'Clients ended since too many notifications waited.'],
  readsRepeated: ['reads_repeated', 'Reads that a standby could not carry out, and the primary did.'],
  readsEarly: ['reads_early', 'Strong reads sent before the primary was asked, their answers held.'],
  readsTooEarly: ['reads_too_early', 'Of these, the ones that had to run again.'],
  readsPipelined: ['reads_pipelined', 'Reads sent to a standby together with others, if there were any.'],
  pipelines: ['read_pipelines', 'How many groups of them there were, each over one server connection.'],
  readsDispersed: [
    'reads_dispersed',
    'Of these reads, those sent again alone, for one before them took long.',
  ],
  beginsDeferred: ['begins_deferred', 'BEGINs that were answered here, and said to the primary later.'],
  longUnits: ['long_units', 'Requests that went to the primary for their length.'],
  holds: ['holds', 'How often clients of a database had to wait for a primary.'],
  holdMs: ['hold_seconds', 'How long, in all; waits that still last not counted.'],
  failoverTimeouts: ['failover_timeouts', 'Requests refused after failover_timeout.'],
  serversCut: ['servers_cut', "Server connections closed since their primary's term was over."],
  primaryChanges: ['primary_changes', 'How often another node became the primary of a database.'],
};

export class GatewayMetrics {
  readonly #operator: Operator;
  readonly #latencies = new LatencyTotals();
  #page: Promise<string> | null = null;

  constructor(operator: Operator) {
    this.#operator = operator;
  }

  /** One look serves all who ask at the same time. Where the data plane is silent the page has the process alone. */
  page(): Promise<string> {
    this.#page ??= this.#make().finally(() => {
      this.#page = null;
    });
    return this.#page;
  }

  async #make(): Promise<string> {
    const operator = this.#operator;
    const snapshot = await look(operator);
    const page = new Exposition('sluice_');
    const { driver, cluster, nodeSources, parserReplacements } = operator.gateway;
    page.gauge('info', 'The program.', [[{ version: SLUICE_VERSION, driver }, 1]]);
    page.gauge('ready', 'New clients should come here.', judge(operator, snapshot).ready);
    page.counter('parser_replacements', "How often PostgreSQL's parser was made anew.", parserReplacements);
    addCluster(page, cluster);
    addSources(page, nodeSources);
    if (snapshot !== null) this.#addSnapshot(page, snapshot);
    const processPage = new Exposition('process_');
    addProcess(processPage);
    return page.text + processPage.text;
  }

  #addSnapshot(page: Exposition, snapshot: Snapshot): void {
    const { pools, routed, counters, pins } = snapshot;
    page.gauge(
      'state',
      'PAUSE and SUSPEND: 1 for what is in force.',
      STATES.map((state) => [{ state }, state === snapshot.state]),
    );
    page.gauge('clients', 'Clients that are logged in, or on the way.', snapshot.clients);
    page.gauge('clients_logging_in', 'Clients that are on the way.', snapshot.clientsLoggingIn);
    page.gauge(
      'clients_waiting',
      'Clients that wait for a server connection.',
      pools.reduce((sum, { clWaiting }) => sum + clWaiting, 0),
    );
    page.gauge('clients_max', 'max_client_conn.', this.#operator.gateway.config.values.max_client_conn);
    page.gauge('servers', 'Server connections.', snapshot.servers);
    page.gauge('prepared_statements', 'Statements that are known for clients.', snapshot.preparedStatements);
    for (const key of Object.keys(COUNTERS) as (keyof Counters)[]) {
      const [name, help] = COUNTERS[key];
      page.counter(name, help, name.endsWith('seconds') ? counters[key] / MS_PER_S : counters[key]);
    }
    page.gauge(
      'pinned_sessions',
      'Sessions that keep their server connection, by the reason.',
      pins.map(({ reason, clients }) => [{ reason }, clients]),
    );
    page.counter(
      'pins',
      'How often a reason began to hold for a session.',
      pins.map(({ reason, total }) => [{ reason }, total]),
    );
    addPools(page, snapshot);
    addDatabases(page, snapshot, this.#latencies);
    addRouting(page, routed);
    addNodes(page, routed);
    const nodes = routed.reduce((sum, { nodes }) => sum + nodes.length, 0);
    page.gauge('left_out', 'What has no series of its own here, for there are too many.', [
      [{ what: 'databases' }, Math.max(0, snapshot.databases.length - DATABASES_SHOWN_MAX)],
      [{ what: 'pools' }, Math.max(0, pools.length - POOLS_SHOWN_MAX)],
      [{ what: 'nodes' }, Math.max(0, nodes - NODES_SHOWN_MAX)],
    ]);
  }
}

/** By the names that all Prometheus clients use. */
function addProcess(page: Exposition): void {
  const { user, system } = process.cpuUsage();
  page.counter('cpu_seconds', 'CPU time of all threads.', (user + system) / US_PER_S);
  const resident = residentBytes();
  if (resident !== null) page.gauge('resident_memory_bytes', 'Memory of the process.', resident);
  page.gauge('start_time_seconds', 'When the process was started, since 1970.', STARTED_AT);
}
