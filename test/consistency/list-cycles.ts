/**
 * Cycles among transactions over lists. An edge means "must have come before": because the same list was written (ww), because
 * what was written was read (wr), because a read does not show a write (rw), because a session did one after the other, or
 * because a write was acknowledged before the other began. At snapshot isolation a cycle has at least two rw edges; one
 * with fewer is an anomaly (G0, G1c and G-single in Adya's terms).
 */
import { cyclicComponents, shortestPath } from './graph.js';
import {
  type Finding,
  type IsPrimary,
  type ListTransaction,
  told,
  type VersionOrder,
  type Writers,
} from './history.js';

/** Cycles by what is needed to close them. */
export interface Cycles {
  readonly isolation: readonly Finding[];
  readonly session: readonly Finding[];
  readonly realTime: readonly Finding[];
}

/** More than that tell nothing new. */
const CYCLES_MAX = 20;

export function findCycles(
  transactions: readonly ListTransaction[],
  writers: Writers,
  order: VersionOrder,
  isPrimary: IsPrimary,
): Cycles {
  const graph = new Dependencies(transactions);
  graph.addValues(writers, order);
  const isolation = graph.cycles();
  graph.addSessions(isPrimary);
  const session = isolation.length > 0 ? [] : graph.cycles();
  graph.addRealTime();
  const realTime = isolation.length + session.length > 0 ? [] : graph.cycles();
  return { isolation, session, realTime };
}

/** Nodes are the transactions, and behind them one moment for each writing transaction's end. */
class Dependencies {
  readonly #transactions: readonly ListTransaction[];
  /** Everything but rw. */
  readonly #edges: number[][];
  readonly #antiEdges: number[][];

  constructor(transactions: readonly ListTransaction[]) {
    this.#transactions = transactions;
    this.#edges = transactions.map(() => []);
    this.#antiEdges = transactions.map(() => []);
  }

  addValues(writers: Writers, order: VersionOrder): void {
    const add = (edges: number[][], from: number | undefined, to: number | undefined): void => {
      if (from !== undefined && to !== undefined && from !== to) edges[from]!.push(to);
    };
    for (const elements of order.values()) {
      for (let at = 1; at < elements.length; at++) {
        add(this.#edges, writers.get(elements[at - 1]!), writers.get(elements[at]!));
      }
    }
    this.#transactions.forEach(({ outcome, steps }, position) => {
      if (outcome === 'aborted') return;
      for (const step of steps) {
        if (!('read' in step)) continue;
        const others = step.read.filter((element) => writers.get(element) !== position);
        if (others.length > 0) add(this.#edges, writers.get(others.at(-1)!), position);
        add(this.#antiEdges, position, writers.get(order.get(step.key)?.[others.length] ?? Number.NaN));
      }
    });
  }

  /** But for those from a standby to the primary, which may show a commit later than the standby does. */
  addSessions(isPrimary: IsPrimary): void {
    const lastOnPrimary = new Map<number, number>();
    const last = new Map<number, number>();
    this.#inOrder('start').forEach((position) => {
      const { session, node, outcome } = this.#transactions[position]!;
      if (outcome !== 'committed') return;
      const before = isPrimary(node) ? lastOnPrimary.get(session) : last.get(session);
      if (before !== undefined) this.#edges[before]!.push(position);
      last.set(session, position);
      if (isPrimary(node)) lastOnPrimary.set(session, position);
    });
  }

  /** A write comes before whatever began after its acknowledgement. Moments are chained, so that edges stay few. */
  addRealTime(): void {
    const starts = this.#inOrder('start').filter((at) => this.#transactions[at]!.outcome !== 'aborted');
    const ends = this.#inOrder('end').filter((at) => this.#writes(at));
    let next = 0;
    let moment = -1;
    for (const position of starts) {
      const { start } = this.#transactions[position]!;
      while (next < ends.length && this.#transactions[ends[next]!]!.end < start) {
        const later = this.#edges.push([]) - 1;
        this.#antiEdges.push([]);
        this.#edges[ends[next++]!]!.push(later);
        if (moment >= 0) this.#edges[moment]!.push(later);
        moment = later;
      }
      if (moment >= 0) this.#edges[moment]!.push(position);
    }
  }

  #writes(position: number): boolean {
    const { outcome, steps } = this.#transactions[position]!;
    return outcome === 'committed' && steps.some((step) => 'append' in step);
  }

  #inOrder(time: 'start' | 'end'): number[] {
    return [...this.#transactions.keys()].sort(
      (a, b) => this.#transactions[a]![time] - this.#transactions[b]![time],
    );
  }

  /** Those with no rw edge, or one. */
  cycles(): Finding[] {
    const both = this.#edges.map((targets, node) => [...targets, ...this.#antiEdges[node]!]);
    const findings: Finding[] = [];
    for (const component of cyclicComponents(both)) {
      const members = new Set(component);
      for (const node of component) {
        for (const target of this.#antiEdges[node]!) {
          if (!members.has(target)) continue;
          const way = shortestPath(this.#edges, target, node, members);
          if (way !== null) findings.push(this.#finding('one unseen write closes a cycle', way));
          if (findings.length >= CYCLES_MAX) return findings;
        }
      }
    }
    for (const component of cyclicComponents(this.#edges)) {
      const first = component[0]!;
      const way = shortestPath(this.#edges, first, first, new Set(component));
      if (way !== null) findings.push(this.#finding('each comes before itself', way));
    }
    return findings.slice(0, CYCLES_MAX);
  }

  #finding(what: string, way: readonly number[]): Finding {
    const names = way.flatMap((node) => this.#transactions[node] ?? []).map(told);
    return { text: `${what}: ${names.join('; then ')}`, ageMs: null };
  }
}
