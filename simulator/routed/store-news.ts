/** What the cluster's store says to the gateway, and when: late, in order, and not at all for a while now and then. */
import type { ClusterNews } from '../../src/core/route/epoch.js';
import type { Random } from '../random.js';
import type { Schedule } from '../schedule.js';
import type { ListLedger } from './list-ledger.js';
import type { ListNode } from './list-node.js';
import { CLUSTER, nodeSettings, type StorePlan } from './plan.js';

/** Renewals in one lease. */
const RENEWALS = 4;
const OUTAGE_MS_MAX = 4000;

/** What it tells the gateway. */
export type Hear = (news: ClusterNews, ageMs: number) => void;

export class StoreNews {
  private readonly schedule: Schedule;
  private readonly random: Random;
  private readonly plan: StorePlan;
  private readonly ledger: ListLedger;
  private readonly nodes: number;
  private readonly hear: Hear;
  private term = 1;
  private leader: ListNode | null;
  private timeline = 1;
  private isHeld = false;
  /** Nothing gets through before, in ms. */
  private blockedUntil = 0;
  private isCalm = false;
  private isOver = false;

  constructor(
    { schedule, random }: { readonly schedule: Schedule; readonly random: Random },
    plan: StorePlan,
    ledger: ListLedger,
    first: { readonly leader: ListNode; readonly nodes: number },
    hear: Hear,
  ) {
    this.schedule = schedule;
    this.random = random;
    this.plan = plan;
    this.ledger = ledger;
    this.leader = first.leader;
    this.nodes = first.nodes;
    this.hear = hear;
    this.renew();
  }

  /** @param leader null: nobody leads */
  publish(term: number, leader: ListNode | null, timeline: number, isHeld: boolean): void {
    this.term = term;
    this.leader = leader;
    this.timeline = timeline;
    this.isHeld = isHeld;
    this.send();
  }

  /** The same leader lets new transactions begin, or doesn't. */
  hold(isHeld: boolean): void {
    this.isHeld = isHeld;
    this.send();
  }

  /** No more outages. */
  calm(): void {
    this.isCalm = true;
  }

  end(): void {
    this.isOver = true;
  }

  private renew(): void {
    if (this.isOver) return;
    if (!this.isCalm && this.random.chance(this.plan.outages)) {
      this.blockedUntil = this.schedule.now + this.random.fraction() * OUTAGE_MS_MAX;
      this.ledger.trace(() => `the store can't be read until ${this.blockedUntil.toFixed(1)}`);
    }
    this.send();
    this.schedule.after(this.plan.leaseMs / RENEWALS, () => this.renew());
  }

  /** One look of the gateway into the store; a watch sees the newest, and an older one never behind it. */
  private send(): void {
    const { schedule, random, plan } = this;
    const readAt = schedule.now;
    const arrivesAt = Math.max(this.blockedUntil, readAt + random.fraction() * plan.newsMsMax);
    schedule.after(arrivesAt - readAt, () => this.arrive(Math.max(readAt, this.blockedUntil)));
  }

  private arrive(readAt: number): void {
    const { term, leader, timeline, isHeld, plan } = this;
    const { now } = this.schedule;
    if (now < this.blockedUntil) return;
    this.ledger.trace(
      () => `the gateway hears: term ${term}, ${leader?.name ?? 'nobody'}${isHeld ? ', held' : ''}`,
    );
    this.ledger.knownTerm = term;
    this.ledger.believedUntil = readAt + plan.leaseMs;
    this.ledger.isHeld = isHeld;
    this.hear(
      {
        ...{ cluster: CLUSTER, term, isHeld, leaseMs: plan.leaseMs },
        epoch: leader && { term, leader: leader.name, systemId: leader.systemId, timeline },
        nodes: nodeSettings(this.nodes),
      },
      now - readAt,
    );
  }
}
