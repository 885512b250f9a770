/** `npm run test:images`: builds the images, and lets happen to their pods all that happens in the life of a cluster. */
import { parseArgs } from 'node:util';
import { median } from '../chaos/load/oracles.js';
import {
  deletePrimary,
  fillDisk,
  type Happened,
  killInTiers,
  killPostmaster,
  killPrimaryContainer,
  rollGateways,
} from './happenings.js';
import { buildImages, makeBases } from './images.js';
import { whyNoPodman } from './podman.js';
import { PodsUnderTest } from './pods-under-test.js';
import { feltText } from './under-load.js';

const HELP = `usage: npm run test:images -- [--rounds N] [--only NAME[,NAME]] [--build]

Builds both images and runs the pods of the overlays two-tier and cluster under load. Needs root, podman, buildah, runc,
debootstrap and ip. Exit code 1: an acknowledged write was lost, two primaries, or a failed transaction where none may fail.

  --rounds N   how often each thing happens; default 1
  --only       of these alone: NAMES
  --build      builds the images, and that is all
`;

interface Happening {
  readonly what: string;
  readonly run: (pods: PodsUnderTest) => Promise<Happened>;
  /** No transaction may fail. */
  readonly isGentle?: boolean;
}

const IN_TIERS: Readonly<Record<string, Happening>> = {
  route: { what: 'a routing pod is killed', run: (pods) => killInTiers(pods, [['route', 'route-0']]) },
  pool: { what: 'a pooling pod is killed', run: (pods) => killInTiers(pods, [['pool', 'pool-0']]) },
};
const IN_CLUSTER: Readonly<Record<string, Happening>> = {
  roll: { what: 'three gateways are replaced in turn', run: (pods) => rollGateways(pods), isGentle: true },
  delete: { what: "the primary's pod is deleted", run: (pods) => deletePrimary(pods, false), isGentle: true },
  force: { what: "the primary's pod is deleted by force", run: (pods) => deletePrimary(pods, true) },
  postmaster: { what: "kill -9 of the postmaster in the primary's pod", run: killPostmaster },
  memory: { what: "the primary's container is killed, as when out of memory", run: killPrimaryContainer },
  disk: { what: "the primary's disk is full", run: fillDisk },
};

function options(): { rounds: number; only: readonly string[]; build: boolean } {
  const names = [...Object.keys(IN_TIERS), ...Object.keys(IN_CLUSTER)];
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '1' },
      only: { type: 'string' },
      build: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const only = values.only?.split(',') ?? names;
  const unknown = only.filter((name) => !names.includes(name));
  if (values.help || unknown.length > 0 || !/^[1-9]\d*$/.test(values.rounds)) {
    console.log(HELP.replace('NAMES', names.join(', ')));
    process.exit(values.help ? 0 : 2);
  }
  return { rounds: Number(values.rounds), only, build: values.build };
}

let isBroken = false;

async function runAll(pods: PodsUnderTest, happenings: readonly Happening[], rounds: number): Promise<void> {
  for (const { what, run, isGentle = false } of happenings) {
    const gaps: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      const { felt, endedMs } = await run(pods);
      const ended = endedMs.map((ms) => `${(ms / 1000).toFixed(1)} s`).join(', ');
      console.log(`${what}: ${feltText(felt)}${ended === '' ? '' : `; ended in ${ended}`}`);
      gaps.push(felt.gapMs);
      isBroken ||= felt.lost.length > 0 || felt.twoPrimaries.length > 0;
      isBroken ||= isGentle && felt.brokenTransactions.length > 0;
    }
    const worst = Math.max(...gaps);
    console.log(`== ${what}: ${rounds} rounds, gap ${seconds(median(gaps))}, worst ${seconds(worst)}`);
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}

const { rounds, only, build } = options();
const lacking = whyNoPodman();
if (lacking) {
  console.error(`the images can't be tested here: ${lacking}`);
  process.exit(2);
}
await makeBases();
for (const line of await buildImages()) console.log(line);
if (!build) {
  const chosen = (of: Readonly<Record<string, Happening>>) =>
    Object.keys(of).flatMap((name) => (only.includes(name) ? [of[name]!] : []));
  const pods = await PodsUnderTest.start();
  try {
    await pods.startNodes(only.includes('disk'));
    if (chosen(IN_TIERS).length > 0) {
      await Promise.all([pods.startTier('route'), pods.startTier('pool')]);
      await runAll(pods, chosen(IN_TIERS), rounds);
      await Promise.all([pods.stopTier('pool'), pods.stopTier('route')]);
    }
    if (chosen(IN_CLUSTER).length > 0) {
      await pods.startTier('gateway');
      await runAll(pods, chosen(IN_CLUSTER), rounds);
    }
  } finally {
    await pods.discard();
  }
}
process.exit(isBroken ? 1 : 0);
