/** The states of a node that doesn't lead: it starts fenced, asks who leads, follows or votes, and comes back after a fork. */
import { elect } from './election.js';
import { memberOf, type Turn } from './node-state.js';
import { canBeMistaken, commonWith, type Lsn, withLateTerms, withoutEmptyTimelines } from './position.js';
import type { Epoch } from './records.js';
import type { Leader } from './store-view.js';
import { changeUpstream, firstUpstream, follow } from './upstream.js';

/**
 * After so many times the patience data is replaced although the rule may still need it: the first if no other standby
 * follows, the second if one does (see `mayReplaceData`).
 */
const REPLACE_PATIENCE = [0.5, 5] as const;

/** Ends whatever runs. */
export function enterFencing(turn: Turn): void {
  turn.set({ position: null });
  turn.command('postgres', { do: 'stop', mode: 'immediate', limitMs: 0 });
}

export function fencing(turn: Turn): void {
  const answer = turn.answer('postgres');
  if (answer?.kind === 'stopped') {
    turn.set({ stopped: answer.stopped });
    releaseHolding(turn);
    turn.go('PostgreSQL has ended');
  } else if (answer !== null) {
    // It did not end: nothing may go on before it has.
    retryLater(turn);
  } else if (turn.state.awaited.postgres === null && turn.state.at >= turn.state.retryAt) {
    enterFencing(turn);
  }
}

export function fenced(turn: Turn): void {
  const { at, retryAt, stopped } = turn.state;
  if (isWantedAnew(turn)) return turn.go('an operator wants its data anew');
  if (at < retryAt) return;
  if (stopped.data === 'whole') {
    if (!isForeign(turn)) turn.go('its data is whole');
  } else if (leaderToJoin(turn) !== null && turn.state.view?.control.paused === false) {
    turn.go('its data is of no use, and somebody leads');
  }
}

export function enterStarting(turn: Turn): void {
  turn.set({ followed: 0 });
  turn.command('postgres', { do: 'start' });
}

export function starting(turn: Turn): void {
  const answer = turn.answer('postgres');
  if (answer === null) return;
  if (answer.kind === 'at') {
    turn.set({ position: withoutEmptyTimelines(answer.position) });
    turn.go('it runs as a standby of nobody');
  } else {
    // Such data can neither be started nor vote: a clone is all that helps.
    if (answer.kind === 'damaged') turn.set({ stopped: { ...turn.state.stopped, data: 'damaged' } });
    retryLater(turn);
    turn.go('it did not start');
  }
}

export function standing(turn: Turn): void {
  noteLateTerms(turn);
  const { view, position } = turn.state;
  if (isWantedAnew(turn)) return turn.go('an operator wants its data anew');
  if (view === null || position === null || isForeign(turn)) return;
  if (view.leader === null) return stand(turn);
  const leads = leaderToJoin(turn);
  if (leads === null) return;
  if (!commonWith(leads.history, position).isDiverged) {
    if (firstUpstream(turn, leads) !== null) turn.go('a leader whose WAL goes on from ours');
    return;
  }
  if (!mayReplaceData(turn, leads)) return;
  if (canBeMistaken(leads.history, position)) turn.go('a leader whose timelines could be taken for ours');
  else turn.go('a leader whose WAL has left ours behind');
}

/** Whom it received from may have followed the next leader, or become it, before we had heard of that. */
function noteLateTerms(turn: Turn): void {
  const { position, followed, epoch } = turn.state;
  if (position === null || followed === 0 || epoch === null) return;
  const { term, history } = epoch.value;
  turn.set({ position: withLateTerms(position, history, { after: followed, upTo: term }) });
}

/** Nobody leads. Our vote is registered by itself; when the view shows it, the election counts it. */
function stand(turn: Turn): void {
  const { view, at, retryAt, settings } = turn.state;
  const vacancy = turn.state.vacancy;
  if (view === null || vacancy === null || at < retryAt) return;
  if (elect(view, at - vacancy.since, settings.timing).winner !== settings.node) return;
  // A vote of an earlier life of ours may still be there, and speak of another position.
  if (JSON.stringify(view.members.get(settings.node)?.vote) !== JSON.stringify(memberOf(turn.state).vote))
    return;
  turn.go('elected');
}

export function enterFollowing(turn: Turn): void {
  const leads = leaderToJoin(turn) as Epoch;
  turn.set({ followed: leads.term, position: null });
  follow(turn, firstUpstream(turn, leads) ?? leads.primary);
}

export function following(turn: Turn): void {
  const { view, followed } = turn.state;
  if (view !== null && view.leader?.term !== followed) return turn.go('nobody leads, or somebody else');
  const leads = leaderToJoin(turn);
  if (leads !== null) changeUpstream(turn, leads);
  if (leads !== null && isWalGone(turn, leads) && mayReplaceData(turn, leads)) {
    turn.go('the WAL that it needs is gone');
  } else if (leads !== null && isStuck(turn, leads)) {
    turn.set({ unstuckIn: followed });
    turn.go('nothing comes, though it would be sent');
  } else if (isWantedAnew(turn)) turn.go('an operator wants its data anew');
}

/** A standby that has no longer what we need is no reason: the leader may have it. */
function isWalGone({ input }: Turn, { primary }: Epoch): boolean {
  return input?.kind === 'stream broken' && input.upstream === primary;
}

/**
 * A PostgreSQL that has heard of a timeline without ever getting its WAL asks for it for ever, though the leader is on another one
 * from the same place. Started again, it takes the newest. Whatever else it is, once a term is enough to try that.
 */
