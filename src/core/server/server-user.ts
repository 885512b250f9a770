/** Whom the server connections of a pool log in as. */
import type { DatabaseSettings, GatewaySettings, UserSettings } from '../settings.js';

/**
 * What new settings know of the user of a pool. One whom `auth_query` has found keeps its secret until a client logs in
 * the next time.
 */
export function userAfterReload(
  user: UserSettings,
  { forcedUser }: DatabaseSettings,
  { users }: GatewaySettings,
): UserSettings {
  if (forcedUser?.name === user.name) return forcedUser;
  const listed = users.get(user.name);
  return listed?.isListed ? listed : { ...user, limits: listed?.limits ?? null };
}
