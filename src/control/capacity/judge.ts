/** Whether what a configuration may ask for fits what a server has, and what would. Pure. */
import type { ServerFacts } from './ask-server.js';
import type { DatabaseDemand, ServerDemand } from './demand.js';

/** Sessions that somebody may want beside the pools: psql, a dump, monitoring. */
const SPARE = 3;
const MIB = 1024 ** 2;
/** What a backend takes before it has run anything, roughly; it differs with version and libraries. */
const BACKEND_MIB = 8;

export type Verdict = 'fits' | 'too-many' | 'unknown';

/** What is told of one server. */
export interface Judgement {
  readonly verdict: Verdict;
  /** Connections that ordinary users may open: `max_connections` without what is reserved. */
  readonly room: number;
  /** One sentence: why. */
  readonly reason: string;
  /** What to do, each by itself; empty where it fits. */
  readonly advice: readonly string[];
  /** What the connections may come to in memory. */
  readonly memory: string;
}

/** `gateways`: how many processes have this configuration. */
export function judge(demand: ServerDemand, facts: ServerFacts, gateways: number): Judgement {
  const room = facts.maxConnections - facts.superuserReserved - facts.otherReserved;
  const memory = memoryOf(Number.isFinite(demand.most) ? demand.most : demand.least, facts);
  if (demand.least > room) {
    const reason = `the pools may open ${demand.least} connections, one user for each database; the server has room for ${room}`;
    return {
      verdict: 'too-many',
      room,
      reason,
      advice: adviceFor(demand, demand.least + ownOf(demand), room, facts, gateways),
      memory,
    };
  }
  if (demand.most === Number.POSITIVE_INFINITY) {
    const reason = `one user for each database needs ${demand.least} of ${room}, but nothing bounds the number of pools: ${demand.unknowns.join('; ')}`;
    return { verdict: 'unknown', room, reason, advice: boundAdvice(demand, room, gateways), memory };
  }
  const wanted = demand.most + ownOf(demand);
  const others = ownWords(demand);
  if (wanted > room) {
    const reason = `the pools may open ${demand.most} connections${others}, ${wanted - room} more than the server has room for (${room})`;
    const advice = adviceFor(demand, wanted, room, facts, gateways);
    return { verdict: 'too-many', room, reason, advice, memory };
  }
  const left = room - wanted;
  const reason = `the pools may open ${demand.most} of ${room} connections${others}; ${left} are left for others`;
  return { verdict: 'fits', room, reason, advice: left < SPARE ? [spareAdvice(left)] : [], memory };
}

/** What the gateway has connections of its own for. */
function ownOf({ listening, watching }: ServerDemand): number {
  return listening + watching;
}

function ownWords({ listening, watching }: ServerDemand): string {
  const listeners = listening > 0 ? `, and ${listening} for clients that LISTEN` : '';
  return watching > 0 ? `${listeners}, and ${watching} to watch the nodes` : listeners;
}

function adviceFor(
  demand: ServerDemand,
  wanted: number,
  room: number,
  facts: ServerFacts,
  gateways: number,
): string[] {
  const usable = Math.max(1, room - SPARE - ownOf(demand));
  const pools = demand.databases.flatMap((database) => database.pools);
  const each = Math.floor(usable / gateways / Math.max(1, pools.length));
  const advice: string[] = [];
  if (each >= 1) {
    const reserve = pools.some((pool) => pool.reserve > 0) ? ', with reserve_pool_size = 0' : '';
    advice.push(
      `a pool size of ${each} would do${reserve}: default_pool_size, or pool_size where one is set ` +
        `(${pools.length} ${pools.length === 1 ? 'pool' : 'pools'}, ${SPARE} connections left for others)`,
    );
  }
  if (demand.databases.length > 0)
    advice.push(capAdvice(demand.databases, Math.max(1, room - SPARE), gateways));
  const needed = wanted + SPARE + facts.superuserReserved + facts.otherReserved;
  advice.push(
    `or let the server have more: max_connections = ${needed} in postgresql.conf, which takes a restart`,
  );
  return advice;
}

function boundAdvice({ databases }: ServerDemand, room: number, gateways: number): string[] {
  const usable = Math.max(1, room - SPARE);
  const advice: string[] = [];
  if (databases.some(({ database }) => database === '*')) {
    advice.push('name the databases that clients may use instead of "*"');
  }
  advice.push(capAdvice(databases, usable, gateways));
  return advice;
}

function capAdvice(databases: readonly DatabaseDemand[], usable: number, gateways: number): string {
  const each = Math.floor(usable / gateways / Math.max(1, databases.length));
  if (each < 1) return 'fewer databases or gateways: there are fewer connections than there are of these';
  return `set max_db_connections = ${each} for each of ${databases.length} ${databases.length === 1 ? 'database' : 'databases'}: their users then share them`;
}

function spareAdvice(left: number): string {
  return `only ${left} connections are left for psql, dumps and monitoring (superusers have their own)`;
}

function memoryOf(connections: number, facts: ServerFacts): string {
  const work = facts.workMem * facts.hashMemMultiplier;
  const backends = connections * BACKEND_MIB;
  const busy = Math.round((connections * work) / MIB);
  return (
    `${connections} backends take about ${backends} MiB beside shared_buffers (${Math.round(facts.sharedBuffers / MIB)} MiB), ` +
    `and ${busy} MiB more while each runs one sort or hash (work_mem ${Math.round(facts.workMem / 1024)} kB` +
    `${facts.hashMemMultiplier === 1 ? '' : ` times ${facts.hashMemMultiplier} for a hash`})`
  );
}
