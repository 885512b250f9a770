/** What a node is at the moment, as health checks are answered. */
import { factsIn } from '../../cluster/node-facts.js';
import { leaderName } from '../../stores/wishes.js';
import type { NodeAgent } from '../node-agent.js';

/** The loop's beat comes each 100 ms: without one for so long it hangs. ms. */
const ALIVE_MS = 10_000;
/** A suffix of a `lag`, and what it multiplies. */
const UNITS: Readonly<Record<string, number>> = { kB: 1024, MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 };

/** One node. */
export interface NodeHealth {
  readonly node: string;
  /** `primary`: it leads, and lets clients write. `replica`: it follows. */
  readonly role: 'primary' | 'replica' | 'none';
  readonly state: string;
  readonly isRunning: boolean;
  readonly isSynchronous: boolean;
  /** The agent's loop goes on. Says nothing of PostgreSQL. */
  readonly isAlive: boolean;
  readonly timeline: number | null;
  readonly lsn: number | null;
  /** Behind what the primary has last said of itself, up to two seconds ago. Bytes. */
  readonly lagBytes: number | null;
  readonly leader: string | null;
  readonly term: number | null;
  readonly version: string | null;
}

/** Looks at it. */
export function nodeHealth(agent: NodeAgent): NodeHealth {
  const { state, facts, view } = agent;
  const { name, settings, view: cluster } = state;
  const role =
    name === 'leading' || name === 'draining' ? 'primary' : name === 'following' ? 'replica' : 'none';
  const leader = cluster === null ? null : leaderName(cluster);
  const rule = cluster?.epoch?.rule;
  const leaderLsn = leader === null ? null : factsIn(view?.members.get(leader) ?? '').lsn;
  const { isRunning, timeline, lsn, version } = facts;
  return {
    ...{ node: settings.node, role, state: name, isRunning, timeline, lsn, version, leader },
    isSynchronous: (rule?.quorum ?? 0) > 0 && rule?.standbys.includes(settings.node) === true,
    isAlive: agent.sinceBeat < ALIVE_MS,
    lagBytes: role !== 'replica' || leaderLsn === null || lsn === null ? null : Math.max(0, leaderLsn - lsn),
    term: cluster?.term ?? null,
  };
}

/** `16MB`, or bytes. Null: no limit, or none that is understood. */
export function parseLag(text: string | undefined): number | null {
  const [, amount, unit] = /^(\d{1,15})(kB|MB|GB|TB)?$/.exec(text ?? '') ?? [];
  return amount === undefined ? null : Number(amount) * (unit === undefined ? 1 : (UNITS[unit] as number));
}
