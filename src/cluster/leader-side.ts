/** The states of a node that holds the lease: it promotes, publishes, opens, leads, and hands over. */
import { type Turn, UNKNOWN_LIST } from './node-state.js';
import { withoutEmptyTimelines } from './position.js';
import { publishEpoch } from './publication.js';
import type { Rule } from './records.js';
import { holderMs } from './settings.js';
import { releaseHolding } from './standby-side.js';
import { isRuleInForce, maintainList } from './synchronous-list.js';

export function enterAcquiring(turn: Turn): void {
  turn.command('acquire', { do: 'acquire', afterTerm: turn.state.view!.term });
}

export function acquiring(turn: Turn): void {
  const answer = turn.answer('acquire');
  if (answer === null) return;
  if (answer.kind === 'lease' && answer.holding !== null) {
    turn.set({ holding: answer.holding, renewAt: answer.holding.since + turn.settings.timing.renewMs });
    if (turn.state.at < fenceAt(turn)) return turn.go('the lease is ours');
    releaseHolding(turn);
  }
  // The view that made us try may be outdated; and should the answer have been lost, the next view tells.
  turn.set({ retryAt: turn.state.at + turn.settings.timing.renewRetryMs });
  turn.go('the lease is not ours');
}

export function enterPromoting(turn: Turn): void {
  permit(turn);
  turn.set({ list: UNKNOWN_LIST });
  const { term } = turn.state.holding!;
  turn.command('postgres', { do: 'promote', term, above: highestTimeline(turn) });
}

/** Of all timelines that are known, those of branches too that nobody will follow. */
function highestTimeline({ state: { view, epoch, position } }: Turn): number {
  const votes = [...(view?.members.values() ?? [])].map(({ vote }) => vote?.position.history ?? []);
  const histories = [...votes, epoch?.value.history ?? [], position?.history ?? []];
  return Math.max(0, ...histories.flat().map(({ timeline }) => timeline));
}

export function promoting(turn: Turn): void {
  const answer = turn.answer('postgres');
  if (answer === null) return;
  if (answer.kind !== 'at') return turn.go('it was not promoted');
  turn.set({ position: withoutEmptyTimelines(answer.position) });
  turn.go('promoted');
}

export function enterPublishing(turn: Turn): void {
  const { holding, position, epoch, view } = turn.state;
  const after = epoch?.value.primary ?? null;
  const { term } = holding!;
  const isForced = view?.control.failover?.afterTerm === term - 1;
  turn.effects.push({ do: 'report', report: { what: 'leads', term, after, from: position!, isForced } });
  publishFirst(turn);
}

function publishFirst(turn: Turn): void {
  const { holding, position, epoch, settings, stopped } = turn.state;
  const { term } = holding!;
  const { history } = position!;
  const rule: Rule = epoch?.value.rule ?? {
    ...{ term, primary: settings.node, standbys: [], quorum: 0, history },
    mayLose: settings.durability === 'asynchronous',
  };
  publishEpoch(turn, {
    ...{ term, primary: settings.node, history, rule },
    systemIdentifier: stopped.systemIdentifier ?? '',
  });
}

export function publishing(turn: Turn): void {
  const { holding, epoch, awaited, at, retryAt } = turn.state;
  // Whether by the answer or by a view that shows it.
  if (epoch?.value.term === holding!.term) return turn.go('the epoch is published');
  if (awaited.publish === null && at >= retryAt) publishFirst(turn);
}

export function opening(turn: Turn): void {
  maintainList(turn);
  if (isRuleInForce(turn.state)) turn.go('what was acknowledged before is where the rule says');
}

export function enterLeading(turn: Turn): void {
  turn.set({ checkpointSince: null });
  turn.effects.push({ do: 'open' });
}

export function leading(turn: Turn): void {
  if (turn.takes('wedged')) return turn.go('nothing can be written');
  maintainList(turn);
  if (!isSwitchoverAsked(turn)) {
    if (turn.state.checkpointSince !== null) turn.set({ checkpointSince: null });
  } else if (isCheckpointWritten(turn)) turn.go('a switchover is asked for');
}

/** Whether the checkpoint before a switchover is written, or its time is over. Clients write all the while. */
function isCheckpointWritten(turn: Turn): boolean {
  const { checkpointSince, at, settings } = turn.state;
  if (checkpointSince !== null) {
    return turn.answer('postgres') !== null || at - checkpointSince >= settings.timing.checkpointMs;
  }
  turn.set({ checkpointSince: at });
  turn.command('postgres', { do: 'checkpoint' });
  return false;
}

function isSwitchoverAsked({ state }: Turn): boolean {
  const { view, holding, settings, epoch } = state;
  const asked = view?.control.switchover;
  if (view == null || asked == null || asked.term !== holding!.term || view.control.paused) return false;
  const mayLead = (name: string) => {
    const { quorum, standbys } = epoch!.value.rule;
    const isComplete = quorum === 0 || standbys.includes(name);
    return name !== settings.node && isComplete && (view.members.get(name)?.priority ?? 0) > 0;
  };
  return asked.to === null ? [...view.members.keys()].some(mayLead) : mayLead(asked.to);
}

export function enterDraining(turn: Turn): void {
  turn.command('postgres', { do: 'hold' });
}

export function draining(turn: Turn): void {
  maintainList(turn);
  const answer = turn.answer('postgres');
  if (!isSwitchoverAsked(turn)) turn.go('the switchover is called off');
  else if (answer !== null || turn.elapsed >= turn.settings.timing.drainMs) {
    turn.go('running transactions have ended, or their time has');
  }
}

export function enterYielding(turn: Turn): void {
  turn.command('postgres', { do: 'stop', mode: 'fast', limitMs: turn.settings.timing.yieldMs });
}

export function yielding(turn: Turn): void {
  const answer = turn.answer('postgres');
  if (answer?.kind === 'stopped') {
    turn.set({ stopped: answer.stopped, position: null });
    releaseHolding(turn);
    turn.go('PostgreSQL has ended');
  } else if (answer !== null || turn.elapsed >= 2 * turn.settings.timing.yieldMs) {
    turn.go('it did not end in time');
  }
}

/** Renews in time, and begins to end PostgreSQL before the lease can be another's. */
export function keepLease(turn: Turn): void {
  const { at, holding, renewAt, view, settings, awaited } = turn.state;
  if (holding === null) return;
  const answer = turn.answer('renew');
  if (answer !== null) {
    const isLost = answer.kind === 'lease' && answer.holding === null;
    if (isLost) return turn.go('the lease is lost, or about to be');
    const renewed = answer.kind === 'lease' ? answer.holding : null;
    if (renewed === null) return turn.set({ renewAt: at + settings.timing.renewRetryMs });
    turn.set({ holding: renewed, renewAt: renewed.since + settings.timing.renewMs });
    permit(turn);
  }
  const isTaken = view !== null && view.term >= holding.term && !isLeader(view.leader, holding);
  if (isTaken || at >= fenceAt(turn)) return turn.go('the lease is lost, or about to be');
  if (awaited.renew === null && at >= renewAt) turn.command('renew', { do: 'renew', holding });
}

function isLeader(
  leader: { holder: string; term: number } | null,
  holding: { holder: string; term: number },
): boolean {
  return leader !== null && leader.holder === holding.holder && leader.term === holding.term;
}

function fenceAt(turn: Turn): number {
  const { timing } = turn.settings;
  return turn.state.holding!.since + holderMs(timing) - timing.fenceMs;
}

function permit(turn: Turn): void {
  turn.effects.push({ do: 'permit', until: turn.state.holding!.since + holderMs(turn.settings.timing) });
}
