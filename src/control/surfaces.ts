/**
 * What shows a running gateway to operators and their machinery: console, HTTP, averages in the log, service manager; and
 * the socket at which a successor asks for its place.
 */
import { openConsole } from './console/admin-console.js';
import { FileWatch } from './file-watch.js';
import { isAlive } from './http/health.js';
import { type HttpListener, openHttp } from './http/http-listener.js';
import { StartError } from './listen-error.js';
import type { Operator } from './operator.js';
import { ServiceManager } from './service-manager.js';
import { StatsLog } from './stats-log.js';
import { HandoverServer } from './takeover/handover-server.js';
import type { Predecessor } from './takeover/predecessor.js';
import { takeoverPath } from './takeover/takeover-socket.js';

/** All of it, open. */
export interface Surfaces {
  readonly service: ServiceManager;
  /** Tells the service manager that clients are served. */
  ready(): void;
  close(): Promise<void>;
}

/**
 * Opens everything, and takes the place of `predecessor`; a gateway that can't be shown is stopped.
 * @throws {StartError} when `http_listen` can't be listened on
 */
export async function openSurfaces(operator: Operator, predecessor: Predecessor | null): Promise<Surfaces> {
  const { gateway } = operator;
  const { logger } = operator.log;
  // First: clients may have come to the console already.
  const adminConsole = openConsole(operator);
  const stats = new StatsLog(gateway, logger);
  const files = new FileWatch(operator);
  const service = new ServiceManager(logger);
  await replace(predecessor, operator);
  const http = await openHttpOr(operator, predecessor !== null);
  const handover = await openHandover(operator, http);
  return {
    service,
    ready() {
      void service.ready(`driver ${gateway.driver}`);
      service.watch(() => isAlive(operator));
    },
    async close() {
      stats.stop();
      files.stop();
      service.close();
      adminConsole.close();
      handover?.close();
      await http?.close();
    },
  };
}

/** One that doesn't let go has ended, or accepts clients beside this one. */
async function replace(predecessor: Predecessor | null, { log }: Operator): Promise<void> {
  if (predecessor === null) return;
  try {
    await predecessor.replace();
    log.logger.info(`the place of process ${predecessor.pid} is taken over`);
  } catch (error) {
    log.logger.warn((error as Error).message);
  }
}

/** A gateway that clients have come to in another one's place isn't given up for the sake of HTTP. */
async function openHttpOr(operator: Operator, isSuccessor: boolean): Promise<HttpListener | null> {
  try {
    return await openHttp(operator);
  } catch (error) {
    if (isSuccessor && error instanceof StartError) {
      operator.log.logger.error(error.message);
      return null;
    }
    await operator.gateway.stop();
    throw error;
  }
}

function openHandover(operator: Operator, http: HttpListener | null): Promise<HandoverServer | null> | null {
  const { gateway, log } = operator;
  const path = takeoverPath(gateway.config.values);
  if (path === null || !HandoverServer.isPossible()) return null;
  return HandoverServer.open(path, operator, async () => {
    await gateway.handOver();
    await http?.close();
    const { clients } = await gateway.snapshot();
    log.logger.info(`another process has taken over; ${clients} clients stay until they leave`);
    operator.shutDown('successor');
  });
}
