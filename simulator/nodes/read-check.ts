/**
 * A history of a primary, its standbys and reads, all from a seed: commits that wait for the disk and commits that don't,
 * replay that stands still, crashes, promotions, old primaries that come back. Each read that is sent to a standby must see
 * there what had been acknowledged before the read came, as far as the cluster still has it.
 */
import type { Reader } from '../../src/core/route/reader-list.js';
import type { RouteNode } from '../../src/core/route/route-node.js';
import type { ModelNode } from './model-node.js';
import { NodeSet } from './node-set.js';

/** What a run has seen. */
export interface ReadCounts {
  onStandbys: number;
  /** Of those, the ones that were sent before the primary had been asked. */
  early: number;
  /** Reads that were sent so and had to be sent again. */
  tooEarly: number;
  onPrimary: number;
  promotions: number;
  commits: number;
}

const RUN_MS = 8000;
/** No read waits longer to be told where it goes: the silence that makes a node unknown, and a little more. */
const TOLD_MS_MAX = 2600;
const REPLICATION_MS_MAX = 4;
const FLUSH_MS_MAX = 300;
/** How long a read takes that is sent to a standby. */
const READ_MS_MAX = 2;

/** What may be wrong with a gateway: that it lets answers go which it should hold. */
export type ReadDefect = 'none' | 'answers are let go whatever the primary says';

/** @throws when a read was sent where it sees too little, or nowhere */
export function checkReads(seed: number, defect: ReadDefect = 'none'): ReadCounts {
  return new ReadCheck(seed, defect).run();
}

class ReadCheck {
  private readonly set: NodeSet;
  private readonly seed: number;
  /** Who really is the primary; null: nobody for now. */
  private truth: ModelNode;
  private acknowledged = new Set<number>();
  private isFailingOver = false;
  private lastRecord = 0;
  private waiting = new Map<CheckedReader, number>();
  /** It is written now and then alone. */
  private isCalm = false;
  private readonly counts: ReadCounts = {
    ...{ onStandbys: 0, early: 0, tooEarly: 0, onPrimary: 0, promotions: 0, commits: 0 },
  };
  private readonly defect: ReadDefect;

  constructor(seed: number, defect: ReadDefect) {
    this.seed = seed;
    this.defect = defect;
    this.set = new NodeSet(seed, 3);
    this.truth = this.set.nodes[0]!;
  }

  run(): ReadCounts {
    const { world, random } = this.set;
    this.every(REPLICATION_MS_MAX, () => this.replicate());
    this.every(2, () => this.read());
    this.every(3, () => this.write());
    this.every(400, () => this.mishap());
    this.every(300, () => {
      this.isCalm = !this.isCalm;
    });
    const end = world.time + RUN_MS;
    while (world.time < end) {
      world.pass(random.int(1, 50));
      for (const [reader, since] of this.waiting) {
        if (world.time > since + TOLD_MS_MAX) this.fail(`a read of ${since} was told nothing`, reader);
      }
    }
    this.settle();
    return this.counts;
  }

  private every(meanMs: number, run: () => void): void {
    const { world, random } = this.set;
    world.after(random.fraction() * 2 * meanMs, () => {
      run();
      this.every(meanMs, run);
    });
  }

  private fail(what: string, ...details: unknown[]): never {
    throw new Error(
      `seed ${this.seed}: ${what} ${details.map((detail) => JSON.stringify(detail)).join(' ')}`,
    );
  }

  // --- Writes and replication ---------------------------------------------------------------------------------

  private write(): void {
    const { truth } = this;
    const { random, world } = this.set;
    if (!truth.isRunning || (this.isCalm && random.chance(0.9))) return;
    const isCommit = random.chance(0.6);
    const record = { id: ++this.lastRecord, isCommit };
    truth.log.push(record);
    const waitsForDisk = random.chance(0.7);
    if (isCommit && waitsForDisk) truth.flushed = truth.log.length;
    else {
      const length = truth.log.length;
      world.after(random.fraction() * FLUSH_MS_MAX, () => {
        if (truth.log[length - 1] === record) truth.flushed = Math.max(truth.flushed, length);
      });
    }
    if (!isCommit) return;
    this.counts.commits += 1;
    this.acknowledged.add(record.id);
  }

