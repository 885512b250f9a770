/** Rounds of one fault, on a cluster of its own for all of them or for each: `npm run chaos -- --fault NAME`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Fault } from './faults.js';
import type { OpenGround } from './ground/choice.js';
import { writeHistory } from './load/history.js';
import { roundLines, summary } from './report.js';
import { ORDINARY_LIMITS, prepareSet, type Round, runRound, startLoad } from './round.js';
import type { Stack } from './stacks.js';
import { withCluster } from './stage.js';
import { broken } from './verdict.js';

export interface FaultRun {
  readonly open: OpenGround;
  readonly stack: Stack;
  readonly fault: Fault;
  readonly rounds: number;
  readonly stores: 1 | 3;
  readonly tuned: boolean;
  readonly folder: string;
}

/** Prints each round. Returns what broke a promise. */
export async function runFault(order: FaultRun): Promise<string[]> {
  const { stack, fault, folder } = order;
  console.log(`${stack.what}: ${fault.what}`);
  const done: Round[] = [];
  const against: string[] = [];
  const note = (round: Round): void => {
    done.push(round);
    console.log(`round ${done.length}`);
    for (const line of roundLines(round)) console.log(`  ${line}`);
    const found = broken(stack.promises, fault, round);
    for (const line of found) console.log(`  BROKEN: ${line}`);
    against.push(...found);
    writeFileSync(join(folder, `history-${done.length}.jsonl`), writeHistory(round.history));
  };
  const clusters = stack.isFreshEachRound ? order.rounds : 1;
  for (let i = 1; i <= clusters; i++) await runOnCluster(order, i, order.rounds / clusters, note);
  console.log(summary(done));
  return against;
}

async function runOnCluster(
  { open, stack, fault, stores, tuned, folder }: FaultRun,
  index: number,
  count: number,
  note: (round: Round) => void,
): Promise<void> {
  const home = join(folder, `cluster-${index}`);
  await withCluster(open, stack.build, home, { stores, tuned }, async (cluster, ground) => {
    if (index === 1) for (const line of await cluster.describe()) console.log(`  ${line}`);
    await prepareSet(cluster);
    const load = startLoad(ground, cluster);
    const limits = stack.isFreshEachRound ? { ...ORDINARY_LIMITS, rejoinMs: 30_000 } : ORDINARY_LIMITS;
    try {
      for (let i = 0; i < count; i++) note(await runRound(ground, cluster, load, fault, limits));
    } finally {
      await load.stop();
    }
  });
}
