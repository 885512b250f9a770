/** With what `sluice check` may log in to a server: what the configuration knows, the likeliest first. */
import type { SluiceConfig } from '../../config/load.js';
import type { ServerAddress } from '../../core/io.js';
import type { GatewaySettings } from '../../core/settings.js';
import type { Login } from './ask-server.js';

/** The database that every PostgreSQL server has. */
const MAINTENANCE_DATABASE = 'postgres';

/** What whoever calls says about it; null: nothing. */
export interface WantedLogin {
  readonly user: string | null;
  readonly password: string | null;
}

/** Null where nobody is known: then the caller has to name a user. */
export function loginFor(
  address: ServerAddress,
  { values, users }: Pick<SluiceConfig, 'values' | 'users'>,
  settings: GatewaySettings,
  wanted: WantedLogin,
): Login | null {
  const here = [...settings.databases.values()].filter((database) =>
    database.addresses.some((it) => JSON.stringify(it) === JSON.stringify(address)),
  );
  const named = here.find(({ name }) => name !== '*');
  const database = named === undefined ? MAINTENANCE_DATABASE : (named.serverDatabase ?? named.name);
  const passwordOf = (user: string): string | null =>
    users.get(user)?.password ??
    here.find(({ forcedUser }) => forcedUser?.name === user)?.forcedUser?.secret.password ??
    null;
  if (wanted.user !== null) {
    return { user: wanted.user, password: wanted.password ?? passwordOf(wanted.user), database };
  }
  const forced = here.find(({ forcedUser }) => forcedUser !== null);
  if (forced?.forcedUser) {
    const { name, secret } = forced.forcedUser;
    return {
      user: name,
      password: wanted.password ?? secret.password,
      database: forced.serverDatabase ?? forced.name,
    };
  }
  const withPassword = [...users].find(([, { password }]) => password !== null)?.[0];
  const user = withPassword ?? (values.auth_user || [...users.keys()][0]);
  if (user === undefined) return null;
  return { user, password: wanted.password ?? passwordOf(user), database };
}
