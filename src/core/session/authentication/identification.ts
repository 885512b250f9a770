/**
 * From a startup packet to a proved identity: what is known of the user (by the configuration, or by `auth_query`),
 * which method it must pass (by `auth_type`, or the rules of `auth_hba_file`), and that method's dialogue. The order,
 * and what is told to whom, is PgBouncer's.
 */
import { SqlState } from '../../../wire/sqlstate.js';
import type { AuthorityAnswer, UserLookup } from '../../authority.js';
import { CONSOLE_DATABASES } from '../../console.js';
import type { Databases } from '../../databases.js';
import { findHbaRule, type HbaMethod, type HbaRule } from '../../hba.js';
import type { PeerCredentials } from '../../io.js';
import { hostOfPeer } from '../../ip-address.js';
import type { DatabaseSettings, GatewaySettings, UserSettings } from '../../settings.js';
import { judgeCertificate } from './certificate.js';
import {
  type AuthenticationStep,
  type Claim,
  configurationError,
  type Dialogue,
  type DialogueServices,
  fail,
  NO_SECRET,
  proved,
  unproved,
} from './dialogue.js';
import { LdapPassword } from './ldap-password.js';
import { Md5Password } from './md5-password.js';
import { PlainPassword } from './plain-password.js';
import { ScramExchange } from './scram-exchange.js';
import { judgeSystemUser } from './system-user.js';

/** Who asks to be let in, and how it comes. */
export interface Applicant {
  readonly user: string;
  /** The database by the name that it asks for. */
  readonly database: string;
  readonly isPhysicalReplication: boolean;
  /** As drivers write it. */
  readonly peerAddress: string;
  readonly peerCredentials: () => PeerCredentials | null;
}

/** What of a database's settings matters here; the console has none. */
type Entry = Pick<DatabaseSettings, 'forcedUser' | 'authUser' | 'authQuery' | 'authDbname'>;
const CONSOLE: Entry = Object.freeze({ forcedUser: null, authUser: null, authQuery: null, authDbname: null });

export class Identification {
  private readonly applicant: Applicant;
  private readonly services: DialogueServices;
  private readonly databases: Databases;
  private dialogue: Dialogue | null = null;
  /** What the secret comes from; null: from the configuration. */
  private lookup: UserLookup | null = null;

  constructor(applicant: Applicant, services: DialogueServices, databases: Databases) {
    this.applicant = applicant;
    this.services = services;
    this.databases = databases;
  }

  private get settings(): GatewaySettings {
    return this.services.context.settings;
  }

  begin(): AuthenticationStep {
    const { user } = this.applicant;
    const entry = this.entry();
    if (this.settings.authType === 'any') return this.admitAnybody(entry);
    if (this.method(user).method === 'ldap') return this.beginLdap(entry);
    const known = this.settings.users.get(user);
    if (known?.isListed) return this.challenge(known);
    const authUser = entry?.authUser ?? (this.settings.authUser || null);
    if (entry !== null && authUser !== null) return this.lookUp(entry, authUser);
    return this.challenge(this.stranger());
  }

  /** Takes the body of one whole message of the client. */
  message(bytes: Uint8Array, start: number, end: number): AuthenticationStep {
    if (this.dialogue === null) return fail(SqlState.protocol_violation, 'bad packet');
    return this.dialogue.message(bytes, start, end);
  }

  /** Null: there is no such database, which the client is told only when it has proved who it is. */
  private entry(): Entry | null {
    const { database } = this.applicant;
    if (CONSOLE_DATABASES.has(database)) return CONSOLE;
    return this.settings.databases.get(database) ?? this.settings.databases.get('*') ?? null;
  }

  private stranger(): Claim {
    const { user } = this.applicant;
    const { admitsStrangers, users } = this.settings;
    if (!admitsStrangers) this.services.report('info', `no such user: ${user}`);
    const limits = users.get(user)?.limits ?? null;
    return { name: user, secret: admitsStrangers ? NO_SECRET : null, limits };
  }

  /** `any`: the name that was given doesn't matter, since everybody is one user to the server. */
  private admitAnybody(entry: Entry | null): AuthenticationStep {
    const name = this.applicant.user;
    if (entry === CONSOLE) return proved({ name, secret: NO_SECRET, limits: null });
    if (entry?.forcedUser) return { kind: 'proved', user: entry.forcedUser };
    this.services.report('error', 'auth_type=any requires forced user');
    return configurationError();
  }

