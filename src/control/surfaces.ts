/** What shows a running gateway to operators and their machinery: console, HTTP, averages in the log, service manager. */
import { openConsole } from './console/admin-console.js';
import { isAlive } from './http/health.js';
import { openHttp } from './http/http-listener.js';
import type { Operator } from './operator.js';
import { ServiceManager } from './service-manager.js';
import { StatsLog } from './stats-log.js';

/** All of it, open. */
export interface Surfaces {
  readonly service: ServiceManager;
  /** Tells the service manager that clients are served. */
  ready(): void;
  close(): Promise<void>;
}

/**
 * Opens everything; a gateway that can't be shown is stopped.
 * @throws {StartError} when `http_listen` can't be listened on
 */
export async function openSurfaces(operator: Operator): Promise<Surfaces> {
  const { gateway } = operator;
  const { logger } = operator.log;
  const http = await openHttp(operator).catch(async (error) => {
    await gateway.stop();
    throw error;
  });
  const service = new ServiceManager(logger);
  const adminConsole = openConsole(operator);
  const stats = new StatsLog(gateway, logger);
  return {
    service,
    ready() {
      void service.ready(`driver ${gateway.driver}`);
      service.watch(() => isAlive(operator));
    },
    async close() {
      stats.stop();
      service.close();
      adminConsole.close();
      await http?.close();
    },
  };
}
