/** What the section `cluster` means: which store, with the secrets that stand in files. */
import type { OriginMap } from './origin-map.js';
import type { Problem } from './problem.js';
import type { ClusterValues } from './schema/cluster.js';
import { Section } from './section.js';

/** Shorter ones would end by every hiccup, longer ones keep a cluster without a primary. ms. */
const LEASE_MS = [2000, 60_000] as const;

/** A cluster, and how its store is reached. Holds secrets. */
export interface ClusterAccess {
  readonly name: string;
  /** How long silence of a leader lasts before another one is elected. ms. */
  readonly leaseMs: number;
  readonly store: StoreAccess;
}

/** Which store, and what it takes to speak with it. */
export type StoreAccess =
  | {
      readonly kind: 'etcd';
      readonly endpoints: readonly string[];
      readonly user: string | null;
      readonly password: string | null;
      /** PEM texts; null: not configured. */
      readonly ca: string | null;
      readonly cert: string | null;
      readonly key: string | null;
    }
  | { readonly kind: 'embedded'; readonly socketPath: string };

/** Keys that mean nothing without etcd. */
const ETCD_KEYS = ['user', 'password_file', 'ca_file', 'cert_file', 'key_file'] as const;
const ONE_STORE = 'name one store: etcd: [http://10.0.0.1:2379, ...], or embedded: /path/of/its/socket';

/**
 * Reads the files that the section names. Adds what is wrong to the problems, and then returns null.
 * @param at where the section stands
 */
export async function readClusterAccess(
  values: ClusterValues,
  origins: OriginMap,
  problems: Problem[],
  at: readonly string[] = ['cluster'],
): Promise<ClusterAccess | null> {
  const section = new Section(origins, problems, at);
  const { name, lease: leaseMs } = values;
  if (leaseMs < LEASE_MS[0] || leaseMs > LEASE_MS[1])
    section.refuse(['lease'], 'a lease lasts from 2s to 60s');
  const store = await readStore(values, section);
  return section.isRefused || store === null ? null : { name, leaseMs, store };
}

async function readStore({ store }: ClusterValues, section: Section): Promise<StoreAccess | null> {
  const { etcd: endpoints, embedded, user, password_file } = store;
  if ((endpoints === undefined) === (embedded === undefined)) {
    section.refuse(['store'], ONE_STORE);
    return null;
  }
  if (embedded !== undefined) {
    for (const key of ETCD_KEYS) {
      if (store[key] !== undefined)
        section.refuse(['store', key], 'this is a setting of etcd, and the store is another one');
    }
    return { kind: 'embedded', socketPath: section.path(['store', 'embedded'], embedded) };
  }
  if (user === undefined && password_file !== undefined) {
    section.refuse(['store', 'password_file'], 'whose password? It belongs to user, which is missing');
  }
  if ((store.cert_file === undefined) !== (store.key_file === undefined)) {
    section.refuse(['store'], 'cert_file and key_file belong together');
  }
  const read = (key: 'password_file' | 'ca_file' | 'cert_file' | 'key_file') =>
    section.read(['store', key], store[key]);
  const [password, ca, cert, key] = await Promise.all([
    read('password_file'),
    read('ca_file'),
    read('cert_file'),
    read('key_file'),
  ]);
  return {
    kind: 'etcd',
    endpoints: endpoints as string[],
    user: user ?? null,
    password: password?.replace(/\r?\n$/, '') ?? null,
    ...{ ca, cert, key },
  };
}
