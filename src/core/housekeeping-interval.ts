/** How often a gateway must look at what is due. */
import { ADVANCE_MS_MAX, ADVANCE_MS_MIN } from './limits.js';
import type { GatewaySettings } from './settings.js';

/** In ms; short enough that no timeout is late by more than a quarter of itself. */
export function housekeepingMs(settings: GatewaySettings): number {
  const ofUsers = [...settings.users.values()].flatMap(({ limits }) =>
    limits === null
      ? []
      : [
          limits.queryTimeoutMs,
          limits.queryWaitTimeoutMs,
          limits.transactionTimeoutMs,
          limits.idleTransactionTimeoutMs,
          limits.clientIdleTimeoutMs,
        ],
  );
  const ofDatabases = [...settings.databases.values()].flatMap((database) => [
    database.serverLifetimeMs,
    database.queryWaitTimeoutMs,
  ]);
  let shortest = 4 * ADVANCE_MS_MAX;
  for (const timeout of [...ofGateway(settings), ...ofUsers, ...ofDatabases]) {
    if (timeout !== null && timeout > 0) shortest = Math.min(shortest, timeout);
  }
  return Math.max(ADVANCE_MS_MIN, shortest / 4);
}

function ofGateway(settings: GatewaySettings): number[] {
  return [
    settings.queryWaitTimeoutMs,
    settings.queryWaitNotifyMs,
    settings.queryTimeoutMs,
    settings.transactionTimeoutMs,
    settings.idleTransactionTimeoutMs,
    settings.clientIdleTimeoutMs,
    settings.clientLoginTimeoutMs,
    settings.serverIdleTimeoutMs,
    settings.serverLifetimeMs,
    settings.serverConnectTimeoutMs,
    settings.serverLoginRetryMs,
    settings.cancelWaitTimeoutMs,
    settings.autodbIdleTimeoutMs,
    settings.reservePoolSize > 0 ? settings.reservePoolTimeoutMs : 0,
    settings.serverCheckQuery === null ? 0 : settings.serverCheckDelayMs,
  ];
}
