/**
 * The keys with which clients cancel their queries (protocol chapter, "Canceling Requests in Progress"). A key names the
 * process that gave it, so that a cancel request which reaches another one can be passed on.
 *
 * Short, for protocol 3.0: 8 bytes with the process id, as PgBouncer lays them out, so that both can be each other's
 * peers. Byte 0 is random without its highest bit, since some drivers take the first half for a positive process id;
 * bytes 1 and 2 are the `peer_id`, low byte first; the lowest two bits of byte 7 say how often it may still be passed on.
 *
 * Long, from protocol 3.2 on: any process id, and 32 bytes: 4 random ones, the `peer_id` (high byte first), one byte
 * that says how often it may be passed on, and a message authentication code over all but that byte. The code needs no
 * room in memory for each client, and makes the key as hard to guess as PostgreSQL's.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { CANCEL_HOPS_MAX } from './limits.js';

/** What a session keeps of its key; the rest is computed. Both are signed 32-bit numbers. */
export interface CancelKey {
  readonly processId: number;
  readonly word: number;
  /** Protocol 3.2: the client was given the long form. */
  readonly isLong: boolean;
}

/** A key out of a cancel request. */
export interface AskedKey {
  readonly processId: number;
  readonly secret: Uint8Array;
  readonly isLong: boolean;
  /** The process that gave the key; 0: one that has no number. */
  readonly peerId: number;
  /** How often it may still be passed on. */
  readonly hops: number;
}

const SHORT_BYTES = 4;
const LONG_BYTES = 32;
const PEER_AT = 4;
const HOPS_AT = 6;
const CODE_AT = 7;
const HOPS_MASK = 3;

export class CancelKeys {
  /** Known to this process alone. */
  private readonly codeKey: Uint8Array;
  private readonly randomBytes: (length: number) => Uint8Array;

  constructor(randomBytes: (length: number) => Uint8Array) {
    this.randomBytes = randomBytes;
    this.codeKey = randomBytes(LONG_BYTES);
  }

  /**
   * A new key.
   * @param peerId of this process; 0: none
   * @param serverProcessId the process id to be shown, where a server connection serves the client for the whole
   * session; null: none. A short key has no room for it beside a `peer_id`.
   */
  issue(peerId: number, isLong: boolean, serverProcessId: number | null): CancelKey {
    const random = Buffer.from(this.randomBytes(8));
    random[0]! &= 0x7f;
    if (peerId > 0) random.writeUInt16LE(peerId, 1);
    random[7]! |= HOPS_MASK;
    const shown = isLong || peerId === 0 ? serverProcessId : null;
    return { processId: shown ?? random.readInt32BE(0), word: random.readInt32BE(4), isLong };
  }

  /** The secret half, as it goes into BackendKeyData. */
  secret(key: CancelKey, peerId: number): Buffer {
    const secret = Buffer.alloc(key.isLong ? LONG_BYTES : SHORT_BYTES);
    secret.writeInt32BE(key.word, 0);
    if (!key.isLong) return secret;
    secret.writeUInt16BE(peerId, PEER_AT);
    secret[HOPS_AT] = CANCEL_HOPS_MAX;
    this.code(key.processId, secret).copy(secret, CODE_AT, 0, LONG_BYTES - CODE_AT);
    return secret;
  }

  /** Whether a key was asked for that belongs to the client with this one. */
  matches(key: CancelKey, asked: AskedKey): boolean {
    const word = Buffer.from(asked.secret).readInt32BE(0);
    const shortWord = asked.isLong ? word : word | HOPS_MASK;
    return key.isLong === asked.isLong && ((key.processId ^ asked.processId) | (key.word ^ shortWord)) === 0;
  }

  /** Whether a long key was given by this process; always true for a short one. */
  isGenuine({ processId, secret, isLong }: AskedKey): boolean {
    if (!isLong) return true;
    const code = this.code(processId, secret).subarray(0, LONG_BYTES - CODE_AT);
    return timingSafeEqual(code, secret.subarray(CODE_AT));
  }

  private code(processId: number, secret: Uint8Array): Buffer {
    const head = Buffer.alloc(4);
    head.writeInt32BE(processId);
    return createHmac('sha256', this.codeKey).update(head).update(secret.subarray(0, HOPS_AT)).digest();
  }
}

/** Reads a key; null: no process of ours gives one of this length. */
export function readCancelKey(processId: number, secret: Uint8Array): AskedKey | null {
  const bytes = Buffer.from(secret);
  if (bytes.length === LONG_BYTES) {
    const hops = Math.min(bytes[HOPS_AT]!, CANCEL_HOPS_MAX);
    return { processId, secret, isLong: true, peerId: bytes.readUInt16BE(PEER_AT), hops };
  }
  if (bytes.length !== SHORT_BYTES) return null;
  const peerId = ((processId >>> 16) & 0xff) | (processId & 0xff00);
  return { processId, secret, isLong: false, peerId, hops: bytes[3]! & HOPS_MASK };
}

/** The secret to be passed on: it may travel once less. `asked.hops` must be above 0. */
export function withOneHopLess(asked: AskedKey): Uint8Array {
  const secret = Uint8Array.from(asked.secret);
  if (asked.isLong) secret[HOPS_AT] = asked.hops - 1;
  else secret[3]! -= 1;
  return secret;
}
