/**
 * SCRAM keys learnt from logins of clients: with them the gateway logs in to a server that has the same verifier, and
 * no password is known to anybody but the client (RFC 5802, section 9: whoever has ClientKey can do so).
 *
 * They are kept in memory alone, by user, salt and iteration count, which together name a verifier.
 */
import { encodeBase64, type ScramKeys, type ScramVerifier } from '../wire/scram.js';
import { SCRAM_KEYS_MAX } from './limits.js';

export class LearntScramKeys {
  private readonly byVerifier = new Map<string, ScramKeys>();
  private readonly usersKnown = new Map<string, number>();

  /** Keeps the keys that a login against this verifier has shown. The oldest go when there are too many. */
  learn(
    user: string,
    { salt, iterations }: Pick<ScramVerifier, 'salt' | 'iterations'>,
    keys: ScramKeys,
  ): void {
    const name = verifierName(user, salt, iterations);
    if (!this.byVerifier.delete(name)) this.count(user, 1);
    this.byVerifier.set(name, keys);
    if (this.byVerifier.size <= SCRAM_KEYS_MAX) return;
    const oldest = this.byVerifier.keys().next().value as string;
    this.byVerifier.delete(oldest);
    this.count(oldest.slice(oldest.indexOf(' ', oldest.indexOf(' ') + 1) + 1), -1);
  }

  /** Whether any are known of this user. */
  has(user: string): boolean {
    return this.usersKnown.has(user);
  }

  /** Those that fit what the server has said of its verifier; null: none. */
  find(user: string, salt: Uint8Array, iterations: number): ScramKeys | null {
    return this.byVerifier.get(verifierName(user, salt, iterations)) ?? null;
  }

  private count(user: string, change: number): void {
    const count = (this.usersKnown.get(user) ?? 0) + change;
    if (count === 0) this.usersKnown.delete(user);
    else this.usersKnown.set(user, count);
  }
}

/** The user's name stands last, since it may hold anything. */
function verifierName(user: string, salt: Uint8Array, iterations: number): string {
  return `${iterations} ${encodeBase64(salt)} ${user}`;
}
