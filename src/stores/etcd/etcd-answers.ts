/** What etcd answers, as far as it is read. Its gateway leaves fields out that are zero, and writes 64-bit numbers as text. */
import { z } from 'zod';

/** Revisions, terms and lifetimes, below 2^53: at a thousand changes a second that is 285,000 years. */
const INT64 = z
  .union([z.string().regex(/^-?\d+$/), z.number()])
  .default(0)
  .transform(Number)
  .refine((value) => Number.isSafeInteger(value));
/** An identifier: too long for a number. */
const ID = z
  .union([z.string(), z.number()])
  .default('0')
  .transform((value) => `${value}`);
const BASE64 = z.string().default('');
const HEADER = z.object({ revision: INT64, raft_term: ID }).prefault({});

const KEY_VALUE = z.object({ key: BASE64, value: BASE64, mod_revision: INT64 });
export type EtcdKeyValue = z.infer<typeof KEY_VALUE>;

/** /v3/kv/range */
export const RANGE_ANSWER = z.object({ header: HEADER, kvs: z.array(KEY_VALUE).default([]) });
/** /v3/kv/txn */
export const TXN_ANSWER = z.object({ header: HEADER, succeeded: z.boolean().default(false) });
/** /v3/lease/grant */
export const GRANT_ANSWER = z.object({ ID });
/** /v3/lease/keepalive: a stream of one. */
export const KEEPALIVE_ANSWER = z.object({ result: z.object({ header: HEADER, TTL: INT64 }) });
/** /v3/lease/revoke */
export const ANY_ANSWER = z.object({});
/** /v3/auth/authenticate */
export const AUTHENTICATE_ANSWER = z.object({ token: z.string().min(1) });
/** A line of /v3/watch. */
export const WATCH_LINE = z.object({
  result: z.object({
    created: z.boolean().default(false),
    canceled: z.boolean().default(false),
    events: z.array(z.unknown()).default([]),
  }),
});
/** What comes with every status but 200; the code is gRPC's. */
export const ERROR_ANSWER = z.object({
  code: z.number().default(0),
  message: z.string().optional(),
  error: z.string().optional(),
});

/** gRPC's codes, as far as they say something of a request's fate. */
export const GRPC = { notFound: 5, permissionDenied: 7, failedPrecondition: 9, unauthenticated: 16 } as const;

/** Base64 of UTF-8, as keys and values travel. */
export function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}

export function decode(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8');
}
