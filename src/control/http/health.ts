/** What the process says of its health: alive, ready, and the facts behind. */
import type { Counters, Snapshot } from '../../core/snapshot.js';
import type { ClusterStatus } from '../cluster/cluster-watch.js';
import { stateOf } from '../console/cluster-tables.js';
import type { DiscoveryStatus } from '../discovery/discovery.js';
import type { Operator } from '../operator.js';
import { SLUICE_VERSION } from '../version.js';

/** Longest time that the data plane may take to answer; beyond it counts as silent. In ms. */
const ANSWER_MS_MAX = 2000;

/** Whether new clients should be sent here; `reasons` are sentences, none where it is ready. */
export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

/** All that GET /health tells. */
export interface Health extends Readiness {
  readonly version: string;
  readonly pid: number;
  readonly driver: string;
  readonly uptimeSeconds: number;
  readonly state: Snapshot['state'] | 'unknown';
  readonly clients: number | null;
  readonly waitingClients: number | null;
  readonly serverConnections: number | null;
  readonly pools: number | null;
  /** Events since the start, among them how often a limit was met. */
  readonly counters: Readonly<Counters> | null;
  /** Why clients keep their server connections, now and since the start. */
  readonly pins: Snapshot['pins'] | null;
  /** What the store of the cluster says of who leads; null: there is none. */
  readonly cluster: (ClusterStatus & { readonly state: string }) | null;
  /** What the sources say that `nodes_from` of databases names. */
  readonly nodeSources: readonly DiscoveryStatus[];
  /** The nodes of databases that are routed, while these have clients, and where their reads have gone. */
  readonly routed: Snapshot['routed'] | null;
  /** How often PostgreSQL's parser was made anew, since a text had broken it or its memory had grown too large. */
  readonly parserReplacements: number;
}

/** Asks the data plane; null when it has ended or is silent. */
export async function look({ gateway }: Operator): Promise<Snapshot | null> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), ANSWER_MS_MAX);
  });
  try {
    return await Promise.race([gateway.snapshot(), late]);
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}

/** True while both planes answer. A database has no part in it. */
export async function isAlive(operator: Operator): Promise<boolean> {
  return (await look(operator)) !== null;
}

export async function readReadiness(operator: Operator): Promise<Readiness> {
  return judge(operator, await look(operator));
}

export async function readHealth(operator: Operator): Promise<Health> {
  const snapshot = await look(operator);
  return {
    ...judge(operator, snapshot),
    version: SLUICE_VERSION,
    pid: process.pid,
    driver: operator.gateway.driver,
    uptimeSeconds: Math.floor(process.uptime()),
    state: snapshot?.state ?? 'unknown',
    clients: snapshot?.clients ?? null,
    waitingClients: snapshot?.pools.reduce((sum, pool) => sum + pool.clWaiting, 0) ?? null,
    serverConnections: snapshot?.servers ?? null,
    pools: snapshot?.pools.length ?? null,
    counters: snapshot?.counters ?? null,
    pins: snapshot?.pins ?? null,
    cluster: clusterOf(operator),
    nodeSources: operator.gateway.nodeSources,
    routed: snapshot?.routed ?? null,
    parserReplacements: operator.gateway.parserReplacements,
  };
}

function clusterOf({ gateway: { cluster } }: Operator): Health['cluster'] {
  return cluster === null ? null : { ...cluster, state: stateOf(cluster) };
}

/** @param snapshot what {@link look} has brought */
export function judge(operator: Operator, snapshot: Snapshot | null): Readiness {
  const reasons: string[] = [];
  if (operator.isShuttingDown) reasons.push('the gateway is being drained before it ends');
  if (snapshot === null) reasons.push('the data plane does not answer');
  else if (snapshot.state !== 'active')
    reasons.push(`the gateway is ${snapshot.state}; RESUME lets it go on`);
  return { ready: reasons.length === 0, reasons };
}
