/** Brings a gateway to its end so that clients lose nothing but their place: delay, drain, close. */
import { setTimeout } from 'node:timers/promises';
import type { Operator } from './operator.js';

/**
 * Says that the gateway isn't ready, goes on serving for `drain_delay`, then accepts nobody any more and closes each
 * client between two transactions (57P01); what still runs after `drain_timeout` is closed too. Resolves when nothing
 * is left. A second wish to end it, which the caller has to hear, simply doesn't wait for this.
 */
export async function drainGateway(operator: Operator): Promise<void> {
  const { gateway, log } = operator;
  const { drain_delay: delayMs, drain_timeout: timeoutMs } = gateway.config.values;
  operator.announceEnd();
  if (delayMs > 0) {
    log.logger.info(`not ready any more; clients are served for ${delayMs / 1000} s as before (drain_delay)`);
    await setTimeout(delayMs);
  }
  if (timeoutMs > 0) {
    const { clients } = await gateway.snapshot();
    if (clients > 0) {
      log.logger.info(
        `closing ${clients} clients as their transactions end, at the latest after ${timeoutMs / 1000} s (drain_timeout)`,
      );
    }
    const problem = await gateway.execute({ kind: 'drain', until: 'transactions', deadlineMs: timeoutMs });
    if (problem) log.logger.error(problem.message);
  }
  await gateway.stop();
}