  private beginLdap(entry: Entry | null): AuthenticationStep {
    if (entry?.authUser) {
      this.services.report('error', "LDAP can't be used together with database authentication");
      return configurationError();
    }
    const { user } = this.applicant;
    const limits = this.settings.users.get(user)?.limits ?? null;
    return this.challenge({ name: user, secret: NO_SECRET, limits });
  }

  // --- What is known of the user ------------------------------------------------------------------------------

  /** Asks a database by `auth_query`. */
  private lookUp(entry: Entry, authUser: string): AuthenticationStep {
    const { settings } = this;
    const name = entry.authDbname ?? (settings.authDbname || this.applicant.database);
    if (CONSOLE_DATABASES.has(name)) {
      this.services.report('error', `cannot use the reserved "${name}" database as an auth_dbname`);
      return configurationError();
    }
    const database = settings.databases.get(name) ?? settings.databases.get('*');
    if (database === undefined) {
      this.services.report('error', `authentication database "${name}" is not configured.`);
      return configurationError();
    }
    const state = this.databases.find(name);
    if (state?.disabled) {
      return fail(SqlState.cannot_connect_now, `authentication database "${name}" is disabled`);
    }
    if (state?.paused) {
      return this.services.untilResumed(state, () => this.lookUp(entry, authUser));
    }
    const target = {
      addresses: database.addresses,
      nodesOf: database.cluster ?? database.nodesFrom,
      database: database.serverDatabase ?? name,
      user: authUser,
      secret: settings.users.get(authUser)?.secret ?? NO_SECRET,
    };
    const query = entry.authQuery ?? settings.authQuery;
    this.lookup = { kind: 'user', target, query, userName: this.applicant.user };
    return this.services.ask(this.lookup, (answer) => this.lookedUp(answer));
  }

  /** The client couldn't prove who it is. */
  failed(): void {
    const { lookup } = this;
    if (lookup !== null) this.services.context.slow.ask({ kind: 'userFailed', lookup }, () => {});
  }

  /** The query's answer may give the user another name than the client did: that is its name from then on. */
  private lookedUp(answer: AuthorityAnswer): AuthenticationStep {
    const { user } = this.applicant;
    if (answer.kind === 'user') {
      const limits = this.settings.users.get(answer.name)?.limits ?? null;
      return this.challenge({ name: answer.name, secret: answer.secret, limits });
    }
    if (answer.kind === 'failed') return { kind: 'fail', error: answer.error, isUnproved: false };
    if (this.settings.tellsOfUnknownUsers) return unproved('no such user');
    this.services.report('info', `no such user: ${user}`);
    return this.challenge({ name: user, secret: null, limits: null });
  }

  // --- The method ---------------------------------------------------------------------------------------------

  private method(user: string): { readonly method: HbaMethod | 'none'; readonly rule: HbaRule | null } {
    const { authType, hba } = this.settings;
    if (authType === 'any') return { method: 'none', rule: null };
    if (authType !== 'hba') return { method: authType, rule: null };
    const { database, isPhysicalReplication, peerAddress } = this.applicant;
    const rule = findHbaRule(hba, {
      address: hostOfPeer(peerAddress),
      isEncrypted: this.services.tls !== null,
      isPhysicalReplication,
      database,
      user,
    });
    return { method: rule?.method ?? 'none', rule };
  }

  private challenge(claim: Claim): AuthenticationStep {
    const { services } = this;
    const { method, rule } = this.method(claim.name);
    switch (method) {
      case 'trust':
        return claim.secret === null ? unproved('"trust" authentication failed') : proved(claim);
      case 'cert':
        return judgeCertificate(claim, rule?.map ?? null, services);
      case 'peer':
        return judgeSystemUser(claim, rule?.map ?? null, this.applicant.peerCredentials(), services);
      case 'reject':
        return unproved('login rejected');
      case 'none':
        return unproved('no authentication method is found');
      case 'plain':
        this.dialogue = new PlainPassword(claim, services);
        return 'more';
      case 'md5':
        this.dialogue = hasOnlyVerifier(claim)
          ? new ScramExchange(claim, services)
          : new Md5Password(claim, services);
        return 'more';
      case 'scram-sha-256':
        this.dialogue = new ScramExchange(claim, services);
        return 'more';
      case 'ldap':
        this.dialogue = new LdapPassword(claim, rule === null ? this.settings.ldap : rule.ldap, services);
        return 'more';
    }
  }
}

/** A user of whom only a SCRAM verifier is known is asked by SCRAM also where `md5` is the method, as in PostgreSQL. */
function hasOnlyVerifier({ secret }: Pick<UserSettings | Claim, 'secret'>): boolean {
  return secret !== null && secret.md5 === null && secret.password === null && secret.scram !== null;
}
