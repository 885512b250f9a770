/** What a mode of consistency promises, against what was found. */
import type { Finding } from './history.js';
import type { ListFindings } from './lists.js';
import type { RegisterFindings } from './registers.js';

/** Modes that can be checked. */
export const MODES = ['strong', 'session', 'bounded', 'eventual', 'primary'] as const;
export type Mode = (typeof MODES)[number];

/** What `bounded_staleness` is in these checks, in ms: less than standbys are kept behind for. */
export const BOUND_MS = 300;

/** What was found out in a round, or in all of them. */
export interface Findings {
  readonly registers: RegisterFindings;
  readonly lists: ListFindings;
  /** Requests that failed. */
  readonly failures: readonly string[];
}

/** Kinds of findings by their names in reports, and the modes that forbid them. */
const RULES: readonly {
  readonly name: string;
  readonly of: (findings: Findings) => readonly Finding[];
  readonly forbiddenIn: readonly Mode[];
}[] = [
  { name: 'isolation broken', of: ({ lists }) => lists.isolation, forbiddenIn: MODES },
  { name: 'values from nowhere', of: ({ registers }) => registers.impossible, forbiddenIn: MODES },
  {
    name: 'stale reads',
    of: ({ registers, lists }) => [...registers.stale, ...lists.stale],
    forbiddenIn: ['strong', 'primary'],
  },
  {
    name: 'reads beyond the bound',
    of: ({ registers, lists }) =>
      [...registers.stale, ...lists.stale].filter(({ ageMs }) => ageMs !== null && ageMs > BOUND_MS),
    forbiddenIn: ['bounded'],
  },
  { name: 'real time broken', of: ({ lists }) => lists.realTime, forbiddenIn: ['strong', 'primary'] },
  {
    name: 'own writes unseen',
    of: ({ registers }) => registers.ownWrites,
    forbiddenIn: ['strong', 'session', 'primary'],
  },
  {
    name: 'reads that go back',
    of: ({ registers }) => registers.backwards,
    forbiddenIn: ['strong', 'session', 'primary'],
  },
  {
    name: "sessions' order broken",
    of: ({ lists }) => lists.session,
    forbiddenIn: ['strong', 'session', 'primary'],
  },
  { name: 'standby ahead of the primary', of: ({ registers }) => registers.ahead, forbiddenIn: [] },
];

/** How often each kind was found, and whether the mode forbids it. */
export interface Count {
  readonly name: string;
  readonly count: number;
  readonly forbidden: boolean;
  /** The first one. */
  readonly example: Finding | undefined;
}

export function countFindings(mode: Mode, findings: Findings): Count[] {
  return RULES.map(({ name, of, forbiddenIn }) => {
    const found = of(findings);
    return { name, count: found.length, forbidden: forbiddenIn.includes(mode), example: found[0] };
  });
}

/** What speaks against a round, a line each; empty: nothing does. */
export function judgeRound(mode: Mode, findings: Findings): string[] {
  const against = countFindings(mode, findings)
    .filter(({ count, forbidden }) => forbidden && count > 0)
    .map(({ name, count, example }) => `${name}: ${count}, e.g. ${example?.text}`);
  const { failures } = findings;
  if (failures.length > 0) against.push(`failed requests: ${failures.length}, e.g. ${failures[0]}`);
  return against;
}

/** A check that found nothing must have been able to. */
export interface Proof {
  readonly mode: Mode;
  /** Of all rounds. */
  readonly staleReads: number;
  readonly writes: number;
  /** Reads by node, all nodes named. */
  readonly reads: ReadonlyMap<string, number>;
  readonly isPrimary: (node: string) => boolean;
}

/** Why a clean run would prove nothing; empty: it proves something. */
export function judgeProof({ mode, staleReads, writes, reads, isPrimary }: Proof): string[] {
  const against: string[] = [];
  if (writes === 0) against.push('nothing was written');
  for (const [node, count] of reads) {
    if (mode === 'primary' && !isPrimary(node) && count > 0) {
      against.push(`${node} has served ${count} reads, and none was to leave the primary`);
    }
    if (mode !== 'primary' && !isPrimary(node) && count === 0) {
      against.push(`${node} has served no read, so nothing is proved`);
    }
  }
  if ((mode === 'eventual' || mode === 'bounded') && staleReads === 0) {
    against.push('no stale read was found, so the check may be blind');
  }
  return against;
}
