/** The gateway of `sluice up`: in this process, in front of the demo's PostgreSQL servers, for every database on them. */
import { join } from 'node:path';
import { pino } from 'pino';
import { SUPERUSER } from '../agent/data-directory.js';
import { LOOPBACK } from '../agent/ports.js';
import { loadConfig } from '../config/load.js';
import { startGateway } from '../control/gateway-process.js';
import { LogFile } from '../control/log-file.js';
import type { ReportSubject } from '../core/io.js';
import type { GatewayOrder, UpGateway } from './up-session.js';

/** Resolves when it accepts clients. Its log goes to `gateway.log`; what is a warning is told to the operator, too. */
export async function startUpGateway(order: GatewayOrder): Promise<UpGateway> {
  const config = await loadConfig({
    values: {
      listen_addr: LOOPBACK,
      listen_port: order.listenPort,
      pool_mode: 'transaction',
      auth_type: 'trust',
      // They are superusers of the servers behind it, too.
      admin_users: SUPERUSER,
      // A benchmark's thousands of clients would fill the log.
      log_connections: false,
      log_disconnections: false,
      ...clusterOf(order),
    },
  });
  const file = new LogFile(join(order.folder, 'gateway.log'));
  const logger = pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.multistream([
      { level: 'info', stream: file },
      { level: 'warn', stream: { write: (line: string) => order.onWarning(readable(line)) } },
    ]),
  );
  try {
    const gateway = await startGateway(config, logger);
    return {
      driver: gateway.driver,
      driverReason: gateway.driverReason,
      stop: async () => {
        await gateway.stop();
        file.close();
      },
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

function clusterOf({ cluster, nodes }: GatewayOrder) {
  if (cluster === null) return { databases: { '*': databaseOf(nodes) } };
  const { name, storeSocket } = cluster;
  return {
    cluster: { name, store: { embedded: storeSocket } },
    databases: { '*': { cluster: name } },
  };
}

function databaseOf(nodes: GatewayOrder['nodes']) {
  const [only, ...others] = nodes;
  return only !== undefined && others.length === 0
    ? { host: only.host, port: only.port }
    : { nodes: [...nodes] };
}

/** A line of the log (JSON) as one sentence, with whom it is about and its facts behind it. */
export function readable(line: string): string {
  const { msg, level: _level, time: _time, subject, ...facts } = JSON.parse(line) as Record<string, unknown>;
  const details = Object.entries(facts).map(([name, value]) => `${name}=${String(value)}`);
  if (subject !== undefined) details.unshift(whom(subject as ReportSubject));
  return details.length === 0 ? `gateway: ${msg}` : `gateway: ${msg} (${details.join(', ')})`;
}

function whom({ side, user, database, address }: ReportSubject): string {
  return `${side} ${user ?? '?'}@${address}, database ${database ?? '?'}`;
}
