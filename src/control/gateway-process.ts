/** A gateway in this process: the control plane's side of its life, from start through reloads to the end. */
import { adviseOn, honouredElsewhere } from '../config/advice.js';
import { toGatewaySettings } from '../config/gateway-settings.js';
import type { ListenAddress } from '../config/listen-address.js';
import { formatListenAddress } from '../config/listen-address.js';
import type { SluiceConfig } from '../config/load.js';
import { SETTINGS } from '../config/schema.js';
import { socketSettings } from '../config/socket-settings.js';
import type { CommandOutcome, GatewayCommand } from '../core/command.js';
import type { ConsoleAnswer, ConsoleQuestion } from '../core/console.js';
import type { Report } from '../core/io.js';
import type { GatewaySettings } from '../core/settings.js';
import type { Snapshot, SnapshotDetail } from '../core/snapshot.js';
import { chooseDriver, needsTls } from '../reactor/choose-driver.js';
import { loadAddon } from '../reactor/load-addon.js';
import {
  ListenError,
  type ListeningSocket,
  type ReactorHandle,
  type ReactorPlace,
  startReactor,
} from '../reactor/start.js';
import { SqlState } from '../wire/sqlstate.js';
import { Authority } from './authentication/authority.js';
import type { ClusterStatus } from './cluster/cluster-watch.js';
import type { DiscoveryStatus } from './discovery/discovery.js';
import { EventLog, type GatewayEvent } from './event-log.js';
import { explainListenError, StartError } from './listen-error.js';
import { type Logger, logReport } from './logging.js';
import { readMachineLimits } from './machine-limits.js';
import { NodeLists } from './node-lists.js';
import { type Explanation, Verdicts } from './routing/verdicts.js';
import { giveSocketsToGroup } from './socket-group.js';
import { type Inheritance, reactorPlaces } from './takeover/inherited-sockets.js';

const MANY_PASSWORDS = 250;
/** The settings that make up where to listen. */
const LISTENING: ReadonlySet<string> = new Set([
  'listen_addr',
  'listen_port',
  'unix_socket_dir',
  'unix_socket_mode',
]);

/** Commands after which server connections are closed. */
const TO_REST: ReadonlySet<string> = new Set(['pause', 'reconnect', 'kill', 'waitClose', 'drain']);

/** Answers a statement of the admin console. */
export type AnswerConsole = (question: ConsoleQuestion) => Promise<ConsoleAnswer>;

