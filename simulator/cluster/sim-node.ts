/** One machine: its clock, its PostgreSQL, and the agent with the machine that is tested. */
import type { Answer, Effect, Input, Stopped } from '../../src/cluster/inputs.js';
import { leaseTimes } from '../../src/cluster/lease-time.js';
import { TICK_MS } from '../../src/cluster/machine.js';
import type { NodeState } from '../../src/cluster/node-state.js';
import { EPOCH, understand } from '../../src/cluster/records.js';
import { type ClusterSettings, holderMs } from '../../src/cluster/settings.js';
import type { StateName } from '../../src/cluster/states.js';
import type { Leader, StoreView } from '../../src/cluster/store-view.js';
import type { Random } from '../random.js';
import { PostgresWork } from './postgres-work.js';
import { SimPostgres, SYSTEM_IDENTIFIER } from './sim-postgres.js';
import type { World } from './world.js';

/** How long the agent waits for the store. ms of its clock. */
const REQUEST_MS = 1000;
/** How often the agent reads the store although nothing seems to have changed. ms. */
const REFRESH_MS = 1000;
const MEMBER_MS = 4000;
/** How often a primary's agent looks at pg_stat_replication. ms. */
const REPLICATION_MS = 50;

export class SimNode {
  readonly name: string;
  /** As its file says: what an agent begins with. */
  settings: ClusterSettings;
  readonly world: World;
  readonly random: Random;
  readonly postgres = new SimPostgres();
  readonly clockRate: number;
  agent: NodeState | null = null;
  isPowered = false;
  isAgentPaused = false;
  isFrozen = false;
  /** Its clock stood still since its last permit: it believes in a lease that has long run out. */
  hasLostTime = false;
  /** By the node's clock. */
  permitUntil = Number.NEGATIVE_INFINITY;
  /** A disk on which nothing is flushed any more. */
  isDiskStuck = false;
  diskMs = 1;
  /** How long WAL is under way to it. ms. */
  walDelayMs = 0;
  /** The next time it enters this state, this happens to it. */
  trap: { readonly state: StateName; readonly spring: () => void } | null = null;
  readonly work: PostgresWork;
  #life = 0;
  #powerLife = 0;
  #stoodStillMs = 0;
  #stoppedAt: number | null = null;
  /** When it last went on, by its clock. */
  #lostUntil = Number.NEGATIVE_INFINITY;
  readonly #forAgent: (() => void)[] = [];
  readonly #forMachine: (() => void)[] = [];

  constructor(world: World, settings: ClusterSettings, clockRate: number, random: Random) {
    this.world = world;
    this.name = settings.node;
    this.settings = settings;
    this.clockRate = clockRate;
    this.random = random;
    this.work = new PostgresWork(this);
  }

