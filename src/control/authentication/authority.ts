/** Answers what reactors ask about the identity of clients. */
import type { SluiceConfig } from '../../config/load.js';
import type { AuthorityAnswer, IdentityQuestion } from '../../core/authority.js';
import type { Logger } from '../logging.js';
import { LdapLogin } from './ldap-login.js';
import { LOOKUP_MS_MAX } from './limits.js';
import { SystemUsers } from './system-users.js';
import { type LookupSettings, type NodesOf, UserLookups } from './user-lookups.js';

export class Authority {
  readonly #lookups: UserLookups;
  readonly #ldap: LdapLogin;
  #ldapReady: Promise<void>;
  readonly #systemUsers = new SystemUsers();

  /** @param nodesOf knows the servers of databases that have a cluster, or a source of nodes */
  constructor(config: SluiceConfig, logger: Logger, nodesOf: NodesOf) {
    const warn = (message: string): void => logger.warn(message);
    this.#lookups = new UserLookups(lookupSettings(config), warn, nodesOf);
    this.#ldap = new LdapLogin(warn);
    this.#ldapReady = this.#ldap.configure(config.values.auth_ldap_ca_file);
  }

  configure(config: SluiceConfig): void {
    this.#lookups.configure(lookupSettings(config));
    this.#ldapReady = this.#ldap.configure(config.values.auth_ldap_ca_file);
  }

  /** Never rejects. */
  async answer(question: IdentityQuestion): Promise<AuthorityAnswer> {
    switch (question.kind) {
      case 'user':
        return this.#lookups.find(question);
      case 'userFailed':
        this.#lookups.forget(question.lookup);
        return { kind: 'unknownUser' };
      case 'ldap':
        await this.#ldapReady;
        return { kind: 'verdict', accepted: await this.#ldap.check(question) };
      case 'systemUser':
        return { kind: 'systemUser', name: await this.#systemUsers.nameOf(question.uid) };
    }
  }

  /** Closes connections to databases that are not in use: an operator wants a database, or everything, to rest. */
  release(): void {
    this.#lookups.release();
  }

  /** The same for good. */
  close(): void {
    this.#lookups.release(true);
  }
}

function lookupSettings({ values, tls }: SluiceConfig): LookupSettings {
  return {
    tlsMode: values.server_tls_sslmode,
    tls: tls.server,
    searchPath: values.auth_query_search_path,
    connectTimeoutMs: values.server_connect_timeout || LOOKUP_MS_MAX,
    queryTimeoutMs: values.client_login_timeout || LOOKUP_MS_MAX,
    connectionsMax: values.auth_query_connections,
    cacheMs: values.auth_query_cache_time,
    scramIterations: values.scram_iterations,
  };
}
