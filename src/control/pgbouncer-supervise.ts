/**
 * Runs one gateway as PgBouncer runs: its signals (its manual, "Signals"), its words in the log, its pidfile.
 * HUP reloads, TERM waits for the clients and INT for the servers, a second one of either or QUIT ends at once,
 * USR1 pauses and USR2 resumes.
 */
import { setTimeout } from 'node:timers/promises';
import { formatListenAddress, type ListenAddress } from '../config/listen-address.js';
import type { SluiceConfig } from '../config/load.js';
import type { GatewayCommand } from '../core/command.js';
import { type RunningGateway, startGateway } from './gateway-process.js';
import type { Logger, ProcessLog } from './logging.js';
import { clearPidfile, writePidfile } from './pidfile.js';
import { rereadGateway } from './reload.js';
import { SignalQueue } from './signal-queue.js';
import { PGBOUNCER_VERSION } from './version.js';

const SIGNALS = ['SIGHUP', 'SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/** At the end, clients that are still there are told so; how long that may take. */
const FAREWELL_MS = 1000;

/** What a signal begins, and how the log says so. */
const SHUTDOWNS = {
  SIGTERM: {
    until: 'clients',
    begin: 'shutting down, waiting for all clients disconnect',
    end: 'client connections dropped, exiting',
  },
  SIGINT: {
    until: 'servers',
    begin: 'shutting down, waiting for all servers connections to be released',
    end: 'server connections dropped, exiting',
  },
} as const;

const PAUSE: GatewayCommand = { kind: 'pause', database: null };
const RESUME: GatewayCommand = { kind: 'resume', database: null };

/** What runs under PgBouncer's signals. */
export interface PgbouncerSupervision {
  readonly config: SluiceConfig;
  /** Configured for `config` already. */
  readonly log: ProcessLog;
  /** Called once, when clients are accepted and the pidfile is written. */
  readonly onReady: () => void;
}

/**
 * Starts the gateway and resolves with the exit code of the process when a signal has ended it.
 * @throws {StartError} when it can't start, or another process holds the pidfile
 * @throws {Error} when it breaks down
 */
export async function supervisePgbouncer({ config, log, onReady }: PgbouncerSupervision): Promise<number> {
  const { logger } = log;
  const { pidfile } = config.values;
  if (pidfile !== '' && clearPidfile(pidfile)) logger.info('stale pidfile, removing');
  const gateway = await startGateway(config, logger);
  for (const address of gateway.addresses) {
    for (const place of listenTexts(address)) logger.info(`listening on ${place}`);
  }
  const signals = new SignalQueue(SIGNALS);
  try {
    if (pidfile !== '') writePidfile(pidfile);
    const { node, openssl } = process.versions;
    logger.info(
      `process up: ${PGBOUNCER_VERSION}, driver ${gateway.driver}, node ${node}, tls: OpenSSL ${openssl}`,
    );
    onReady();
    return await new SignalHandler(gateway, log).run(signals);
  } finally {
    signals.close();
    await Promise.race([gateway.stop(), setTimeout(FAREWELL_MS, undefined, { ref: false })]);
  }
}

/** PgBouncer writes `unix:` before the path of a socket, and every address by itself. */
function listenTexts(address: ListenAddress): string[] {
  if ('socketPath' in address) return [`unix:${address.socketPath}`];
  const hosts = address.host === '*' ? ['0.0.0.0', '::'] : [address.host];
  return hosts.map((host) => formatListenAddress({ host, port: address.port }));
}

class SignalHandler {
  readonly #gateway: RunningGateway;
  readonly #log: ProcessLog;
  readonly #logger: Logger;
  #shuttingDown = false;
  #paused = false;
  #finish: (code: number) => void = () => {};

  constructor(gateway: RunningGateway, log: ProcessLog) {
    this.#gateway = gateway;
    this.#log = log;
    this.#logger = log.logger;
  }

  /** @returns the exit code */
  async run(signals: SignalQueue): Promise<number> {
    const finished = new Promise<number>((resolve) => {
      this.#finish = resolve;
    });
    const broken = this.#gateway.ended.then<Error | number>((error) => {
      // A drain may end the reactor before the answer to it has come.
      if (error === null && this.#shuttingDown) return finished;
      return error ?? new Error('the reactor ended by itself');
    });
    for (;;) {
      const next = await Promise.race([signals.next(), finished, broken]);
      if (next instanceof Error) throw next;
      if (typeof next === 'number') return next;
      await this.#handle(next);
    }
  }

  async #handle(signal: NodeJS.Signals): Promise<void> {
    switch (signal) {
      case 'SIGHUP':
        return this.#reload();
      case 'SIGUSR1':
        return this.#pause();
      case 'SIGUSR2':
        return this.#resume();
      case 'SIGTERM':
      case 'SIGINT':
        return this.#shutDown(signal);
      default:
        this.#logger.info('got SIGQUIT, fast exit');
        return this.#finish(0);
    }
  }

  async #reload(): Promise<void> {
    this.#logger.info('got SIGHUP, re-reading config');
    if (!(await rereadGateway(this.#gateway, this.#log))) this.#logger.warn('config file loading failed');
  }

  #shutDown(signal: 'SIGTERM' | 'SIGINT'): void {
    if (this.#shuttingDown) {
      this.#logger.info(`got ${signal} while shutting down, fast exit`);
      return this.#finish(0);
    }
    this.#shuttingDown = true;
    const { until, begin, end } = SHUTDOWNS[signal];
    this.#logger.info(`got ${signal}, ${begin}`);
    const drain: GatewayCommand = { kind: 'drain', until, deadlineMs: Number.POSITIVE_INFINITY };
    void this.#gateway.execute(drain).then((problem) => {
      if (problem) this.#logger.error(problem.message);
      else this.#logger.info(end);
      this.#finish(0);
    });
  }

  /** The answer comes when the last server connection is released, which nobody waits for here. */
  #pause(): void {
    if (this.#paused) return this.#logger.info('got SIGUSR1, but already paused/suspended');
    this.#paused = true;
    this.#logger.info('got SIGUSR1, pausing all activity');
    void this.#gateway.execute(PAUSE).then((problem) => {
      if (problem) this.#logger.error(problem.message);
    });
  }

  async #resume(): Promise<void> {
    if (this.#shuttingDown) return this.#logger.info('got SIGUSR2 while shutting down, ignoring');
    this.#paused = false;
    const problem = await this.#gateway.execute(RESUME);
    this.#logger.info(
      problem ? 'got SIGUSR2, but not paused/suspended' : 'got SIGUSR2, continuing from PAUSE',
    );
  }
}
