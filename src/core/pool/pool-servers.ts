/** All server connections of a pool, whatever they are doing. */
import { CONFIGURATION_CHANGED } from '../close-reasons.js';
import { configuredAddress } from '../hosts.js';
import type { ServerAddress } from '../io.js';
import type { ServerConnection } from '../server/server-connection.js';
import { letGo } from './session-links.js';

export class PoolServers extends Set<ServerConnection> {
  isClosing = false;

  /** Closes every one as soon as it serves nobody; new ones are made when they are needed. */
  replace(reason: string): void {
    for (const server of [...this]) replace(server, reason);
  }

  /** The same for those that lead to addresses which a host name no longer has. */
  leave(name: string, vanished: ReadonlySet<string>): void {
    for (const server of [...this]) {
      const address = configuredAddress(server.address);
      if (address === null || address.name !== name) continue;
      if (vanished.has(address.host)) replace(server, CONFIGURATION_CHANGED);
    }
  }

  /** The same for those that lead to none of these. */
  keepOnly(addresses: readonly ServerAddress[], reason: string): void {
    for (const server of [...this]) {
      if (!addresses.some((address) => leadsTo(server, address))) replace(server, reason);
    }
  }

  /** Closes every one. Who loses its own must not be given one that is about to be closed: `isClosing` says so. */
  close(reason: string): void {
    this.isClosing = true;
    for (const server of [...this]) server.close(reason);
    this.isClosing = false;
  }

  /** Some are to be closed as soon as they can be. */
  get hasOutdated(): boolean {
    for (const server of this) if (server.closeNeeded) return true;
    return false;
  }

  get outstandingRequests(): number {
    let sum = 0;
    for (const server of this) sum += server.outstandingRequests;
    return sum;
  }
}

function leadsTo({ address: actual }: ServerConnection, address: ServerAddress): boolean {
  const configured = configuredAddress(actual);
  if (configured === null) return JSON.stringify(actual) === JSON.stringify(address);
  const { host, name, port } = configured;
  return 'host' in address && (name ?? host) === address.host && port === address.port;
}

function replace(server: ServerConnection, reason: string): void {
  server.closeReason = reason;
  if (server.place.isResting || letGo(server)) server.close(reason);
}
