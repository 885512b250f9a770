/** The store that a configuration names. */
import { readFileSync } from 'node:fs';
import type { ClusterAccess, StoreAccess } from '../config/cluster-access.js';
import { EmbeddedStore } from './embedded/embedded-store.js';
import { EtcdStore } from './etcd/etcd-store.js';
import { type KubernetesSettings, podSettings } from './kubernetes/kubernetes-settings.js';
import { KubernetesStore } from './kubernetes/kubernetes-store.js';
import type { Store, StoreSettings } from './store.js';

/** One request's part of a lease: so many may fail before it is in danger. */
const REQUEST_PART = 5;
/** The longest that one request may take. ms. */
const REQUEST_MS_MAX = 2000;

/**
 * Opens it; nothing is asked yet.
 * @throws {StoreError} if what the configuration says of it can't be right
 */
export function openStore(cluster: ClusterAccess, clock: () => number = () => performance.now()): Store {
  const { name, leaseMs, store } = cluster;
  const requestMs = Math.min(REQUEST_MS_MAX, Math.ceil(leaseMs / REQUEST_PART));
  // A member is there as long as a leader is; a watch that has lost its way costs no more than a late request.
  const settings: StoreSettings = { leaseMs, memberMs: leaseMs, requestMs, refreshMs: requestMs, clock };
  if (store.kind === 'embedded') return new EmbeddedStore(store.socketPath, settings);
  if (store.kind === 'kubernetes') return new KubernetesStore(kubernetesOf(name, store), settings);
  const { endpoints, user, password, ca, cert, key } = store;
  const tls = { ...(ca !== null && { ca }), ...(cert !== null && { cert }), ...(key !== null && { key }) };
  const login = user === null ? {} : { user, password: password ?? '' };
  return new EtcdStore({ endpoints, prefix: `/sluice/${name}`, ...login, tls }, settings);
}

/** How a pod reaches the Kubernetes API whose cluster agrees elsewhere. Throws a StoreError if this is no pod. */
export function thisPod(): KubernetesSettings {
  return kubernetesOf('pod', { namespace: null, server: null, tokenFile: null, caFile: null });
}

/**
 * How the Kubernetes API is reached: as the store says, or as a pod knows it.
 * @throws {StoreError} if neither does
 */
export function kubernetesOf(
  name: string,
  { namespace, server, tokenFile, caFile }: Omit<Extract<StoreAccess, { kind: 'kubernetes' }>, 'kind'>,
): KubernetesSettings {
  const said = Object.entries({ namespace, server, tokenFile, caFile }).filter(([, value]) => value !== null);
  return podSettings(process.env, { name, ...Object.fromEntries(said) }, (path) => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return null;
    }
  });
}
