/**
 * Reads that must see every commit that was acknowledged before they came. One question to the primary, where it writes, serves
 * all that had come before it was asked; then each goes to a standby that has replayed so much, or waits for one.
 *
 * A read is in one of three lists: it has *arrived*; it is *asked* for; it *waits* for a standby. Positions grow, so that each
 * list is sorted by what its reads need, too. All moves are made at the end of a turn of the loop, when all that has come in it
 * is known: reads that come together share a question, and standbys that answer together share the reads.
 */
import type { GatewayContext } from '../context.js';
import { type Reader, ReaderList } from './reader-list.js';
import type { RouteNode } from './route-node.js';
import { recordEnd } from './wal-position.js';

/** The watch of a node, as this sees it. */
export interface PositionSource {
  readonly node: RouteNode;
  readonly evidence: { readonly pageBytes: number } | null;
  /** When it was asked for the position that it has told last, in ms. */
  readonly positionAskedAtLast: number;
  /** Asks for its position, after a pause if that is wanted. False: it can't be asked, or is being asked. */
  askPosition(afterPause: boolean): boolean;
}

/** What it needs of the cluster. */
export interface StrongReadsCluster {
  /** The primary's watch; null: there is no primary. */
  readonly primaryWatch: PositionSource | null;
  /** Of all nodes. */
  readonly watches: readonly PositionSource[];
  /** Some standby may serve. */
  readonly hasStandby: boolean;
  readonly counters: RouteCounters;
  /** The best of the standbys that have replayed so much; null: none has. */
  chooseAt(position: number): RouteNode | null;
  /** The primary was at `position` some time after `askedAt`, in ms; returns what a standby needs to show all that. */
  primaryAt(position: number, askedAt: number): number;
}

/** What has happened to the reads of a database. */
export interface RouteCounters {
  /** Reads that got a standby, of whatever consistency. */
  readsOnStandbys: number;
  /** Reads that went to the primary since no standby could serve them. */
  readsOnPrimary: number;
  /** Of those, the ones that have waited for `standby_wait`. */
  standbyWaitTimeouts: number;
  /** How often the primary was asked where it writes. */
  positionQuestions: number;
}

const NEVER = Number.POSITIVE_INFINITY;
/** After so many waits in vain, nobody waits any more until a standby has got as far as the last one wanted. */
const VAIN_WAITS_MAX = 3;

export class StrongReads {
  private readonly context: GatewayContext;
  private readonly cluster: StrongReadsCluster;
  private readonly arrived = new ReaderList();
  private readonly asked = new ReaderList();
  private readonly waiting = new ReaderList();
  /** Whose answer is awaited. */
  private asking: PositionSource | null = null;
  private askedAt = 0;
  private vainWaits = 0;
  /** What nobody has reached in time. */
  private missedPosition = 0;

  constructor(context: GatewayContext, cluster: StrongReadsCluster) {
    this.context = context;
    this.cluster = cluster;
  }

  add(reader: Reader): void {
    this.arrived.push(reader);
  }

  remove(reader: Reader): void {
    const { arrived, asked, waiting } = this;
    const list = arrived.isBoundedBy(reader) ? arrived : asked.isBoundedBy(reader) ? asked : waiting;
    list.remove(reader);
  }

  get isEmpty(): boolean {
    return this.arrived.first === null && this.asked.first === null && this.waiting.first === null;
  }

  /** The node has said where it is, in the middle of a turn; -1: there is no answer. */
  positioned(watch: PositionSource, position: number): void {
    if (watch !== this.asking) return;
    this.asking = null;
    if (position < 0 || watch !== this.cluster.primaryWatch) return this.restart();
    const pageBytes = watch.evidence?.pageBytes ?? 0;
    const needed = this.cluster.primaryAt(recordEnd(position, pageBytes), this.askedAt);
    const now = this.context.io.now();
    for (let reader = this.asked.first; reader !== null; reader = reader.nextReader) {
      reader.neededPosition = needed;
      reader.waitsSince = now;
    }
    this.waiting.takeAll(this.asked);
  }

  /** Another node is the primary now: what is known of positions is of the past. */
  restart(): void {
    this.asking = null;
    this.vainWaits = 0;
    this.arrived.takeAll(this.asked);
    this.arrived.takeAll(this.waiting);
  }

  /** The end of a turn of the loop. Returns when something is due, in ms. */
  turn(now: number): number {
    if (this.waiting.first !== null) this.serveWaiting(now);
    if (this.waiting.first !== null) this.askStandbys();
    if (this.arrived.first !== null && this.asking === null) this.askPrimary(now);
    const { first } = this.waiting;
    return first === null ? NEVER : first.waitsSince + this.context.settings.standbyWaitMs;
  }

  private serveWaiting(now: number): void {
    const { standbyWaitMs } = this.context.settings;
    for (let { first } = this.waiting; first !== null; first = this.waiting.first) {
      const node = this.cluster.chooseAt(first.neededPosition);
      if (node !== null) {
        this.vainWaits = 0;
        this.cluster.counters.readsOnStandbys += 1;
      } else {
        const isLate = now >= first.waitsSince + standbyWaitMs;
        if (!isLate && !this.isVain) return;
        if (isLate) this.waitedInVain(first.neededPosition);
        this.cluster.counters.readsOnPrimary += 1;
      }
      this.waiting.remove(first);
      first.routed(node);
    }
  }

  private waitedInVain(position: number): void {
    this.vainWaits += 1;
    this.missedPosition = position;
    this.cluster.counters.standbyWaitTimeouts += 1;
  }

  /** Whether there is no hope that waiting helps, as the last ones have found. */
  private get isVain(): boolean {
    if (this.vainWaits < VAIN_WAITS_MAX) return false;
    const { watches } = this.cluster;
    for (let i = 0; i < watches.length; i++) {
      const { node } = watches[i]!;
      if (!node.mayServe || node.replayed < this.missedPosition) continue;
      this.vainWaits = 0;
      return false;
    }
    return true;
  }

  private askStandbys(): void {
    const { watches } = this.cluster;
    const since = this.waiting.first!.waitsSince;
    for (let i = 0; i < watches.length; i++) {
      const watch = watches[i]!;
      // Who has said already that it is not there yet gets some time.
      if (watch.node.mayServe) watch.askPosition(watch.positionAskedAtLast >= since);
    }
  }

  private askPrimary(now: number): void {
    const { primaryWatch, hasStandby, counters } = this.cluster;
    if (primaryWatch === null || !hasStandby || !primaryWatch.askPosition(false)) return this.toPrimary();
    this.asking = primaryWatch;
    this.askedAt = now;
    counters.positionQuestions += 1;
    this.asked.takeAll(this.arrived);
  }

  /** There is nobody to be asked, or nobody to serve: these go to the primary, and wait there for one if need be. */
  private toPrimary(): void {
    // Who comes meanwhile is for the next turn.
    const { last } = this.arrived;
    for (let { first } = this.arrived; first !== null; first = this.arrived.first) {
      this.arrived.remove(first);
      this.cluster.counters.readsOnPrimary += 1;
      first.routed(null);
      if (first === last) return;
    }
  }
}
