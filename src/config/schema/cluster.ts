/** The section `cluster`, which agents, gateways and commands share: its name, and the store in which it agrees on who leads. */
import * as z from 'zod';
import { duration, name, text } from '../value-types.js';
import { key } from './entry.js';
import { KUBERNETES_API_KEYS } from './kubernetes-api.js';

const CLUSTER_NAME = 'a name of letters, digits, dots, hyphens and underscores, like main';
const ENDPOINT = 'a URL like https://10.0.0.1:2379, without a user and a path';
const ENDPOINTS = 'a list of URLs, like [http://10.0.0.1:2379, http://10.0.0.2:2379]';
/** Where a cluster's lease has no other length. Seconds. */
const LEASE_S = 5;

const kubernetesFields = z.strictObject(
  {
    namespace: key(
      name('a namespace').optional(),
      'text',
      "Where the cluster's Leases are. Without it: the pod's own namespace.",
    ),
    ...KUBERNETES_API_KEYS,
  },
  { error: 'a mapping; {} in a pod' },
);

const storeFields = z.strictObject(
  {
    etcd: key(
      z
        .array(name(ENDPOINT).regex(/^https?:\/\/[^/@\s]+\/?$/, { error: ENDPOINT }))
        .min(1, { error: ENDPOINTS })
        .optional(),
      'list of URLs',
      'The members of an etcd cluster, version 3.4 or newer. They are tried in turn.',
    ),
    user: key(name('a user name').optional(), 'text', "etcd's user. Without it nobody logs in."),
    password_file: key(
      name('a file').optional(),
      'file',
      'The file with the password of `user`, whose end of line does not count.',
    ),
    ca_file: key(
      name('a file').optional(),
      'file',
      "Whose certificates are believed (PEM). Without it: the system's authorities.",
    ),
    cert_file: key(name('a file').optional(), 'file', 'The certificate that is shown to etcd (PEM).'),
    key_file: key(name('a file').optional(), 'file', 'The key of `cert_file` (PEM).'),
    embedded: key(
      text('the unix socket of an embedded store').optional(),
      'path',
      'The unix socket of an embedded store, for a cluster on one machine: to try out, to develop, to test.',
    ),
    kubernetes: kubernetesFields.optional().meta({
      description: "Leases in Kubernetes, named after the cluster. `{}`: those of the pod's namespace.",
    }),
  },
  { error: 'a mapping like { etcd: [http://10.0.0.1:2379] }' },
);

export const clusterFields = z.strictObject(
  {
    name: key(
      name(CLUSTER_NAME)
        .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, { error: CLUSTER_NAME })
        .prefault('main'),
      'text',
      'What the cluster is called in its store. Several clusters can share an etcd by different names.',
    ),
    store: storeFields,
    lease: key(
      duration().prefault(LEASE_S),
      'duration',
      'For how long a leader may be silent before another one is elected, from 2s to 60s. The same for all agents and gateways of a cluster.',
    ),
  },
  { error: 'a mapping like { name: main, store: { etcd: [http://10.0.0.1:2379] } }' },
);

/** The whole section; it may be missing. */
export const cluster = clusterFields.optional().meta({
  description: 'The cluster, and the store in which it agrees on who leads.',
});

/** The section, checked key by key. */
export type ClusterValues = z.output<typeof clusterFields>;
