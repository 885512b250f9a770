/** Checks passwords at LDAP servers, as PostgreSQL and PgBouncer do: by logging in there as the user. */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { Client, ResultCodeError, SASL_MECHANISMS } from 'ldapts';
import type { LdapBind, LdapCheck, LdapServer } from '../../core/authority.js';
import { LDAP_CHECK_MS_MAX, LDAP_CHECKS_MAX, LDAP_CONNECT_MS_MAX } from './limits.js';
import { Turns } from './turns.js';

/** They would mean something in a search filter (PgBouncer refuses them, too). */
const UNSAFE_IN_FILTER = /[*()\\/]/;
const PLACEHOLDER = '$username';
/** The attribute list that asks for none (RFC 4511, 4.5.1.8). */
const NO_ATTRIBUTES = ['1.1'];

type Warn = (message: string) => void;

export class LdapLogin {
  readonly #warn: Warn;
  readonly #turns = new Turns(LDAP_CHECKS_MAX);
  /** PEM; null: what Node.js knows. */
  #authorities: string | null = null;

  constructor(warn: Warn) {
    this.#warn = warn;
  }

  /** @param file certificates of authorities; empty: those that Node.js knows. Without it TLS fails, which the log says. */
  async configure(file: string): Promise<void> {
    try {
      this.#authorities = file === '' ? null : await readFile(file, 'utf8');
    } catch (error) {
      this.#authorities = '';
      this.#warn(`auth_ldap_ca_file cannot be read: ${(error as Error).message}`);
    }
  }

  /** Whether the password is the user's. Never rejects: what goes wrong is in the log, and means no. */
  check(question: LdapCheck): Promise<boolean> {
    return this.#turns.run(() => this.#check(question));
  }

  /** The first server that can be reached decides. */
  async #check({ server, userName, password }: LdapCheck): Promise<boolean> {
    for (const host of server.hosts) {
      const verdict = await this.#checkAt(host, server, userName, password);
      if (verdict !== null) return verdict;
    }
    return false;
  }

  /** Null: the server can't be reached. */
  async #checkAt(host: string, server: LdapServer, user: string, password: string): Promise<boolean | null> {
    const name = await this.#find(host, server, user);
    if (typeof name !== 'string') return name;
    return this.#session(host, server, async (client) => {
      try {
        await client.bind(name, password);
        return true;
      } catch (error) {
        if (!(error instanceof ResultCodeError)) throw error;
        this.#warn(`LDAP login failed for user ${name} on server ${host}: ${error.message}`);
        return false;
      }
    });
  }

  /** The name that the user has in the directory; false: there is none, null: the server can't be reached. */
  async #find(host: string, server: LdapServer, user: string): Promise<string | false | null> {
    const { bind } = server;
    if (bind.kind === 'search') {
      return this.#session(host, server, (client) => this.#search(client, host, bind, user));
    }
    const name = bind.prefix + user + bind.suffix;
    // The library takes these words for something else than a name.
    return (SASL_MECHANISMS as readonly string[]).includes(name) ? false : name;
  }

  async #search(
    client: Client,
    host: string,
    bind: Extract<LdapBind, { kind: 'search' }>,
    user: string,
  ): Promise<string | false> {
    if (UNSAFE_IN_FILTER.test(user)) {
      this.#warn('invalid character in user name for LDAP authentication');
      return false;
    }
    try {
      await client.bind(bind.bindDn, bind.bindPassword);
    } catch (error) {
      if (!(error instanceof ResultCodeError)) throw error;
      const who = `ldapbinddn "${bind.bindDn}" on server "${host}"`;
      this.#warn(`could not perform initial LDAP bind for ${who}: ${error.message}`);
      return false;
    }
    const filter = bind.filter.replaceAll(PLACEHOLDER, () => user);
    try {
      const options = { scope: bind.scope, filter, attributes: NO_ATTRIBUTES, sizeLimit: 2 };
      const { searchEntries } = await client.search(bind.baseDn, options);
      if (searchEntries.length === 1) return searchEntries[0]!.dn;
      this.#warn(`LDAP user "${user}" ${searchEntries.length === 0 ? 'does not exist' : 'is not unique'}`);
    } catch (error) {
      if (!(error instanceof ResultCodeError)) throw error;
      const where = `filter "${filter}" on server "${host}"`;
      this.#warn(`could not search LDAP for ${where}: ${error.message}`);
    }
    return false;
  }

  /** Runs something on a connection of its own, within a limit of time; null: the server can't be reached. */
  async #session<Result>(
    host: string,
    { scheme, port, startTls }: LdapServer,
    run: (client: Client) => Promise<Result>,
  ): Promise<Result | null> {
    const tls = this.#tlsOptions(host);
    const client = new Client({
      url: `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`,
      timeout: LDAP_CHECK_MS_MAX,
      connectTimeout: LDAP_CONNECT_MS_MAX,
      // With these the library speaks TLS whatever the URL says.
      ...(scheme === 'ldaps' && { tlsOptions: tls }),
      strictDN: false,
    });
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('the LDAP server does not answer')), LDAP_CHECK_MS_MAX);
    });
    const work = async (): Promise<Result> => {
      if (startTls) await client.startTLS(tls);
      return run(client);
    };
    try {
      return await Promise.race([work(), limit]);
    } catch (error) {
      this.#warn(`could not reach LDAP server ${host}:${port}: ${(error as Error).message}`);
      return null;
    } finally {
      clearTimeout(timer);
      client.unbind().catch(() => {});
    }
  }

  #tlsOptions(host: string): ConnectionOptions {
    return {
      ...(isIP(host) === 0 && { servername: host }),
      host,
      ...(this.#authorities !== null && { ca: this.#authorities }),
    };
  }
}
