/** What a check is: something that can go wrong with a cluster of Sluice's, and how one tells. */
import type { Building } from '../clusters/cluster-under-test.js';
import type { SluiceCluster } from '../clusters/sluice-cluster.js';
import type { Fault } from '../faults.js';
import type { Ground } from '../ground/ground.js';
import type { Operation } from '../load/history.js';
import type { LoadMachines } from '../load/load-machines.js';
import { changesOfPrimary } from '../load/oracles.js';
import { ORDINARY_LIMITS, type Round, type RoundLimits, runRound } from '../round.js';
import { broken, type Promises } from '../verdict.js';

/** Where a check is made. */
export interface Scene {
  readonly ground: Ground;
  readonly cluster: SluiceCluster;
  readonly load: LoadMachines;
}

/** What one attempt has shown. */
export interface Attempt {
  /** What is not as it should be, a line each. */
  readonly against: readonly string[];
  /** In a few words, for people. */
  readonly told: string;
  readonly history: readonly Operation[];
}

/** How the cluster is built that a part needs. Parts that follow one another with the same stage share a cluster. */
export type Stage = Omit<Building, 'ground' | 'folder' | 'tuned'>;

export interface CheckPart {
  readonly what: string;
  readonly stage: Stage;
  attempt(scene: Scene): Promise<Attempt>;
}

export interface Check {
  readonly number: number;
  readonly name: string;
  readonly parts: readonly CheckPart[];
}

export const ORDINARY: Stage = { stores: 1 };
export const THREE_STORES: Stage = { stores: 3 };
/** Only leases and fences keep two primaries apart here, since commits wait for nobody. */
export const ASYNCHRONOUS: Stage = { stores: 1, durability: 'asynchronous' };

/** Sluice's own. */
export const LEASE_MS = 5_000;
const LIMITS: RoundLimits = { ...ORDINARY_LIMITS, takeOverMs: 60_000, warmWrites: 150, afterwardsMs: 1_500 };

/** How a round is judged beside what is asked of every round. */
export type MoreOracles = (round: Round, scene: Scene) => readonly string[] | Promise<readonly string[]>;

export interface UnderFault {
  readonly what: string;
  readonly stage?: Stage;
  readonly promises?: Promises;
  readonly fault: Fault | ((scene: Scene) => Fault);
  readonly more?: MoreOracles;
}

/** A part that is a round under a fault. */
export function underFault({ what, stage = ORDINARY, promises, fault, more }: UnderFault): CheckPart {
  return {
    what,
    stage,
    attempt: async (scene) => {
      const made = typeof fault === 'function' ? fault(scene) : fault;
      const { ground, cluster, load } = scene;
      const round = await runRound(ground, cluster, load, made, LIMITS);
      const against = [
        ...broken(promises ?? 'everything', made, round),
        ...((await more?.(round, scene)) ?? []),
      ];
      return { against, told: roundInShort(round), history: [...round.history, ...round.inside] };
    },
  };
}

/** The same for all faults of a list. */
export function underFaults(
  faults: Readonly<Record<string, Fault>>,
  rest: Omit<UnderFault, 'what' | 'fault'> = {},
): CheckPart[] {
  const where = rest.stage?.durability === undefined ? '' : ` (${rest.stage.durability})`;
  return Object.entries(faults).map(([name, fault]) =>
    underFault({ what: `${name}${where}`, fault, ...rest }),
  );
}

function roundInShort(round: Round): string {
  const { gapMs, takenOverMs, insideMs, acknowledged, lost, harmed, failures } = round;
  const seconds = (ms: number): string => `${(ms / 1_000).toFixed(2)} s`;
  const codes = failures.map(({ count, kind, code }) => `${count} x ${kind} ${code}`).join(', ');
  return [
    `without a write ${seconds(gapMs)}`,
    Number.isFinite(takenOverMs) ? `taken over after ${seconds(takenOverMs)}` : 'not taken over',
    ...(insideMs === null ? [] : [`cut-off primary acknowledged until ${seconds(insideMs)}`]),
    `acknowledged ${acknowledged}, lost ${lost.length}, harmed ${harmed.length}`,
    codes === '' ? 'no error' : codes,
  ].join('; ');
}

/** No storm: the primary has changed so often at most. */
export function changesAtMost(count: number): MoreOracles {
  return ({ history }) => {
    const changes = changesOfPrimary(history);
    return changes > count ? [`the primary changed ${changes} times`] : [];
  };
}