  /** Standbys that share the primary's history get more of it, and replay some. */
  private replicate(): void {
    const { random, nodes } = this.set;
    for (const node of nodes) {
      if (!node.isRunning || !node.isInRecovery) continue;
      const { truth } = this;
      const follows = truth.isRunning && node.log.every((record, i) => truth.log[i] === record);
      if (follows && random.chance(0.8)) {
        node.log = truth.log.slice(0, Math.max(node.log.length, truth.flushed));
        node.flushed = node.log.length;
        node.timeline = truth.timeline;
      }
      if (!node.isPaused && random.chance(0.8)) {
        node.replayed = random.chance(0.7) ? node.log.length : random.int(node.replayed, node.log.length);
      }
    }
  }

  // --- Mishaps ------------------------------------------------------------------------------------------------

  private mishap(): void {
    const { random, world, nodes } = this.set;
    const standbys = nodes.filter((node) => node.isRunning && node.isInRecovery);
    const standby = standbys.length > 0 ? random.pick(standbys) : null;
    const what = random.weighted([
      [3, 'pause'],
      [3, 'restart'],
      [2, 'cut'],
      [2, 'failover'],
      [1, 'stall'],
    ] as const);
    if (what === 'stall') this.stall(random.int(1, 3000));
    else if (what === 'cut') world.cut(random.pick(nodes));
    else if (what === 'failover') this.failOver(standbys);
    else if (standby !== null && what === 'pause') {
      standby.isPaused = true;
      world.after(random.int(1, 300), () => {
        standby.isPaused = false;
      });
    } else if (standby !== null) this.restart(standby);
  }

  private stall(ms: number): void {
    this.set.world.stall(ms);
    for (const [reader, since] of this.waiting) this.waiting.set(reader, since + ms);
  }

  /** It comes back with less than it has shown, and gets the rest again. */
  private restart(standby: ModelNode): void {
    const { random, world } = this.set;
    world.crash(standby);
    world.after(random.int(0, 100), () => {
      if (!standby.isInRecovery) return;
      standby.replayed = random.int(0, standby.replayed);
      world.restart(standby);
    });
  }

  private failOver(standbys: readonly ModelNode[]): void {
    const { random, world } = this.set;
    const former = this.truth;
    // Nobody can know of a promotion of which no trace is left: one at a time, and seen before the next one.
    if (this.set.primary !== former.name || standbys.length === 0 || this.isFailingOver) return;
    this.isFailingOver = true;
    world.crash(former);
    const heir = random.pick(standbys);
    world.after(random.int(1, 500), () => {
      this.isFailingOver = false;
      // Two that can be written to are more than a gateway can tell apart in no time.
      if (former.isRunning || !heir.isRunning) return this.comeBack(former);
      heir.replayed = heir.log.length;
      heir.isInRecovery = false;
      heir.timeline = former.timeline + 1;
      this.truth = heir;
      this.counts.promotions += 1;
      this.keepOnly(heir);
      world.after(random.int(1, 500), () => this.comeBack(former));
      for (const node of this.set.nodes) {
        if (node !== heir && node.isInRecovery) world.after(random.int(1, 1000), () => this.rewind(node));
      }
    });
  }

  /** What a primary has lost, nobody can see. */
  private keepOnly({ log }: ModelNode): void {
    const kept = new Set(log.map(({ id }) => id));
    this.acknowledged = new Set([...this.acknowledged].filter((id) => kept.has(id)));
  }

  /** As the primary that it was; as a standby of the new one some time later. */
  private comeBack(former: ModelNode): void {
    const { random, world } = this.set;
    former.log.length = Math.min(former.log.length, Math.max(former.flushed, 0));
    world.restart(former);
    if (former === this.truth) return this.keepOnly(former);
    world.after(random.int(1, 1000), () => this.rewind(former));
  }

  /** One that has what the primary hasn't is cloned again. */
  private rewind(node: ModelNode): void {
    const { world, random } = this.set;
    const { truth } = this;
    const follows = node.log.every((record, i) => truth.log[i] === record);
    if (node === truth || (node.isInRecovery && follows)) return;
    world.crash(node);
    world.after(random.int(1, 100), () => {
      if (node === this.truth) return;
      node.log = this.truth.log.slice(0, this.truth.flushed);
      node.flushed = node.log.length;
      node.replayed = node.log.length;
      node.timeline = this.truth.timeline;
      node.isInRecovery = true;
      world.restart(node);
    });
  }

