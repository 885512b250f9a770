/** Check 4: an old primary comes back as its service, or somebody, starts it. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../harness/until.js';
import { GATEWAYS } from '../clusters/cluster-under-test.js';
import { type DatabaseNode, POSTGRES_PORT, postgresFolder } from '../clusters/database-node.js';
import type { SluiceCluster } from '../clusters/sluice-cluster.js';
import type { Fault, Stricken } from '../faults.js';
import { Program, signalAll } from '../ground/program.js';
import { type Check, type Scene, underFault } from './check.js';

/** How long a stale primary is there for anybody who might take it for one, in ms. */
const TEMPTATION_MS = 3_000;
const READS = 40;
const BY_HAND = -4;

/**
 * What a system's service does, or a person, with the agent's own configuration: without that, nobody beyond the machine would reach
 * it. It fails where a PostgreSQL runs already.
 */
async function startByHand(node: DatabaseNode): Promise<void> {
  const log = join(node.folder, 'by-hand.log');
  const own = (file: string): string => join(`${node.data}.sluice`, file);
  const settings = {
    config_file: own('postgresql.conf'),
    hba_file: own('pg_hba.conf'),
    ident_file: own('pg_ident.conf'),
    listen_addresses: node.place.listens,
    port: POSTGRES_PORT,
    unix_socket_directories: node.folder,
  };
  const options = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
  const server = [
    '-D',
    node.data,
    '-o',
    options.join(' '),
    '-l',
    join(node.folder, 'by-hand-postgresql.log'),
  ];
  const args = [...server, '-w', '-t', '20', 'start'];
  const run = { program: join(postgresFolder(), 'pg_ctl'), args, asServer: true, cwd: node.folder };
  const command = new Program(node.place, 'pg_ctl', log, run);
  await until('pg_ctl to end', () => command.ended, 30_000);
}

/** How often a node has read the set. It counts a while after it has done so. */
async function scans(node: DatabaseNode): Promise<number> {
  const [row] = await node.query("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'chaos_set'");
  return Number(row?.seq_scan ?? 0);
}

/** Reads by way of both gateways for a while, and throws if the node answers one. */
async function demandNoReads({ gateways }: SluiceCluster, node: DatabaseNode): Promise<void> {
  const before = await scans(node);
  for (const name of GATEWAYS) {
    const client = gateways.client(name);
    await client.connect();
    for (let i = 0; i < READS; i++) await client.query('SELECT number FROM chaos_set LIMIT 1');
    await client.end();
  }
  await pause(TEMPTATION_MS);
  const reads = (await scans(node)) - before;
  if (reads > 0) throw new Error(`${node.name} was given ${reads} reads`);
}

/** The agent dies, and PostgreSQL with it; when another leads, PostgreSQL is started without an agent. */
function withoutAgent({ cluster }: Scene, isMadeWritable: boolean): Fault {
  return {
    what: 'the agent is killed; when another node leads, the old PostgreSQL is started by hand',
    takesOver: true,
    isSilent: true,
    begin: async ({ primary }: Stricken) => {
      const { postmaster } = primary;
      signalAll([cluster.managerOf(primary)], 'SIGKILL');
      await until('the guard to end PostgreSQL', () => primary.postmaster !== postmaster);
    },
    end: async ({ primary }: Stricken) => {
      if (isMadeWritable) rmSync(join(primary.data, 'standby.signal'), { force: true });
      await startByHand(primary);
      if ((await primary.isWritable()) !== isMadeWritable)
        throw new Error(`${primary.name}, started by hand, is ${isMadeWritable ? 'not ' : ''}writable`);
      if (isMadeWritable)
        await primary.query(
          `SET synchronous_commit = local; INSERT INTO chaos_set VALUES (${BY_HAND}, 'by hand')`,
        );
      await demandNoReads(cluster, primary);
      await cluster.boot(primary);
    },
  };
}

/** PostgreSQL dies, and is started by hand beside its agent. */
const BESIDE_AGENT: Fault = {
  what: 'the postmaster is killed, and started by hand at once, and again when another node leads',
  begin: async ({ primary }) => {
    signalAll([primary.postmaster!], 'SIGKILL');
    await startByHand(primary);
  },
  end: ({ primary }) => startByHand(primary),
};

export const STALE_PRIMARY: Check = {
  number: 4,
  name: 'a stale primary that is started again gets nothing, and comes back as a standby',
  parts: [
    underFault({ what: 'beside its agent', fault: BESIDE_AGENT }),
    underFault({ what: 'without an agent', fault: (scene) => withoutAgent(scene, false) }),
    underFault({
      what: 'without an agent, made writable by hand',
      fault: (scene) => withoutAgent(scene, true),
      more: async (_, { cluster }) => {
        const rows = await Promise.all(
          cluster.nodes.map((node) => node.query(`SELECT FROM chaos_set WHERE number = ${BY_HAND}`)),
        );
        return rows.some((found) => found.length > 0)
          ? ['what the stale primary was given is still there']
          : [];
      },
    }),
  ],
};
