/** What a soak does to a gateway while well-behaved clients use it. */
import type { SeededRandom } from '../fuzz/random.js';
import type { GatewayUnderTest } from '../harness/gateway-under-test.js';

/** Becomes true, and stays so, when a siege has to end. */
export interface Stop {
  readonly now: boolean;
}

export interface Ground {
  readonly gateway: GatewayUnderTest;
  readonly random: SeededRandom;
  /** Counts something for the report. */
  count(what: string): void;
  /** Something that must not be: the verdict names it. */
  fail(what: string): void;
}

export interface Siege {
  readonly name: string;
  /** Goes on until it is told to stop; when it returns, every connection that it made is closed on its side. */
  lay(ground: Ground, stop: Stop): Promise<void>;
}

/** Databases as the gateway of a soak knows them: all are one PostgreSQL server, the last behind a fault. */
export const DATABASES = { calm: 'app', stalled: 'stalled', hanging: 'hanging' } as const;

/** Of the one user that there is. */
export const PASSWORD = 'open, sesame';

/** Runs `task` again and again, so many at the same time. A failure of one ends it for all. */
export async function many(atOnce: number, stop: Stop, task: () => Promise<void>): Promise<void> {
  const worker = async () => {
    while (!stop.now) await task();
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