  /** What this node's monotonic clock shows. ms. */
  get clock(): number {
    const standing = this.#stoppedAt === null ? 0 : this.world.agenda.now - this.#stoppedAt;
    return (this.world.agenda.now - this.#stoodStillMs - standing) * this.clockRate + 1_000_000;
  }

  /** Whether a client that comes now is served as by a primary. */
  get accepts(): boolean {
    const { isRunning, isPrimary, isOpen, isHeld } = this.postgres;
    return isRunning && isPrimary && isOpen && !isHeld && !this.isFrozen && this.isPermitted;
  }

  /** The guard ends PostgreSQL at this moment: nothing happens in it afterwards. */
  get isPermitted(): boolean {
    return this.clock < this.permitUntil;
  }

  /** Whether something goes wrong that may; as long as there is trouble at all. */
  mishap(probability: number): boolean {
    return this.random.chance(this.world.isTroubled ? probability : 0);
  }

  /** Later, if the machine has not crashed until then; while it is frozen nothing happens. */
  later(delayMs: number, work: () => void): void {
    const life = this.#powerLife;
    this.world.agenda.in(delayMs / this.clockRate, () => this.#onMachine(life, work));
  }

  #onMachine(life: number, work: () => void): void {
    if (life !== this.#powerLife || !this.isPowered) return;
    if (this.isFrozen) this.#forMachine.push(() => this.#onMachine(life, work));
    else work();
  }

  /** Later, if the agent still lives then; while it is paused it does nothing. */
  laterInAgent(delayMs: number, work: () => void): void {
    const life = this.#life;
    this.later(delayMs, () => this.#inAgent(life, work));
  }

  /** Now, or when the agent is awake; if it is still the same one. */
  inAgent(work: () => void): void {
    this.#onMachine(this.#powerLife, () => this.#inAgent(this.#life, work));
  }

  #inAgent(life: number, work: () => void): void {
    if (life !== this.#life || this.agent === null) return;
    if (this.isAgentPaused) this.#forAgent.push(() => this.#inAgent(life, work));
    else work();
  }

  powerOn(): void {
    if (this.isPowered) return;
    this.isPowered = true;
    this.startAgent();
  }

  /** The machine crashes: what was not flushed is lost. */
  powerOff(): void {
    this.postgres.crash();
    this.endAgent();
    this.thaw();
    this.#forMachine.length = 0;
    this.isPowered = false;
    this.#powerLife++;
  }

  startAgent(): void {
    if (!this.isPowered || this.agent !== null) return;
    this.#life++;
    const { state, effects } = this.world.machine.begin(this.settings, `life-${this.#life}`, this.clock);
    this.agent = state;
    this.world.store.watch(this.name, (view) => this.inAgent(() => this.#show(view)));
    this.#carryOut(effects);
    this.#every(TICK_MS, () => this.tell({ kind: 'tick' }));
    this.#every(REFRESH_MS, () => this.#read());
    this.#every(REPLICATION_MS, () => this.work.reportReplication());
    this.#read();
  }

  /** Its file is changed, and an agent that runs reads it again. */
  reload(change: Partial<ClusterSettings>): void {
    this.settings = { ...this.settings, ...change };
    this.inAgent(() => this.tell({ kind: 'settings', settings: this.settings }));
  }

  /** kill -9 of the agent. Its guard sees the pipe's end, and ends PostgreSQL. */
  endAgent(): void {
    if (this.agent === null) return;
    this.agent = null;
    this.isAgentPaused = false;
    this.#forAgent.length = 0;
    this.#life++;
    if (this.world.defect.hasNoGuard !== true) this.postgres.crash();
    this.work.forget();
  }

  /** kill -9 of the postmaster. */
  killPostgres(): void {
    if (!this.postgres.isRunning) return;
    this.postgres.crash();
    this.inAgent(() => this.tell({ kind: 'ended' }));
  }

  /** SIGSTOP of everything; with its clock, as a suspended virtual machine. */
  freeze(withClock: boolean): void {
    if (!this.isPowered || this.isFrozen) return;
    this.isFrozen = true;
    if (!withClock) return;
    this.#stoppedAt = this.world.agenda.now;
    this.hasLostTime = true;
  }

  thaw(): void {
    if (!this.isFrozen) return;
    this.isFrozen = false;
    if (this.#stoppedAt !== null) {
      this.#lostUntil = this.clock;
      this.#stoodStillMs += this.world.agenda.now - this.#stoppedAt;
    }
    this.#stoppedAt = null;
    for (const work of this.#forMachine.splice(0)) work();
  }

  resumeAgent(): void {
    this.isAgentPaused = false;
    for (const work of this.#forAgent.splice(0)) work();
  }

  /** One step of the machine, and what comes of it. */
  tell(input: Input extends infer I ? (I extends Input ? Omit<I, 'at'> : never) : never): void {
    if (this.agent === null || this.world.ledger.violation !== null) return;
    try {
      const { state, effects } = this.world.machine.step(this.agent, { ...input, at: this.clock } as Input);
      this.agent = state;
      this.#carryOut(effects);
    } catch (error) {
      this.world.ledger.violate(`${this.name}: ${(error as Error).stack}`);
    }
  }

  answer(id: number, answer: Answer): void {
    this.tell({ kind: 'answer', id, answer });
  }

  get stopped(): Stopped {
    const { isDamaged } = this.postgres;
    return { data: isDamaged ? 'damaged' : 'whole', systemIdentifier: SYSTEM_IDENTIFIER };
  }

  #every(ms: number, work: () => void): void {
    const again = () => {
      work();
      this.laterInAgent(ms, again);
    };
    this.laterInAgent(this.random.fraction() * ms, again);
  }

  #show(view: StoreView): void {
    this.tell({ kind: 'view', view: understand(view) });
  }

  #read(): void {
    this.world.store.ask(
      this.name,
      (state) => state.view(),
      (view) => this.inAgent(() => this.#show(view)),
    );
  }

  #carryOut(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (this.agent === null) return;
      const changed = this.world.defect.effect?.(effect, this) ?? effect;
      if (changed !== 'dropped') this.#carryOutOne(changed);
    }
  }

  #carryOutOne(effect: Effect): void {
    switch (effect.do) {
      case 'report':
        return this.#report(effect.report);
      case 'permit':
        return this.#permit(effect.until);
      case 'acquire':
      case 'renew':
      case 'release':
      case 'publish':
      case 'register':
        return this.#askStore(effect);
      default:
        return this.work.add(effect);
    }
  }

  #report(report: Extract<Effect, { do: 'report' }>['report']): void {
    this.world.trace?.(`${this.name} ${JSON.stringify(report)}`);
    if (report.what === 'leads') this.world.ledger.elections++;
    if (report.what !== 'state') return;
    this.world.ledger.way(report.from, report.event, report.to);
    if (this.trap?.state !== report.to) return;
    const { spring } = this.trap;
    this.trap = null;
    spring();
  }

  /** The guard is a process of its own: a paused agent doesn't keep it. */
  #permit(until: number): void {
    this.permitUntil = until;
    // A renewal that was answered while the clock stood still counts from before that.
    if (until - holderMs(this.settings.timing) > this.#lostUntil) this.hasLostTime = false;
    if (this.world.defect.hasNoGuard === true) {
      this.permitUntil = Number.POSITIVE_INFINITY;
      return;
    }
    const check = () => {
      if (until !== this.permitUntil || !this.postgres.isPrimary) return;
      if (this.isPermitted) this.later(this.permitUntil - this.clock, check);
      else this.killPostgres();
    };
    this.later(until - this.clock, check);
  }

  #askStore(effect: Extract<Effect, { do: 'acquire' | 'renew' | 'release' | 'publish' | 'register' }>): void {
    const since = this.clock;
    const { takeoverMs } = leaseTimes(this.settings.timing.leaseMs);
    const { holder } = this.agent!;
    const { store } = this.world;
    let isAnswered = false;
    const answerOnce = (id: number, answer: Answer) => {
      if (isAnswered) return;
      isAnswered = true;
      this.answer(id, answer);
    };
    const respond = (id: number) => (answer: Answer) => this.inAgent(() => answerOnce(id, answer));
    const lease = (leader: Leader | null): Answer => {
      if (leader === null) return { kind: 'lease', holding: null };
      return {
        kind: 'lease',
        holding: { ...leader, since: this.world.defect.since?.(this) ?? since, lease: '' },
      };
    };
    if ('id' in effect) this.laterInAgent(REQUEST_MS, () => answerOnce(effect.id, { kind: 'failed' }));
    switch (effect.do) {
      case 'acquire': {
        const acquire = (state: Parameters<Parameters<typeof store.ask>[1]>[0], now: number) => {
          const term = state.acquire(holder, effect.afterTerm, takeoverMs, now);
          return term === null ? null : { holder, term };
        };
        return store.ask(this.name, acquire, (leader) => respond(effect.id)(lease(leader)));
      }
      case 'renew':
        return store.ask(
          this.name,
          (state, now) => state.renew(effect.holding, takeoverMs, now),
          (isKept) => respond(effect.id)(lease(isKept ? effect.holding : null)),
        );
      case 'release':
        return store.ask(
          this.name,
          (state) => state.release(effect.leader),
          () => {},
        );
      case 'publish': {
        const { epoch, version, leader } = effect;
        return store.ask(
          this.name,
          (state) => state.publish(EPOCH, JSON.stringify(epoch), version, leader),
          (given) => respond(effect.id)({ kind: 'published', version: given }),
        );
      }
      case 'register':
        return store.ask(
          this.name,
          (state, now) => state.register(this.name, JSON.stringify(effect.member), MEMBER_MS, now),
          () => {},
        );
    }
  }
}
