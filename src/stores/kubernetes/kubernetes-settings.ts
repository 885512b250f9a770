/** Where the Kubernetes API is, and which of its objects are a cluster's. */
import { StoreError } from '../store.js';

/** How the Kubernetes API is reached. */
export interface KubernetesPlace {
  /** `https://10.96.0.1:443`; by `http:` a `kubectl proxy`. */
  readonly server: string;
  /** The file of the token, read again as it is replaced; null: none is shown. */
  readonly tokenFile: string | null;
  /** The file of the authority that has signed the server's certificate; null: those that Node.js knows. */
  readonly caFile: string | null;
}

/** The same, and what is kept there. */
export interface KubernetesSettings extends KubernetesPlace {
  readonly namespace: string;
  /** The name of the Lease; the members' begin with it. Two clusters of a namespace must not share one. */
  readonly name: string;
}

/** What may be said of it; the rest a pod knows by itself. */
export interface KubernetesChoice {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly server?: string | undefined;
  readonly tokenFile?: string | undefined;
  readonly caFile?: string | undefined;
}

/** Where Kubernetes puts a pod's credentials (kubernetes.io/docs: Managing Service Accounts). */
const ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';
/** A label's value, and short enough for the names of members behind it. */
const CLUSTER_NAME = /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/;
const NAMESPACE = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * Fills in what a pod knows: the address in `KUBERNETES_SERVICE_HOST`, the service account's files. The namespace is
 * `POD_NAMESPACE`, or what `readText` finds beside the token. Throws where neither the choice nor the pod says it.
 */
export function podSettings(
  environment: NodeJS.ProcessEnv,
  choice: KubernetesChoice,
  readText: (path: string) => string | null,
): KubernetesSettings {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port, POD_NAMESPACE } = environment;
  const server = choice.server ?? (host === undefined ? undefined : serverUrl(host, port ?? '443'));
  if (server === undefined) {
    throw unusable('this is no pod (KUBERNETES_SERVICE_HOST is not set): `server` must name the API server');
  }
  const namespace = choice.namespace ?? POD_NAMESPACE ?? readText(`${ACCOUNT_FOLDER}/namespace`)?.trim();
  if (namespace === undefined) throw unusable('`namespace` must say where the cluster’s Lease is');
  const isPod = choice.server === undefined;
  return checked({
    server,
    tokenFile: choice.tokenFile ?? (isPod ? `${ACCOUNT_FOLDER}/token` : null),
    caFile: choice.caFile ?? (isPod ? `${ACCOUNT_FOLDER}/ca.crt` : null),
    namespace,
    name: choice.name,
  });
}

/** The same settings, or an error that says which one can't be. */
export function checked(settings: KubernetesSettings): KubernetesSettings {
  const { server, namespace, name } = settings;
  const url = URL.canParse(server) ? new URL(server) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.pathname !== '/') {
    throw unusable('`server` must be like https://10.96.0.1:443');
  }
  if (url.username !== '' || url.search !== '') throw unusable('`server` must hold no user and no query');
  if (!NAMESPACE.test(namespace)) throw unusable(`${JSON.stringify(namespace)} is no name of a namespace`);
  if (!CLUSTER_NAME.test(name)) {
    throw unusable(`${JSON.stringify(name)} is no name for a Lease: up to 40 of a-z, 0-9 and -`);
  }
  return settings;
}

function serverUrl(host: string, port: string): string {
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function unusable(message: string): StoreError {
  return new StoreError('protocol', `Kubernetes store: ${message}`);
}
