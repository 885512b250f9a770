/** What must be true of the whole world, and what has been seen of it. */
import type { StateName } from '../../src/cluster/states.js';
import type { SimNode } from './sim-node.js';
import type { SimPostgres } from './sim-postgres.js';

/** One commit. */
export interface Entry {
  readonly id: number;
}

interface Acknowledged {
  readonly entry: Entry;
  readonly lsn: number;
  readonly term: number;
}

/** Notes what clients were told, and the first thing that is wrong. */
export class Ledger {
  violation: string | null = null;
  readonly acknowledged: Acknowledged[] = [];
  /** How often each way between two states was taken. */
  readonly ways = new Map<string, number>();
  /** How often each state was entered, by all nodes. */
  readonly entered = new Map<StateName, number>();
  elections = 0;
  lastAcknowledgedAt = 0;
  #highestTerm = 0;
  /** Of the term that was acknowledged in last. */
  #latest: SimPostgres | null = null;
  /** A failover may lose commits. */
  readonly mayLose: boolean;

  constructor(mayLose: boolean) {
    this.mayLose = mayLose;
  }

  violate(text: string): void {
    this.violation ??= text;
  }

  /**
   * A client is told that its commit is done.
   * A node whose clock stood still may say so when its successor has begun, if the commit is that one's, too.
   */
  acknowledge(commit: Acknowledged, node: SimNode): void {
    const { entry, lsn, term } = commit;
    const isLate = term < this.#highestTerm;
    const isKept = node.hasLostTime && this.#latest?.wal[lsn - 1] === entry;
    if (isLate && !isKept) {
      this.violate(
        `${node.name} acknowledges in term ${term}, when term ${this.#highestTerm} has done so already`,
      );
    }
    if (!isLate) this.#latest = node.postgres;
    this.#highestTerm = Math.max(term, this.#highestTerm);
    this.lastAcknowledgedAt = node.world.agenda.now;
    this.acknowledged.push(commit);
  }

  /** A primary lets clients in, or the run is over: it must have all that was acknowledged. */
  checkPrimary(node: string, wal: readonly Entry[]): void {
    if (this.mayLose) return;
    for (const { entry, lsn, term } of this.acknowledged) {
      if (wal[lsn - 1] === entry) continue;
      return this.violate(`${node} lets clients in without commit ${entry.id}, acknowledged in term ${term}`);
    }
  }

  way(from: string, event: string, to: StateName): void {
    const key = `${from} | ${event}`;
    this.ways.set(key, (this.ways.get(key) ?? 0) + 1);
    this.entered.set(to, (this.entered.get(to) ?? 0) + 1);
  }
}
