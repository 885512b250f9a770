/**
 * Runs one gateway as PgBouncer runs: its signals (its manual, "Signals"), its words in the log, its pidfile.
 * HUP reloads, TERM waits for the clients and INT for the servers, a second one of either or QUIT ends at once,
 * USR1 pauses and USR2 resumes.
 */
import { setTimeout } from 'node:timers/promises';
import { formatListenAddress, type ListenAddress } from '../config/listen-address.js';
import type { SluiceConfig } from '../config/load.js';
import type { Logger, ProcessLog } from './logging.js';
import { Operator } from './operator.js';
import { clearPidfile, writePidfile } from './pidfile.js';
import type { ServiceManager } from './service-manager.js';
import { SignalQueue } from './signal-queue.js';
import { openSurfaces } from './surfaces.js';
import { beginGateway } from './takeover/beginning.js';
import { PGBOUNCER_VERSION } from './version.js';

const SIGNALS = ['SIGHUP', 'SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/** At the end, clients that are still there are told so; how long that may take. */
const FAREWELL_MS = 1000;

/** What a signal begins, and how the log says so. */
const SHUTDOWNS = {
  SIGTERM: { how: 'clients', words: 'shutting down, waiting for all clients disconnect' },
  SIGINT: { how: 'servers', words: 'shutting down, waiting for all servers connections to be released' },
} as const;

/** What runs under PgBouncer's signals. */
export interface PgbouncerSupervision {
  readonly config: SluiceConfig;
  /** `-R`: take the place of a running process with the same configuration, if there is one. */
  readonly takeover: boolean;
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
export async function supervisePgbouncer({
  config,
  takeover,
  log,
  onReady,
}: PgbouncerSupervision): Promise<number> {
  const { logger } = log;
  const { pidfile } = config.values;
  const stalePidfile = (): void => {
    if (pidfile !== '' && clearPidfile(pidfile)) logger.info('stale pidfile, removing');
  };
  const { gateway, predecessor } = await beginGateway(config, logger, { takeover, ifAlone: stalePidfile });
  for (const address of gateway.addresses) {
    for (const place of listenTexts(address)) logger.info(`listening on ${place}`);
  }
  const signals = new SignalQueue(SIGNALS);
  const operator = new Operator(gateway, log);
  const surfaces = await openSurfaces(operator, predecessor);
  try {
    if (pidfile !== '') writePidfile(pidfile, { replace: predecessor !== null });
    const { node, openssl } = process.versions;
    logger.info(
      `process up: ${PGBOUNCER_VERSION}, driver ${gateway.driver}, node ${node}, tls: OpenSSL ${openssl}`,
    );
    onReady();
    surfaces.ready();
    return await new SignalHandler(operator, surfaces.service).run(signals);
  } finally {
    signals.close();
    await surfaces.close();
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
  readonly #operator: Operator;
  readonly #logger: Logger;
  readonly #service: ServiceManager;

  constructor(operator: Operator, service: ServiceManager) {
    this.#operator = operator;
    this.#service = service;
    this.#logger = operator.log.logger;
  }

  /** @returns the exit code */
  async run(signals: SignalQueue): Promise<number> {
    const { finished, gateway } = this.#operator;
    const broken = gateway.ended.then<Error | number>((error) => {
      // A drain may end the reactor before the answer to it has come.
      if (error === null && this.#operator.isShuttingDown) return finished;
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
        return this.#operator.shutDown('now');
    }
  }

  async #reload(): Promise<void> {
    this.#logger.info('got SIGHUP, re-reading config');
    await this.#service.reloading();
    if (!(await this.#operator.reload()).done) this.#logger.warn('config file loading failed');
    await this.#service.ready(`driver ${this.#operator.gateway.driver}`);
  }

  #shutDown(signal: 'SIGTERM' | 'SIGINT'): void {
    const { how, words } = SHUTDOWNS[signal];
    const rest = this.#operator.isShuttingDown ? ' while shutting down, fast exit' : `, ${words}`;
    this.#logger.info(`got ${signal}${rest}`);
    void this.#service.stopping(signal);
    this.#operator.shutDown(how);
  }

  /** The answer comes when the last server connection is released, which nobody waits for here. */
  async #pause(): Promise<void> {
    const { gateway } = this.#operator;
    const { state } = await gateway.snapshot();
    if (state !== 'active') return this.#logger.info('got SIGUSR1, but already paused/suspended');
    this.#logger.info('got SIGUSR1, pausing all activity');
    gateway.execute({ kind: 'pause', database: null }).then(
      (problem) => problem && this.#logger.error(problem.message),
      () => {
        // The reactor has ended, which its own promise tells.
      },
    );
  }

  async #resume(): Promise<void> {
    const { gateway, isShuttingDown } = this.#operator;
    if (isShuttingDown) return this.#logger.info('got SIGUSR2 while shutting down, ignoring');
    const { state } = await gateway.snapshot();
    const problem = await gateway.execute({ kind: 'resume', database: null });
    const from = problem
      ? 'but not paused/suspended'
      : `continuing from ${state === 'suspended' ? 'SUSPEND' : 'PAUSE'}`;
    this.#logger.info(`got SIGUSR2, ${from}`);
  }
}
