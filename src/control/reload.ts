/** Reads the configuration of a running gateway again. */
import { rereadConfig } from '../config/load.js';
import { ConfigError, formatProblem } from '../config/problem.js';
import type { RunningGateway } from './gateway-process.js';
import type { ProcessLog } from './logging.js';

/** What became of a reload. */
export interface ReloadOutcome {
  readonly done: boolean;
  /** Why it was not done: every mistake that was found, with its place; without secrets. */
  readonly problems: readonly string[];
}

/**
 * Reads the gateway's sources again and applies what can be applied without dropping a client; log files are opened
 * again. A configuration with mistakes changes nothing: every mistake is logged and told. Never throws.
 */
export async function rereadGateway(gateway: RunningGateway, log: ProcessLog): Promise<ReloadOutcome> {
  try {
    const config = await rereadConfig(gateway.config);
    log.configure(config.values);
    await gateway.reload(config);
    return { done: true, problems: [] };
  } catch (error) {
    const problems =
      error instanceof ConfigError
        ? error.problems.map(formatProblem)
        : [error instanceof Error ? error.message : String(error)];
    for (const problem of problems) log.logger.error(problem);
    return { done: false, problems };
  }
}
