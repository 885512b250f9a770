/** What of Kubernetes' objects is read. What isn't stays in them, so that a change of ours leaves others' fields alone. */
import { z } from 'zod';

const TEXTS = z.record(z.string(), z.string()).optional();

/** A Lease (coordination.k8s.io/v1). */
export const LEASE = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    uid: z.string().default(''),
    resourceVersion: z.string().min(1),
    labels: TEXTS,
    annotations: TEXTS,
  }),
  spec: z
    .looseObject({
      holderIdentity: z.string().optional(),
      leaseTransitions: z.number().int().nonnegative().optional(),
    })
    .default({}),
});
export type LeaseObject = z.infer<typeof LEASE>;

/** The answer to a list. */
export const LEASE_LIST = z.object({
  metadata: z.object({ resourceVersion: z.string().min(1) }),
  items: z.array(LEASE).default([]),
});

/** A line of a watch. */
export const WATCH_EVENT = z.object({
  type: z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']),
  object: z.unknown(),
});

/** What comes with most refusals. */
export const STATUS = z.object({ message: z.string().default('') });
