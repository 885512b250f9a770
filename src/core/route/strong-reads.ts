/**
 * Reads that must see every commit that was acknowledged before they came. One question to the primary, where it writes, serves
 * all that had come before it was asked; then each goes to a standby that has replayed so much, or waits for one.
 *
 * A read is in one of three lists: it has *arrived*; it is *asked* for; it *waits* for a standby. Positions grow, so that each
 * list is sorted by what its reads need, too. All moves are made at the end of a turn of the loop, when all that has come in it
 * is known: reads that come together share a question, and standbys that answer together share the reads.
 *
 * While nobody writes, the answer to a question is known: what the primary said last. So a read is sent *early*, to a standby
 * that had replayed so much before it was sent, and only its answer is held until the primary has been asked. If the primary has
 * written since, the answer is dropped, and the read is one that waits: it has no effects, and nobody has seen what it saw.
 */
import type { GatewayContext } from '../context.js';
import { Foresight } from './foresight.js';
import { type Reader, ReaderList } from './reader-list.js';
import type { RouteNode } from './route-node.js';
import { NO_POSITION, recordEnd } from './wal-position.js';

/** The watch of a node, as this sees it. */
export interface PositionSource {
  readonly node: RouteNode;
  readonly evidence: { readonly pageBytes: number } | null;
  /** When it was asked for the position that it has told last, in ms, and when it has told that. */
  readonly positionAskedAtLast: number;
  readonly positionToldAt: number;
  /** Asks for its position. False: it can't be asked, or is being asked. */
  askPosition(): boolean;
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

/** Where fewer reads share a question it takes less to send each early than to wait for the others (measured with 4 to 32 clients of pgbench -S). */
const CROWD_MIN = 3;
/** The newest question makes up one part in so many of that average. */
const QUESTIONS_COUNTED = 16;
const NEVER = Number.POSITIVE_INFINITY;
/**
 * For so long a standby for which a read waits is asked again as soon as it has answered, then once per REST_MS. What a commit
 * takes to get there is about a ms: with 4 clients of which one in ten transactions writes, a pause of a ms in between took a
 * quarter of the throughput.
 */
const EAGER_MS = 2;
const REST_MS = 1;
/** After so many waits in vain, one behind the other, nobody waits until a standby has got as far as the last one wanted. */
const VAIN_WAITS_MAX = 3;

export class StrongReads {
  private readonly context: GatewayContext;
  private readonly cluster: StrongReadsCluster;
  private readonly arrived = new ReaderList();
  private readonly asked = new ReaderList();
  private readonly waiting = new ReaderList();
  /** Early ones that have been asked for. */
  private readonly judged = new ReaderList();
  private readonly lists = [this.arrived, this.asked, this.judged, this.waiting];
  /** What a read had to see when the primary was asked last. */
  private lastNeeded = NO_POSITION;
  /** What some standby had before it was asked. */
  private knownBefore = NO_POSITION;
  /** Whether that is enough to answer the next question by. */
  private readonly foresight = new Foresight();
  /** Whose answer is awaited. */
  private asking: PositionSource | null = null;
  private askedAt = 0;
  /** On average, of late. */
  private readsPerQuestion = 0;
  private vainWaits = 0;
  /** When the last of them ended, in ms. Reads that waited then, too, have met the same trouble, and don't count. */
  private vainAt = 0;
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
    const list = this.lists.find((each) => each.isBoundedBy(reader)) ?? this.waiting;
    list.remove(reader);
  }

  get isEmpty(): boolean {
    return this.lists.every(({ first }) => first === null);
  }

  /** A read that comes now goes to the primary: no standby can serve it, and to wait for one has not helped lately. */
  get isHopeless(): boolean {
    return this.vainWaits >= VAIN_WAITS_MAX && this.replayedMost < this.missedPosition;
  }

  /** Others wait already: with them it can be sent in one pipeline, which costs less than to be sent early. */
  private get hasCompany(): boolean {
    if (this.context.settings.readPipelineLength <= 1 || this.readsPerQuestion < CROWD_MIN) return false;
    return this.arrived.first !== null || this.asked.first !== null;
  }

  /** Where a read that comes now may be sent at once, its answer held; null: it must wait to be sent. */
  early(): RouteNode | null {
    if (!this.foresight.isLikely || this.hasCompany) return null;
    return this.cluster.chooseAt(this.lastNeeded);
  }

