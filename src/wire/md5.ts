/** PostgreSQL's `md5` passwords (documentation, "Message Flow", AuthenticationMD5Password). */
import { createHash, timingSafeEqual } from 'node:crypto';
import { encodeText } from './text.js';

const PREFIX = 'md5';

/** What PostgreSQL stores: `md5` and the hash of password and user name in hex digits. */
export function md5Password(user: string, password: string): string {
  return PREFIX + md5Hex(encodeText(password), encodeText(user));
}

/** The answer to a salted request. `stored` is what {@link md5Password} gives. */
export function md5Response(stored: string, salt: Uint8Array): string {
  return PREFIX + md5Hex(Buffer.from(stored.slice(PREFIX.length), 'latin1'), salt);
}

/** Whether a client's answer proves the stored password. The time taken doesn't tell where they differ. */
export function verifyMd5Response(stored: string, salt: Uint8Array, answer: string): boolean {
  const expected = Buffer.from(md5Response(stored, salt), 'latin1');
  const given = encodeText(answer);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

function md5Hex(...parts: readonly Uint8Array[]): string {
  const hash = createHash('md5');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}
