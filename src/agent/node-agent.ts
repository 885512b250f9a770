/**
 * The loop of one node's agent: it tells the machine (src/cluster/machine.ts) what time it is, what the store shows and
 * what has become of its commands, one input after the other, and carries out what it decides, in order.
 */
import type { Effect, Input, Report } from '../cluster/inputs.js';
import { begin, type Step, step, TICK_MS } from '../cluster/machine.js';
import { factsIn, gatewaysIn, NO_FACTS, type NodeFacts } from '../cluster/node-facts.js';
import type { NodeState } from '../cluster/node-state.js';
import { understand } from '../cluster/records.js';
import type { ClusterSettings } from '../cluster/settings.js';
import { HOLDING_STATES } from '../cluster/states.js';
import type { StoreView } from '../cluster/store-view.js';
import { renewalLimit, type Store, type StoreError } from '../stores/store.js';
import type {
  PostgresEffect,
  PostgresInput,
  PostgresSettings,
  PostgresSide,
  PostgresWorld,
} from './postgres/postgres-side.js';
import { type StoreEffect, StoreSide } from './store-side.js';
import { type Lateness, Tick } from './tick.js';

/** What an agent is made of. */
export interface AgentParts {
  readonly settings: ClusterSettings;
  /** No two lives of a node may have the same. */
  readonly life: string;
  readonly store: Store;
  /** How long a request to the store, but a renewal, may take before it counts as failed. ms. */
  readonly answerMs: number;
  /** Monotonic, the same that PostgreSQL's side goes by. ms. */
  readonly clock: () => number;
  readonly logger: PostgresWorld['logger'];
  readonly openPostgres: (world: PostgresWorld) => Promise<PostgresSide>;
  readonly onReport: (report: Report, state: NodeState) => void;
  readonly onStoreTrouble: (error: StoreError | null) => void;
  /** The beat came so many ms late. */
  readonly onLate: (lateMs: number) => void;
  /** The machine, or something that it relies on, has failed: nothing is decided any more. */
  readonly onBroken: (error: unknown) => void;
}

type Told<I> = I extends Input ? Omit<I, 'at'> : never;

/** An agent that runs. */
export class NodeAgent {
  readonly #parts: AgentParts;
  readonly #store: StoreSide;
  readonly #tick: Tick;
  readonly #inputs: Told<Input>[] = [];
  readonly #watchers = new Set<() => void>();
  #postgres: PostgresSide | null = null;
  #state: NodeState;
  #view: StoreView | null = null;
  readonly #first: Step;
  #isStepping: boolean;
  #ending: Promise<void> | null = null;
  /** It ends, or the machine has failed. */
  #decidesNothing = false;
  /** Answers to commands of ours, and not of the machine's: those have numbers below zero. */
  readonly #ownAnswers = new Map<number, () => void>();
  #lastOwn = 0;

