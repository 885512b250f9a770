/** What the settings of authentication must be together, and what the core gets of them. */
import type { LdapServer } from '../core/authority.js';
import type { AuthType } from '../core/settings.js';
import { parseLdapOptions } from './ldap-options.js';
import type { OriginMap } from './origin-map.js';
import { formatKey, type Problem } from './problem.js';
import { CONSOLE_DATABASE } from './schema/database.js';
import type { ConfigValues } from './schema.js';
import type { ConfigDialect } from './sources.js';

/** Every problem that keeps clients from logging in as the settings say, or lets them in too easily. */
export function checkAuthentication(
  dialect: ConfigDialect,
  values: ConfigValues,
  origins: OriginMap,
): Problem[] {
  const problems: Problem[] = [];
  const refuse = (path: readonly string[], message: string): void => {
    problems.push({ origin: origins.get(path), key: formatKey(path), message });
  };
  if (values.auth_type === 'pam') {
    refuse(
      ['auth_type'],
      'pam is not supported: there is no maintained way to call PAM from here. Use ldap or scram-sha-256',
    );
  }
  if (values.auth_type === 'ldap') {
    const server = parseLdapOptions(values.auth_ldap_options);
    if (typeof server === 'string') refuse(['auth_ldap_options'], server);
  }
  const asksForCertificates = values.client_tls_ca_file !== '' || /^verify-/.test(values.client_tls_sslmode);
  if (dialect === 'sluice' && values.auth_type === 'cert' && !asksForCertificates) {
    refuse(
      ['auth_type'],
      'cert needs client_tls_ca_file, and client_tls_sslmode = verify-full to ask for certificates',
    );
  }
  if (values.auth_dbname === CONSOLE_DATABASE) {
    refuse(['auth_dbname'], `cannot use the reserved "${CONSOLE_DATABASE}" database as an auth_dbname`);
  }
  return problems;
}

/**
 * The core's word for `auth_type`.
 * @throws when {@link checkAuthentication} refuses it
 */
export function coreAuthType({ auth_type }: ConfigValues): AuthType {
  if (auth_type === 'pam') throw new Error('auth_type pam is not supported');
  return auth_type;
}

/** The server of `auth_ldap_options`; null where `auth_type` isn't `ldap`. */
export function ldapServer({ auth_type, auth_ldap_options }: ConfigValues): LdapServer | null {
  if (auth_type !== 'ldap') return null;
  const server = parseLdapOptions(auth_ldap_options);
  return typeof server === 'string' ? null : server;
}
