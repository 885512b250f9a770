/**
 * `node dist/test/load/ten-thousand-clients.js [--clients 10000] [--queries 5] [--pool 20] [--io uring]`
 * Ends with 0 when there was no error and the server never had more connections than the pool allows.
 */
import { parseArgs } from 'node:util';
import { availableDrivers } from '../harness/drivers.js';
import type { Driver } from '../harness/gateway-under-test.js';
import { runLoad } from './many-clients.js';

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '10000' },
    queries: { type: 'string', default: '5' },
    pool: { type: 'string', default: '20' },
    io: { type: 'string' },
  },
});
const drivers = values.io === undefined ? availableDrivers : [values.io as Driver];
const poolSize = Number(values.pool);
let failed = false;
for (const io of drivers) {
  const report = await runLoad({
    io,
    clients: Number(values.clients),
    queriesEach: Number(values.queries),
    poolSize,
  });
  const { p50, p99, max } = report.latencyMs;
  console.log(
    `${io}: ${report.clients} clients in ${seconds(report.connectMs)}, ${report.queries} queries in ` +
      `${seconds(report.queryMs)} (latency p50 ${p50.toFixed(0)}, p99 ${p99.toFixed(0)}, max ${max.toFixed(0)} ms), ` +
      `${report.serverConnections} server connections at most, ` +
      `${(report.bytesPerIdleClient / 1024).toFixed(1)} KB per idle client, ${report.errors.length} kinds of errors`,
  );
  for (const error of report.errors.slice(0, 5)) console.log(`  ${error}`);
  failed ||= report.errors.length > 0 || report.serverConnections > poolSize;
}
process.exitCode = failed ? 1 : 0;

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