  private constructor(parts: AgentParts) {
    this.#parts = parts;
    // Until PostgreSQL's side is there, what is told waits.
    this.#isStepping = true;
    const first = begin(parts.settings, parts.life, parts.clock());
    this.#state = first.state;
    this.#first = first;
    this.#store = new StoreSide(parts.store, {
      node: parts.settings.node,
      holder: first.state.holder,
      answerMs: parts.answerMs,
      renewMs: renewalLimit({ leaseMs: parts.settings.timing.leaseMs, requestMs: parts.answerMs }),
      registration: ({ member }) => JSON.stringify({ ...member, facts: this.facts }),
      answer: (id, answer) => this.tell({ kind: 'answer', id, answer }),
      view: (view) => this.#show(view),
      trouble: parts.onStoreTrouble,
    });
    this.#tick = new Tick(TICK_MS, parts.clock, () => this.tell({ kind: 'tick' }), parts.onLate);
  }

  /** Rejects as `openPostgres` does; then nothing runs. */
  static async start(parts: AgentParts): Promise<NodeAgent> {
    const agent = new NodeAgent(parts);
    try {
      agent.#postgres = await parts.openPostgres({
        tell: (input) => agent.#fromPostgres(input),
        contactOf: (node) => agent.#state.view?.members.get(node)?.contact ?? null,
        epoch: () => agent.#state.epoch?.value ?? null,
        isKnownToAll: (key) => agent.#isKnownToAll(key),
        heldByGateways: () => agent.#isHeldByGateways(),
        logger: parts.logger,
      });
    } catch (error) {
      agent.#tick.close();
      agent.#store.close();
      throw error;
    }
    agent.#carryOut(agent.#first);
    agent.#isStepping = false;
    agent.#work();
    return agent;
  }

  get state(): NodeState {
    return this.#state;
  }

  /** The latest view of the store; null: it has not been seen yet. */
  get view(): StoreView | null {
    return this.#view;
  }

  /** What is known of this node, for people. */
  get facts(): NodeFacts {
    const { settings, list, name } = this.#state;
    const { durability, quorum } = settings;
    const streaming = HOLDING_STATES.has(name) ? list.streaming : [];
    const facts = this.#postgres?.facts();
    if (facts === undefined) return { ...NO_FACTS, durability, quorum };
    const { isPrimary: _, streamsFrom: __, ...known } = facts;
    return { ...known, streaming, durability, quorum };
  }

  get lateness(): Lateness {
    return this.#tick.lateness;
  }

  /** How long ago the last beat was. ms. */
  get sinceBeat(): number {
    return this.#parts.clock() - this.#tick.last;
  }

  /** Tells the machine something, after what was told before. */
  tell(input: Told<Input>): void {
    this.#inputs.push(input);
    this.#work();
  }

  /**
   * Goes by other settings from now on.
   * @throws {AgentError} PostgreSQL doesn't take them: then the former are in force
   */
  async reload(settings: ClusterSettings, postgres: PostgresSettings): Promise<void> {
    await this.#postgres?.reload(postgres);
    this.tell({ kind: 'settings', settings });
  }

  /** Resolves when the condition holds, true, or after `limitMs`, false. */
  until(condition: (state: NodeState) => boolean, limitMs: number): Promise<boolean> {
    if (condition(this.#state)) return Promise.resolve(true);
    return new Promise((resolve) => {
      const settle = (result: boolean) => {
        clearTimeout(limit);
        this.#watchers.delete(check);
        resolve(result);
      };
      const check = () => {
        if (condition(this.#state)) settle(true);
      };
      const limit = setTimeout(() => settle(false), limitMs).unref();
      this.#watchers.add(check);
    });
  }

  /**
   * Decides nothing any more, stops PostgreSQL, and gives back what is held. Resolves when PostgreSQL has ended. Called again
   * with `immediate`, it hurries.
   */
  end(mode: 'fast' | 'immediate', limitMs: number): Promise<void> {
    if (this.#ending === null) this.#ending = this.#end(mode, limitMs);
    else if (mode === 'immediate') void this.#stopPostgres(mode, limitMs);
    return this.#ending;
  }

  async #end(mode: 'fast' | 'immediate', limitMs: number): Promise<void> {
    this.#decidesNothing = true;
    this.#tick.close();
    await this.#stopPostgres(mode, limitMs);
    this.#store.close();
    await this.#postgres?.close();
    // Whoever hurried is answered, too.
    for (const settle of [...this.#ownAnswers.values()]) settle();
    const { holding, settings } = this.#state;
    const { store } = this.#parts;
    if (holding !== null) await store.release(holding).catch(() => {});
    await store.withdraw(settings.node).catch(() => {});
  }

  /** Resolves when it has stopped, or after twice the limit: what still runs then is ended when this side is closed. */
  #stopPostgres(mode: 'fast' | 'immediate', limitMs: number): Promise<void> {
    const id = --this.#lastOwn;
    return new Promise((resolve) => {
      const settle = () => {
        clearTimeout(limit);
        this.#ownAnswers.delete(id);
        resolve();
      };
      const limit = setTimeout(settle, 2 * limitMs);
      this.#ownAnswers.set(id, settle);
      this.#postgres?.carryOut({ do: 'stop', id, mode, limitMs });
    });
  }

  #fromPostgres(input: PostgresInput): void {
    if (input.kind === 'answer' && input.id < 0) this.#ownAnswers.get(input.id)?.();
    else this.tell(input);
  }

  #show(view: StoreView): void {
    this.#view = view;
    this.tell({ kind: 'view', view: understand(view) });
  }

  #isKnownToAll(key: string): boolean {
    const { settings, view } = this.#state;
    if (view === null) return false;
    const others = [...view.members.keys()].filter((name) => name !== settings.node);
    return others.every((name) => factsIn(this.#view?.members.get(name) ?? '').replicationKey === key);
  }

  #isHeldByGateways(): boolean {
    const term = this.#state.holding?.term;
    return (
      term !== undefined && gatewaysIn(this.#view?.members ?? new Map()).every(({ holds }) => holds === term)
    );
  }

  /** One input after the other, also when one is told while another is worked on. */
  #work(): void {
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (;;) {
        const input = this.#inputs.shift();
        if (input === undefined || this.#decidesNothing) break;
        this.#carryOut(step(this.#state, { ...input, at: this.#parts.clock() } as Input));
      }
    } catch (error) {
      this.#decidesNothing = true;
      this.#inputs.length = 0;
      this.#parts.onBroken(error);
    } finally {
      this.#isStepping = false;
    }
    for (const check of [...this.#watchers]) check();
  }

  #carryOut({ state, effects }: Step): void {
    this.#state = state;
    for (const effect of effects) this.#carryOutOne(effect);
  }

  #carryOutOne(effect: Effect): void {
    switch (effect.do) {
      case 'report':
        return this.#parts.onReport(effect.report, this.#state);
      case 'acquire':
      case 'renew':
      case 'release':
      case 'publish':
      case 'register':
        return this.#store.carryOut(effect satisfies StoreEffect);
      default:
        return this.#postgres?.carryOut(effect satisfies PostgresEffect);
    }
  }
}
