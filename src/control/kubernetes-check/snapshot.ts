/** What is in a namespace, as far as it is ours. */
import * as z from 'zod';
import { StoreError } from '../../stores/store.js';
import type { KubernetesSource } from './source.js';

const TEXTS = z.record(z.string(), z.string()).default({});
const METADATA = z.looseObject({ name: z.string(), labels: TEXTS });
const CONDITION = z.looseObject({
  type: z.string(),
  status: z.string().default(''),
  reason: z.string().default(''),
  message: z.string().default(''),
});
const CONTAINER_STATUS = z.looseObject({
  name: z.string(),
  ready: z.boolean().default(false),
  restartCount: z.number().default(0),
  state: z
    .looseObject({
      waiting: z.looseObject({ reason: z.string().default(''), message: z.string().default('') }).optional(),
    })
    .default({}),
  lastState: z
    .looseObject({
      terminated: z
        .looseObject({ reason: z.string().default(''), exitCode: z.number().default(0) })
        .optional(),
    })
    .default({}),
});
const VOLUME = z.looseObject({
  configMap: z.looseObject({ name: z.string() }).optional(),
  secret: z.looseObject({ secretName: z.string(), optional: z.boolean().default(false) }).optional(),
});
const WORKLOAD = z.looseObject({
  metadata: METADATA,
  spec: z.looseObject({
    replicas: z.number().default(1),
    template: z.looseObject({ spec: z.looseObject({ volumes: z.array(VOLUME).default([]) }) }),
  }),
  status: z.looseObject({ readyReplicas: z.number().default(0) }).default({ readyReplicas: 0 }),
});
const POD = z.looseObject({
  metadata: METADATA.extend({ deletionTimestamp: z.string().optional() }),
  status: z
    .looseObject({
      phase: z.string().default(''),
      conditions: z.array(CONDITION).default([]),
      containerStatuses: z.array(CONTAINER_STATUS).default([]),
    })
    .default({ phase: '', conditions: [], containerStatuses: [] }),
});
const SERVICE = z.looseObject({
  metadata: METADATA,
  spec: z.looseObject({ selector: TEXTS, publishNotReadyAddresses: z.boolean().default(false) }),
});
const SLICE = z.looseObject({
  metadata: METADATA,
  endpoints: z
    .array(
      z.looseObject({
        conditions: z.looseObject({ ready: z.boolean().default(true) }).default({ ready: true }),
      }),
    )
    .nullable()
    .default([]),
});
const LEASE = z.looseObject({
  metadata: METADATA,
  spec: z
    .looseObject({
      holderIdentity: z.string().default(''),
      leaseDurationSeconds: z.number().default(0),
      renewTime: z.string().optional(),
    })
    .default({ holderIdentity: '', leaseDurationSeconds: 0 }),
});
const BUDGET = z.looseObject({
  metadata: METADATA,
  spec: z.looseObject({ selector: z.unknown().optional() }),
});
const CLAIM = z.looseObject({
  metadata: METADATA,
  status: z.looseObject({ phase: z.string().default('') }).default({ phase: '' }),
});
const FILES = z.looseObject({ data: TEXTS });

export type Workload = z.infer<typeof WORKLOAD>;
export type Pod = z.infer<typeof POD>;
export type Service = z.infer<typeof SERVICE>;
export type Lease = z.infer<typeof LEASE>;

/** Everything that was read. */
export interface NamespaceSnapshot {
  readonly namespace: string;
  readonly deployments: readonly Workload[];
  readonly statefulSets: readonly Workload[];
  readonly pods: readonly Pod[];
  readonly services: readonly Service[];
  readonly slices: readonly z.infer<typeof SLICE>[];
  /** Of clusters and of members alike. */
  readonly leases: readonly Lease[];
  readonly budgets: readonly z.infer<typeof BUDGET>[];
  readonly claims: readonly z.infer<typeof CLAIM>[];
  /** The names of the files of each ConfigMap and Secret that pods have; null: it is not there. The content is not kept. */
  readonly files: ReadonlyMap<string, readonly string[] | null>;
  /** What could not be read, and why. */
  readonly unread: readonly string[];
}

/** Reads it. Rejects with a StoreError if nothing can be read. */
export async function readNamespace(source: KubernetesSource, namespace: string): Promise<NamespaceSnapshot> {
  const unread: string[] = [];
  const read = async <T>(what: string, path: string, schema: z.ZodType<T>): Promise<T | null> => {
    try {
      const body = await source.get(path);
      return body === null ? null : schema.parse(body);
    } catch (error) {
      if (error instanceof StoreError && error.kind !== 'denied') throw error;
      unread.push(`${what}: ${error instanceof StoreError ? error.message : 'an unexpected answer'}`);
      return null;
    }
  };
  const list = async <T>(
    group: string,
    what: string,
    schema: z.ZodType<T>,
    selector = OURS,
  ): Promise<readonly T[]> => {
    const path = `${group}/namespaces/${namespace}/${what}${selector}`;
    return (await read(what, path, z.object({ items: z.array(schema) })))?.items ?? [];
  };
  const deployments = await list('/apis/apps/v1', 'deployments', WORKLOAD);
  const statefulSets = await list('/apis/apps/v1', 'statefulsets', WORKLOAD);
  // Who may not look at these can't be told anything.
  if (deployments.length + statefulSets.length === 0 && unread.length > 0)
    throw new StoreError('denied', unread.join('; '));
  const files = new Map<string, readonly string[] | null>();
  for (const { kind, name, what } of filesOf([...deployments, ...statefulSets])) {
    const before = unread.length;
    const found = await read(`${what} ${name}`, `/api/v1/namespaces/${namespace}/${what}/${name}`, FILES);
    if (unread.length === before)
      files.set(`${kind} ${name}`, found === null ? null : Object.keys(found.data));
  }
  const [pods, services, slices, leases, budgets, claims] = await Promise.all([
    list('/api/v1', 'pods', POD),
    list('/api/v1', 'services', SERVICE),
    list('/apis/discovery.k8s.io/v1', 'endpointslices', SLICE, ''),
    list('/apis/coordination.k8s.io/v1', 'leases', LEASE, ''),
    list('/apis/policy/v1', 'poddisruptionbudgets', BUDGET),
    list('/api/v1', 'persistentvolumeclaims', CLAIM),
  ]);
  return {
    ...{ namespace, deployments, statefulSets, pods, services, slices, leases, budgets, claims },
    ...{ files, unread },
  };
}

const OURS = `?labelSelector=${encodeURIComponent('app.kubernetes.io/name=sluice')}`;

interface FilesName {
  readonly kind: 'ConfigMap' | 'Secret';
  readonly name: string;
  readonly what: string;
}

function filesOf(workloads: readonly Workload[]): Iterable<FilesName> {
  const found = new Map<string, FilesName>();
  for (const { configMap, secret } of workloads.flatMap(({ spec }) => spec.template.spec.volumes)) {
    if (configMap !== undefined)
      found.set(`ConfigMap ${configMap.name}`, {
        kind: 'ConfigMap',
        name: configMap.name,
        what: 'configmaps',
      });
    if (secret !== undefined && !secret.optional)
      found.set(`Secret ${secret.secretName}`, { kind: 'Secret', name: secret.secretName, what: 'secrets' });
  }
  return found.values();
}
