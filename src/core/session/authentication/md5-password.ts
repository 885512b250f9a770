/** `md5`: the client sends a salted hash of its password (protocol chapter, AuthenticationMD5Password). */
import { readPassword } from '../../../wire/client-messages.js';
import { md5Password, verifyMd5Response } from '../../../wire/md5.js';
import { buildAuthenticationMD5Password } from '../../../wire/server-messages.js';
import {
  type AuthenticationStep,
  type Claim,
  type Dialogue,
  type DialogueServices,
  proved,
  wrongPassword,
} from './dialogue.js';
import { EMPTY_PASSWORD } from './plain-password.js';

const SALT_BYTES = 4;

export class Md5Password implements Dialogue {
  private readonly claim: Claim;
  private readonly services: DialogueServices;
  private readonly salt: Uint8Array;

  constructor(claim: Claim, services: DialogueServices) {
    this.claim = claim;
    this.services = services;
    this.salt = services.context.io.randomBytes(SALT_BYTES);
    services.send(buildAuthenticationMD5Password(this.salt));
  }

  message(bytes: Uint8Array, start: number, end: number): AuthenticationStep {
    const answer = readPassword(bytes, start, end);
    if (answer === '') return EMPTY_PASSWORD;
    const { name, secret } = this.claim;
    const { password = null, md5 = null } = secret ?? {};
    // Hashed in any case: the time doesn't tell what is known.
    const mock = Buffer.from(this.services.context.mockKey).toString('hex');
    const hashed = md5Password(name, password ?? mock);
    const isRight = verifyMd5Response(md5 ?? hashed, this.salt, answer);
    const isKnown = md5 !== null || password !== null;
    return isKnown && isRight ? proved(this.claim) : wrongPassword();
  }
}
