/** Makes checks: `npm run chaos -- --checks`. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Building } from '../clusters/cluster-under-test.js';
import { SluiceCluster } from '../clusters/sluice-cluster.js';
import type { OpenGround } from '../ground/choice.js';
import { writeHistory } from '../load/history.js';
import { prepareSet, startLoad } from '../round.js';
import { withCluster } from '../stage.js';
import type { Attempt, Check, CheckPart, Scene, Stage } from './check.js';

export interface ChecksOrder {
  readonly open: OpenGround;
  readonly checks: readonly Check[];
  /** How often each part is tried. */
  readonly times: number;
  /** Only parts whose names have this in them. Default: all. */
  readonly part?: string | undefined;
  readonly folder: string;
}

interface Trial {
  readonly check: Check;
  readonly part: CheckPart;
  readonly time: number;
}

const build = (building: Building) => new SluiceCluster(building);

/** Prints each attempt as it ends, and a line for each check. Returns what is not as it should be. */
export async function runChecks(order: ChecksOrder): Promise<string[]> {
  const verdicts: string[] = [];
  const against: string[] = [];
  for (const check of order.checks) {
    const { against: found, made, leftOut } = await runCheck(check, order);
    const verdict = found.length > 0 ? 'BROKEN  ' : made > 0 ? 'kept    ' : 'not made';
    const lack = leftOut > 0 ? ` (${leftOut} of its parts left out)` : '';
    verdicts.push(`${verdict} ${String(check.number).padStart(2)} ${check.name}${lack}`);
    against.push(...found.map((line) => `check ${check.number}, ${line}`));
  }
  for (const verdict of verdicts) console.log(verdict);
  return against;
}

async function runCheck(
  check: Check,
  { open, times, part: wanted = '', folder }: ChecksOrder,
): Promise<{ against: string[]; made: number; leftOut: number }> {
  console.log(`check ${check.number}: ${check.name}`);
  const asked = check.parts.filter(({ what }) => what.includes(wanted));
  const parts = asked.filter(canBeMade);
  const trials = parts.flatMap((part) =>
    Array.from({ length: times }, (_, index): Trial => ({ check, part, time: index + 1 })),
  );
  const against: string[] = [];
  for (let clusters = 1; trials.length > 0; clusters++) {
    const { stage } = trials[0]!.part;
    const home = join(folder, `check-${check.number}-cluster-${clusters}`);
    const count = trials.length;
    const found = await onOneCluster(open, stage, home, trials).catch((error: Error) => {
      // Whatever could not be built or taken down, the rest is judged on another one.
      if (trials.length === count) trials.shift();
      return [`could not be run: ${error.message}`];
    });
    against.push(...found);
    if (found.length === 0) rmSync(home, { recursive: true, force: true });
  }
  return { against, made: parts.length, leftOut: asked.length - parts.length };
}

/** Says so if not: disks of one's own need root. */
function canBeMade({ what, stage }: CheckPart): boolean {
  if (stage.diskMegabytes === undefined || process.getuid?.() === 0) return true;
  console.log(`  LEFT OUT, since only root can give machines disks of their own: ${what}`);
  return false;
}

/** Takes trials from the list as long as the cluster fits, and nothing is wrong with it. */
async function onOneCluster(
  open: OpenGround,
  stage: Stage,
  home: string,
  trials: Trial[],
): Promise<string[]> {
  const against: string[] = [];
  await withCluster(open, build, home, { tuned: false, ...stage }, async (cluster, ground) => {
    await prepareSet(cluster);
    const load = startLoad(ground, cluster);
    try {
      while (against.length === 0 && trials[0]?.part.stage === stage) {
        against.push(...(await runTrial(trials.shift()!, { ground, cluster, load }, home)));
        load.take();
      }
    } finally {
      await load.stop();
    }
  });
  return against;
}

async function runTrial({ check, part, time }: Trial, scene: Scene, home: string): Promise<string[]> {
  const name = `${part.what}, time ${time}`;
  const attempt = await part.attempt(scene).catch(
    (error: Error): Attempt => ({
      against: [error.message],
      told: 'could not be judged',
      history: scene.load.history,
    }),
  );
  console.log(`  ${check.number} ${name}: ${attempt.told}`);
  for (const line of attempt.against) console.log(`    BROKEN: ${line}`);
  if (attempt.against.length > 0)
    writeFileSync(join(home, `history-${time}.jsonl`), writeHistory(attempt.history));
  return attempt.against.map((line) => `${name}: ${line}`);
}
