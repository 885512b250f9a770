/** Model servers that replicate: what is committed where, who has it, and who is the primary in truth. */
import type { Random } from '../random.js';
import type { Schedule } from '../schedule.js';
import type { Append } from '../session-lists.js';
import { ListNode } from './list-node.js';
import { nodeName, type ServersPlan } from './plan.js';

/** WAL that no commit has flushed is on the disk after this time, in ms. */
const WAL_WRITER_MS = 200;

export interface ClusterGround {
  readonly schedule: Schedule;
  readonly random: Random;
  readonly plan: ServersPlan;
  readonly fail: (what: string) => void;
  readonly trace: (line: () => string) => void;
}

export class ModelCluster {
  readonly nodes: readonly ListNode[];
  /** Who is the primary by everybody's agreement, or was so last. */
  leader: ListNode;
  term = 1;
  /** On which the leader writes, or will. */
  timeline = 1;
  private readonly ground: ClusterGround;
  private readonly appends = new Map<number, readonly Append[]>();
  /** What has ever been committed, and where. */
  private readonly places = new Map<string, ListNode>();
  /** What the leader has. */
  private lasting = new Set<string>();
  private lastRecord = 0;

  constructor(ground: ClusterGround) {
    this.ground = ground;
    this.nodes = Array.from(
      { length: ground.plan.count },
      (_, index) => new ListNode(nodeName(index), index > 0),
    );
    const leader = this.nodes[0]!;
    this.leader = leader;
    leader.term = this.term;
    for (const node of this.nodes) if (node !== leader) node.upstream = leader;
  }

  // --- What sessions do ---------------------------------------------------------------------------------------

  read(node: ListNode, list: number, own: readonly Append[]): string {
    return node.read(list, (id) => this.appends.get(id) ?? [], own);
  }

  /** A transaction has written something, and may end either way. */
  write(node: ListNode): void {
    node.write(++this.lastRecord);
    this.ground.schedule.after(this.ground.random.fraction() * WAL_WRITER_MS, () => {
      if (!node.isRunning || node.isFrozen || node.isInRecovery) return;
      node.flushed = node.log.length;
      this.shipFrom(node);
    });
  }

  commit(node: ListNode, appends: readonly Append[], acknowledged: () => void): void {
    const id = ++this.lastRecord;
    this.appends.set(id, appends);
    for (const { token } of appends) {
      if (this.places.has(token)) this.ground.fail(`${token} was committed twice`);
      this.places.set(token, node);
      if (node === this.leader) this.lasting.add(token);
    }
    this.ground.trace(() => `${node.name} commits ${appends.map(({ token }) => token).join()}`);
    node.commit(id, acknowledged);
    this.shipFrom(node);
    this.settle(node);
  }

  /** Where it was committed; undefined: nowhere. */
  placeOf(token: string): ListNode | undefined {
    return this.places.get(token);
  }

  /** The leader has it. */
  lasts(token: string): boolean {
    return this.lasting.has(token);
  }

  // --- Replication --------------------------------------------------------------------------------------------

  standbysOf(node: ListNode): ListNode[] {
    return this.nodes.filter(({ upstream, isRunning }) => upstream === node && isRunning);
  }

  /** Commits that nobody need wait for any more. */
  settle(node: ListNode): void {
    const standbys = this.standbysOf(node);
    if (!node.isRunning || node.isFrozen) return;
    const isAlone = standbys.length === 0 && !node.isIsolated;
    if (!this.ground.plan.isSynchronous || isAlone) return node.settle(node.log.length);
    node.settle(Math.max(0, ...standbys.map(({ flushed }) => flushed)));
  }

  shipFrom(node: ListNode): void {
    for (const standby of this.nodes) if (standby.upstream === node) this.ship(standby);
  }

  private ship(standby: ListNode): void {
    if (standby.isShipping) return;
    const { schedule, random, plan } = this.ground;
    standby.isShipping = true;
    schedule.after(random.fraction() * plan.shippingMsMax, () => {
      standby.isShipping = false;
      const { upstream } = standby;
      if (upstream === null || !this.canStream(standby, upstream)) return;
      if (standby.log.length < upstream.flushed) {
        standby.log.push(...upstream.log.slice(standby.log.length, upstream.flushed));
        standby.flushed = standby.log.length;
        this.replay(standby);
      }
      schedule.after(random.fraction() * plan.shippingMsMax, () => this.settle(upstream));
    });
  }

  private canStream(standby: ListNode, upstream: ListNode): boolean {
    const areUp = [standby, upstream].every(({ isRunning, isFrozen }) => isRunning && !isFrozen);
    return areUp && !upstream.isIsolated;
  }

  replay(standby: ListNode): void {
    if (standby.isReplaying || standby.isPaused || standby.replayed >= standby.log.length) return;
    const { schedule, random, plan } = this.ground;
    standby.isReplaying = true;
    schedule.after(random.fraction() ** 2 * plan.replayMsMax, () => {
      standby.isReplaying = false;
      if (!standby.isRunning || standby.isFrozen || standby.isPaused || !standby.isInRecovery) return;
      standby.replayed = random.int(standby.replayed, standby.log.length);
      this.replay(standby);
    });
  }

  /** It goes on where it was stopped by something. */
  stir(node: ListNode): void {
    if (node.isInRecovery) {
      this.ship(node);
      this.replay(node);
    } else {
      this.shipFrom(node);
      this.settle(node);
    }
  }

  // --- Who is what --------------------------------------------------------------------------------------------

  /** Who has most of what the leader has had; null: nobody who could take over. */
  get candidate(): ListNode | null {
    const { leader } = this;
    const standbys = this.nodes.filter(
      (node) => node !== leader && node.isInRecovery && node.isRunning && !node.isFrozen,
    );
    standbys.sort((a, b) => b.log.length - a.log.length);
    return standbys.find(({ timeline }) => timeline === leader.timeline) ?? null;
  }

  /** Nothing that the leader has acknowledged is lost if it ends now. */
  get isSafe(): boolean {
    const { candidate, leader } = this;
    if (candidate === null) return false;
    return !this.ground.plan.isSynchronous || candidate.log.length >= leader.acknowledged;
  }

  /** The node is the primary from now on, by everybody's agreement; it can be written to when it is opened. */
  elect(node: ListNode): void {
    if (this.ground.plan.isSynchronous && node.log.length < this.leader.acknowledged) {
      this.ground.fail(`the model elects ${node.name}, which lacks what was acknowledged`);
    }
    this.ground.trace(() => `${node.name} is elected`);
    this.leader = node;
    this.term += 1;
    node.upstream = null;
    this.timeline += 1;
    this.lasting = new Set(
      node.log.flatMap(({ id }) => (this.appends.get(id) ?? []).map(({ token }) => token)),
    );
  }

  /** The leader ends its recovery. */
  open(): void {
    const { leader } = this;
    leader.promote(this.timeline, this.term);
    this.ground.trace(() => `${leader.name} is the primary of timeline ${leader.timeline}`);
  }
}
