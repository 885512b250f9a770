/** What is known of a node, for people. */
import type { NodeWatch } from './node-watch.js';
import type { PositionHistory } from './position-history.js';
import type { NodeRole } from './topology.js';
import { formatPosition, NO_POSITION } from './wal-position.js';

const PAUSED = 'its replay is paused';

/** A node, for `SHOW NODES`. */
export interface NodeSnapshot {
  readonly name: string;
  /** `10.0.0.7:5432`, or the path of a unix socket. */
  readonly address: string;
  readonly role: NodeRole;
  /** Why it gets nothing, or what it said last; empty: all is well. */
  readonly state: string;
  /** How old the answer is that its role was found by, in ms; null: there is none. */
  readonly evidenceAgeMs: number | null;
  readonly timeline: number | null;
  /** Where a primary writes, what a standby has replayed; null: not known. */
  readonly lsn: string | null;
  /** How far a standby is behind the primary; null: not known, or no standby. */
  readonly lagBytes: number | null;
  /** How old what it shows is at most, in ms; 0: it has all that the primary had. */
  readonly lagMs: number | null;
  readonly weight: number;
  readonly zone: string;
  /** Reads in flight, and those that were sent there. */
  readonly inUse: number;
  readonly reads: number;
  /** The average time that a read takes there, in ms. */
  readonly latencyMs: number;
}

function stateOf(reason: string | null, error: string | undefined): string {
  if (reason === null) return '';
  return error === undefined || error === reason ? reason : `${reason} (${error})`;
}

/** @param now in ms */
export function nodeSnapshot(watch: NodeWatch, history: PositionHistory, now: number): NodeSnapshot {
  const { node, evidence, error } = watch;
  const { name, address, weight, zone } = node.settings;
  const isKnown =
    node.role === 'standby' && node.replayed !== NO_POSITION && history.position !== NO_POSITION;
  const behind = isKnown ? Math.max(0, history.position - node.replayed) : null;
  const age = behind === null ? null : behind === 0 ? 0 : history.ageOf(node.replayed, now);
  const position = node.role === 'standby' ? node.replayed : (evidence?.position ?? NO_POSITION);
  return {
    name,
    address: 'socketPath' in address ? address.socketPath : `${address.host}:${address.port}`,
    role: node.role,
    state: stateOf(node.reason ?? (evidence?.isPaused ? PAUSED : null), error?.message),
    evidenceAgeMs: evidence === null ? null : now - watch.evidenceAskedAt,
    timeline: evidence?.timeline ?? null,
    lsn: position === NO_POSITION ? null : formatPosition(position),
    lagBytes: behind,
    lagMs: age !== null && Number.isFinite(age) ? age : null,
    weight,
    zone,
    inUse: node.outstanding,
    reads: node.reads,
    latencyMs: node.latencyMs(now),
  };
}