  /** The node has said where it is, in the middle of a turn; -1: there is no answer. */
  positioned(watch: PositionSource, position: number): void {
    if (watch !== this.asking) return;
    this.asking = null;
    if (position < 0 || watch !== this.cluster.primaryWatch) return this.restart();
    const pageBytes = watch.evidence?.pageBytes ?? 0;
    const needed = this.cluster.primaryAt(recordEnd(position, pageBytes), this.askedAt);
    const now = this.context.io.now();
    this.foresight.answered(needed <= this.knownBefore);
    this.lastNeeded = needed;
    let reads = 0;
    for (let { first } = this.asked; first !== null; first = this.asked.first) {
      reads += 1;
      first.neededPosition = needed;
      first.waitsSince = now;
      this.asked.remove(first);
      const list = first.early === null ? this.waiting : this.judged;
      list.push(first);
    }
    this.readsPerQuestion += (reads - this.readsPerQuestion) / QUESTIONS_COUNTED;
  }

  /** Another node is the primary now: what is known of positions is of the past. */
  restart(): void {
    this.asking = null;
    this.vainWaits = 0;
    this.foresight.restart();
    this.arrived.takeAll(this.asked);
    this.arrived.takeAll(this.judged);
    this.arrived.takeAll(this.waiting);
    for (let reader = this.arrived.first; reader !== null; reader = reader.nextReader) {
      reader.seesAtLeast = NO_POSITION;
    }
  }

  /** The end of a turn of the loop. Returns when something is due, in ms. */
  turn(now: number): number {
    if (this.judged.first !== null) this.judgeEarly();
    if (this.waiting.first !== null) this.serveWaiting(now);
    const askAt = this.waiting.first === null ? NEVER : this.askStandbys(now);
    if (this.arrived.first !== null && this.asking === null) this.askPrimary(now);
    const { first } = this.waiting;
    return first === null ? NEVER : Math.min(askAt, first.waitsSince + this.context.settings.standbyWaitMs);
  }

  private judgeEarly(): void {
    for (let { first } = this.judged; first !== null; first = this.judged.first) {
      this.judged.remove(first);
      this.context.counters.readsEarly += 1;
      if (first.seesAtLeast >= first.neededPosition && (first.early as RouteNode).mayServe) {
        this.cluster.counters.readsOnStandbys += 1;
        first.letGo();
      } else {
        this.waiting.push(first);
        this.takeBack(first);
      }
    }
  }

  /** It may leave its list by that, if its client can't go on. */
  private takeBack(reader: Reader): void {
    this.context.counters.readsTooEarly += 1;
    reader.takeBack();
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
        if (!isLate && !this.isHopeless) return;
        if (isLate) this.waitedInVain(first, now);
        this.cluster.counters.readsOnPrimary += 1;
      }
      this.waiting.remove(first);
      first.routed(node);
    }
  }

  private waitedInVain({ waitsSince, neededPosition }: Reader, now: number): void {
    this.cluster.counters.standbyWaitTimeouts += 1;
    // Somebody has got as far since.
    if (this.replayedMost >= this.missedPosition) this.vainWaits = 0;
    this.missedPosition = neededPosition;
    if (this.vainWaits > 0 && waitsSince < this.vainAt) return;
    this.vainWaits += 1;
    this.vainAt = now;
  }

  /** Returns when one of them is to be asked again, in ms. */
  private askStandbys(now: number): number {
    const { watches } = this.cluster;
    const since = this.waiting.first!.waitsSince;
    const isEager = now < since + EAGER_MS;
    let next = NEVER;
    for (let i = 0; i < watches.length; i++) {
      const watch = watches[i]!;
      if (!watch.node.mayServe) continue;
      const restsUntil = isEager || watch.positionAskedAtLast < since ? now : watch.positionToldAt + REST_MS;
      if (now >= restsUntil) watch.askPosition();
      else next = Math.min(next, restsUntil);
    }
    return next;
  }

  private askPrimary(now: number): void {
    const { primaryWatch, hasStandby, counters } = this.cluster;
    if (primaryWatch === null || !hasStandby || !primaryWatch.askPosition()) return this.toPrimary();
    this.asking = primaryWatch;
    this.askedAt = now;
    this.knownBefore = this.replayedMost;
    counters.positionQuestions += 1;
    this.asked.takeAll(this.arrived);
  }

  /** As far as any standby is known to be. */
  private get replayedMost(): number {
    const { watches } = this.cluster;
    let most = NO_POSITION;
    for (let i = 0; i < watches.length; i++) {
      const { node } = watches[i]!;
      if (node.mayServe && node.replayed > most) most = node.replayed;
    }
    return most;
  }

  /** There is nobody to be asked, or nobody to serve: these go to the primary, and wait there for one if need be. */
  private toPrimary(): void {
    // Who comes meanwhile is for the next turn.
    const { last } = this.arrived;
    for (let { first } = this.arrived; first !== null; first = this.arrived.first) {
      if (first.early !== null) {
        this.takeBack(first);
        continue;
      }
      this.arrived.remove(first);
      this.cluster.counters.readsOnPrimary += 1;
      first.routed(null);
      if (first === last) return;
    }
  }
}
