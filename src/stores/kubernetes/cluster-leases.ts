/**
 * How a cluster's records lie in Leases. One Lease is the leader's: its holder, its term (`leaseTransitions`) and, beside them,
 * every value, so that a value can be published on the condition that somebody still leads: Kubernetes changes one object at a
 * time and no two. Each member has a Lease of its own, which nobody else changes.
 *
 * The times in it are for people. Nobody compares them: `beat` is another number after each renewal, and whoever wants to know
 * whether a Lease lives looks for how long it hasn't changed (observed-leases.ts).
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { Leader, StoredValue } from '../../cluster/store-view.js';
import { StoreError } from '../store.js';
import type { KubernetesSettings } from './kubernetes-settings.js';
import type { LeaseObject } from './lease-object.js';

/** By this label all Leases of a cluster are found. */
export const CLUSTER_LABEL = 'sluice/cluster';
/** What a node is: `primary` or `replica`, written by its agent on its pod. Advice; who leads, the Lease says. */
export const ROLE_LABEL = 'sluice/role';
/** Holds what is written of a cluster, or of a member, as JSON. */
export const RECORD_ANNOTATION = 'sluice/record';
/** Kubernetes takes no more than 256 KiB of annotations; what others write into ours needs room, too. Bytes. */
const RECORD_BYTES_MAX = 240 * 1024;
/** The holder of a Lease that was just made: nobody, for as long as a leader may act whose Lease was deleted. */
export const NOBODY_YET = 'nobody-yet';
/** A name that is one of Kubernetes', too. */
const OBJECT_NAME = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;

const CLUSTER_RECORD = z.object({
  leaseMs: z.number().int().positive(),
  beat: z.number().int().nonnegative(),
  lastVersion: z.number().int().nonnegative(),
  values: z.record(z.string(), z.object({ text: z.string(), version: z.number().int().positive() })),
});
const MEMBER_RECORD = z.object({ memberMs: z.number().int().positive(), text: z.string() });

/** The leader's Lease, understood. */
export interface ClusterLease {
  readonly object: LeaseObject;
  /** Null: vacant. */
  readonly leader: Leader | null;
  readonly term: number;
  readonly leaseMs: number;
  readonly beat: number;
  /** The last version that a value has got. */
  readonly lastVersion: number;
  readonly values: Readonly<Record<string, StoredValue>>;
}

/** A member's Lease, understood. */
export interface MemberLease {
  readonly object: LeaseObject;
  readonly member: string;
  readonly text: string;
  readonly memberMs: number;
}

/** What a change makes of the leader's Lease. */
export type ClusterChange = Partial<Omit<ClusterLease, 'object' | 'leader'>> & {
  readonly holder?: string;
  /** For people: when this holder has begun. */
  readonly isElection?: boolean;
};

/** Throws if it is none of ours: who can't be read may still act. */
export function readCluster(object: LeaseObject): ClusterLease {
  const { name, annotations } = object.metadata;
  const record = parse(CLUSTER_RECORD, annotations?.[RECORD_ANNOTATION]);
  const { holderIdentity: holder = '', leaseTransitions: term = 0 } = object.spec;
  if (record === null) throw new StoreError('protocol', `Lease ${name} is none of a Sluice of this version`);
  return { object, leader: holder === '' ? null : { holder, term }, term, ...record };
}

/** Null: not one that is understood. It counts for nothing. */
export function readMember(object: LeaseObject): MemberLease | null {
  const record = parse(MEMBER_RECORD, object.metadata.annotations?.[RECORD_ANNOTATION]);
  const member = object.spec.holderIdentity ?? '';
  return record === null || member === '' ? null : { object, member, ...record };
}

/** A Lease for a cluster that has none. It is held by nobody for a while: see {@link NOBODY_YET}. */
export function newClusterLease(
  { name, namespace }: KubernetesSettings,
  leaseMs: number,
  values: ClusterLease['values'] = {},
): object {
  const lastVersion = Math.max(0, ...Object.values(values).map(({ version }) => version));
  const record = { leaseMs, beat: 0, lastVersion, values };
  return {
    ...metadataOf(name, namespace, name, record),
    spec: { ...timesOf(leaseMs, true), holderIdentity: NOBODY_YET, leaseTransitions: 0 },
  };
}

/** The object to replace the Lease with; it names the resourceVersion that was read. */
export function changedCluster(lease: ClusterLease, change: ClusterChange): LeaseObject {
  const { object } = lease;
  const { leaseMs, beat, lastVersion, values, term } = { ...lease, ...change };
  const record = JSON.stringify({ leaseMs, beat, lastVersion, values });
  if (Buffer.byteLength(record) > RECORD_BYTES_MAX) {
    throw new StoreError(
      'protocol',
      `the values of a cluster must not need more than ${RECORD_BYTES_MAX} bytes`,
    );
  }
  const { metadata, spec } = object;
  const renewed = change.beat === undefined ? {} : timesOf(leaseMs, change.isElection === true);
  const holder = change.holder === undefined ? {} : { holderIdentity: change.holder };
  return {
    ...object,
    metadata: { ...metadata, annotations: { ...metadata.annotations, [RECORD_ANNOTATION]: record } },
    spec: { ...spec, ...renewed, ...holder, leaseTransitions: term },
  };
}

/** What a member's Lease is, or is changed to, when it registers. */
export function memberLease(
  settings: KubernetesSettings,
  member: string,
  text: string,
  memberMs: number,
): object {
  const record = { memberMs, text };
  return {
    ...metadataOf(memberLeaseName(settings.name, member), settings.namespace, settings.name, record),
    spec: { ...timesOf(memberMs, false), holderIdentity: member },
  };
}

/** Members may have names that Kubernetes' objects can't. */
export function memberLeaseName(cluster: string, member: string): string {
  const name = OBJECT_NAME.test(member)
    ? member
    : `x-${createHash('sha256').update(member).digest('hex').slice(0, 32)}`;
  return `${cluster}.${name}`;
}

function metadataOf(name: string, namespace: string, cluster: string, record: object): object {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: {
      name,
      namespace,
      labels: { 'app.kubernetes.io/managed-by': 'sluice', [CLUSTER_LABEL]: cluster },
      annotations: { [RECORD_ANNOTATION]: JSON.stringify(record) },
    },
  };
}

/** Microseconds are what Kubernetes wants, and whole seconds of a lease. */
function timesOf(durationMs: number, isElection: boolean): object {
  const now = new Date().toISOString().replace('Z', '000Z');
  const leaseDurationSeconds = Math.ceil(durationMs / 1000);
  return { leaseDurationSeconds, renewTime: now, ...(isElection && { acquireTime: now }) };
}

function parse<T>(schema: z.ZodType<T>, text: string | undefined): T | null {
  try {
    return schema.parse(JSON.parse(text ?? ''));
  } catch {
    return null;
  }
}
