/**
 * Whom a standby receives from: who leads, or another standby that its operator wants (`replicate_from`), so that a far site pulls
 * one stream over its line. That is a preference, and nothing is promised by it:
 *
 * - WAL is received from a standby only while that one follows the leader of the same term, and says so: so what comes is the
 *   leader's. Whatever is wrong with it, the leader is followed.
 * - Who is to receive from a standby serves nobody. So there are no circles, and no chains of more than one.
 * - Commits never wait for it, since it isn't connected with the primary. A standby that they need is with the primary.
 *
 * Its vote is worth what every vote is: what it has, and that it receives no more, from whomever. Who counts it for a commit is
 * the primary alone, by those that are connected with itself.
 */
import type { Input } from './inputs.js';
import type { Turn } from './node-state.js';
import type { ClusterView, Epoch, Member, Upstream } from './records.js';
import type { ClusterSettings } from './settings.js';

/** So many times the patience a new leader's first standby is waited for, if it is the one that is wanted. */
const AWAIT_PATIENCE = 0.5;
/** For so many times the patience it must have been good before the leader is left for it. */
const RETURN_PATIENCE = 2;
/** For so many times the patience it is not tried again when nothing has come from it. */
const AVOID_PATIENCE = 15;

/** States from which a node is about to follow. */
const ABOUT_TO_FOLLOW: ReadonlySet<string> = new Set(['detaching', 'standing', 'following']);

/** Takes what is told of the stream; what is told of another one is old. */
export function noteStream(turn: Turn, input: Extract<Input, { kind: 'stream' | 'stream broken' }>): void {
  if (input.upstream !== turn.state.upstream.node) return;
  turn.setUpstream({ streams: input.kind === 'stream' && input.isThere });
}

/** Whom to begin with when this leader is to be followed; null: that is decided in a moment. */
export function firstUpstream(turn: Turn, leads: Epoch): string | null {
  const { view, at, upstream, settings } = turn.state;
  const wanted = wantedUpstream(turn, leads);
  const member = wanted === null ? undefined : view?.members.get(wanted);
  if (wanted === null || member === undefined || at < upstream.avoidUntil) return leads.primary;
  if (serves(member, leads) && isSpared(view!.members, leads, settings)) return wanted;
  if (upstream.awaited.term !== leads.term) turn.setUpstream({ awaited: { term: leads.term, since: at } });
  const isLate = at - turn.state.upstream.awaited.since >= AWAIT_PATIENCE * settings.timing.patienceMs;
  return isLate || !ABOUT_TO_FOLLOW.has(member.state) ? leads.primary : null;
}

/** Changes over while this leader is followed: to the leader at once, and back when that has been good for a while. */
export function changeUpstream(turn: Turn, leads: Epoch): void {
  const { view, at, upstream, settings } = turn.state;
  const { patienceMs } = settings.timing;
  const wanted = wantedUpstream(turn, leads);
  const member = wanted === null ? undefined : view?.members.get(wanted);
  const isGood = member !== undefined && serves(member, leads) && isSpared(view!.members, leads, settings);
  const servesSince = isGood ? (upstream.servesSince ?? at) : null;
  if (servesSince !== upstream.servesSince) turn.setUpstream({ servesSince });
  if (upstream.node !== leads.primary) {
    const isMissing = upstream.streams === false;
    if (isMissing) turn.setUpstream({ avoidUntil: at + AVOID_PATIENCE * patienceMs });
    if (isMissing || !isGood || upstream.node !== wanted) follow(turn, leads.primary);
  } else if (servesSince !== null && at >= upstream.avoidUntil) {
    if (at - servesSince >= RETURN_PATIENCE * patienceMs) follow(turn, wanted!);
  }
}

/** Receives from that node from now on. */
export function follow(turn: Turn, node: string): void {
  turn.setUpstream({ node, streams: null, servesSince: null });
  turn.effects.push({ do: 'follow', upstream: node, term: turn.state.followed });
}

/** Why nobody can receive from that node in the term in force, for people; null: it is good for that. */
export function whyNoUpstream(
  { members }: Pick<ClusterView, 'members'>,
  leads: Epoch,
  name: string,
): string | null {
  const member = members.get(name);
  if (member === undefined) return 'is not there';
  if (serves(member, leads)) return null;
  return member.replicateFrom == null ? 'does not receive from the primary' : 'has replicate_from itself';
}

/** Whom the operator wants; null: who leads. */
function wantedUpstream({ settings }: Turn, { primary }: Epoch): string | null {
  const { replicateFrom, node } = settings;
  return replicateFrom === node || replicateFrom === primary ? null : replicateFrom;
}

/** Whether what comes from that standby is the WAL of this leader. */
function serves({ upstream, replicateFrom }: Member, leads: Epoch): boolean {
  return replicateFrom == null && upstream?.node === leads.primary && isCurrent(upstream, leads);
}

/**
 * Whether commits have enough standbys without this one. Of several that would rather receive from standbys the first by name
 * may, lest all leave because of each other.
 */
export function isSpared(
  members: ReadonlyMap<string, Member>,
  leads: Epoch,
  {
    node,
    priority,
    durability,
    quorum,
  }: Pick<ClusterSettings, 'node' | 'priority' | 'durability' | 'quorum'>,
): boolean {
  if (priority === 0 || durability === 'asynchronous') return true;
  const others = [...members].filter(([name, { upstream, replicateFrom, ...member }]) => {
    const stays = name !== node && (replicateFrom == null || name > node);
    return stays && member.priority > 0 && upstream?.node === leads.primary && isCurrent(upstream, leads);
  });
  return others.length >= quorum;
}

/** WAL comes, and it is this leader's. */
function isCurrent({ term, streams }: Upstream, leads: Epoch): boolean {
  return streams && term === leads.term;
}