/** A gateway that accepts clients. */
export interface RunningGateway {
  /** Where it listens, in the order of the configuration. */
  readonly addresses: readonly ListenAddress[];
  /** `uring`, `epoll` or `node`. */
  readonly driver: string;
  /** Why this driver and not a better one; empty if it is the best. */
  readonly driverReason: string;
  /** What is in force: what it was started with, or reloaded last. */
  readonly config: SluiceConfig;
  /** The same, as the core has it. */
  readonly settings: GatewaySettings;
  /** From now on, statements of the admin console are answered by this function, which must not reject. */
  answerConsole(answer: AnswerConsole): void;
  /** Changes the settings of the running gateway. Warns of those that take effect at the next start only. */
  reload(config: SluiceConfig): Promise<void>;
  /** What the store of the cluster says of who leads; null: no database belongs to one. */
  readonly cluster: ClusterStatus | null;
  /** What the sources say that `nodes_from` names. */
  readonly nodeSources: readonly DiscoveryStatus[];
  /** What has happened to the nodes and the cluster, the oldest first. */
  readonly events: readonly GatewayEvent[];
  snapshot(detail?: SnapshotDetail): Promise<Snapshot>;
  /**
   * Where a statement of a routed database would go, and why.
   * @throws when PostgreSQL's grammar can't be loaded
   */
  explainRoute(database: string, sql: string): Promise<Explanation>;
  /** How often the parser of statements was made anew. */
  readonly parserReplacements: number;
  /** Carries out an operator's command; resolves when it has taken effect. */
  execute(command: GatewayCommand): Promise<CommandOutcome>;
  /** What another process of this machine can be given to go on with. */
  readonly listeningSockets: readonly ListeningSocket[];
  /** Stops accepting, and leaves the listening sockets to the process that has them too. */
  handOver(): Promise<void>;
  /** Resolves when the gateway has ended: with null after {@link stop}, with an error if it broke down. */
  readonly ended: Promise<Error | null>;
  /** Tells clients that the gateway goes away (57P01), closes everything, and resolves when it is done. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Starts a gateway and resolves when it listens: where the configuration says, or with sockets that are open already.
 * @throws {StartError} when it can't listen, with what to do about it
 */
export async function startGateway(
  config: SluiceConfig,
  logger: Logger,
  inheritance: Inheritance | null = null,
): Promise<RunningGateway> {
  for (const warning of config.warnings) logger.warn(warning);
  for (const advice of adviseOn(config, await readMachineLimits())) logger.warn(advice);
  for (const note of honouredElsewhere(config)) logger.info(note);
  sayIfSlow(config, logger);
  const settings = await toGatewaySettings(config);
  const console = { answer: notOpen };
  const nodeLists = new NodeLists();
  const authority = new Authority(config, logger, (name) => nodeLists.addressesOf(name));
  const verdicts = new Verdicts((message) => logger.warn(message));
  const events = new EventLog();
  const onReport = (report: Report): void => {
    events.note(report);
    logReport(logger, report);
  };
  const answerers = { console, authority, verdicts, events, nodeLists, onReport };
  const listen = await reactorPlaces(config.listen, inheritance, logger);
  const reactor = await openReactor({ ...config, listen }, settings, answerers);
  await giveSocketsToGroup(config, logger);
  return new GatewayProcess(config, settings, reactor, answerers, logger);
}

/** Deriving a key from a password takes milliseconds on purpose: with thousands of them, a start is slow. */
function sayIfSlow({ values, users }: SluiceConfig, logger: Logger): void {
  const clear = [...users.values()].filter((user) => user.password !== null && user.verifier === null).length;
  if (values.auth_type !== 'scram-sha-256' || clear < MANY_PASSWORDS) return;
  logger.info(
    `deriving SCRAM verifiers from ${clear} clear-text passwords, about ${Math.ceil(clear / 250)} s; ` +
      'SCRAM-SHA-256$ verifiers instead of passwords start at once',
  );
}

/** A console without anybody behind it. */
const notOpen: AnswerConsole = async () => ({
  results: [],
  error: {
    severity: 'ERROR',
    code: SqlState.cannot_connect_now,
    message: 'this gateway has no admin console',
    hint: '"sluice serve" and "sluice pgbouncer" open one.',
  },
  parameterCount: 0,
});

/** Who answers what a reactor asks. */
interface Answerers {
  readonly console: { answer: AnswerConsole };
  readonly authority: Authority;
  readonly verdicts: Verdicts;
  readonly events: EventLog;
  readonly nodeLists: NodeLists;
  readonly onReport: (report: Report) => void;
}

async function openReactor(
  config: SluiceConfig & { readonly listen: readonly ReactorPlace[] },
  settings: GatewaySettings,
  { console, authority, verdicts, onReport }: Answerers,
): Promise<ReactorHandle> {
  try {
    chooseDriver(config.values.io, loadAddon(), needsTls(settings.tls));
  } catch (error) {
    throw new StartError(`${(error as Error).message}. Choose another one: --io auto`, { cause: error });
  }
  try {
    return await startReactor({
      io: config.values.io,
      listen: config.listen,
      backlog: config.values.listen_backlog,
      reusePort: config.values.so_reuseport,
      sockets: socketSettings(config.values),
      settings,
      tls: config.tls,
      onReport,
      onAuthority: (question) => authority.answer(question),
      onRoute: (question) => verdicts.answer(question),
      onQuestion: (question) => console.answer(question),
    });
  } catch (error) {
    throw error instanceof ListenError ? explainListenError(error, addressOf(error)) : error;
  }
}

/** The address that an error is about; where a name was given, what it was resolved to. */
function addressOf({ address, port }: ListenError): ListenAddress {
  return port === undefined ? { socketPath: address } : { host: address, port };
}

class GatewayProcess implements RunningGateway {
  readonly addresses: readonly ListenAddress[];
  readonly driver: string;
  readonly driverReason: string;
  readonly ended: Promise<Error | null>;
  readonly listeningSockets: readonly ListeningSocket[];
  readonly #reactor: ReactorHandle;
  readonly #logger: Logger;
  readonly #startedWith: SluiceConfig;
  readonly #console: Answerers['console'];
  readonly #authority: Authority;
  readonly #verdicts: Verdicts;
  readonly #events: EventLog;
  readonly #nodeLists: NodeLists;
  #config: SluiceConfig;
  #settings: GatewaySettings;
  #stopped: Promise<void> | null = null;

