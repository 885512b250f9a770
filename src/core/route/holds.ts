/** The times in which no node of a database may be written to, and its clients wait: what is told of them. */
import type { GatewayContext } from '../context.js';
import type { Database } from '../databases.js';
import type { Cluster } from './cluster.js';

/** A pool, as this sees it. */
interface HeldPool {
  readonly waiters: { readonly length: number };
}

const MS_PER_S = 1000;

/** Clients of a database wait from now on, or don't any more. Called in front of what follows from it for its pools. */
export function noteHold(
  { io, counters }: GatewayContext,
  { database, primary, isHeld }: Pick<Cluster, 'database' | 'primary' | 'isHeld'>,
  pools: readonly HeldPool[],
  areHeld: boolean,
): void {
  const since = database.heldSince;
  if (areHeld === (since !== null)) return;
  database.heldSince = areHeld ? io.now() : null;
  const facts = { database: database.name };
  if (since === null) {
    const why = isHeld ? `${primary?.settings.name} is not open to new transactions` : 'there is no primary';
    counters.holds += 1;
    return io.report({ level: 'info', event: 'hold', message: `new transactions wait: ${why}`, facts });
  }
  const ms = io.now() - since;
  const waiting = pools.reduce((sum, { waiters }) => sum + waiters.length, 0);
  counters.holdMs += ms;
  const took = `${(ms / MS_PER_S).toFixed(2)} s, and ${waiting} client${waiting === 1 ? '' : 's'} did`;
  io.report({
    level: 'info',
    event: 'release',
    message: `new transactions go on; they have waited for ${took}`,
    facts: { ...facts, ms: Math.round(ms), clients: waiting },
  });
}

/** Server connections of what was the primary are closed. */
export function recordCut({ io, counters }: GatewayContext, { name }: Database, connections: number): void {
  counters.serversCut += connections;
  io.report({
    level: 'warn',
    event: 'cut',
    message: `the primary's term is over: ${connections} server connections are cut`,
    facts: { database: name, connections },
  });
}
