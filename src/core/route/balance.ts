/**
 * Which of the standbys that may serve a read gets it: the one that has been given least of what is its share, counting what it
 * is at by now. A share grows with the node's weight and its speed, and slowly after it has come back.
 */
import type { RouteNode } from './route-node.js';

/** What one who has just come back gets of its share at least. */
const FIRST_PART = 0.1;
/** So many reads is a node owed at most that could serve none for a while. */
const CREDIT_READS = 2;

/** What a choice depends on. */
export interface BalanceSettings {
  readonly zone: string;
  readonly standbySlowStartMs: number;
}

export class Balance {
  /** What has been given to who was chosen last. */
  private floor = 0;

  /**
   * Of the nodes the best that `mayServe`, those of our zone first; null: none. What it will cost is counted as given.
   */
  choose(
    nodes: readonly RouteNode[],
    settings: BalanceSettings,
    now: number,
    position: number,
    mayServe: (node: RouteNode, position: number, now: number) => boolean,
  ): RouteNode | null {
    let best: RouteNode | null = null;
    let least = 0;
    let isNear = false;
    for (let i = 0; i < nodes.length; i++) {
      const node = nodes[i]!;
      if (!mayServe(node, position, now)) continue;
      const near = settings.zone === '' || node.settings.zone === settings.zone;
      if (isNear && !near) continue;
      const cost = costOf(node, settings.standbySlowStartMs, now);
      const load = this.givenTo(node, cost) + (node.outstanding + 1) * cost;
      if (best !== null && near === isNear && load >= least) continue;
      best = node;
      least = load;
      isNear = near;
    }
    if (best !== null) this.give(best, settings, now);
    return best;
  }

  private give(node: RouteNode, { standbySlowStartMs }: BalanceSettings, now: number): void {
    const cost = costOf(node, standbySlowStartMs, now);
    const given = this.givenTo(node, cost);
    this.floor = Math.max(given, this.floor);
    node.given = given + cost;
  }

  private givenTo({ given }: RouteNode, cost: number): number {
    return Math.max(given, this.floor - CREDIT_READS * cost);
  }
}

/** What one read costs there, in ms of a node with weight 1. */
function costOf(node: RouteNode, slowStartMs: number, now: number): number {
  const age = now - node.servesSince;
  const part = age >= slowStartMs ? 1 : Math.max(FIRST_PART, age / slowStartMs);
  return node.latencyMs(now) / (node.settings.weight * part);
}
