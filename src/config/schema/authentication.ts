/** How clients prove who they are, and who may use the console. */
import { commaList, oneOf, text } from '../value-types.js';
import { count, file, freeText, OURS, onOff, seconds, setting } from './setting.js';

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
      'How clients prove who they are: not at all (`trust`; with `any` the name does not matter either, so every database needs a `user`), by a password in clear text (`plain`), by an MD5 hash (`md5`; a user of whom only a SCRAM verifier is known is asked by SCRAM), by SCRAM (`scram-sha-256`), by a TLS certificate (`cert`), by the operating system on a unix socket (`peer`), by an LDAP server (`ldap`), or as the lines of `auth_hba_file` say (`hba`).',
    pgbouncer:
      'its default is `md5`; `trust` asks there that `auth_file` names the user, and so it does with a `pgbouncer.ini`. `pam` is refused here; `peer` is a method for HBA rules alone there.',
  }),
  auth_file: file(AUTHENTICATION, {
    description:
      'A file of users, one line each: `"user" "secret"`, where the secret is a password, `md5` and 32 hex digits, or a `SCRAM-SHA-256$...` verifier as `pg_authid` has it; a `"` is doubled. A user that stands under `users` with a password or verifier is taken from there.',
    pgbouncer: 'the same syntax; a line that cannot be read is an error here.',
  }),
  auth_hba_file: file(AUTHENTICATION, {
    description:
      "Rules like those of PostgreSQL's `pg_hba.conf`, for `auth_type` `hba`: lines of `local`, `host`, `hostssl` and `hostnossl` with the methods `trust`, `reject`, `md5`, `password`, `scram-sha-256`, `cert`, `peer` and `ldap`. The first line that fits a client decides; without one it is refused. Databases: names, `all`, `sameuser`, `replication`, `@file`; users: names, `all`, `@file`; addresses: `all`, or with a mask.",
    pgbouncer: 'a line that cannot be read is an error here; with a `pgbouncer.ini` it is told and left out.',
  }),
  auth_ident_file: file(AUTHENTICATION, {
    description:
      "User name maps like those of PostgreSQL's `pg_ident.conf` (without patterns), for rules of `auth_hba_file` with `map=`.",
  }),
  auth_query: setting(text(), AUTH_QUERY, {
    group: AUTHENTICATION,
    type: 'SQL',
    description:
      "Asks a server for a user's name and secret; `$1` is the name that the client gave. Run as `auth_user`, on at most `auth_query_connections` connections that are no part of any pool.",
  }),
  auth_user: freeText(AUTHENTICATION, {
    description:
      'Users of whom neither `users` nor `auth_file` says a secret are looked up by `auth_query`, as this user. Its own password (in clear text, or as `md5` hash if the server asks for that) is what `users` or `auth_file` say. Empty: they are not looked up.',
  }),
  auth_dbname: freeText(AUTHENTICATION, {
    description:
      'The database (by the name that clients use) in which `auth_query` is run. Empty: that which the client asked for.',
  }),
  auth_query_connections: count(AUTHENTICATION, 2, [1, 100], {
    description:
      'How many connections there may be at one time for `auth_query`, to each database in which it is run. They stand beside the pools, and do not count towards `max_db_connections`; one that was not used for 10 seconds is closed. (PgBouncer runs the query on a pool of `auth_user`.)',
    pgbouncer: OURS,
  }),
  auth_query_search_path: setting(text(), 'pg_catalog', {
    group: AUTHENTICATION,
    type: 'text',
    description:
      'The `search_path` with which `auth_query` is run: with the default, the schema of a function of yours must be named. Empty: what the server has set for `auth_user`. In no case does a client have a say in it. With a `pgbouncer.ini` the default is empty.',
    pgbouncer: OURS,
  }),
  auth_query_cache_time: seconds(AUTHENTICATION, 1, {
    description:
      'How long an answer of `auth_query` serves further logins of the same user. A failed login ends that at once. 0: every login asks, and logins that come together share one answer; that is the default with a `pgbouncer.ini`.',
    pgbouncer: OURS,
  }),
  auth_query_tells_unknown: onOff(AUTHENTICATION, false, {
    description:
      'Whether a client with a name that `auth_query` does not know is told so (`no such user`). If not, it goes through the same exchange as others, and fails at its end. On by default with a `pgbouncer.ini`, since PgBouncer tells.',
    pgbouncer: OURS,
  }),
  failed_login_rate: count(AUTHENTICATION, 20, [0, 1_000_000], {
    unit: 'logins a second',
    description:
      'Failed logins that one address (of IPv6: one /64 network) may have, ten seconds of them at once. Above that its logins are refused unchecked, unless somebody has logged in from there within the last ten minutes: those who share the address of a load balancer do not suffer for others. Unix sockets are not counted. 0: no limit.',
    pgbouncer: OURS,
  }),
  auth_ldap_ca_file: file(AUTHENTICATION, {
    description:
      'Certificates of the authorities that LDAP servers are verified with, in PEM form. Empty: those that Node.js knows. (PgBouncer takes what `ldap.conf` says.)',
    pgbouncer: OURS,
  }),
  auth_ldap_options: freeText(AUTHENTICATION, {
    description:
      'The LDAP server, as the options of an `ldap` line in `pg_hba.conf`, for `auth_type` `ldap`: `ldapurl="ldap://host/dc=example,dc=net?uid?sub"`.',
    pgbouncer: 'servers can be found by DNS (SRV) there; here `ldapserver` or `ldapurl` must name them.',
  }),
  scram_iterations: count(AUTHENTICATION, 4096, [1, 2_147_483_647], {
    description:
      'How often the hash is applied when a SCRAM verifier is made from a clear-text password, and in the exchange with users that do not exist.',
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
