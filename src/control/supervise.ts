/** Runs one gateway as a service: from start to the signal that ends it. */
import type { SluiceConfig } from '../config/load.js';
import { ConfigError, formatProblem } from '../config/problem.js';
import { type RunningGateway, startGateway } from './gateway-process.js';
import type { Logger } from './logging.js';

/** Within this time, the same signal is the same Ctrl-C, delivered twice: package runners pass it on as well. */
const SAME_KEYSTROKE_MS = 1000;

/** What a supervised gateway is made of. */
export interface Supervision {
  readonly config: SluiceConfig;
  /** Reads the configuration again, at SIGHUP. Null: there is no file, so there is nothing to read again. */
  readonly reread: (() => Promise<SluiceConfig>) | null;
  readonly logger: Logger;
  /** Called once, when clients are accepted. */
  readonly onReady: (gateway: RunningGateway) => void;
}

/**
 * Starts the gateway and resolves with the process's exit code when SIGTERM or SIGINT has ended it: 0 for an
 * orderly end, 128 and the signal's number when a second signal cut it short.
 * @throws {StartError} when it can't start
 * @throws {Error} when it breaks down
 */
export async function superviseGateway({ config, reread, logger, onReady }: Supervision): Promise<number> {
  // Until it listens, a signal may simply end the process.
  const gateway = await startGateway(config, logger);
  const signals = new SignalQueue(['SIGHUP', 'SIGTERM', 'SIGINT']);
  try {
    onReady(gateway);
    for (;;) {
      const signal = await Promise.race([signals.next(), gateway.ended.then(asBreakdown)]);
      if (signal instanceof Error) throw signal;
      if (signal !== 'SIGHUP') return await endGateway(gateway, signal, signals, logger);
      await reloadGateway(gateway, reread, logger);
    }
  } finally {
    signals.close();
  }
}

/** A gateway that ends while nobody asked it to. */
function asBreakdown(error: Error | null): Error {
  return error ?? new Error('the reactor ended by itself');
}

async function endGateway(
  gateway: RunningGateway,
  signal: NodeJS.Signals,
  signals: SignalQueue,
  logger: Logger,
): Promise<number> {
  logger.info(`${signal}: shutting down (once more: at once)`);
  const second = await Promise.race([gateway.stop().then(() => null), impatience(signal, signals)]);
  if (second !== null) {
    logger.warn(`${second}: ending at once`);
    return second === 'SIGINT' ? 130 : 143;
  }
  logger.info('shut down');
  return 0;
}

/** The signal of somebody who waits. */
async function impatience(first: NodeJS.Signals, signals: SignalQueue): Promise<NodeJS.Signals> {
  const since = performance.now();
  for (;;) {
    const signal = await signals.next();
    const isEcho = signal === first && performance.now() - since < SAME_KEYSTROKE_MS;
    if (signal !== 'SIGHUP' && !isEcho) return signal;
  }
}

/** A configuration with mistakes changes nothing, and every mistake is told. */
async function reloadGateway(
  gateway: RunningGateway,
  reread: Supervision['reread'],
  logger: Logger,
): Promise<void> {
  if (reread === null) {
    logger.warn('SIGHUP: there is no configuration file to read again; everything stays as it is');
    return;
  }
  try {
    await gateway.reload(await reread());
    logger.info('SIGHUP: configuration reloaded');
  } catch (error) {
    const reasons = error instanceof ConfigError ? error.problems.map(formatProblem) : [String(error)];
    for (const reason of reasons) logger.error(reason);
    logger.error('SIGHUP: the configuration was not reloaded; everything stays as it was');
  }
}

/** Signals in the order in which they came, so that none is lost while another is being handled. */
class SignalQueue {
  readonly #signals: readonly NodeJS.Signals[];
  readonly #waiting: NodeJS.Signals[] = [];
  #wake: () => void = () => {};
  readonly #listener = (signal: NodeJS.Signals): void => {
    this.#waiting.push(signal);
    this.#wake();
  };

  constructor(signals: readonly NodeJS.Signals[]) {
    this.#signals = signals;
    for (const signal of signals) process.on(signal, this.#listener);
  }

  /** The next signal; one reader at a time. */
  async next(): Promise<NodeJS.Signals> {
    for (;;) {
      const signal = this.#waiting.shift();
      if (signal !== undefined) return signal;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    for (const signal of this.#signals) process.off(signal, this.#listener);
  }
}