  constructor(
    config: SluiceConfig,
    settings: GatewaySettings,
    reactor: ReactorHandle,
    { console, authority, verdicts, events, nodeLists, onReport }: Answerers,
    logger: Logger,
  ) {
    this.#events = events;
    this.#nodeLists = nodeLists;
    nodeLists.serve(reactor, onReport);
    this.#console = console;
    this.#authority = authority;
    this.#verdicts = verdicts;
    this.addresses = reactor.listening;
    this.driver = reactor.driver;
    this.driverReason = reactor.driverReason;
    this.ended = reactor.ended;
    this.listeningSockets = reactor.listeningSockets;
    this.#startedWith = config;
    this.#config = config;
    this.#settings = settings;
    this.#reactor = reactor;
    this.#logger = logger;
    this.#nodeLists.configure(config);
  }

  get config(): SluiceConfig {
    return this.#config;
  }

  get settings(): GatewaySettings {
    return this.#settings;
  }

  answerConsole(answer: AnswerConsole): void {
    this.#console.answer = answer;
  }

  async reload(config: SluiceConfig): Promise<void> {
    for (const warning of config.warnings) this.#logger.warn(warning);
    const said = new Set(honouredElsewhere(this.#config));
    for (const note of honouredElsewhere(config)) if (!said.has(note)) this.#logger.info(note);
    for (const name of settingsForNextStart(this.#startedWith, config)) {
      this.#logger.warn(`${name} has changed, which takes effect at the next start only`);
    }
    for (const advice of adviseOn(config, await readMachineLimits())) this.#logger.warn(advice);
    const settings = await toGatewaySettings(config, this.#settings);
    this.#settings = settings;
    this.#config = config;
    this.#authority.configure(config);
    this.#reactor.applySettings(settings, config.tls, socketSettings(config.values));
    this.#nodeLists.configure(config);
  }

  get cluster(): ClusterStatus | null {
    return this.#nodeLists.cluster;
  }

  get nodeSources(): readonly DiscoveryStatus[] {
    return this.#nodeLists.sources;
  }

  get events(): readonly GatewayEvent[] {
    return this.#events.events;
  }

  snapshot(detail: SnapshotDetail = 'figures'): Promise<Snapshot> {
    return this.#reactor.snapshot(detail);
  }

  explainRoute(database: string, sql: string): Promise<Explanation> {
    return this.#verdicts.explain(database, sql);
  }

  get parserReplacements(): number {
    return this.#verdicts.parserReplacements;
  }

  execute(command: GatewayCommand): Promise<CommandOutcome> {
    // A database that is to rest must not be held by a connection that nobody uses.
    if (TO_REST.has(command.kind)) this.#authority.release();
    return this.#reactor.execute(command);
  }

  handOver(): Promise<void> {
    return this.#reactor.handOver();
  }

  stop(): Promise<void> {
    this.#authority.close();
    this.#nodeLists.close();
    this.#stopped ??= this.#reactor.shutdown();
    return this.#stopped;
  }
}

/** What differs between two configurations and can't be changed while running, in words. */
export function settingsForNextStart(running: SluiceConfig, wanted: SluiceConfig): string[] {
  const names: string[] = [];
  const places = ({ listen }: SluiceConfig): string =>
    listen
      .map((address) => `${formatListenAddress(address)} ${'mode' in address ? address.mode : ''}`)
      .join();
  if (places(running) !== places(wanted)) {
    names.push(`where to listen (now ${wanted.listen.map(formatListenAddress).join(', ')})`);
  }
  for (const [name, { reload, instead }] of SETTINGS) {
    if (reload || instead !== undefined || LISTENING.has(name)) continue;
    const key = name as keyof typeof wanted.values;
    if (String(running.values[key]) !== String(wanted.values[key])) names.push(name);
  }
  return names;
}
