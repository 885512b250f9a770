/** What the settings say of one pool. */
import type { ServerAddress } from '../io.js';
import type { DatabaseSettings, GatewaySettings, HostBalancing, PoolMode } from '../settings.js';

/** What holds for one pool; a reload may change it. */
export interface PoolLimits {
  readonly loadBalanceHosts: HostBalancing;
  readonly address: ServerAddress;
  readonly serverDatabase: string;
  readonly mode: PoolMode;
  readonly size: number;
}

/** @param name the database as clients name it, which may have come to this entry by `*` */
export function poolLimits(settings: GatewaySettings, database: DatabaseSettings, name: string): PoolLimits {
  return {
    address: database.addresses[0]!,
    loadBalanceHosts: database.loadBalanceHosts,
    serverDatabase: database.serverDatabase ?? name,
    mode: database.poolMode ?? settings.poolMode,
    size: database.poolSize ?? settings.defaultPoolSize,
  };
}

/** Whether server connections opened under the one don't serve under the other. */
export function leadElsewhere(before: PoolLimits, after: PoolLimits): boolean {
  return (
    JSON.stringify(before.address) !== JSON.stringify(after.address) ||
    before.serverDatabase !== after.serverDatabase
  );
}
