/** What befalls the nodes of a model cluster, one thing after the other, and how the cluster gets over it. */
import type { ListLedger } from './list-ledger.js';
import type { ListNode } from './list-node.js';
import type { RoutedGround } from './routed-ground.js';
import type { StoreNews } from './store-news.js';

/** How long somebody is away. ms. */
const ABSENCE_MS_MAX = 3000;
/** A switchover waits for running transactions no longer than this, in ms. */
const DRAIN_MS_MAX = 500;

const KINDS = [
  'the primary ends',
  'the primary is cut off',
  'the primary stands still',
  'switchover',
  'a standby ends',
  'a standby stands still',
  'replay is paused',
] as const;

export class Troubles {
  /** Everything has happened, and is got over. */
  isOver = false;
  private readonly ground: RoutedGround;
  private readonly ledger: ListLedger;
  private readonly store: StoreNews | null;
  private left: number;

  constructor(ground: RoutedGround, store: StoreNews | null) {
    this.ground = ground;
    this.ledger = ground.ledger;
    this.store = store;
    this.left = ground.plan.trouble.count;
  }

  begin(): void {
    if (this.left === 0) {
      this.isOver = true;
      return;
    }
    this.left -= 1;
    this.later(this.ground.plan.trouble.pauseMsMax, () => this.happen());
  }

  private later(msMax: number, run: () => void): void {
    this.ground.schedule.after(this.ground.random.fraction() * msMax, run);
  }

  private happen(): void {
    const { cluster, random } = this.ground;
    const kind = random.pick(KINDS);
    this.ledger.trace(() => `trouble: ${kind}`);
    const standby = random.pick(cluster.nodes.filter((node) => node !== cluster.leader));
    switch (kind) {
      case 'the primary ends':
        return this.losePrimary((leader) => leader.stop('crash'));
      case 'the primary is cut off':
        return this.losePrimary((leader) => {
          leader.isIsolated = true;
        });
      case 'the primary stands still':
        return this.losePrimary((leader) => {
          leader.isFrozen = true;
        });
      case 'switchover':
        return this.switchOver();
      case 'a standby ends':
        standby.stop('crash');
        cluster.settle(cluster.leader);
        return this.later(ABSENCE_MS_MAX, () => this.rejoin(standby, true));
      case 'a standby stands still':
        standby.isFrozen = true;
        return this.later(ABSENCE_MS_MAX, () => this.awake(standby));
      default:
        standby.isPaused = true;
        return this.later(ABSENCE_MS_MAX, () => this.awake(standby));
    }
  }

  private awake(node: ListNode): void {
    node.isPaused = false;
    if (node.isFrozen) node.thaw();
    this.ground.cluster.stir(node);
    this.begin();
  }

  /** It is a standby of the leader from now on. */
  private rejoin(node: ListNode, isOver: boolean): void {
    const { cluster, schedule } = this.ground;
    node.follow(cluster.leader);
    node.start(schedule.now);
    this.ledger.trace(() => `${node.name} is a standby of ${cluster.leader.name}`);
    cluster.stir(node);
    if (isOver) this.begin();
  }

  // --- Failover -----------------------------------------------------------------------------------------------

  private losePrimary(lose: (leader: ListNode) => void): void {
    const { cluster, plan } = this.ground;
    const { leader } = cluster;
    if (!cluster.isSafe) return this.begin();
    lose(leader);
    this.later(plan.trouble.detectionMsMax, () => this.failOver(leader));
  }

  private failOver(former: ListNode): void {
    const { cluster, random } = this.ground;
    const heir = cluster.candidate!;
    this.ledger.counts.elections += 1;
    // Of those that stand by, one may go on with the former primary.
    const others = cluster.nodes.filter((node) => node !== heir && node !== former);
    const strays = former.isRunning ? others.filter(() => random.chance(0.3)) : [];
    cluster.elect(heir);
    // Agents end a primary before another one is elected; a gateway does not rely on that.
    if (random.chance(0.5) && former.isRunning) former.stop('crash');
    const followers = others.filter((node) => !strays.includes(node));
    this.promote(followers, () => this.later(ABSENCE_MS_MAX, () => this.comeBack(former, strays)));
  }

  /** Nobody leads, then one who lets nobody write yet, and then one who does. */
  private promote(followers: readonly ListNode[], done: () => void): void {
    const { cluster, plan } = this.ground;
    this.store?.publish(cluster.term, null, cluster.timeline, false);
    for (const node of followers) this.turnTo(node);
    this.later(plan.trouble.openingMsMax, () => {
      this.store?.publish(cluster.term, cluster.leader, cluster.timeline, true);
      this.later(plan.trouble.openingMsMax, () => {
        cluster.open();
        this.store?.publish(cluster.term, cluster.leader, cluster.timeline, false);
        cluster.stir(cluster.leader);
        for (const node of followers) this.turnTo(node);
        done();
      });
    });
  }

  private turnTo(node: ListNode): void {
    const { cluster } = this.ground;
    if (node.isRunning) node.follow(cluster.leader);
    cluster.stir(node);
  }

  private comeBack(former: ListNode, strays: readonly ListNode[]): void {
    if (former.isFrozen) former.thaw();
    // For a moment it is what it was.
    this.later(ABSENCE_MS_MAX, () => {
      for (const node of [former, ...strays]) {
        if (node.isRunning) node.stop('shutdown');
        this.rejoin(node, false);
      }
      this.begin();
    });
  }

  // --- Switchover ---------------------------------------------------------------------------------------------

  private switchOver(): void {
    const { cluster, schedule } = this.ground;
    if (cluster.candidate === null) return this.begin();
    this.store?.hold(true);
    this.drain(schedule.now + DRAIN_MS_MAX);
  }

  /** Waits until no transaction runs that a client could miss. */
  private drain(until: number): void {
    const { cluster, schedule, isHeldByGateway, plan } = this.ground;
    const isQuiet = plan.store === null || (isHeldByGateway() && this.isQuiet);
    if (!isQuiet && schedule.now < until) {
      schedule.after(1, () => this.drain(until));
      return;
    }
    if (this.ledger.isHeld && schedule.now < this.ledger.believedUntil && !isHeldByGateway())
      this.ledger.fail('the gateway does not hold new transactions');
    const former = cluster.leader;
    const heir = cluster.candidate;
    if (heir === null) {
      this.store?.hold(false);
      return this.begin();
    }
    this.ledger.counts.switchovers += 1;
    former.stop('shutdown');
    // An orderly end leaves nothing unsent.
    heir.log = [...former.log];
    heir.flushed = heir.log.length;
    cluster.elect(heir);
    const followers = cluster.nodes.filter((node) => node !== heir && node !== former);
    this.promote(followers, () => this.rejoin(former, true));
  }

  private get isQuiet(): boolean {
    const { leader } = this.ground.cluster;
    return !leader.hasWaitingCommits && [...leader.sessions].every((session) => session.isAtRest);
  }
}
