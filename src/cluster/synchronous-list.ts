/**
 * Which standbys commits wait for, and what the store says about it. The store's rule must hold for every commit that has been
 * acknowledged, at each moment, whatever is lost in between. So a change takes this order:
 *
 * 1. The store is told a rule that covers the old list and the new one: the names of both, the smaller quorum.
 * 2. PostgreSQL is told the new list, and says from which LSN on it holds.
 * 3. As soon as enough of the new list have everything up to there, the store is told the new rule. Earlier commits are
 *    on them now, too.
 *
 * A publication whose outcome is unknown may come into force later. Until one after it has succeeded (which ends it, by the
 * version that it was to replace) every step is one that it covers as well.
 *
 * A leader that has just been elected has every acknowledged commit, and acknowledges none yet. The rule of the last
 * primary stays, until enough of its own standbys have what it had when it was promoted.
 */
import type { NodeState, Turn, WaitList } from './node-state.js';
import { publishEpoch } from './publication.js';
import type { Member, Rule } from './records.js';

/** Takes the next step of a change, if one is due and the last one has been answered. */
export function maintainList(turn: Turn): void {
  noteSynchronized(turn);
  const { list, epoch, holding, awaited } = turn.state;
  if (awaited.publish !== null || list.applying !== null) return;
  const { rule } = epoch!.value;
  const target = wantedList(turn.state, turn.elapsed);
  if (target === null || turn.state.at < turn.state.retryAt) return;
  const isOurs = rule.term === holding!.term;
  const inForce = isOurs ? [rule, ...list.doubt] : list.doubt;
  if (isOurs && (list.doubt.length > 0 || !inForce.every((one) => covers(one, target)))) {
    return publishRule(turn, cover([...inForce, target]));
  }
  if (list.applied === null || !isSameList(list.applied, target)) return apply(turn, target);
  const isSaid = isSameList(rule, target) && rule.mayLose === mayLose(turn.state);
  if (isOurs && isSaid && list.doubt.length === 0) return;
  if (isReached(turn.state, target)) publishRule(turn, isOurs ? target : cover([...inForce, target]));
}

/** Whether commits may be acknowledged: what PostgreSQL waits for is what the store says, or more. */
export function isRuleInForce({ epoch, holding, list, awaited }: NodeState): boolean {
  const { rule } = epoch!.value;
  const isCertain = awaited.publish === null && list.doubt.length === 0 && list.applying === null;
  return isCertain && list.applied !== null && rule.term === holding!.term && covers(rule, list.applied);
}

/** What commits should wait for. Null: that must not be decided yet. */
export function wantedList(state: NodeState, elapsed: number): WaitList | null {
  const { settings, epoch, holding } = state;
  if (settings.durability === 'asynchronous') return { standbys: [], quorum: 0 };
  if (state.name === 'opening' && isComplete(state)) return state.list.applied;
  const { rule } = epoch!.value;
  const current = rule.term === holding!.term ? rule.standbys : [];
  const standbys = presentStandbys(state, current);
  if (standbys.length >= settings.quorum) return { standbys, quorum: settings.quorum };
  if (settings.durability === 'available') {
    const isHasty = state.name === 'opening' && elapsed < settings.timing.patienceMs;
    return isHasty ? null : { standbys, quorum: standbys.length };
  }
  // Commits wait until there are enough.
  const all = [...new Set([...current, ...standbys])].sort();
  return all.length < settings.quorum ? null : { standbys: all, quorum: settings.quorum };
}

/**
 * Whether PostgreSQL goes by a list whose standbys stream, and are enough. Who comes after them is taken in when clients are in:
 * each change of the list takes a while, and all of them wait for this one.
 */
function isComplete({ list, settings }: NodeState): boolean {
  const { applied } = list;
  if (applied === null || applied.quorum < settings.quorum) return false;
  return applied.standbys.every((standby) => list.streaming.some(({ name }) => name === standby));
}

/** Those that stream now, and the listed ones that have done so a moment ago. */
function presentStandbys(
  { list, view, at, settings, holding }: NodeState,
  current: readonly string[],
): string[] {
  const streaming = new Set(list.streaming.map(({ name }) => name));
  const isRecent = (name: string) =>
    at - (list.seenAt[name] ?? Number.NEGATIVE_INFINITY) < settings.timing.dropMs;
  const names = new Set([...streaming, ...current.filter(isRecent)]);
  // One that received from us before we led may not have heard of that: it doesn't know yet which term began our timeline, and
  // its vote would speak of less than it has.
  const knowsUs = ({ upstream }: Member) => upstream === undefined || upstream?.term === holding!.term;
  const counts = (name: string) => {
    const member = view?.members.get(name);
    if (member === undefined) return current.includes(name);
    return member.priority > 0 && (current.includes(name) || knowsUs(member));
  };
  return [...names].filter((name) => name !== settings.node && counts(name)).sort();
}

function apply(turn: Turn, { standbys, quorum }: WaitList): void {
  turn.setList({ applying: { standbys, quorum } });
  turn.command('list', { do: 'synchronize', standbys, quorum });
}

function noteSynchronized(turn: Turn): void {
  const { applying } = turn.state.list;
  if (applying === null) return;
  const answer = turn.answer('list');
  if (answer === null) return;
  if (answer.kind === 'synchronized')
    turn.setList({ applying: null, applied: { ...applying, lsn: answer.lsn } });
  else {
    // Which of the two lists is in force isn't known: it is told again, and until then nothing is published.
    turn.setList({ applying: null, applied: null });
    turn.set({ retryAt: turn.state.at + turn.settings.timing.renewRetryMs });
  }
}

function publishRule(turn: Turn, { standbys, quorum }: WaitList): void {
  const { epoch, holding, list } = turn.state;
  const { primary, history } = epoch!.value;
  const rule: Rule = {
    ...{ term: holding!.term, primary, standbys, quorum, history },
    mayLose: mayLose(turn.state),
  };
  turn.setList({ doubt: [...list.doubt, rule] });
  publishEpoch(turn, { ...epoch!.value, rule });
}

/** While a promise takes the place of none, the store says at once that commits are not to be lost: those of before are here. */
function mayLose({ settings }: NodeState): boolean {
  return settings.durability === 'asynchronous';
}

/** Whether a commit that waits for the list is one that the rule speaks of truly. */
function covers(rule: WaitList, list: WaitList): boolean {
  return list.quorum >= rule.quorum && list.standbys.every((name) => rule.standbys.includes(name));
}

function cover(lists: readonly WaitList[]): WaitList {
  return {
    standbys: [...new Set(lists.flatMap(({ standbys }) => standbys))].sort(),
    quorum: Math.min(...lists.map(({ quorum }) => quorum)),
  };
}

function isSameList(a: WaitList, b: WaitList): boolean {
  return a.quorum === b.quorum && a.standbys.length === b.standbys.length && covers(a, b);
}

/** Enough of the list have all that PostgreSQL had when it was told. */
function isReached({ list }: NodeState, { standbys, quorum }: WaitList): boolean {
  const have = list.streaming.filter(
    ({ name, flushed }) => standbys.includes(name) && flushed >= list.applied!.lsn,
  );
  return have.length >= quorum;
}
