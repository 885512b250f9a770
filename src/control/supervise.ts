/** Runs one gateway as a service: from start to the signal that ends it. */
import type { SluiceConfig } from '../config/load.js';
import { drainGateway } from './drain.js';
import type { RunningGateway } from './gateway-process.js';
import type { Logger, ProcessLog } from './logging.js';
import { Operator } from './operator.js';
import type { ServiceManager } from './service-manager.js';
import { SignalQueue } from './signal-queue.js';
import { openSurfaces } from './surfaces.js';
import { beginGateway } from './takeover/beginning.js';

/** Within this time, the same signal is the same Ctrl-C, delivered twice: package runners pass it on as well. */
const SAME_KEYSTROKE_MS = 1000;

/** What a supervised gateway is made of. */
export interface Supervision {
  readonly config: SluiceConfig;
  /** Take the place of a running process with the same configuration, if there is one. */
  readonly takeover: boolean;
  /** Configured for `config` already. */
  readonly log: ProcessLog;
  /** Called once, when clients are accepted. */
  readonly onReady: (gateway: RunningGateway) => void;
}

/**
 * Starts the gateway and resolves with the process's exit code when SIGTERM or SIGINT has ended it: 0 for an
 * orderly end, 128 and the signal's number when a second signal cut it short.
 * @throws {StartError} when it can't start
 * @throws {Error} when it breaks down
 */
export async function superviseGateway({ config, takeover, log, onReady }: Supervision): Promise<number> {
  const { logger } = log;
  // Until it listens, a signal may simply end the process.
  const { gateway, predecessor } = await beginGateway(config, logger, { takeover });
  const operator = new Operator(gateway, log);
  const signals = new SignalQueue(['SIGHUP', 'SIGTERM', 'SIGINT']);
  const surfaces = await openSurfaces(operator, predecessor);
  try {
    onReady(gateway);
    surfaces.ready();
    return await obeySignals(operator, signals, surfaces.service);
  } finally {
    signals.close();
    await surfaces.close();
  }
}

async function obeySignals(
  operator: Operator,
  signals: SignalQueue,
  service: ServiceManager,
): Promise<number> {
  const { gateway } = operator;
  const broken = gateway.ended.then(asBreakdown);
  for (;;) {
    const signal = await Promise.race([signals.next(), operator.finished, broken]);
    if (signal instanceof Error) throw signal;
    if (signal === 'SIGHUP') {
      await service.reloading();
      await rereadAtSignal(operator);
      await service.ready(`driver ${gateway.driver}`);
      continue;
    }
    void service.stopping(typeof signal === 'number' ? 'SHUTDOWN' : signal);
    // The console's SHUTDOWN has waited already for what it was to wait for.
    const end = typeof signal === 'number' ? gateway.stop() : drainGateway(operator);
    return await endGateway(
      end,
      typeof signal === 'number' ? 'SHUTDOWN' : signal,
      signals,
      operator.log.logger,
    );
  }
}

/** A gateway that ends while nobody asked it to. */
function asBreakdown(error: Error | null): Error {
  return error ?? new Error('the reactor ended by itself');
}

async function endGateway(
  end: Promise<void>,
  signal: NodeJS.Signals | 'SHUTDOWN',
  signals: SignalQueue,
  logger: Logger,
): Promise<number> {
  logger.info(`${signal}: shutting down (once more: at once)`);
  const second = await Promise.race([end.then(() => null), impatience(signal, signals)]);
  if (second !== null) {
    logger.warn(`${second}: ending at once`);
    return second === 'SIGINT' ? 130 : 143;
  }
  logger.info('shut down');
  return 0;
}

/** The signal of somebody who waits. */
async function impatience(first: NodeJS.Signals | 'SHUTDOWN', signals: SignalQueue): Promise<NodeJS.Signals> {
  const since = performance.now();
  for (;;) {
    const signal = await signals.next();
    const isEcho = signal === first && performance.now() - since < SAME_KEYSTROKE_MS;
    if (signal !== 'SIGHUP' && !isEcho) return signal;
  }
}

async function rereadAtSignal(operator: Operator): Promise<void> {
  const { gateway, log } = operator;
  if (gateway.config.sources.file === undefined) {
    log.logger.warn('SIGHUP: there is no configuration file to read again; everything stays as it is');
  } else if ((await operator.reload()).done) {
    log.logger.info('SIGHUP: configuration reloaded');
  } else {
    log.logger.error('SIGHUP: the configuration was not reloaded; everything stays as it was');
  }
}
