/**
 * The machine of one node's agent: `step(state, input) -> { state, effects }`. It does nothing itself and keeps no time:
 * whoever drives it carries the effects out, and tells it what has come of them, what the store shows, and every
 * {@link TICK_MS} what time it is.
 *
 * Most of it depends on what *is*, not on what has happened: a view that was missed costs nothing.
 */
import type { Effect, Input } from './inputs.js';
import * as Leader from './leader-side.js';
import { memberOf, NO_UPSTREAM, type NodeState, Turn, UNKNOWN_LIST } from './node-state.js';
import { noteEpoch, notePublication } from './publication.js';
import type { ClusterSettings } from './settings.js';
import * as Standby from './standby-side.js';
import { HOLDING_STATES, RUNNING_STATES, type StateName } from './states.js';
import { noteStream } from './upstream.js';

/** How often a machine must be told the time. ms. */
export const TICK_MS = 100;

/** More changes of state than this in one step are a circle. */
const CHANGES_MAX = 10;

/** The next state, and what is to be done, in this order. */
export interface Step {
  readonly state: NodeState;
  readonly effects: readonly Effect[];
}

const ENTER: Readonly<Partial<Record<StateName, (turn: Turn) => void>>> = {
  fencing: Standby.enterFencing,
  starting: Standby.enterStarting,
  following: Standby.enterFollowing,
  detaching: Standby.enterDetaching,
  rejoining: Standby.enterRejoining,
  cloning: Standby.enterCloning,
  acquiring: Leader.enterAcquiring,
  promoting: Leader.enterPromoting,
  publishing: Leader.enterPublishing,
  leading: Leader.enterLeading,
  draining: Leader.enterDraining,
  yielding: Leader.enterYielding,
};

const STAY: Readonly<Record<StateName, (turn: Turn) => void>> = {
  fencing: Standby.fencing,
  fenced: Standby.fenced,
  starting: Standby.starting,
  standing: Standby.standing,
  following: Standby.following,
  detaching: Standby.detaching,
  rejoining: Standby.rejoining,
  cloning: Standby.cloning,
  acquiring: Leader.acquiring,
  promoting: Leader.promoting,
  publishing: Leader.publishing,
  opening: Leader.opening,
  leading: Leader.leading,
  draining: Leader.draining,
  yielding: Leader.yielding,
};

/**
 * The beginning of an agent's life, which knows nothing and trusts nothing that runs.
 * @param life tells it from earlier ones; no two lives of a node may have the same
 */
export function begin(settings: ClusterSettings, life: string, at: number): Step {
  const state: NodeState = {
    ...{ settings, holder: `${settings.node}/${life}`, name: 'fencing', since: at, at },
    ...{
      view: null,
      epoch: null,
      revision: 0,
      lastId: 0,
      holding: null,
      renewAt: 0,
      position: null,
      followed: 0,
      unstuckIn: 0,
      upstream: NO_UPSTREAM,
    },
    awaited: { postgres: null, list: null, acquire: null, publish: null, renew: null },
    stopped: { data: 'none', systemIdentifier: null },
    ...{ retryAt: 0, vacancy: null, list: UNKNOWN_LIST, sent: null, releasedAt: 0, checkpointSince: null },
    registered: { text: '', at: Number.NEGATIVE_INFINITY },
  };
  const turn = new Turn(state, { kind: 'tick', at }, ENTER);
  Standby.enterFencing(turn);
  return { state: turn.state, effects: turn.effects };
}

/** One step. The same state and input give the same step, always. */
export function step(state: NodeState, input: Input): Step {
  const turn = new Turn(state, input, ENTER);
  note(turn, input);
  notePublication(turn);
  if (RUNNING_STATES.has(turn.state.name) && turn.takes('ended')) {
    // For certain: nothing acts any more, and others need not wait for the lease to run out.
    turn.set({ position: null });
    Standby.releaseHolding(turn);
    turn.go('PostgreSQL has ended');
  }
  settle(turn);
  releaseUnwanted(turn);
  Standby.releaseStray(turn);
  register(turn);
  return { state: turn.state, effects: turn.effects };
}

/** Goes on until nothing changes any more. */
function settle(turn: Turn): void {
  for (let changes = 0; ; changes++) {
    if (changes > CHANGES_MAX) throw new Error(`the states go round in a circle: ${turn.state.name}`);
    const { name } = turn.state;
    if (HOLDING_STATES.has(name)) Leader.keepLease(turn);
    if (turn.state.name === name) STAY[name](turn);
    if (turn.state.name === name) return;
  }
}

function note(turn: Turn, input: Input): void {
  if (input.kind === 'view') noteView(turn, input);
  if (input.kind === 'settings') noteSettings(turn, input);
  if (input.kind === 'stream' || input.kind === 'stream broken') noteStream(turn, input);
  if (input.kind !== 'replication') return;
  const seen = input.streaming.map(({ name }) => [name, input.at] as const);
  const seenAt = { ...turn.state.list.seenAt, ...Object.fromEntries(seen) };
  turn.setList({ streaming: input.streaming, seenAt });
}

/**
 * What others count on stays as it was, whoever changes it: the name and the lease. What a commit is worth changes as the list of
 * synchronous standbys does, by way of the store's rule; a promise that can't be kept yet waits for its standbys.
 */
function noteSettings(turn: Turn, { settings }: Extract<Input, { kind: 'settings' }>): void {
  const { contact, priority, replicateFrom, durability, quorum, timing } = settings;
  const { leaseMs } = turn.settings.timing;
  const changed = { contact, priority, replicateFrom, durability, quorum, timing: { ...timing, leaseMs } };
  turn.set({ settings: { ...turn.settings, ...changed } });
}

/** Views can overtake each other, and our own requests: what is older than what we know is nothing new. */
function noteView(turn: Turn, { view }: Extract<Input, { kind: 'view' }>): void {
  const { holding, revision, vacancy, at } = turn.state;
  if (view === null) return turn.set({ view: null, vacancy: null });
  if (view.revision < revision || view.term < (holding?.term ?? 0)) return;
  const isVacant = view.leader === null;
  const since = vacancy?.term === view.term ? vacancy.since : at;
  turn.set({ view, revision: view.revision, vacancy: isVacant ? { term: view.term, since } : null });
  noteEpoch(turn);
}

/** A lease that has come too late to be wanted. */
function releaseUnwanted(turn: Turn): void {
  const answer = turn.answer('acquire');
  if (answer?.kind !== 'lease' || answer.holding === null) return;
  const { holder, term } = answer.holding;
  turn.effects.push({ do: 'release', leader: { holder, term } });
}

function register(turn: Turn): void {
  const { registered, at, settings } = turn.state;
  const member = memberOf(turn.state);
  const text = JSON.stringify(member);
  if (text === registered.text && at - registered.at < settings.timing.registerMs) return;
  turn.set({ registered: { text, at } });
  turn.effects.push({ do: 'register', member });
}
