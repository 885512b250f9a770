/** The gateway of `sluice up`: in this process, in front of one PostgreSQL server, for every database on it. */
import { join } from 'node:path';
import { pino } from 'pino';
import { LOOPBACK } from '../agent/ports.js';
import { loadConfig } from '../config/load.js';
import { startGateway } from '../control/gateway-process.js';
import type { GatewayOrder, UpGateway } from './up-session.js';

/** Resolves when it accepts clients. Its log goes to `gateway.log`; what is a warning is told to the operator, too. */
export async function startUpGateway(order: GatewayOrder): Promise<UpGateway> {
  const config = await loadConfig({
    values: {
      listen_addr: LOOPBACK,
      listen_port: order.listenPort,
      pool_mode: 'transaction',
      auth_type: 'trust',
      // A benchmark's thousands of clients would fill the log.
      log_connections: false,
      log_disconnections: false,
      databases: { '*': { host: order.serverHost, port: order.serverPort } },
    },
  });
  const file = pino.destination({ dest: join(order.folder, 'gateway.log'), sync: true });
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
        file.end();
      },
    };
  } catch (error) {
    file.end();
    throw error;
  }
}

/** A line of the log as one sentence with its facts behind it. */
function readable(line: string): string {
  const { msg, level: _level, time: _time, ...facts } = JSON.parse(line) as Record<string, unknown>;
  const details = Object.entries(facts).map(([name, value]) => `${name}=${String(value)}`);
  return details.length === 0 ? `gateway: ${msg}` : `gateway: ${msg} (${details.join(', ')})`;
}
