/** How clients prove who they are, and who may use the console. */
import { commaList, oneOf, text } from '../value-types.js';
import { count, file, freeText, setting } from './setting.js';

/** The ways in which clients prove who they are. */
export const AUTH_TYPES = [
  'trust',
  'plain',
  'md5',
  'scram-sha-256',
  'cert',
  'hba',
  'peer',
  'ldap',
  'pam',
  'any',
] as const;

/** PgBouncer's query: an expired password counts as none. */
const AUTH_QUERY =
  'SELECT rolname, CASE WHEN rolvaliduntil < now() THEN NULL ELSE rolpassword END FROM pg_authid WHERE rolname=$1 AND rolcanlogin';

const AUTHENTICATION = 'Authentication';
const CONSOLE = 'Console';

export const authenticationSettings = {
  auth_type: setting(oneOf(AUTH_TYPES), 'scram-sha-256', {
    group: AUTHENTICATION,
    type: `one of ${AUTH_TYPES.join(', ')}`,
    description:
      'How clients prove who they are: not at all (`trust`; `any` lets in names that nobody knows, too), by a password in clear text (`plain`), by an MD5 hash (`md5`; a user of whom only a SCRAM verifier is known is asked by SCRAM), by SCRAM (`scram-sha-256`), by a TLS certificate (`cert`), by the operating system on a unix socket (`peer`), by an LDAP server (`ldap`), by PAM (`pam`), or as the lines of `auth_hba_file` say (`hba`).',
    pgbouncer: 'its default is `md5`.',
  }),
  auth_file: file(AUTHENTICATION, {
    description:
      'A file of users, one line each: `"user" "secret"`, where the secret is a password, `md5` and 32 hex digits, or a `SCRAM-SHA-256$...` verifier as `pg_authid` has it; a `"` is doubled. A user that stands under `users` with a password or verifier is taken from there.',
    pgbouncer: 'the same syntax; a line that cannot be read is an error here.',
  }),
  auth_hba_file: file(AUTHENTICATION, {
    description: "Rules like those of PostgreSQL's `pg_hba.conf`, for `auth_type` `hba`.",
  }),
  auth_ident_file: file(AUTHENTICATION, {
    description:
      "User name maps like those of PostgreSQL's `pg_ident.conf`, for the rules of `auth_hba_file`.",
  }),
  auth_query: setting(text(), AUTH_QUERY, {
    group: AUTHENTICATION,
    type: 'SQL',
    description:
      "Asks a server for a user's name and secret; `$1` is the name that the client gave. Run as `auth_user`.",
  }),
  auth_user: freeText(AUTHENTICATION, {
    description:
      'Users that stand neither under `users` nor in `auth_file` are looked up by `auth_query`, as this user. Empty: they are not.',
  }),
  auth_dbname: freeText(AUTHENTICATION, {
    description:
      'The database (by the name that clients use) in which `auth_query` is run. Empty: that which the client asked for.',
  }),
  auth_ldap_options: freeText(AUTHENTICATION, {
    description:
      'The LDAP server, as the options of an `ldap` line in `pg_hba.conf`, for `auth_type` `ldap`.',
  }),
  scram_iterations: count(AUTHENTICATION, 4096, [1, 2_147_483_647], {
    description: 'How often the hash is applied when a SCRAM verifier is made from a clear-text password.',
  }),
  login_notify_message: freeText(AUTHENTICATION, {
    description: 'A notice that every client is sent when it has logged in. Empty: none.',
  }),
};

export const consoleSettings = {
  admin_users: setting(commaList('user names'), '', {
    group: CONSOLE,
    type: 'list of user names',
    description: 'Users who may do everything on the console (database `pgbouncer`), with commas between.',
  }),
  stats_users: setting(commaList('user names'), '', {
    group: CONSOLE,
    type: 'list of user names',
    description: 'Users who may look at everything on the console and change nothing, with commas between.',
  }),
  stats_period: count(CONSOLE, 60, [1, 2_147_483_647], {
    unit: 'seconds',
    description: 'Over which time averages are taken, and how often they are logged.',
  }),
};
