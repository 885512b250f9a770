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
}

/** No node has been looked at yet. */
export const NO_LINEAGE: Lineage = { systemId: '', timeline: 0, primary: -1, startedAt: '' };

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
}

const SILENT: Standing = { role: 'unknown', reason: 'it does not answer' };

/** Judges all nodes together. */
export function judgeTopology(looks: readonly Look[], before: Lineage): Topology {
  const systemId = clusterOf(looks, before.systemId);
  const members = looks.map(({ evidence }) =>
    evidence !== null && evidence.systemId === systemId ? evidence : null,
  );
  const known = systemId === before.systemId ? before.timeline : 0;
  const timeline = members.reduce((most, member) => Math.max(most, member?.timeline ?? 0), known);
  const primary = choosePrimary(looks, members, systemId === before.systemId ? before : NO_LINEAGE, timeline);
  const conflict = primary === -1 && candidatesOf(members, timeline).length > 1;
  const standings = looks.map(({ evidence }, place): Standing => {
    if (evidence === null) return SILENT;
    if (systemId === '') return { role: 'unknown', reason: 'the nodes belong to different clusters' };
    if (evidence.systemId !== systemId)
      return foreign(`it belongs to another cluster (${evidence.systemId})`);
    if (evidence.isInRecovery) return standbyOf(evidence, timeline);
    if (place === primary) return { role: 'primary', reason: null };
    if (evidence.timeline < timeline) {
      return foreign(
        `it is a primary of timeline ${evidence.timeline}, which timeline ${timeline} has left behind`,
      );
    }
    if (conflict) return foreign(`it is one of several primaries of timeline ${timeline}`);
    if (primary === -1) return { role: 'unknown', reason: doubtOf(before) };
    const isTwin = evidence.startedAt === members[primary]?.startedAt;
    return foreign(isTwin ? 'it is the primary under another address' : 'another node is the primary');
  });
  const found = members[primary];
  const { primary: place, startedAt } = found ? { primary, startedAt: found.startedAt } : before;
  return { standings, primary, lineage: { systemId, timeline, primary: place, startedAt } };
}

/** Why the only candidate is not the primary. */
function doubtOf(before: Lineage): string {
  if (before.primary === -1) return 'the other nodes have not answered yet';
  return 'it has the timeline of the primary that is lost: a promotion would have begun another one';
}

function foreign(reason: string): Standing {
  return { role: 'foreign', reason };
}

/** One of another timeline may have replayed what the primary never had: its positions mean nothing. */
function standbyOf(evidence: Evidence, timeline: number): Standing {
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

function candidatesOf(members: readonly (Evidence | null)[], timeline: number): number[] {
  const places = [...members.keys()];
  const all = places.filter((place) => members[place]?.isInRecovery === false);
  return all.filter((place) => members[place]!.timeline === timeline);
}

/** The place of the primary; -1: none, or not known. */
function choosePrimary(
  looks: readonly Look[],
  members: readonly (Evidence | null)[],
  before: Lineage,
  timeline: number,
): number {
  const candidates = candidatesOf(members, timeline);
  const { primary } = before;
  if (candidates.includes(primary)) return primary;
  const [first, ...others] = candidates;
  if (first === undefined) return -1;
  const { startedAt } = members[first]!;
  if (others.some((place) => members[place]!.startedAt !== startedAt)) return -1;
  // Another node may say that this one is outdated: as long as none has been the primary, all are heard first.
  if (primary === -1) return looks.every(({ isSettled }) => isSettled) ? first : -1;
  const isPromoted = timeline > before.timeline;
  // What was the primary has become something else, or this is the same server.
  const isAgreed = looks[primary]?.evidence !== null || startedAt === before.startedAt;
  return isPromoted || isAgreed ? first : -1;
}
