/** Starts a reactor on a thread of its own, and does for it what would hold it up. */
import { pbkdf2 } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { closeSync, writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';

import type { ListenAddress } from '../config/listen-address.js';
import { DEFAULT_SOCKETS, type SocketSettings } from '../config/socket-settings.js';
import { NO_TLS, type TlsConfiguration } from '../config/tls.js';
import type { AuthorityAnswer, AuthorityQuestion, IdentityQuestion } from '../core/authority.js';
import type { CommandOutcome, GatewayCommand } from '../core/command.js';
import type { ConsoleAnswer, ConsoleQuestion } from '../core/console.js';
import type { KeyRequest, Report } from '../core/io.js';
import type { ClusterNews } from '../core/route/epoch.js';
import type { FoundNodes } from '../core/route/found-nodes.js';
import type { RouteAnswer, RouteQuestion } from '../core/route/route-questions.js';
import type { GatewaySettings } from '../core/settings.js';
import type { Snapshot, SnapshotDetail } from '../core/snapshot.js';
import { SqlState } from '../wire/sqlstate.js';
import { chooseDriver, type DriverChoice, type DriverSetting, needsTls } from './choose-driver.js';
import type { DriverName, InheritedListener, Listener, OpenListener } from './driver.js';
import { type LoadedAddon, loadAddon } from './load-addon.js';
import { findLocalSocket } from './local-socket.js';
import type { FromWorker, ToWorker, WorkerStart } from './messages.js';
import type { ResolvedHost } from './slow-work.js';

/** Where to listen: there, or with a descriptor that listens there already ({@link listeningAddress}). */
export type ReactorPlace = ListenAddress & {
  readonly inherited?: Pick<InheritedListener, 'descriptor' | 'shared'>;
};

/** A listening socket of a reactor, for handing it to another process. */
export interface ListeningSocket {
  /** Without host names: a name stands for several of them. */
  readonly address: ListenAddress;
  /** Open until {@link ReactorHandle.handOver} or the end. */
  readonly descriptor: number;
}

export interface ReactorOptions {
  readonly io: DriverSetting;
  readonly listen: readonly ReactorPlace[];
  /** How many clients may wait to be accepted, at each place. */
  readonly backlog?: number;
  /** Other processes may listen on the same TCP ports (SO_REUSEPORT). */
  readonly reusePort?: boolean;
  /** How TCP connections are set up. */
  readonly sockets?: SocketSettings;
  readonly settings: GatewaySettings;
  /** Certificates and keys for what `settings` say of TLS; missing: none. */
  readonly tls?: TlsConfiguration;
  readonly onReport: (report: Report) => void;
  /** Says who a client is; must not reject. Missing: nobody is known but by the settings. */
  readonly onAuthority?: (question: IdentityQuestion) => Promise<AuthorityAnswer>;
  /** Says where statements may run; must not reject. Missing: all on the primary. */
  readonly onRoute?: (question: RouteQuestion) => Promise<RouteAnswer>;
  /** Answers a statement of the admin console; must not reject. */
  readonly onQuestion: (question: ConsoleQuestion) => Promise<ConsoleAnswer>;
}

export interface ReactorHandle {
  readonly driver: DriverName;
  /** Why a better driver isn't used; empty when there is none, or when this one was asked for. */
  readonly driverReason: string;
  /** In the order of {@link ReactorOptions.listen}, with the ports that were really taken. */
  readonly listening: readonly ListenAddress[];
  /** What {@link sendDescriptors} can pass on. */
  readonly listeningSockets: readonly ListeningSocket[];
  /** Resolves when the reactor has ended: null after {@link shutdown}, otherwise why. Never rejects. */
  readonly ended: Promise<Error | null>;
  applySettings(settings: GatewaySettings, tls?: TlsConfiguration, sockets?: SocketSettings): void;
  /**
   * Stops accepting, for good, and leaves the sockets and their files to the processes that have them, too. Clients
   * that are connected stay.
   * @throws when the reactor has ended
   */
  handOver(): Promise<void>;
  /**
   * Tells what a cluster's store says; resolves when it is acted by. @param heardAt by the shared clock, in ms
   * @throws when the reactor has ended
   */
  hear(news: ClusterNews, heardAt: number): Promise<void>;
  /** Tells which nodes there are, as somebody else than these says. */
  find(found: FoundNodes): void;
  /** @throws when the reactor has ended */
  snapshot(detail?: SnapshotDetail): Promise<Snapshot>;
  /**
   * Carries out an operator's command; resolves when it has taken effect.
   * @throws when the reactor has ended
   */
  execute(command: GatewayCommand): Promise<CommandOutcome>;
  /** Tells clients that the gateway goes away, closes everything, and resolves when the thread has ended. */
  shutdown(): Promise<void>;
}

/** An address can't be listened on. `code` is the system's, such as `EADDRINUSE` or `ENOTFOUND`. */
export class ListenError extends Error {
  readonly code: string;
  /** The host as it was given, or the path of the socket. */
  readonly address: string;
  readonly port: number | undefined;

  constructor(code: string, message: string, place: ListenAddress) {
    super(message);
    this.name = 'ListenError';
    this.code = code;
    this.address = 'socketPath' in place ? place.socketPath : place.host;
    this.port = 'socketPath' in place ? undefined : place.port;
  }
}

const nobodyKnown = async (): Promise<AuthorityAnswer> => ({ kind: 'unknownUser' });
const nothingJudged = async ({ kind }: RouteQuestion): Promise<RouteAnswer> =>
  kind === 'catalogue' ? { kind, version: 0 } : { kind, version: 0, facts: null };
/** An eventfd takes a number of 8 bytes, in the machine's order; any but 0 wakes. */
const WAKE = new Uint8Array(8).fill(1);
/** All of the machine's, both kinds; a machine may lack one of them. */
const ANY_ADDRESSES: ResolvedHost = Object.freeze({ addresses: ['0.0.0.0', '::'] });
const SALTED_PASSWORD_BYTES = 32;
/**
 * Room for young objects in the heap of a native reactor. The hot path makes none; what logins leave behind would fill
 * the 48 MB that are usual, and a thread that sleeps in the kernel has no idle time in which V8 would give them back.
 */
const YOUNG_MEGABYTES = 4;

/**
 * Starts a reactor; resolves when it accepts clients.
 * @throws {ListenError}
 * @throws when the driver that was asked for is impossible here
 */
export async function startReactor(options: ReactorOptions): Promise<ReactorHandle> {
  const loaded = loadAddon();
  const choice = chooseDriver(options.io, loaded, needsTls(options.settings.tls));
  try {
    return await startWith(choice, loaded, options);
  } catch (error) {
    if (options.io !== 'auto' || choice.driver !== 'uring' || error instanceof ListenError) throw error;
    // A ring that is tried out is small; the one that serves counts against the user's locked memory (RLIMIT_MEMLOCK).
    const reason = `uring: ${(error as Error).message} (limit of locked memory: ulimit -l, LimitMEMLOCK in systemd)`;
    return startWith({ driver: 'epoll', reason }, loaded, options);
  }
}

async function startWith(
  choice: DriverChoice,
  loaded: LoadedAddon,
  options: ReactorOptions,
): Promise<ReactorHandle> {
  const hasTls = choice.driver === 'node' || ('addon' in loaded && loaded.addon.hasTls);
  const speakable = (settings: GatewaySettings): GatewaySettings =>
    hasTls ? settings : withoutTls(settings);
  const listeners: Listener[] = [];
  for (const [index, place] of options.listen.entries()) {
    const found = await resolvePlace(index, place);
    listeners.push(...found.map((listener) => withOptions(listener, options)));
  }
  const wakeDescriptor =
    choice.driver === 'node' || !('addon' in loaded) ? -1 : loaded.addon.createWakeDescriptor();
  const start: WorkerStart = {
    driver: choice.driver,
    wakeDescriptor,
    listeners,
    settings: speakable(options.settings),
    tls: hasTls ? (options.tls ?? NO_TLS) : NO_TLS,
    sockets: options.sockets ?? DEFAULT_SOCKETS,
  };
  const thread = new ReactorThread(start, options);
  const open = await thread.listening(options.listen);
  const listening = options.listen.map(({ inherited: _, ...place }, index): ListenAddress => {
    if ('socketPath' in place) return place;
    const taken = open.find((one, position) => listeners[position]!.index === index && one !== null);
    return { host: place.host, port: taken?.port ?? place.port };
  });
  return {
    driver: choice.driver,
    driverReason: choice.reason,
    listening,
    listeningSockets: open.flatMap((one, position) =>
      one === null ? [] : [listeningSocket(one, listeners[position]!, listening)],
    ),
    ended: thread.ended,
    handOver: async () => {
      await thread.ask({ kind: 'handOver' });
    },
    applySettings: (settings, tls = NO_TLS, sockets = DEFAULT_SOCKETS) => {
      if (!hasTls && needsTls(settings.tls)) options.onReport(TLS_NEEDS_RESTART);
      thread.tell({ kind: 'settings', settings: speakable(settings), tls: hasTls ? tls : NO_TLS, sockets });
    },
    hear: async (news, heardAt) => {
      await thread.ask({ kind: 'cluster', news, heardAt });
    },
    find: (found) => thread.tell({ kind: 'found', found }),
    snapshot: (detail = 'figures') => thread.ask({ kind: 'snapshot', detail }) as Promise<Snapshot>,
    execute: (command) => thread.ask({ kind: 'command', command }) as Promise<CommandOutcome>,
    shutdown: () => thread.shutdown(),
  };
}

function withOptions(listener: Listener, { backlog, reusePort }: ReactorOptions): Listener {
  return {
    ...listener,
    ...(backlog !== undefined && { backlog }),
    ...(reusePort !== undefined && 'ip' in listener && { reusePort }),
  };
}

function listeningSocket(
  { descriptor, port }: OpenListener,
  listener: Listener,
  listening: readonly ListenAddress[],
): ListeningSocket {
  const address = 'ip' in listener ? { host: listener.ip, port } : listening[listener.index]!;
  return { address, descriptor };
}

const TLS_NEEDS_RESTART: Report = {
  level: 'error',
  message: 'TLS is not spoken: this I/O driver was built without it; after a restart another one is chosen',
};

/** For a driver that has no TLS: nothing is offered, and what is required is refused. */
function withoutTls(settings: GatewaySettings): GatewaySettings {
  const { clientMode, serverMode } = settings.tls;
  const tls = {
    ...settings.tls,
    clientMode: clientMode === 'allow' || clientMode === 'prefer' ? 'disable' : clientMode,
    serverMode: serverMode === 'allow' || serverMode === 'prefer' ? 'disable' : serverMode,
  } as const;
  return { ...settings, tls };
}

/** A host name may stand for several addresses (localhost: IPv4 and IPv6); each is listened on. */
async function resolvePlace(index: number, place: ReactorPlace): Promise<Listener[]> {
  if (place.inherited !== undefined) {
    return [{ index, ...place.inherited, socketPath: 'socketPath' in place ? place.socketPath : null }];
  }
  if ('socketPath' in place) return [{ index, socketPath: place.socketPath, mode: place.mode ?? null }];
  const answer = place.host === '*' ? ANY_ADDRESSES : await resolveHost(place.host);
  if ('error' in answer) throw new ListenError('ENOTFOUND', answer.error, place);
  // Port 0 means any, which can't be the same for several addresses.
  const addresses = place.port === 0 ? answer.addresses.slice(0, 1) : answer.addresses;
  return addresses.map((ip) => ({ index, ip, port: place.port }));
}

async function resolveHost(host: string): Promise<ResolvedHost> {
  try {
    const found = await lookup(host, { all: true, verbatim: true });
    return { addresses: [...new Set(found.map((entry) => entry.address))] };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOTFOUND') return { error: 'Name or service not known' };
    if (code === 'EAI_AGAIN') return { error: 'Temporary failure in name resolution' };
    return { error: (error as Error).message };
  }
}

type Answer = Snapshot | CommandOutcome;
type Question =
  | Omit<Extract<ToWorker, { kind: 'handOver' }>, 'id'>
  | Omit<Extract<ToWorker, { kind: 'cluster' }>, 'id'>
  | Omit<Extract<ToWorker, { kind: 'snapshot' }>, 'id'>
  | Omit<Extract<ToWorker, { kind: 'command' }>, 'id'>;

type ThreadOptions = Pick<ReactorOptions, 'onReport' | 'onAuthority' | 'onRoute' | 'onQuestion' | 'listen'>;

/** The main thread's side of a worker. */
class ReactorThread {
  readonly ended: Promise<Error | null>;
  readonly #worker: Worker;
  readonly #listeners: readonly Listener[];
  readonly #onReport: (report: Report) => void;
  readonly #onAuthority: NonNullable<ReactorOptions['onAuthority']>;
  readonly #onRoute: NonNullable<ReactorOptions['onRoute']>;
  readonly #onQuestion: ReactorOptions['onQuestion'];
  /** Sockets on which clients are served, which are no server's. */
  readonly #ownSockets: ReadonlySet<string>;
  /** The driver knows who is at the other end of a socket. */
  readonly #seesPeers: boolean;
  readonly #started: Promise<readonly (OpenListener | null)[]>;
  #settleStart: (outcome: Extract<FromWorker, { kind: 'listening' | 'listenFailed' }> | Error) => void =
    () => {};
  #wakeDescriptor: number;
  #failure: Error | null = null;
  readonly #asked = new Map<number, { resolve(answer: Answer): void; reject(error: Error): void }>();
  #lastAsked = 0;
  readonly #wakeAtExit = (): void => this.#wake();

  constructor(start: WorkerStart, { onReport, onAuthority, onRoute, onQuestion, listen }: ThreadOptions) {
    this.#ownSockets = new Set(listen.flatMap((place) => ('socketPath' in place ? [place.socketPath] : [])));
    this.#seesPeers = start.driver !== 'node';
    this.#listeners = start.listeners;
    this.#wakeDescriptor = start.wakeDescriptor;
    this.#onReport = onReport;
    this.#onAuthority = onAuthority ?? nobodyKnown;
    this.#onRoute = onRoute ?? nothingJudged;
    this.#onQuestion = onQuestion;
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: start,
      name: 'reactor',
      // node:net makes objects for every event, and wants its usual room.
      ...(start.driver !== 'node' && { resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MEGABYTES } }),
    });
    this.#started = new Promise((resolve, reject) => {
      this.#settleStart = (outcome) => {
        if (outcome instanceof Error) reject(outcome);
        else if (outcome.kind === 'listening') resolve(outcome.open);
        else reject(outcome);
      };
    });
    this.#worker.on('message', (message: FromWorker) => this.#handle(message));
    this.#worker.on('error', (error) => {
      this.#failure = error;
    });
    this.ended = new Promise((resolve) => {
      this.#worker.on('exit', (code) => resolve(this.#exited(code)));
    });
    // Ending the process waits for the thread, which may be blocked.
    process.once('exit', this.#wakeAtExit);
  }

  async listening(places: readonly ListenAddress[]): Promise<readonly (OpenListener | null)[]> {
    try {
      return await this.#started;
    } catch (failure) {
      await this.ended;
      if (failure instanceof Error) throw failure;
      const { position, code, message } = failure as Extract<FromWorker, { kind: 'listenFailed' }>;
      throw new ListenError(code, message, places[this.#listeners[position]!.index]!);
    }
  }

  tell(message: ToWorker): void {
    this.#worker.postMessage(message);
    this.#wake();
  }

  ask(question: Question): Promise<Answer> {
    if (this.#hasEnded) return Promise.reject(this.#failure ?? new Error('the reactor has ended'));
    return new Promise((resolve, reject) => {
      const id = ++this.#lastAsked;
      this.#asked.set(id, { resolve, reject });
      this.tell({ ...question, id });
    });
  }

  async shutdown(): Promise<void> {
    if (!this.#hasEnded) this.tell({ kind: 'shutdown' });
    await this.ended;
  }

  #hasEnded = false;

  #wake(): void {
    if (this.#wakeDescriptor >= 0) writeSync(this.#wakeDescriptor, WAKE);
  }

  #exited(code: number): Error | null {
    this.#hasEnded = true;
    process.off('exit', this.#wakeAtExit);
    if (this.#wakeDescriptor >= 0) closeSync(this.#wakeDescriptor);
    this.#wakeDescriptor = -1;
    if (code !== 0) this.#failure ??= new Error(`the reactor's thread ended with code ${code}`);
    this.#settleStart(this.#failure ?? new Error('the reactor ended before it listened'));
    for (const asked of this.#asked.values())
      asked.reject(this.#failure ?? new Error('the reactor has ended'));
    this.#asked.clear();
    return this.#failure;
  }

  #handle(message: FromWorker): void {
    switch (message.kind) {
      case 'listening':
      case 'listenFailed':
        return this.#settleStart(message);
      case 'reports':
        return message.reports.forEach(this.#onReport);
      case 'askConsole':
        void this.#onQuestion(message.question).then((answer) => {
          if (!this.#hasEnded) this.tell({ kind: 'console', id: message.question.id, answer });
        });
        return;
      case 'askAuthority':
        void this.#answer(message.question).then((answer) => {
          if (!this.#hasEnded) this.tell({ kind: 'authority', id: message.id, answer });
        });
        return;
      case 'deriveKey':
        return this.#deriveKey(message.request);
      case 'resolveHost':
        void resolveHost(message.host).then((answer) => this.tell({ kind: 'host', id: message.id, answer }));
        return;
      case 'answer': {
        const asked = this.#asked.get(message.id);
        this.#asked.delete(message.id);
        return asked?.resolve(message.answer);
      }
    }
  }

  async #answer(question: AuthorityQuestion): Promise<AuthorityAnswer> {
    if (question.kind === 'localSocket') {
      const socket = this.#seesPeers ? await findLocalSocket(question, this.#ownSockets) : null;
      return { kind: 'localSocket', socket };
    }
    if (question.kind === 'statement' || question.kind === 'catalogue') return this.#onRoute(question);
    if (question.kind !== 'host') return this.#onAuthority(question);
    const answer = await resolveHost(question.name);
    if ('addresses' in answer) return { kind: 'host', addresses: answer.addresses };
    const error = { severity: 'FATAL', code: SqlState.connection_failure, message: answer.error } as const;
    return { kind: 'failed', error };
  }

  #deriveKey({ id, password, salt, iterations }: KeyRequest): void {
    pbkdf2(password, salt, iterations, SALTED_PASSWORD_BYTES, 'sha256', (error, key) => {
      this.tell({ kind: 'key', id, key: error ? null : new Uint8Array(key) });
    });
  }
}
