/** Sluice before a primary and two standbys, routing with strong consistency. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { availableDrivers } from '../harness/drivers.js';
import { GatewayUnderTest } from '../harness/gateway-under-test.js';
import type { PostgresServer } from '../harness/postgres-server.js';
import { GATEWAY_SETTINGS, gatewayTarget, type Target } from './targets.js';

const STANDBYS = 2;
const STANDBY_SETTINGS = {
  /** With feedback what standbys read keeps VACUUM from marking pages as visible to all, and plans differ from direct ones. */
  hot_standby_feedback: 'off',
  /** The primary is restarted for the next standby: who came back after the usual 5 s found the WAL of that time removed. */
  wal_retrieve_retry_interval: '100ms',
};
/** Of transactions on one standby in a whole run: what the gateway itself asks there is less. */
const LEAST_TRANSACTIONS = 100;

/** The server becomes the primary of new standbys. @param database the suite's, which standbys must have served */
export async function openRouted(primary: PostgresServer, folder: string, database: string): Promise<Target> {
  const standbys: PostgresServer[] = [];
  const discard = async (): Promise<void> => {
    for (const [index, standby] of standbys.entries()) {
      writeFileSync(join(folder, `standby-${index + 1}.log`), standby.log);
      await standby.discard();
    }
  };
  try {
    for (let count = 0; count < STANDBYS; count++)
      standbys.push(await primary.startStandby(STANDBY_SETTINGS));
    const file = join(folder, 'sluice.yaml');
    const nodes = [...standbys, primary].map(({ host, port }) => `{ host: ${host}, port: ${port} }`);
    writeFileSync(file, `databases:\n  "*": { nodes: [${nodes.join(', ')}], consistency: strong }\n`);
    const gateway = await GatewayUnderTest.start({
      io: availableDrivers[0]!,
      server: [],
      file,
      settings: { ...GATEWAY_SETTINGS, pool_mode: 'transaction' },
    });
    const target = gatewayTarget(gateway, folder);
    return {
      port: target.port,
      stop: async () => {
        const failures = [await target.stop(), await idleStandbys(standbys, database)];
        await discard();
        return failures.filter((failure) => failure !== null).join('; ') || null;
      },
    };
  } catch (error) {
    await discard();
    throw error;
  }
}

/** A run in which the standbys did nothing says nothing of routing. @returns null: they did */
async function idleStandbys(standbys: readonly PostgresServer[], database: string): Promise<string | null> {
  const counts = await Promise.all(
    standbys.map(async (standby) => {
      const [row] = await standby.query(
        `SELECT xact_commit + xact_rollback AS count FROM pg_stat_database WHERE datname = '${database}'`,
      );
      return Number(row?.count ?? 0);
    }),
  );
  console.log(`    transactions on the standbys: ${counts.join(' and ')}`);
  return counts.some((count) => count < LEAST_TRANSACTIONS)
    ? 'the standbys have served next to nothing'
    : null;
}
