/**
 * What the store of a cluster says of who may be written to, as the gateway has heard it. The strongest evidence there is: a
 * node that says it is the primary and has not been named gets nothing.
 */
import type { NodeSettings } from '../settings.js';

/** Issued by the store, once for each term. */
export interface NodeEpoch {
  readonly term: number;
  /** The leader's name among the nodes. */
  readonly leader: string;
  /** PostgreSQL's system identifier of the cluster. */
  readonly systemId: string;
  /** The timeline that the leader writes on. */
  readonly timeline: number;
}

/** One look into the store. Values only: they cross between threads. */
export interface ClusterNews {
  /** The cluster's name in the configuration. */
  readonly cluster: string;
  /** The last term that was given out. */
  readonly term: number;
  /** Null: nobody leads. */
  readonly epoch: NodeEpoch | null;
  /** New transactions wait: the leader is not open yet, or about to hand over. */
  readonly isHeld: boolean;
  /** How long it may be believed, from when it was heard. ms. */
  readonly leaseMs: number;
  /** All that have registered. */
  readonly nodes: readonly NodeSettings[];
}

/**
 * What has changed since the last look into the store; `deposed`: a term is over that was believed in, so that its leader is
 * nobody's primary any more.
 */
export type Change = 'nothing' | 'something' | 'deposed';

/** What has been heard of one cluster, for as long as that may be believed. */
export class EpochBelief {
  /** The cluster's name. */
  readonly name: string;
  news: ClusterNews | null = null;
  /** In ms; from then on nothing is known. */
  until = Number.NEGATIVE_INFINITY;

  constructor(name: string) {
    this.name = name;
  }

  /** @param ageMs how long ago it was heard */
  hear(news: ClusterNews, now: number, ageMs: number): Change {
    const { news: last } = this;
    const wasOver = this.isOver(now);
    this.news = news;
    this.until = now + news.leaseMs - ageMs;
    const term = news.epoch?.term;
    if (last?.epoch != null && last.epoch.term !== term) return 'deposed';
    const isSame = last?.epoch?.term === term && last?.isHeld === news.isHeld && !wasOver;
    return isSame ? 'nothing' : 'something';
  }

  isOver(now: number): boolean {
    return now >= this.until;
  }

  /** Null: nobody leads, as far as is known. */
  epochAt(now: number): NodeEpoch | null {
    return this.isOver(now) ? null : (this.news?.epoch ?? null);
  }

  /** Why there is none, for people. */
  whyNone(now: number): string {
    if (this.news === null) return "the cluster's store has not been heard yet";
    if (this.isOver(now)) return "the cluster's store has not been heard within the lease";
    return `nobody leads the cluster (term ${this.news.term})`;
  }

  isHeldAt(now: number): boolean {
    return !this.isOver(now) && this.news?.isHeld === true;
  }
}
