/** All that a node's machine remembers, and how one step changes it. */
import type { Answer, Effect, Input, StandbyProgress, Stopped } from './inputs.js';
import type { Lsn, Position } from './position.js';
import type { ClusterView, Epoch, Member, Rule } from './records.js';
import type { ClusterSettings } from './settings.js';
import { type EventName, type StateName, stateAfter } from './states.js';
import type { Holding } from './store-view.js';

/** Which standbys commits wait for. */
export interface WaitList {
  readonly standbys: readonly string[];
  readonly quorum: number;
}

/** What a leader knows of its synchronous standbys. */
export interface ListState {
  /** What PostgreSQL has been told, and from where on that holds. */
  readonly applied: (WaitList & { readonly lsn: Lsn }) | null;
  /** What PostgreSQL is being told. */
  readonly applying: WaitList | null;
  /** Rules that were sent to the store and may or may not be in force, now or later. */
  readonly doubt: readonly Rule[];
  readonly streaming: readonly StandbyProgress[];
  /** When each was last seen to stream. */
  readonly seenAt: Readonly<Record<string, number>>;
}

/** A list of which nothing is known: that of a PostgreSQL that has just become a primary. */
export const UNKNOWN_LIST: ListState = {
  applied: null,
  applying: null,
  doubt: [],
  streaming: [],
  seenAt: {},
};

/** Whom a standby receives from, and why not from another. */
export interface UpstreamState {
  readonly node: string;
  /** Null: nothing is known yet. */
  readonly streams: boolean | null;
  /** Since when whom the operator wants has been good for it; null: it isn't. */
  readonly servesSince: number | null;
  /** Nothing came from whom the operator wants: it isn't tried before. */
  readonly avoidUntil: number;
  /** A leader of this term is there, and since then whom the operator wants has been waited for. */
  readonly awaited: { readonly term: number; readonly since: number };
}

/** It follows nobody. */
export const NO_UPSTREAM: UpstreamState = {
  ...{ node: '', streams: null, servesSince: null, avoidUntil: 0 },
  awaited: { term: 0, since: 0 },
};

/** A state of the machine: a value, replaced by each step. Times are of the node's monotonic clock, in ms. */
export interface NodeState {
  readonly settings: ClusterSettings;
  /** This life of the agent, as it calls itself in the store. */
  readonly holder: string;
  readonly name: StateName;
  /** When that began. */
  readonly since: number;
  readonly at: number;
  readonly view: ClusterView | null;
  /** The latest that is known of, by what was read and by what we have published. */
  readonly epoch: { readonly value: Epoch; readonly version: number } | null;
  /** The latest view's, understood or not. */
  readonly revision: number;
  readonly lastId: number;
  /** The commands whose answers are awaited, by channel; those but the first two are to the store. */
  readonly awaited: {
    readonly postgres: number | null;
    /** `synchronize` */
    readonly list: number | null;
    readonly acquire: number | null;
    readonly publish: number | null;
    readonly renew: number | null;
  };
  readonly holding: Holding | null;
  readonly renewAt: number;
  readonly stopped: Stopped;
  /** Where it stands, as long as it stands still. */
  readonly position: Position | null;
  /** The term of the leader that is followed, or was before this stood still; 0: none since PostgreSQL was started. */
  readonly followed: number;
  readonly upstream: UpstreamState;
  /** The term in which PostgreSQL was last started anew because its stream was stuck. */
  readonly unstuckIn: number;
  /** Nothing that has failed is tried before. */
  readonly retryAt: number;
  /** Since when nobody has led after this term. */
  readonly vacancy: { readonly term: number; readonly since: number } | null;
  readonly list: ListState;
  /** The epoch that was published last, whatever became of it. */
  readonly sent: Epoch | null;
  readonly registered: { readonly text: string; readonly at: number };
  /** Since when a leader that is asked to hand over writes a checkpoint; null: it isn't asked. */
  readonly checkpointSince: number | null;
  /** The revision at which a lease of ours was last given back. */
  readonly releasedAt: number;
}

/** A command that is answered, without its number. */
type Numbered = Extract<Effect, { readonly id: number }>;
type Unnumbered<E> = E extends Numbered ? Omit<E, 'id'> : never;

/** Who answers a command. */
export type Channel = keyof NodeState['awaited'];

/** One step in the making. */
export class Turn {
  state: NodeState;
  readonly effects: Effect[] = [];
  /** What came in, until something has made use of it. */
  input: Input | null;
  readonly #enter: Readonly<Partial<Record<StateName, (turn: Turn) => void>>>;

  constructor(state: NodeState, input: Input, enter: Partial<Record<StateName, (turn: Turn) => void>>) {
    this.state = { ...state, at: input.at };
    this.input = input;
    this.#enter = enter;
  }

  get settings(): ClusterSettings {
    return this.state.settings;
  }

  /** So many ms have passed in this state. */
  get elapsed(): number {
    return this.state.at - this.state.since;
  }

  set(change: Partial<NodeState>): void {
    this.state = { ...this.state, ...change };
  }

  setUpstream(change: Partial<UpstreamState>): void {
    this.set({ upstream: { ...this.state.upstream, ...change } });
  }

  setList(change: Partial<ListState>): void {
    this.set({ list: { ...this.state.list, ...change } });
  }

  /** Takes the way that the table has for the event, and does what the next state begins with. */
  go(event: EventName): void {
    const from = this.state.name;
    const to = stateAfter(from, event);
    this.effects.push({ do: 'report', report: { what: 'state', from, event, to } });
    this.set({ name: to, since: this.state.at });
    this.#enter[to]?.(this);
  }

  /** Asks for something that is answered. An earlier command of the channel is no longer waited for. */
  command(channel: Channel, effect: Unnumbered<Numbered>): void {
    const id = this.state.lastId + 1;
    this.set({ lastId: id, awaited: { ...this.state.awaited, [channel]: id } });
    this.effects.push({ ...effect, id } as Effect);
  }

  /** The answer to what was last asked on the channel, once. */
  answer(channel: Channel): Answer | null {
    const { input } = this;
    if (input?.kind !== 'answer' || input.id !== this.state.awaited[channel]) return null;
    this.input = null;
    this.set({ awaited: { ...this.state.awaited, [channel]: null } });
    return input.answer;
  }

  /** True once, if this is what came in. */
  takes(kind: 'ended' | 'wedged' | 'reinit'): boolean {
    if (this.input?.kind !== kind) return false;
    this.input = null;
    return true;
  }
}

/** What the node says of itself now. */
export function memberOf(state: NodeState): Member {
  const { name, position, view, stopped, settings, holder, followed, upstream } = state;
  const votes = (name === 'standing' || name === 'acquiring') && position !== null && view?.leader === null;
  return {
    holder,
    contact: settings.contact,
    state: name,
    priority: settings.priority,
    systemIdentifier: stopped.systemIdentifier,
    mayBegin: settings.mayBegin,
    vote: votes ? { afterTerm: view.term, position } : null,
    upstream:
      name === 'following'
        ? { term: followed, node: upstream.node, streams: upstream.streams === true }
        : null,
    replicateFrom: settings.replicateFrom,
  };
}
