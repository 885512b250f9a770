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
  | { readonly kind: 'embedded'; readonly socketPath: string }
  | {
      readonly kind: 'kubernetes';
      /** Null: what the pod knows. */
      readonly namespace: string | null;
      readonly server: string | null;
      /** Paths of files that are replaced from time to time. */
      readonly tokenFile: string | null;
      readonly caFile: string | null;
    };

/** Keys that mean nothing without etcd. */
const ETCD_KEYS = ['user', 'password_file', 'ca_file', 'cert_file', 'key_file'] as const;
const ONE_STORE =
  'name one store: etcd: [http://10.0.0.1:2379, ...], kubernetes: {}, or embedded: /path/of/its/socket';
/** What a Lease can be called: kubernetes-settings.ts. */
const LEASE_NAME = /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/;

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

async function readStore(values: ClusterValues, section: Section): Promise<StoreAccess | null> {
  const { etcd, embedded, kubernetes } = values.store;
  if ([etcd, embedded, kubernetes].filter((one) => one !== undefined).length !== 1) {
    section.refuse(['store'], ONE_STORE);
    return null;
  }
  if (etcd !== undefined) return readEtcd(values, section, etcd);
  for (const key of ETCD_KEYS) {
    if (values.store[key] !== undefined)
      section.refuse(['store', key], 'this is a setting of etcd, and the store is another one');
  }
  if (kubernetes !== undefined) return readKubernetes(values, section, kubernetes);
  return { kind: 'embedded', socketPath: section.path(['store', 'embedded'], embedded as string) };
}

function readKubernetes(
  { name }: ClusterValues,
  section: Section,
  { namespace, server, token_file, ca_file }: NonNullable<ClusterValues['store']['kubernetes']>,
): StoreAccess {
  if (!LEASE_NAME.test(name)) {
    section.refuse(
      ['name'],
      'as the name of a Lease in Kubernetes it may hold a-z, 0-9 and -, up to 40 of them',
    );
  }
  const path = (key: 'token_file' | 'ca_file', value: string | undefined) =>
    value === undefined ? null : section.path(['store', 'kubernetes', key], value);
  return {
    kind: 'kubernetes',
    namespace: namespace ?? null,
    server: server ?? null,
    tokenFile: path('token_file', token_file),
    caFile: path('ca_file', ca_file),
  };
}

async function readEtcd(
  { store }: ClusterValues,
  section: Section,
  endpoints: readonly string[],
): Promise<StoreAccess> {
  const { user, password_file } = store;
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
    endpoints,
    user: user ?? null,
    password: password?.replace(/\r?\n$/, '') ?? null,
    ...{ ca, cert, key },
  };
}
