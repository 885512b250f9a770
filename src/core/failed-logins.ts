/**
 * A limit on failed logins, address by address: a bucket of tokens, of which each failure takes one and time brings
 * back `failed_login_rate` a second. An address with an empty bucket is refused before anything is checked, unless
 * somebody has logged in from there a short while ago: many share the address of a load balancer, and those who know
 * their passwords must not suffer for the others.
 */
import { hostOfPeer, parseIpAddress } from './ip-address.js';
import { FAILED_LOGIN_ADDRESSES_MAX, FAILED_LOGIN_BURST_S, GOOD_ADDRESS_MS } from './limits.js';

interface Bucket {
  tokens: number;
  /** When the tokens were counted, in ms. */
  at: number;
  /** When somebody logged in from there, in ms. */
  goodAt: number;
  /** The present burst has been reported. */
  reported: boolean;
}

/** What to do with a client that begins to log in. */
export type Admission = 'admit' | 'refuse' | 'refuse-and-report';

export class FailedLogins {
  private readonly buckets = new Map<string, Bucket>();

  /** @param rate failures a second that one address may have; 0: any number */
  admit(peer: string, now: number, rate: number): Admission {
    const network = networkOf(peer);
    const bucket = rate === 0 || network === null ? undefined : this.buckets.get(network);
    if (bucket === undefined) return 'admit';
    refill(bucket, now, rate);
    if (bucket.tokens >= 1 || now - bucket.goodAt < GOOD_ADDRESS_MS) return 'admit';
    if (bucket.reported) return 'refuse';
    bucket.reported = true;
    return 'refuse-and-report';
  }

  /** A login has failed because of what the client has shown to prove who it is. */
  failed(peer: string, now: number, rate: number): void {
    const network = networkOf(peer);
    if (network === null || rate === 0) return;
    const known = this.buckets.get(network);
    const bucket = known ?? {
      tokens: rate * FAILED_LOGIN_BURST_S,
      at: now,
      goodAt: Number.NEGATIVE_INFINITY,
      reported: false,
    };
    refill(bucket, now, rate);
    bucket.tokens = Math.max(0, bucket.tokens - 1);
    this.buckets.delete(network);
    this.buckets.set(network, bucket);
    if (this.buckets.size > FAILED_LOGIN_ADDRESSES_MAX) {
      this.buckets.delete(this.buckets.keys().next().value as string);
    }
  }

  /** Somebody has logged in. Costs nothing where nothing has failed. */
  succeeded(peer: string, now: number): void {
    if (this.buckets.size === 0) return;
    const network = networkOf(peer);
    const bucket = network === null ? undefined : this.buckets.get(network);
    if (bucket !== undefined) bucket.goodAt = now;
  }
}

function refill(bucket: Bucket, now: number, rate: number): void {
  const full = rate * FAILED_LOGIN_BURST_S;
  bucket.tokens = Math.min(full, bucket.tokens + ((now - bucket.at) / 1000) * rate);
  bucket.at = now;
  if (bucket.tokens >= full) bucket.reported = false;
}

/** An IPv4 address; of an IPv6 address the network, of which one host has all; null for a unix socket. */
function networkOf(peer: string): string | null {
  const host = hostOfPeer(peer);
  if (host === null || !host.includes(':')) return host;
  const bytes = parseIpAddress(host);
  return bytes === null ? host : Buffer.from(bytes.subarray(0, 8)).toString('hex');
}
