/** Which troubles come when, decided by a seed alone: the same seed brings the same troubles, whatever the cluster does. */
import { SeededRandom } from '../../fuzz/random.js';

/** What can happen, and how often it does beside the others. */
const WEIGHTS = {
  kill: 5,
  agent: 3,
  crash: 2,
  down: 4,
  isolate: 3,
  mute: 2,
  deaf: 2,
  side: 2,
  flap: 2,
  stop: 4,
  freeze: 3,
  store: 4,
  gateway: 3,
  restart: 2,
  switchover: 3,
} as const satisfies Record<string, number>;
export type TroubleName = keyof typeof WEIGHTS;

/** How long one lasts, in ms, and how often so long. */
const LASTS: readonly (readonly [ms: number, weight: number])[] = [
  [1_000, 4],
  [5_000, 5],
  [20_000, 2],
  [60_000, 1],
];
/** Troubles of one act begin within so many ms. */
const SPREAD_MS = 8_000;
/** Most acts strike the primary of their beginning. */
const PRIMARY_CHANCE = 0.6;

export interface Trouble {
  readonly name: TroubleName;
  /** From the act's beginning. ms. */
  readonly beginMs: number;
  readonly lastsMs: number;
  /** Whom it strikes: 0 is the primary, 1 and 2 are the standbys; of gateways and members of the store it is the place in their list. */
  readonly victim: number;
}

/** Troubles that overlap. When all of them are over, the cluster has to become whole. */
export type Act = readonly Trouble[];

/** Acts without an end. */
export class Schedule {
  readonly #random: SeededRandom;

  constructor(seed: number) {
    this.#random = new SeededRandom(seed);
  }

  next(): Act {
    const count = weighted(this.#random, [
      [1, 5],
      [2, 3],
      [3, 2],
    ]);
    return Array.from({ length: count }, (_, index) => this.#trouble(index === 0));
  }

  #trouble(isFirst: boolean): Trouble {
    const random = this.#random;
    const names = Object.entries(WEIGHTS) as [TroubleName, number][];
    return {
      name: weighted(random, names),
      beginMs: isFirst ? 0 : random.below(SPREAD_MS),
      lastsMs: weighted(random, LASTS),
      victim: random.chance(PRIMARY_CHANCE) ? 0 : 1 + random.below(2),
    };
  }
}

function weighted<T>(random: SeededRandom, choices: readonly (readonly [value: T, weight: number])[]): T {
  const total = choices.reduce((sum, [, weight]) => sum + weight, 0);
  let at = random.below(total);
  for (const [value, weight] of choices) {
    at -= weight;
    if (at < 0) return value;
  }
  throw new Error('unreachable: the weights sum up to the total');
}