  // --- Reads --------------------------------------------------------------------------------------------------

  private read(): void {
    const { cluster, world } = this.set;
    if (cluster.keepsBack()) {
      this.counts.onPrimary += 1;
      return;
    }
    const before = [...this.acknowledged];
    const reader = new CheckedReader((target) => {
      this.waiting.delete(reader);
      if (target === null) this.counts.onPrimary += 1;
      else this.check(before, this.readAt(target));
    });
    this.waiting.set(reader, world.time);
    const early = cluster.early();
    if (early !== null) this.readEarly(reader, early, before);
    cluster.awaitPosition(reader);
  }

  /** It runs at once, whatever becomes of its answer. */
  private readEarly(reader: CheckedReader, early: RouteNode, before: readonly number[]): void {
    const { world, random, cluster } = this.set;
    reader.early = early;
    reader.seesAtLeast = this.defect === 'none' ? early.replayed : Number.POSITIVE_INFINITY;
    const { startedAt } = this.readAt(early);
    let answer: ReadAnswer | null = null;
    let mayGo = false;
    const pass = (): void => {
      if (answer === null || !mayGo) return;
      this.waiting.delete(reader);
      this.counts.early += 1;
      this.check(before, answer);
    };
    world.after(random.fraction() * READ_MS_MAX, () => {
      const isTakenBack = reader.early === null && !mayGo;
      if (isTakenBack) return;
      answer = this.readAt(early);
      if (answer.startedAt === startedAt) return pass();
      // Its connection is lost: it goes to the primary.
      if (reader.early !== null) cluster.leave(reader);
      this.waiting.delete(reader);
    });
    reader.whenLetGo = () => {
      mayGo = true;
      pass();
    };
    reader.whenTakenBack = () => {
      this.counts.tooEarly += 1;
    };
  }

  /** What a read sees there now. */
  private readAt({ settings }: RouteNode): ReadAnswer {
    const node = this.set.nodes.find(({ name }) => name === settings.name)!;
    // What a node that has just gone would have shown, nobody sees.
    const visible = node.isRunning ? new Set(node.log.slice(0, node.visible).map(({ id }) => id)) : null;
    return { from: node.name, visible, startedAt: node.isRunning ? node.startedAt : null };
  }

  private check(before: readonly number[], { from, visible }: ReadAnswer): void {
    this.counts.onStandbys += 1;
    if (visible === null) return;
    const missed = before.filter((id) => this.acknowledged.has(id) && !visible.has(id));
    const when = this.set.world.time;
    if (missed.length > 0) this.fail(`a read on ${from} at ${when} misses`, missed.slice(0, 5));
  }

  /** When nothing happens any more, all is well again. */
  private settle(): void {
    const { set } = this;
    for (const node of set.nodes) {
      node.isPaused = false;
      if (!node.isRunning) set.world.restart(node);
      if (node !== this.truth) this.rewind(node);
    }
    set.passUntil('the primary to be known', () => set.primary === this.truth.name && set.cluster.hasStandby);
    const before = this.counts.onStandbys;
    set.passUntil('reads on standbys', () => this.counts.onStandbys > before + 10);
  }
}

/** What a read has seen, and where; null: the node is not there. */
interface ReadAnswer {
  readonly from: string;
  readonly visible: ReadonlySet<number> | null;
  /** It is another process than before if this is another time, in ms. */
  readonly startedAt: number | null;
}

class CheckedReader implements Reader {
  nextReader: Reader | null = null;
  previousReader: Reader | null = null;
  neededPosition = 0;
  waitsSince = 0;
  early: RouteNode | null = null;
  seesAtLeast = 0;
  whenLetGo: () => void = () => {};
  whenTakenBack: () => void = () => {};
  readonly routed: (node: RouteNode | null) => void;

  constructor(routed: (node: RouteNode | null) => void) {
    this.routed = routed;
  }

  letGo(): void {
    this.early = null;
    this.whenLetGo();
  }

  takeBack(): void {
    this.early = null;
    this.whenTakenBack();
  }

  toJSON(): object {
    return { needed: this.neededPosition };
  }
}
