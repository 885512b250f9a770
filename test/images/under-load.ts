/** Something happens to pods while clients write through them, and what became of everybody's writes. */
import { monotonic, type Operation } from '../chaos/load/history.js';
import { LoadMachines, ORDINARY_CLIENTS } from '../chaos/load/load-machines.js';
import {
  acknowledged,
  type Failures,
  failures,
  harmedBystanders,
  longestGap,
  lostWrites,
  type TwoPrimaries,
  twoPrimaries,
} from '../chaos/load/oracles.js';
import { READ_SQL } from '../chaos/load/workload.js';
import { until } from '../harness/until.js';
import { APPLICATION, type PodsUnderTest, type Tier } from './pods-under-test.js';

const PACE_MS = 50;
const WARM_WRITES = 100;
const LIMIT_MS = 60_000;
let machines = 0;

/** What clients felt of it. */
export interface Felt {
  /** The longest time without an acknowledged write, in ms. */
  readonly gapMs: number;
  readonly acknowledged: number;
  /** Acknowledged writes that are not there. */
  readonly lost: readonly Operation[];
  readonly twoPrimaries: readonly TwoPrimaries[];
  readonly failures: readonly Failures[];
  /** Errors of clients that were between transactions, but for those whose statement a server had when it died. */
  readonly harmed: readonly Operation[];
  /** Errors inside of transactions, and writes whose outcome is not known. */
  readonly brokenTransactions: readonly Operation[];
}

/**
 * Runs `act` under load, and judges when it is over and as many writes again have been acknowledged afterwards.
 * @param tier whom clients speak to
 * @param act is given what it calls when it strikes, if that isn't at its beginning
 */
export async function underLoad(
  pods: PodsUnderTest,
  tier: Tier,
  act: (strikes: () => void) => Promise<void>,
): Promise<Felt> {
  process.env.PGPASSWORD = APPLICATION.password;
  const { database, user } = APPLICATION;
  const shape = { database, user, clients: ORDINARY_CLIENTS, paceMs: PACE_MS };
  const load = LoadMachines.start([pods.apps], [pods.target(tier)], shape, ++machines);
  const writesAfter = (time: number) => acknowledged(load.history).filter(({ invoked }) => invoked > time);
  try {
    await until('the load to run', () => writesAfter(0).length >= WARM_WRITES, LIMIT_MS);
    let since = monotonic();
    await act(() => {
      since = monotonic();
    });
    const over = monotonic();
    await until('writes afterwards', () => writesAfter(over).length >= WARM_WRITES, LIMIT_MS);
    await load.stop();
    const text = await pods.query(await pods.leader(), READ_SQL);
    return judge(load.history, since, new Set(text.split('\n').map(Number)));
  } finally {
    await load.stop(0);
  }
}

function judge(history: readonly Operation[], since: number, present: ReadonlySet<number>): Felt {
  return {
    gapMs: longestGap(history, since).ms,
    acknowledged: acknowledged(history).length,
    lost: lostWrites(history, present),
    twoPrimaries: twoPrimaries(history),
    failures: failures(history, since),
    harmed: harmedBystanders(history, since, false),
    brokenTransactions: history.filter(
      ({ outcome, inside, ended }) => ended > since && outcome !== 'ok' && (inside || outcome === 'unknown'),
    ),
  };
}

/** In one line. */
export function feltText(felt: Felt): string {
  const errors = felt.failures.map(
    ({ kind, what, code, count, underWay, message }) =>
      `${count} ${kind} ${what} ${code}${underWay ? ' under way' : ''} (${message})`,
  );
  return [
    `gap ${(felt.gapMs / 1000).toFixed(2)} s`,
    `${felt.harmed.length} harmed`,
    `${felt.acknowledged} acknowledged, ${felt.lost.length} lost`,
    `${felt.twoPrimaries.length} second primaries`,
    errors.length === 0 ? 'no errors' : errors.join(', '),
  ].join('; ');
}
