/** `ldap`: the client sends its password in clear text, and an LDAP server says whether it is the user's. */
import { readPassword } from '../../../wire/client-messages.js';
import { buildAuthenticationCleartextPassword } from '../../../wire/server-messages.js';
import type { LdapServer } from '../../authority.js';
import {
  type AuthenticationStep,
  type Claim,
  type Dialogue,
  type DialogueServices,
  proved,
  unproved,
} from './dialogue.js';
import { EMPTY_PASSWORD } from './plain-password.js';

export class LdapPassword implements Dialogue {
  private readonly claim: Claim;
  private readonly server: LdapServer | null;
  private readonly services: DialogueServices;

  /** @param server null: its options are wrong, which the log has said: nobody can log in. */
  constructor(claim: Claim, server: LdapServer | null, services: DialogueServices) {
    this.claim = claim;
    this.server = server;
    this.services = services;
    services.send(buildAuthenticationCleartextPassword());
  }

  message(bytes: Uint8Array, start: number, end: number): AuthenticationStep {
    const password = readPassword(bytes, start, end);
    if (password === '') return EMPTY_PASSWORD;
    const { server, claim, services } = this;
    if (server === null) return REFUSED;
    return services.ask({ kind: 'ldap', server, userName: claim.name, password }, (answer) => {
      const isAccepted = answer.kind === 'verdict' && answer.accepted;
      // With this password the gateway logs in to the server, as PgBouncer does.
      const secret = { password, md5: null, scram: null };
      return isAccepted ? proved({ ...claim, secret }) : REFUSED;
    });
  }
}

const REFUSED = unproved('LDAP authentication failed');
