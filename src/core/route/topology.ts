/**
 * Who is what among the nodes of a database, from what each has said of itself. Two that call themselves primary are told apart
 * by the cluster that they belong to and by their timelines, never by the order in which they are listed.
 */
import type { Evidence } from './evidence.js';

/** `foreign`: of another cluster, or of a history that the cluster has left. */
export type NodeRole = 'unknown' | 'primary' | 'standby' | 'foreign';

/** What one look at a node has brought. */
export interface Look {
  /** Null: it does not answer. */
  readonly evidence: Evidence | null;
  /** It has answered, or is known not to. */
  readonly isSettled: boolean;
  /** When it was asked for its evidence, in ms. */
  readonly evidenceAskedAt: number;
  /** It has been promoted since, to this timeline or a later one; 0: nothing tells of that. */
  readonly promotedTo: number;
}

/** What is remembered from look to look. */
export interface Lineage {
  /** The cluster's system identifier; empty: not known yet. */
  readonly systemId: string;
  /** The highest timeline that a node of it has had; 0: not known yet. */
  readonly timeline: number;
  /** The place in the list of the node that was the primary last; -1: none yet. */
  readonly primary: number;
  /** When that server was started; empty: as above. */
  readonly startedAt: string;
  /** It still is. */
  readonly hasPrimary: boolean;
}

/** No node has been looked at yet. */
export const NO_LINEAGE: Lineage = {
  systemId: '',
  timeline: 0,
  primary: -1,
  startedAt: '',
  hasPrimary: false,
};

/** What a node is. */
export interface Standing {
  readonly role: NodeRole;
  /** Why it gets nothing, for people; null: it may get what its role allows. */
  readonly reason: string | null;
}

/** What all nodes are. */
export interface Topology {
  readonly standings: readonly Standing[];
  /** The primary's place in the list; -1: none is known. */
  readonly primary: number;
  readonly lineage: Lineage;
  /** The only candidate would be the primary if the others, asked after it, say nothing against that. */
  readonly candidate: number;
}

/** What the manager of the nodes says; it counts for as much as the nodes themselves leave open. */
export interface Hint {
  /** The place in the list of the node that it calls the primary; -1: none of these. */
  readonly place: number;
  /** The timeline that it knows that one to be on; 0: it doesn't say. */
  readonly timeline: number;
}

/** Not all nodes have been tried yet: no news for people. */
export const NOT_YET = 'not all nodes have answered yet';

export const SILENT: Standing = { role: 'unknown', reason: 'it does not answer' };
export const UNTRIED: Standing = { role: 'unknown', reason: NOT_YET };

const WITHOUT_PROMOTION =
  'it has the timeline of the primary that is lost: a promotion would have begun another one';

/** What is known of all nodes together, before each of them is judged. */
interface Findings {
  readonly systemId: string;
  /** Null: it doesn't answer, or belongs to another cluster. */
  readonly members: readonly (Evidence | null)[];
  readonly timeline: number;
  readonly candidate: number;
  readonly primary: number;
  readonly areAllSettled: boolean;
}

/** Judges all nodes together. */
export function judgeTopology(looks: readonly Look[], before: Lineage, said: Hint | null = null): Topology {
  const systemId = clusterOf(looks, before.systemId);
  const members = looks.map(({ evidence }) =>
    evidence !== null && evidence.systemId === systemId ? evidence : null,
  );
  const past = systemId === before.systemId ? before : NO_LINEAGE;
  const seen = members.reduce((most, member) => Math.max(most, member?.timeline ?? 0), past.timeline);
  const hint = believed(said, looks);
  // Of one that can't be asked, or has not answered yet: whoever is on an older one has been left behind.
  const told = hint !== null && looks[hint.place]?.evidence == null ? hint.timeline : 0;
  const timeline = Math.max(seen, told, promotedTo(looks, systemId));
  const candidate = findCandidate(looks, members, past, { timeline, hinted: hint?.place ?? -1 });
  const primary = candidate !== -1 && isAccepted(candidate, looks, past, timeline) ? candidate : -1;
  const areAllSettled = looks.every(({ isSettled }) => isSettled);
  const findings = { systemId, members, timeline, candidate, primary, areAllSettled };
  const standings = looks.map((look, place) => standingOf(look, place, findings));
  const found = members[primary];
  const last = found === undefined || found === null ? past : { primary, startedAt: found.startedAt };
  const lineage = {
    ...{ systemId, timeline: seen, hasPrimary: primary !== -1 },
    ...{ primary: last.primary, startedAt: last.startedAt },
  };
  return { standings, primary, candidate, lineage };
}

