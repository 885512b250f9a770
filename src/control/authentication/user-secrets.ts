/** Makes of what `auth_query` gives the secret that a login is checked against. */
import { pbkdf2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { MD5_SECRET } from '../../config/known-users.js';
import type { UserSecret } from '../../core/settings.js';
import { makeScramVerifier, parseScramVerifier, type ScramVerifier, saslPrep } from '../../wire/scram.js';
import { VERIFIERS_MAX } from './limits.js';

const deriveKey = promisify(pbkdf2);
const SALT_BYTES = 16;
const KEY_BYTES = 32;

export class UserSecrets {
  /** By user and password, so that a user's salt doesn't change from login to login. */
  readonly #verifiers = new Map<string, Promise<ScramVerifier>>();

  /** @param stored as `pg_authid` has it, or a password in clear text; null: the user can't log in by password. */
  async secretOf(user: string, stored: string | null, iterations: number): Promise<UserSecret> {
    if (stored === null || stored === '') return { password: null, md5: null, scram: null };
    if (MD5_SECRET.test(stored)) return { password: null, md5: stored, scram: null };
    const scram = parseScramVerifier(stored);
    if (scram !== null) return { password: null, md5: null, scram };
    return { password: stored, md5: null, scram: await this.#verifierOf(user, stored, iterations) };
  }

  #verifierOf(user: string, password: string, iterations: number): Promise<ScramVerifier> {
    const key = JSON.stringify([user, password, iterations]);
    let verifier = this.#verifiers.get(key);
    if (verifier === undefined) {
      verifier = derive(password, iterations);
      this.#verifiers.set(key, verifier);
      if (this.#verifiers.size > VERIFIERS_MAX) {
        this.#verifiers.delete(this.#verifiers.keys().next().value as string);
      }
    }
    return verifier;
  }
}

async function derive(password: string, iterations: number): Promise<ScramVerifier> {
  const salt = randomBytes(SALT_BYTES);
  const salted = await deriveKey(saslPrep(password), salt, iterations, KEY_BYTES, 'sha256');
  return makeScramVerifier(salted, salt, iterations);
}
