/** What the embedded store's server and its clients say to each other: one POST a request, JSON both ways. */
import { z } from 'zod';
import type { StoreView } from '../../cluster/store-view.js';
import { STORE_NAME, STORE_TEXT_BYTES_MAX } from '../store.js';

/** The longest body of a request that the server reads. Bytes; JSON may take six for one. */
export const REQUEST_BYTES_MAX = 6 * STORE_TEXT_BYTES_MAX + 4096;

const WHOLE = z.number().int().nonnegative();
const NAME = z.string().regex(STORE_NAME);
const TEXT = z.string().refine((text) => Buffer.byteLength(text) <= STORE_TEXT_BYTES_MAX);
const MS = z.number().positive().max(3_600_000);
const LEADER = z.object({ holder: z.string().min(1).max(200), term: WHOLE });

/** The bodies of the requests, by their path. */
export const REQUESTS = {
  '/view': z.object({}),
  '/change': z.object({ after: WHOLE, limitMs: MS }),
  '/acquire': z.object({ holder: LEADER.shape.holder, afterTerm: WHOLE, leaseMs: MS }),
  '/renew': z.object({ leader: LEADER, leaseMs: MS }),
  '/release': z.object({ leader: LEADER }),
  '/publish': z.object({ name: NAME, text: TEXT, version: WHOLE, leader: LEADER.nullable() }),
  '/register': z.object({ name: NAME, text: TEXT, memberMs: MS }),
  '/withdraw': z.object({ name: NAME }),
} as const;

export type EmbeddedPath = keyof typeof REQUESTS;
export type EmbeddedRequest<Path extends EmbeddedPath> = z.infer<(typeof REQUESTS)[Path]>;

/** A view, as it travels. */
export const VIEW_ANSWER = z.object({
  revision: WHOLE,
  term: WHOLE,
  leader: LEADER.nullable(),
  values: z.array(z.tuple([z.string(), z.object({ text: z.string(), version: WHOLE })])),
  members: z.array(z.tuple([z.string(), z.string()])),
});
/** What an election or a publication gave: a term, a version, or nothing. */
export const NUMBER_ANSWER = z.object({ given: WHOLE.nullable() });
/** Whether a lease goes on. */
export const KEPT_ANSWER = z.object({ kept: z.boolean() });
/** What has been done without more to say. */
export const DONE_ANSWER = z.object({});

/** The view in the form that JSON has. */
export function viewAnswer(view: StoreView): z.infer<typeof VIEW_ANSWER> {
  return { ...view, values: [...view.values], members: [...view.members] };
}