function standingOf({ evidence, isSettled }: Look, place: number, findings: Findings): Standing {
  const { systemId, timeline, areAllSettled } = findings;
  if (evidence === null) return isSettled ? SILENT : UNTRIED;
  if (systemId === '' && !areAllSettled) return UNTRIED;
  if (systemId === '') return { role: 'unknown', reason: 'the nodes belong to different clusters' };
  if (evidence.systemId !== systemId) return foreign(`it belongs to another cluster (${evidence.systemId})`);
  if (evidence.isInRecovery) return standbyOf(evidence, timeline);
  if (evidence.timeline === timeline) return primaryOf(evidence, place, findings);
  return foreign(
    `it is a primary of timeline ${evidence.timeline}, which timeline ${timeline} has left behind`,
  );
}

/** One that calls itself primary, on the newest timeline. */
function primaryOf(
  { startedAt }: Evidence,
  place: number,
  { primary, candidate, members, timeline }: Findings,
): Standing {
  if (place === primary) return { role: 'primary', reason: null };
  if (place === candidate) return UNTRIED;
  const chosen = members[candidate];
  if (chosen?.startedAt === startedAt) return foreign('it is the primary under another address');
  if (candidate !== -1) return foreign('another node is the primary');
  if (candidatesOf(members, timeline).length === 1) return { role: 'unknown', reason: WITHOUT_PROMOTION };
  return foreign(`it is one of several primaries of timeline ${timeline}`);
}

export function foreign(reason: string): Standing {
  return { role: 'foreign', reason };
}

/** One of another timeline may have replayed what the primary never had: its positions mean nothing. */
export function standbyOf(evidence: Evidence, timeline: number): Standing {
  if (evidence.timeline === timeline) return { role: 'standby', reason: null };
  const reason = `it is not known to follow timeline ${timeline} (pg_monitor shows that at once, a restartpoint in time)`;
  return { role: 'standby', reason };
}

/**
 * Of whom most nodes are, or the one that it has been; as long as nothing is known, of whom most are that have answered, when all
 * have been tried.
 */
function clusterOf(looks: readonly Look[], known: string): string {
  const counts = new Map<string, number>();
  for (const { evidence } of looks) {
    if (evidence !== null) counts.set(evidence.systemId, (counts.get(evidence.systemId) ?? 0) + 1);
  }
  const answered = [...counts.values()].reduce((sum, count) => sum + count, 0);
  for (const [systemId, count] of counts) {
    if (2 * count > looks.length) return systemId;
    const mayGuess = known === '' && looks.every(({ isSettled }) => isSettled);
    if (mayGuess && 2 * count > answered) return systemId;
  }
  return known;
}

/** The highest timeline that a node of the cluster is known to have been promoted to; 0: none is. */
function promotedTo(looks: readonly Look[], systemId: string): number {
  const ours = looks.filter(({ evidence }) => evidence === null || evidence.systemId === systemId);
  return ours.reduce((most, look) => Math.max(most, look.promotedTo), 0);
}

function candidatesOf(members: readonly (Evidence | null)[], timeline: number): number[] {
  const places = [...members.keys()];
  const all = places.filter((place) => members[place]?.isInRecovery === false);
  return all.filter((place) => members[place]!.timeline === timeline);
}

/** Of a node that says itself that it is a standby nobody is believed that it is the primary. */
function believed(said: Hint | null, looks: readonly Look[]): Hint | null {
  return said === null || looks[said.place]?.evidence?.isInRecovery === true ? null : said;
}

/** Who may be the primary; -1: nobody, or one of several. */
function findCandidate(
  looks: readonly Look[],
  members: readonly (Evidence | null)[],
  before: Lineage,
  { timeline, hinted }: { readonly timeline: number; readonly hinted: number },
): number {
  const candidates = candidatesOf(members, timeline);
  const { primary } = before;
  if (candidates.includes(hinted)) return hinted;
  if (candidates.includes(primary)) return primary;
  const [first, ...others] = candidates;
  if (first === undefined) return -1;
  const { startedAt } = members[first]!;
  if (others.some((place) => members[place]!.startedAt !== startedAt)) return -1;
  if (primary === -1 || timeline > before.timeline) return first;
  // What was the primary has become something else, or this is the same server.
  const isAgreed = looks[primary]?.evidence !== null || startedAt === before.startedAt;
  return isAgreed ? first : -1;
}

/** One that comes (back) may have been replaced meanwhile: the others are heard first, unless it has been promoted. */
function isAccepted(candidate: number, looks: readonly Look[], before: Lineage, timeline: number): boolean {
  const { evidence, evidenceAskedAt: since } = looks[candidate]!;
  const isStill = before.hasPrimary && before.primary === candidate;
  if (isStill && evidence?.startedAt === before.startedAt) return true;
  if (before.primary === -1) return looks.every(({ isSettled }) => isSettled);
  if (timeline > before.timeline) return true;
  return looks.every(({ evidence, isSettled, evidenceAskedAt }) =>
    evidence === null ? isSettled : evidenceAskedAt >= since,
  );
}
