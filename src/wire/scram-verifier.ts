/**
 * SCRAM-SHA-256 verifiers (RFC 5802, RFC 7677; PostgreSQL documentation, "SCRAM-SHA-256 Authentication" and the catalogue
 * `pg_authid`): what a server stores in place of a password. PBKDF2 is not done here: it is slow, and belongs elsewhere.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { encodeText } from './text.js';

/** SHA-256's output, and so the size of every key. */
export const SCRAM_KEY_BYTES = 32;

/** PostgreSQL's salt size. */
const MOCK_SALT_BYTES = 16;

/** The highest count that PostgreSQL can store (its setting `scram_iterations` is an int). */
const MAX_STORED_ITERATIONS = 0x7fff_ffff;

const VERIFIER = /^SCRAM-SHA-256\$([1-9][0-9]{0,9}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)$/;

export interface ScramVerifier {
  readonly iterations: number;
  readonly salt: Uint8Array;
  /** 32 bytes, like {@link serverKey}. */
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

/** Reads `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`; null for anything else. */
export function parseScramVerifier(text: string): ScramVerifier | null {
  const match = VERIFIER.exec(text);
  if (match === null) return null;
  const iterations = Number(match[1]);
  const salt = decodeBase64(match[2]);
  const storedKey = decodeBase64(match[3]);
  const serverKey = decodeBase64(match[4]);
  if (iterations > MAX_STORED_ITERATIONS || salt === null) return null;
  if (storedKey?.length !== SCRAM_KEY_BYTES || serverKey?.length !== SCRAM_KEY_BYTES) return null;
  return { iterations, salt, storedKey, serverKey };
}

/** The form in which PostgreSQL stores it. */
export function formatScramVerifier(verifier: ScramVerifier): string {
  const { iterations, salt, storedKey, serverKey } = verifier;
  return `SCRAM-SHA-256$${iterations}:${encodeBase64(salt)}$${encodeBase64(storedKey)}:${encodeBase64(serverKey)}`;
}

/** @param saltedPassword PBKDF2 of the prepared password with this salt and count, 32 bytes. */
export function makeScramVerifier(
  saltedPassword: Uint8Array,
  salt: Uint8Array,
  iterations: number,
): ScramVerifier {
  return {
    iterations,
    salt,
    storedKey: sha256(clientKeyOf(saltedPassword)),
    serverKey: serverKeyOf(saltedPassword),
  };
}

/** Whether a password whose key was derived with the verifier's salt and count is the right one. */
export function verifySaltedPassword(verifier: ScramVerifier, saltedPassword: Uint8Array): boolean {
  return timingSafeEqual(sha256(clientKeyOf(saltedPassword)), verifier.storedKey);
}

/**
 * A verifier for a user who doesn't exist, so that the exchange doesn't tell. The same user gets the same salt every time
 * as long as the key is the same; nobody knows a password that fits.
 *
 * @param secretKey random bytes that all gateways of an installation should share, or else the salt tells by changing.
 */
export function mockScramVerifier(user: string, secretKey: Uint8Array, iterations: number): ScramVerifier {
  const of = (purpose: string) => hmac(secretKey, encodeText(`${purpose}:${user}`));
  return {
    iterations,
    salt: of('salt').subarray(0, MOCK_SALT_BYTES),
    storedKey: of('stored key'),
    serverKey: of('server key'),
  };
}

/** RFC 5802's ClientKey: HMAC(SaltedPassword, "Client Key"). */
export function clientKeyOf(saltedPassword: Uint8Array): Buffer {
  return hmac(saltedPassword, 'Client Key');
}

/** RFC 5802's ServerKey: HMAC(SaltedPassword, "Server Key"). */
export function serverKeyOf(saltedPassword: Uint8Array): Buffer {
  return hmac(saltedPassword, 'Server Key');
}

export function hmac(key: Uint8Array, message: Uint8Array | string): Buffer {
  return createHmac('sha256', key).update(message).digest();
}

export function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** Byte by byte; both have 32 bytes. */
export function xorKeys(left: Uint8Array, right: Uint8Array): Buffer {
  const result = Buffer.alloc(SCRAM_KEY_BYTES);
  for (let at = 0; at < SCRAM_KEY_BYTES; at += 1) result[at] = left[at] ^ right[at];
  return result;
}

export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}

/** Only the one canonical form, with its padding; Node's own decoder skips what it doesn't know. */
export function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}