function isStuck({ input, state }: Turn, { primary }: Epoch): boolean {
  return input?.kind === 'stream stuck' && input.upstream === primary && state.unstuckIn !== state.followed;
}

export function enterDetaching(turn: Turn): void {
  turn.command('postgres', { do: 'detach' });
}

export function detaching(turn: Turn): void {
  const answer = turn.answer('postgres');
  if (answer === null) return;
  if (answer.kind !== 'at') return turn.go('that is not certain');
  turn.set({ position: withoutEmptyTimelines(answer.position) });
  turn.go('it receives nothing more');
}

export function enterRejoining(turn: Turn): void {
  const { primary } = leaderToJoin(turn) as Epoch;
  const keepFrom = reportLeftBehind(turn);
  turn.set({ position: null });
  turn.command('postgres', { do: 'rewind', primary, keepFrom });
}

/** Says which WAL of ours nobody else follows, and returns where that begins; null: there is none that we know of. */
function reportLeftBehind(turn: Turn): Lsn | null {
  const { position } = turn.state;
  const leads = leaderToJoin(turn);
  if (position === null || leads === null) return null;
  const from = Math.max(0, commonWith(leads.history, position).lsn);
  const timeline = position.history.at(-1)!.timeline;
  turn.effects.push({ do: 'report', report: { what: 'left behind', from, to: position.lsn, timeline } });
  return from;
}

export function rejoining(turn: Turn): void {
  const answer = turn.answer('postgres');
  if (answer === null) return;
  if (answer.kind === 'rewound') return turn.go('rewound');
  if (answer.kind === 'not begun') {
    retryLater(turn);
    return turn.go('it could not be rewound');
  }
  // What a rewind leaves that has failed half way is no data.
  turn.set({ stopped: { ...turn.state.stopped, data: 'damaged' } });
  turn.go('it could not be rewound');
}

export function enterCloning(turn: Turn): void {
  const { primary } = leaderToJoin(turn) as Epoch;
  const keepFrom = reportLeftBehind(turn);
  turn.set({ position: null });
  turn.command('postgres', { do: 'clone', primary, keepFrom });
}

export function cloning(turn: Turn): void {
  const answer = turn.answer('postgres');
  if (answer === null) return;
  if (answer.kind === 'cloned') {
    turn.set({ stopped: { data: 'whole', systemIdentifier: answer.systemIdentifier } });
    return turn.go('cloned');
  }
  if (answer.kind !== 'not begun') turn.set({ stopped: { ...turn.state.stopped, data: 'damaged' } });
  retryLater(turn);
  turn.go('it could not be cloned');
}

/** What a leader that is not ourselves has published of its term. */
function leaderToJoin({ state }: Turn): Epoch | null {
  const leader = state.view?.leader;
  const epoch = state.view?.epoch;
  if (leader == null || epoch == null || epoch.term !== leader.term || isOwn(state, leader)) return null;
  return epoch;
}

/**
 * Whether our data may go. As long as the rule in force is an earlier primary's, ours may be the only copy of an acknowledged
 * commit that the new leader has, too; should that one be lost before its standbys have everything, we can still
 * lead. But a leader that no one can follow as he is must not wait for ever: then one after the other goes.
 */
function mayReplaceData(turn: Turn, leads: Epoch): boolean {
  const { view, settings } = turn.state;
  if (view === null || view.control.paused) return false;
  if (leads.rule.term === leads.term) return true;
  const others = [...view.members].filter(([name]) => name !== settings.node && name !== leads.primary);
  const isOurTurn = others.every(([name, { state }]) => {
    if (state === 'rejoining' || state === 'cloning') return false;
    return state !== 'standing' || name > settings.node;
  });
  const isFollowed = others.some(([, { state }]) => state === 'following');
  return isOurTurn && turn.elapsed >= REPLACE_PATIENCE[isFollowed ? 1 : 0] * settings.timing.patienceMs;
}

/** The owner of data may give up what nobody else would touch (another cluster's), but not what others may still need. */
function isWantedAnew(turn: Turn): boolean {
  const leads = leaderToJoin(turn);
  return turn.takes('reinit') && leads !== null && mayReplaceData(turn, leads);
}

/** Data of another cluster is neither started nor replaced: only its owner knows what it is. */
function isForeign(turn: Turn): boolean {
  const expected = turn.state.view?.epoch?.systemIdentifier;
  const { systemIdentifier } = turn.state.stopped;
  return expected !== undefined && systemIdentifier !== null && systemIdentifier !== expected;
}

function retryLater(turn: Turn): void {
  turn.set({ retryAt: turn.state.at + turn.settings.timing.retryMs });
}

/** A lease that an earlier life of this agent has left, or an answer that has never come, is given back at once. */
export function releaseStray(turn: Turn): void {
  const { view, name, releasedAt } = turn.state;
  const canNotAct = ['fenced', 'starting', 'standing', 'rejoining', 'cloning'].includes(name);
  if (!canNotAct || view?.leader == null || !isOwn(turn.state, view.leader)) return;
  if (view.revision <= releasedAt) return;
  turn.set({ releasedAt: view.revision });
  turn.effects.push({ do: 'release', leader: view.leader });
}

function isOwn({ settings }: Turn['state'], { holder }: Leader): boolean {
  return holder.startsWith(`${settings.node}/`);
}

/** Gives the lease up, when nothing of ours acts any more. */
export function releaseHolding(turn: Turn): void {
  const { holding } = turn.state;
  if (holding === null) return;
  const { holder, term } = holding;
  turn.set({ holding: null, awaited: { ...turn.state.awaited, renew: null, publish: null } });
  turn.effects.push({ do: 'release', leader: { holder, term } });
}
