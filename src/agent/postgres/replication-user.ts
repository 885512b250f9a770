/** The role by which standbys stream, clone and rewind. */
import pg from 'pg';
import { passwordClause } from './role-password.js';
import type { Server } from './server.js';

/** What pg_rewind reads a primary's files by (its documentation, "Notes"); and a copy without pg_basebackup. */
const functionsOf = (major: number) => [
  'pg_catalog.pg_ls_dir(text, boolean, boolean)',
  'pg_catalog.pg_stat_file(text, boolean)',
  'pg_catalog.pg_read_binary_file(text)',
  'pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)',
  ...(major >= 15
    ? ['pg_catalog.pg_backup_start(text, boolean)', 'pg_catalog.pg_backup_stop(boolean)']
    : ['pg_catalog.pg_start_backup(text, boolean, boolean)', 'pg_catalog.pg_stop_backup(boolean, boolean)']),
];
/** Where the data lies, for that copy. */
const ROLES = ['pg_read_all_settings'];

/** Makes the role where it doesn't exist. On a primary. The password itself is in no statement, and so in no log. */
export async function ensureReplicationUser(server: Server): Promise<void> {
  const { user, password } = server.settings.replication;
  const found = await server.query('SELECT FROM pg_roles WHERE rolname = $1', [user]);
  if (found.length > 0) return;
  const secret = password === null ? '' : await passwordClause(password);
  const name = pg.escapeIdentifier(user);
  const { major } = server.settings.binaries;
  const grants = [
    ...functionsOf(major).map((signature) => `GRANT EXECUTE ON FUNCTION ${signature} TO ${name}`),
    ...ROLES.map((role) => `GRANT ${role} TO ${name}`),
  ];
  // One message is one transaction.
  await server.query([`CREATE ROLE ${name} LOGIN REPLICATION${secret}`, ...grants].join('; '));
}
