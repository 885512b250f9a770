/** The packet that opens a session on a server. */
import { buildStartup } from '../../wire/startup.js';
import type { PoolIdentity } from './pool-identity.js';
import type { PoolLimits } from './pool-limits.js';

/** Later ones overrule earlier ones: what the client asked for, then what the database's entry says. */
export function serverStartup(identity: PoolIdentity, limits: PoolLimits, protocolMinor: number): Buffer {
  const parameters = new Map([
    ['user', identity.user.name],
    ['database', limits.serverDatabase],
    ...limits.startupParameters,
    ...identity.startupParameters,
  ]);
  return buildStartup(parameters, protocolMinor);
}
