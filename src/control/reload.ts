/** Reads the configuration of a running gateway again. */
import { rereadConfig } from '../config/load.js';
import { ConfigError, formatProblem } from '../config/problem.js';
import type { RunningGateway } from './gateway-process.js';
import type { ProcessLog } from './logging.js';

/**
 * Reads the gateway's sources again and applies what can be applied without dropping a client; log files are opened
 * again. A configuration with mistakes changes nothing: every mistake is logged, and the answer is false. Never throws.
 */
export async function rereadGateway(gateway: RunningGateway, log: ProcessLog): Promise<boolean> {
  try {
    const config = await rereadConfig(gateway.config);
    log.configure(config.values);
    await gateway.reload(config);
    return true;
  } catch (error) {
    const reasons = error instanceof ConfigError ? error.problems.map(formatProblem) : [String(error)];
    for (const reason of reasons) log.logger.error(reason);
    return false;
  }
}
