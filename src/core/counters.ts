/** What is counted from the start of a gateway. */
import type { Counters } from './snapshot.js';

/** Nothing has been counted yet. */
export function newCounters(): Counters {
  return {
    clientsAccepted: 0,
    clientsRefused: 0,
    loginFailures: 0,
    loginsThrottled: 0,
    protocolViolations: 0,
    serverConnections: 0,
    serverConnectFailures: 0,
    queryWaitTimeouts: 0,
    sessionsPinned: 0,
    statementsRefused: 0,
    cancelRequests: 0,
    notificationsOverrun: 0,
    readsRepeated: 0,
    readsEarly: 0,
    readsTooEarly: 0,
    readsPipelined: 0,
    pipelines: 0,
    readsDispersed: 0,
    beginsDeferred: 0,
    longUnits: 0,
    holds: 0,
    holdMs: 0,
    failoverTimeouts: 0,
    serversCut: 0,
    primaryChanges: 0,
  };
}
