/**
 * Who is what among the nodes of a cluster whose store names the leader. The leader is the primary once it says itself that it
 * is one of that epoch: by its system identifier, and by a timeline that is not older. Nobody else is, whatever it says.
 */
import type { NodeEpoch } from './epoch.js';
import type { Evidence } from './evidence.js';
import {
  foreign,
  type Lineage,
  type Look,
  SILENT,
  type Standing,
  standbyOf,
  type Topology,
  UNTRIED,
} from './topology.js';

/** What the store says, at the moment. */
export interface Named {
  readonly epoch: NodeEpoch | null;
  /** The leader's place in the list; -1: it is none of these. */
  readonly place: number;
  /** Why there is no epoch, for people. */
  readonly whyNone: string;
}

/** Judges all nodes together. */
export function judgeByEpoch(looks: readonly Look[], before: Lineage, named: Named): Topology {
  const { epoch, place } = named;
  const systemId = epoch?.systemId ?? before.systemId;
  const timeline = epoch?.timeline ?? (systemId === before.systemId ? before.timeline : 0);
  const leader = looks[place]?.evidence ?? null;
  const primary = epoch !== null && leader !== null && isOfEpoch(leader, epoch) ? place : -1;
  const standings = looks.map((look, at) => standingOf(look, at === place, { ...named, systemId, timeline }));
  const found = primary === -1 ? null : leader;
  const lineage = {
    ...{ systemId, timeline: Math.max(timeline, found?.timeline ?? 0), hasPrimary: found !== null },
    ...{
      primary: found === null ? before.primary : primary,
      startedAt: found?.startedAt ?? before.startedAt,
    },
  };
  return { standings, primary, candidate: primary, lineage };
}

function isOfEpoch({ isInRecovery, systemId, timeline }: Evidence, epoch: NodeEpoch): boolean {
  return !isInRecovery && systemId === epoch.systemId && timeline >= epoch.timeline;
}

function standingOf(
  { evidence, isSettled }: Look,
  isLeader: boolean,
  { epoch, whyNone, systemId, timeline }: Named & { readonly systemId: string; readonly timeline: number },
): Standing {
  if (evidence === null) return isSettled ? SILENT : UNTRIED;
  if (systemId === '') return { role: 'unknown', reason: whyNone };
  if (evidence.systemId !== systemId) return foreign(`it belongs to another cluster (${evidence.systemId})`);
  if (evidence.isInRecovery) return standbyOf(evidence, timeline);
  if (epoch === null) return { role: 'unknown', reason: whyNone };
  if (!isLeader) return foreign(`term ${epoch.term} of the cluster is led by ${epoch.leader}`);
  if (isOfEpoch(evidence, epoch)) return { role: 'primary', reason: null };
  return foreign(
    `it is a primary of timeline ${evidence.timeline}, and term ${epoch.term} begins with ${epoch.timeline}`,
  );
}
