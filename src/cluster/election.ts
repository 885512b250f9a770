/**
 * Who may lead next. Every node works it out for itself from the same view, and the one that it names asks the store for
 * the lease; the store's compare-and-swap decides if two views differ.
 *
 * Let the rule in force name N standbys of which w have each acknowledged commit. Any N - w + 1 of them then include one that
 * has it, and having WAL up to a place means having all before it; so of so many the one with the highest place has every
 * acknowledged commit. It stays so while the votes are counted, since each voter has stopped receiving from the old primary:
 * what that one still writes finds no w standbys to acknowledge it. The primary of the rule has everything by itself.
 *
 * So had a leader that was elected by all this and has let nobody in: the rule is still its predecessor's. Whoever has as much of
 * the rule's WAL as it began with has every acknowledged commit, whatever has become of the others since.
 */
import { commonWith, type Lsn } from './position.js';
import type { ClusterView, Epoch, Member } from './records.js';
import type { ClusterTiming } from './settings.js';

/** The outcome, and why. */
export type Election =
  | { readonly winner: string }
  /** Nobody yet: `waitingFor` names nodes whose votes would help, or is empty. */
  | { readonly winner: null; readonly reason: WaitReason; readonly waitingFor: readonly string[] };

/** Why nobody can be elected yet. */
export type WaitReason =
  | 'somebody leads'
  | 'the cluster is paused'
  | 'too few of those that may have every commit have answered'
  | 'no node may begin the cluster'
  | 'those that have every commit may not lead'
  | 'the chosen standby has not answered yet'
  | 'others are about to answer';

interface Voter {
  readonly name: string;
  readonly priority: number;
  /** How far it has what the rule speaks of. */
  readonly has: Lsn;
  /** How far it has what the last primary wrote: who goes on from that needs no one to be rewound. */
  readonly follows: Lsn;
}

/** @param vacantMs for how long this node has seen that nobody leads; who is waited for depends on it, not who is safe */
export function elect(view: ClusterView, vacantMs: number, timing: ClusterTiming): Election {
  const isPatienceOver = vacantMs >= timing.patienceMs;
  if (view.leader !== null) return wait('somebody leads');
  if (view.epoch === null) return electFirst(view);
  const { epoch } = view;
  const voters = votersOf(view, epoch);
  const ordered = voters.find(({ name }) => name === orderedByOperator(view));
  if (ordered !== undefined) return { winner: ordered.name };
  if (view.control.paused) {
    const last = voters.find(({ name }) => name === epoch.rule.primary);
    return last === undefined ? wait('the cluster is paused', [epoch.rule.primary]) : { winner: last.name };
  }
  const needed = completeFrom(view, epoch, voters, isPatienceOver);
  if (needed === null) return tooFew(epoch, voters);
  const eligible = voters.filter(({ has, priority }) => has >= needed && priority > 0);
  if (eligible.length === 0) return wait('those that have every commit may not lead');
  const late = vacantMs < timing.graceMs ? aboutToVote(view) : [];
  if (late.length > 0) return wait('others are about to answer', late);
  return prefer(view, epoch, eligible, isPatienceOver);
}

/** Standbys that run, and have only to leave the last primary. */
function aboutToVote(view: ClusterView): string[] {
  const isAboutTo = (member: Member) =>
    ['following', 'detaching'].includes(member.state) && !hasAnswered(view, member);
  return [...view.members].filter(([, member]) => isAboutTo(member)).map(([name]) => name);
}

/** A cluster that has never been: its first primary is one of those that an operator has told to begin it. */
function electFirst(view: ClusterView): Election {
  const mayBegin = [...view.members].filter(
    ([, { vote, mayBegin, priority }]) => vote?.afterTerm === view.term && mayBegin && priority > 0,
  );
  const [first] = mayBegin.map(([name]) => name).sort();
  return first === undefined ? wait('no node may begin the cluster') : { winner: first };
}

