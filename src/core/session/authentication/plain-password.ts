/** `plain`: the client sends its password in clear text (protocol chapter, AuthenticationCleartextPassword). */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readPassword } from '../../../wire/client-messages.js';
import { md5Password } from '../../../wire/md5.js';
import {
  clientKeyOf,
  mockScramVerifier,
  saslPrep,
  serverKeyOf,
  verifySaltedPassword,
} from '../../../wire/scram.js';
import { buildAuthenticationCleartextPassword } from '../../../wire/server-messages.js';
import { SqlState } from '../../../wire/sqlstate.js';
import {
  type AuthenticationStep,
  type Claim,
  type Dialogue,
  type DialogueServices,
  fail,
  proved,
  wrongPassword,
} from './dialogue.js';

export class PlainPassword implements Dialogue {
  private readonly claim: Claim;
  private readonly services: DialogueServices;

  constructor(claim: Claim, services: DialogueServices) {
    this.claim = claim;
    this.services = services;
    services.send(buildAuthenticationCleartextPassword());
  }

  /**
   * Every answer costs one key derivation, also where a hash or a clear password is known, or nothing at all: the time
   * tells neither whether a user exists nor how its secret is kept.
   */
  message(bytes: Uint8Array, start: number, end: number): AuthenticationStep {
    const password = readPassword(bytes, start, end);
    if (password === '') return EMPTY_PASSWORD;
    const { context } = this.services;
    const { name, secret } = this.claim;
    const known = secret?.scram ?? null;
    const verifier = known ?? mockScramVerifier(name, context.mockKey, context.settings.scramIterations);
    const { salt, iterations } = verifier;
    return this.services.deriveKey(saslPrep(password), salt, iterations, (key) => {
      const isRight = this.matchesText(password) || (known !== null && this.matchesVerifier(key));
      return isRight ? proved(this.claim) : wrongPassword();
    });
  }

  private matchesText(given: string): boolean {
    const { name, secret } = this.claim;
    if (secret === null) return false;
    if (secret.password !== null) return constantTimeEqual(given, secret.password);
    return secret.md5 !== null && constantTimeEqual(md5Password(name, given), secret.md5);
  }

  /** The derived key proves the password at a server that has the same verifier: it is kept for that. */
  private matchesVerifier(key: Uint8Array | null): boolean {
    const verifier = this.claim.secret?.scram ?? null;
    if (verifier === null || key === null || !verifySaltedPassword(verifier, key)) return false;
    const keys = { clientKey: clientKeyOf(key), serverKey: serverKeyOf(key) };
    this.services.context.scramKeys.learn(this.claim.name, verifier, keys);
    return true;
  }
}

/** As in PostgreSQL, an empty password is none. */
export const EMPTY_PASSWORD = fail(SqlState.invalid_password, 'empty password returned by client');

/** Takes the same time whatever the lengths and the first difference are. */
function constantTimeEqual(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
