/** Who may log in, and what is known of their passwords. */
import { parseScramVerifier } from '../wire/scram.js';
import type { OriginMap } from './origin-map.js';
import { formatKey, type Origin, type Problem } from './problem.js';
import type { ConfigValues } from './schema.js';
import type { ConfigDialect } from './sources.js';
import type { UserlistEntry } from './userlist.js';

/** A user's secrets as they were written. Both may be missing: such a user can log in with `trust` alone. */
export interface KnownUser {
  /** In clear text. */
  readonly password: string | null;
  /** `md5` and 32 hex digits, or `SCRAM-SHA-256$...`; well-formed. */
  readonly verifier: string | null;
  /** It is said what the secret is, or that there is none: nobody else needs to be asked. */
  readonly isListed: boolean;
}

/** Where users are named. */
interface UserSources {
  readonly dialect: ConfigDialect;
  readonly values: ConfigValues;
  readonly origins: OriginMap;
}

/** PostgreSQL's form of an MD5 secret: `md5`, then md5(password || user) in lower-case hex. */
export const MD5_SECRET = /^md5[0-9a-f]{32}$/;
const SCRAM_PREFIX = 'SCRAM-SHA-256$';

/**
 * Joins the users of all sources: `users` wins over `auth_file`. Without both, whoever a database entry logs in as
 * may log in here with the same password (not with a `pgbouncer.ini`). Adds what is wrong to `problems`, and what is
 * wrong with `auth_file` to `listProblems`.
 */
export function collectUsers(
  { dialect, values, origins }: UserSources,
  listed: readonly UserlistEntry[],
  problems: Problem[],
  listProblems: Problem[],
): Map<string, KnownUser> {
  const users = new Map<string, KnownUser>();
  for (const { name, secret, origin } of listed) {
    const user = fromSecret(secret);
    if (user.verifier !== null) checkVerifier(user.verifier, JSON.stringify(name), origin, listProblems);
    users.set(name, user);
  }
  const isEnough = dialect === 'sluice' && !looksUsersUp(values);
  for (const [name, { password, verifier }] of Object.entries(values.users)) {
    const path = ['users', name, 'verifier'];
    if (verifier !== undefined) checkVerifier(verifier, formatKey(path), origins.get(path), problems);
    // An entry that only sets limits leaves the secret to auth_file.
    if (password === undefined && verifier === undefined && users.has(name)) continue;
    // As in PostgreSQL, an empty password is no password.
    const hasSecret = password !== undefined || verifier !== undefined;
    users.set(name, {
      password: password || null,
      verifier: verifier ?? null,
      isListed: hasSecret || isEnough,
    });
  }
  if (dialect === 'sluice' && users.size === 0 && values.auth_file === '')
    addDatabaseLogins(users, values, origins, problems);
  return users;
}

/** Whether a user of whom only limits are named may have a secret that a database knows. */
function looksUsersUp({ auth_user, databases }: ConfigValues): boolean {
  return auth_user !== '' || Object.values(databases).some((database) => database.auth_user !== undefined);
}

function fromSecret(secret: string): KnownUser {
  const isVerifier = MD5_SECRET.test(secret) || secret.startsWith(SCRAM_PREFIX);
  if (isVerifier) return { password: null, verifier: secret, isListed: true };
  return { password: secret === '' ? null : secret, verifier: null, isListed: true };
}

function checkVerifier(verifier: string, key: string, origin: Origin, problems: Problem[]): void {
  if (MD5_SECRET.test(verifier) || parseScramVerifier(verifier) !== null) return;
  const expected = `expected md5 and 32 hex digits, or ${SCRAM_PREFIX}<iterations>:<salt>$<StoredKey>:<ServerKey>`;
  problems.push({ origin, key, message: `not a verifier (not shown); ${expected}` });
}

function addDatabaseLogins(
  users: Map<string, KnownUser>,
  values: ConfigValues,
  origins: OriginMap,
  problems: Problem[],
): void {
  for (const [database, { user, password }] of Object.entries(values.databases)) {
    if (user === undefined || !password) continue;
    const known = users.get(user);
    if (known !== undefined && known.password !== password && values.auth_type !== 'trust') {
      const path = ['databases', database, 'password'];
      const message = `${JSON.stringify(user)} has another password in another database: name under users which one clients use here`;
      problems.push({ origin: origins.get(path), key: formatKey(path), message });
    }
    users.set(user, { password, verifier: null, isListed: true });
  }
}