function votersOf(view: ClusterView, epoch: Epoch): Voter[] {
  const voters: Voter[] = [];
  for (const [name, member] of view.members) {
    if (member.vote?.afterTerm !== view.term || member.systemIdentifier !== epoch.systemIdentifier) continue;
    const { position } = member.vote;
    const has = commonWith(epoch.rule.history, position).lsn;
    const follows = commonWith(epoch.history, position).lsn;
    voters.push({ name, priority: member.priority, has, follows });
  }
  return voters;
}

/** Who has the rule's WAL up to here has every acknowledged commit. Null: that can't be said yet. */
function completeFrom(
  view: ClusterView,
  { term, history, rule }: Epoch,
  voters: readonly Voter[],
  isPatienceOver: boolean,
): Lsn | null {
  const bounds: Lsn[] = [];
  const began = { history, lsn: history.at(-1)!.from };
  if (term > rule.term) bounds.push(commonWith(rule.history, began).lsn);
  const primary = voters.find(({ name }) => name === rule.primary);
  if (primary !== undefined) bounds.push(primary.has);
  const listed = voters.filter(({ name }) => rule.standbys.includes(name));
  if (listed.length >= votesNeeded(rule.standbys.length, rule.quorum)) bounds.push(highest(listed));
  const haveAllAnswered = [...view.members.values()].every((member) => hasAnswered(view, member));
  if (rule.mayLose && voters.length > 0 && (haveAllAnswered || isPatienceOver)) bounds.push(highest(voters));
  return bounds.length === 0 ? null : Math.min(...bounds);
}

/** How many of the listed standbys must answer; with a quorum of 0 no number of them is enough. */
export function votesNeeded(standbys: number, quorum: number): number {
  return standbys - quorum + 1;
}

function highest(voters: readonly Voter[]): Lsn {
  return Math.max(...voters.map(({ has }) => has));
}

function hasAnswered(view: ClusterView, member: Member): boolean {
  return member.vote?.afterTerm === view.term;
}

/** A standby before the primary that has just ended; then who has most; then priority; then the name. */
function prefer(
  view: ClusterView,
  epoch: Epoch,
  eligible: readonly Voter[],
  isPatienceOver: boolean,
): Election {
  const chosen = chosenByOperator(view);
  if (chosen !== null) {
    if (eligible.some(({ name }) => name === chosen)) return { winner: chosen };
    const mayAnswer = view.members.get(chosen);
    const isAwaited = mayAnswer !== undefined && !hasAnswered(view, mayAnswer);
    if (isAwaited && !isPatienceOver) return wait('the chosen standby has not answered yet', [chosen]);
  }
  const isLast = ({ name }: Voter) => Number(name === epoch.primary);
  const [best] = [...eligible].sort(
    (a, b) =>
      isLast(a) - isLast(b) ||
      b.has - a.has ||
      b.follows - a.follows ||
      b.priority - a.priority ||
      (a.name < b.name ? -1 : 1),
  );
  // Who has just handed over comes back sooner than others have left him, and would take the lease again.
  if (isHandover(view) && isLast(best!) === 1 && !isPatienceOver) {
    const others = [...view.members].filter(([, member]) => !hasAnswered(view, member));
    if (others.length > 0)
      return wait(
        'others are about to answer',
        others.map(([name]) => name),
      );
  }
  return { winner: best!.name };
}

/** The last primary has given way because an operator asked for that. */
function isHandover({ control, term }: ClusterView): boolean {
  return control.switchover?.term === term;
}

function chosenByOperator({ control, term }: ClusterView): string | null {
  return control.switchover?.term === term ? control.switchover.to : null;
}

/** Who is to lead whatever is lost by it. */
function orderedByOperator({ control, term }: ClusterView): string | null {
  return control.failover?.afterTerm === term ? control.failover.to : null;
}

function tooFew({ rule }: Epoch, voters: readonly Voter[]): Election {
  const missing = [rule.primary, ...(rule.quorum > 0 ? rule.standbys : [])].filter(
    (name) => !voters.some((voter) => voter.name === name),
  );
  return wait('too few of those that may have every commit have answered', missing);
}

function wait(reason: WaitReason, waitingFor: readonly string[] = []): Election {
  return { winner: null, reason, waitingFor };
}
