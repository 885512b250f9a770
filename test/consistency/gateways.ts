/** Two gateways in front of one cluster, as two processes that know nothing of each other. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { availableDrivers } from '../harness/drivers.js';
import { type Driver, GatewayUnderTest } from '../harness/gateway-under-test.js';
import { DATABASE } from '../harness/postgres-server.js';
import { scratchFolder } from '../harness/scratch.js';
import type { Cluster } from './cluster.js';
import { BOUND_MS, type Mode } from './verdict.js';

/** Enough for all sessions. */
export const POOL_SIZE = 20;
/** Longer than the default, so that more reads are standbys': reads of the primary prove nothing. */
const WAIT_MS = 50;

/** How the mode of consistency is asked for: by the database's entry, or by each session's own SET. */
export const WAYS = ['database', 'session'] as const;
export type Way = (typeof WAYS)[number];

/** A pooling tier: before each routing gateway one that only pools. */
export async function startPoolers(
  routing: readonly GatewayUnderTest[],
  drivers: readonly Driver[] = availableDrivers,
): Promise<GatewayUnderTest[]> {
  const io = drivers[0]!;
  const settings = { pool_mode: 'transaction', default_pool_size: POOL_SIZE };
  return Promise.all(routing.map((server) => GatewayUnderTest.start({ io, server, settings })));
}

/**
 * Starts one gateway on each of the drivers; one driver twice where there is only one.
 * @param poolSize server connections to each node
 */
export async function startGateways(
  cluster: Cluster,
  mode: Mode,
  poolSize: number,
  drivers: readonly Driver[] = availableDrivers,
): Promise<GatewayUnderTest[]> {
  const file = join(scratchFolder('routing'), 'sluice.yaml');
  const nodes = cluster.nodes.map(({ host, port }) => `{ host: ${host}, port: ${port} }`);
  // The standbys first: the order of a list says nothing of who is the primary.
  const lines = [
    'databases:',
    `  ${DATABASE}:`,
    `    nodes: [${nodes.reverse().join(', ')}]`,
    `    consistency: ${mode}`,
    'pool_mode: transaction',
    `default_pool_size: ${poolSize}`,
    `bounded_staleness: ${BOUND_MS}ms`,
    `standby_wait: ${WAIT_MS}ms`,
    // What is off by default must keep the promise, too.
    'balance_leading_reads: on',
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  const gateways: GatewayUnderTest[] = [];
  try {
    for (const io of [drivers[0]!, drivers[1] ?? drivers[0]!]) {
      gateways.push(await GatewayUnderTest.start({ io, server: [], file }));
    }
    return gateways;
  } catch (error) {
    await Promise.all(gateways.map((gateway) => gateway.stop()));
    throw error;
  }
}
