/** Which cluster a command speaks of: by a configuration file, or by its store. */
import type { Command } from 'commander';
import type { ClusterAccess } from '../../config/cluster-access.js';
import type { Store } from '../../stores/store.js';
import { UsageError } from '../usage-error.js';

/** Exit code of every command on clusters whose store can't be reached. */
export const STORE_FAILED = 3;

/** The options that all commands on clusters have. */
export interface ClusterFlags {
  readonly config?: string;
  readonly store?: string;
  readonly cluster?: string;
  readonly json?: true;
}

/** Where a file is looked for. */
const DEFAULT_FILES = ['/etc/sluice/agent.yaml', '/etc/sluice/sluice.yaml'] as const;

const NO_CLUSTER = `which cluster? Name a configuration file that has a section "cluster", or the store, for example
  --config agent.yaml
  --store http://10.0.0.1:2379,http://10.0.0.2:2379 --cluster main
  --store /run/sluice/store.sock`;

/** What the help of such a command says of it. */
export const CLUSTER_HELP = `
The cluster is the one of the section "cluster" in --config FILE (an agent's or a gateway's), in the file that SLUICE_CONFIG
names, or in ${DEFAULT_FILES.join(' or ')}. --store needs no file: the URLs of etcd, or the socket of an
embedded store.`;

/** Adds them. */
export function clusterOptions(command: Command): Command {
  return command
    .option('-c, --config <FILE>', 'a file with the section "cluster"')
    .option('--store <PLACE>', 'URLs of etcd with commas between, or the socket of an embedded store')
    .option('--cluster <NAME>', "the cluster's name in that store (default: main)")
    .option('--json', 'print JSON');
}

/**
 * Opens the store, lets it be used, and closes it. A store that fails is told in one line, and is exit code 3; a wish that
 * nobody can obey is told with what to do instead, and is exit code 1.
 */
export async function withCluster(
  flags: ClusterFlags,
  work: (store: Store, cluster: ClusterAccess) => Promise<void>,
): Promise<void> {
  const cluster = await clusterOf(flags);
  const [{ openStore }, { StoreError }, { WishRefused }] = await Promise.all([
    import('../../stores/open-store.js'),
    import('../../stores/store.js'),
    import('../../stores/wishes.js'),
  ]);
  let store: Store | null = null;
  try {
    store = openStore(cluster);
    await work(store, cluster);
  } catch (error) {
    if (error instanceof StoreError) {
      process.stderr.write(`sluice: the store can't be asked: ${error.message}\n`);
      process.exitCode = STORE_FAILED;
    } else if (error instanceof WishRefused) {
      process.stderr.write(`sluice: ${error.message}\n  -> ${error.advice}\n`);
      process.exitCode = 1;
    } else throw error;
  } finally {
    await store?.close();
  }
}

async function clusterOf({ config, store, cluster }: ClusterFlags): Promise<ClusterAccess> {
  const { loadClusterFile, parseStorePlace } = await import('../../config/cluster-file.js');
  if (store !== undefined) return parseStorePlace(store, cluster ?? 'main');
  const file = config ?? process.env.SLUICE_CONFIG ?? (await firstThere(DEFAULT_FILES));
  if (file === null) throw new UsageError(NO_CLUSTER);
  const access = await loadClusterFile(file);
  return cluster === undefined ? access : { ...access, name: cluster };
}

async function firstThere(files: readonly string[]): Promise<string | null> {
  const { access } = await import('node:fs/promises');
  for (const file of files) {
    const isThere = await access(file).then(
      () => true,
      () => false,
    );
    if (isThere) return file;
  }
  return null;
}
