/** Pgpool-II in front of a primary and its standbys, as its documentation has it for streaming replication. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ServerUser } from '../src/agent/server-user.js';
import { Daemon, run } from './child-process.js';
import { readyTarget, type Target } from './poolers.js';
import { DATABASE, freePort, ownedFolder, type PostgresUnderTest, USER } from './postgres-under-test.js';

export const PGPOOL = 'Pgpool-II';

/** Shown in the report; what is not listed has its default. */
export const PGPOOL_SETTINGS: Readonly<Record<string, string | number>> = {
  backend_clustering_mode: 'streaming_replication',
  max_pool: 1,
  child_life_time: 0,
  load_balance_mode: 'on',
  statement_level_load_balance: 'on',
  sr_check_period: 10,
  delay_threshold: 10_000_000,
  health_check_period: 10,
};

/** e.g. `Pgpool-II 4.3.5`. */
export async function pgpoolVersion(program: string): Promise<string> {
  const { stdout, stderr } = await run(program, ['--version']);
  return `${PGPOOL} ${/version (\S+)/.exec(stdout + stderr)?.[1] ?? 'of an unknown version'}`;
}

/**
 * Its configuration for nodes of which the first is the primary. Reads go to the standbys alone, as with Sluice.
 * @param more settings, which win
 */
export function pgpoolConfiguration(
  nodes: readonly { readonly host: string; readonly port: number }[],
  ports: { readonly client: number; readonly control: number },
  folder: string,
  more: Readonly<Record<string, string | number>> = {},
): string {
  const settings: Record<string, string | number> = {
    ...PGPOOL_SETTINGS,
    listen_addresses: '127.0.0.1',
    port: ports.client,
    pcp_listen_addresses: '127.0.0.1',
    pcp_port: ports.control,
    unix_socket_directories: folder,
    pcp_socket_dir: folder,
    pid_file_name: join(folder, 'pgpool.pid'),
    logdir: folder,
    sr_check_user: USER,
    sr_check_database: DATABASE,
    health_check_user: USER,
    health_check_database: DATABASE,
    ...more,
  };
  nodes.forEach(({ host, port }, index) => {
    settings[`backend_hostname${index}`] = host;
    settings[`backend_port${index}`] = port;
    settings[`backend_weight${index}`] = index === 0 ? 0 : 1;
    settings[`backend_flag${index}`] = 'DISALLOW_TO_FAILOVER';
  });
  return Object.entries(settings)
    .map(([name, value]) => `${name} = ${typeof value === 'number' ? value : `'${value}'`}\n`)
    .join('');
}

/** Its processes a client, each of which serves one: so many that nobody waits for another one to go. */
export const PGPOOL_CHILDREN = 2;

/** Starts it for so many clients. Throws with its output if it does not come up. */
export async function startPgpool(
  program: string,
  clients: number,
  nodes: readonly PostgresUnderTest[],
  account: ServerUser | null,
  parent: string,
): Promise<Target> {
  const folder = await ownedFolder(join(parent, 'pgpool'), account);
  const client = await freePort();
  const file = join(folder, 'pgpool.conf');
  const ports = { client, control: await freePort() };
  const more = { num_init_children: PGPOOL_CHILDREN * clients };
  await writeFile(file, pgpoolConfiguration(nodes, ports, folder, more));
  const empty = join(folder, 'empty');
  await writeFile(empty, '');
  const daemon = new Daemon(PGPOOL, program, ['-n', '-f', file, '-F', empty, '-a', empty], {
    account,
    cwd: folder,
    stopSignal: 'SIGINT', // at once
  });
  return readyTarget(daemon, client, /successfully started/, { certificate: null });
}
