import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { scratchFolder } from '../harness/scratch.js';
import { machines } from './clusters/cluster-under-test.js';
import { missingPrograms } from './clusters/etcd.js';
import { PUBLISHED_PORTS } from './clusters/ports.js';
import { SLUICE_PROGRAMS, SluiceCluster } from './clusters/sluice-cluster.js';
import { FAULTS, type FaultName } from './faults.js';
import { chooseGround, type GroundChoice } from './ground/choice.js';
import type { Ground } from './ground/ground.js';
import type { LoadMachines } from './load/load-machines.js';
import { roundLines } from './report.js';
import { prepareSet, runRound, startLoad } from './round.js';
import { broken } from './verdict.js';

const SHORT = { takeOverMs: 30_000, rejoinMs: 40_000, warmWrites: 100, afterwardsMs: 500 };

/** What machines can be here, or why there can be no cluster on them. */
async function found(): Promise<GroundChoice | string> {
  const missing = await missingPrograms(SLUICE_PROGRAMS);
  if (missing.length > 0) return `missing on this machine: ${missing.join(', ')}`;
  try {
    return chooseGround();
  } catch (error) {
    return (error as Error).message;
  }
}

const choice = await found();
const skip = typeof choice === 'string' ? choice : false;

describe('a cluster of agents on machines of their own', { skip }, () => {
  let ground: Ground | undefined;
  let cluster: SluiceCluster | undefined;
  let load: LoadMachines | undefined;

  before(async () => {
    ground = await (choice as GroundChoice).open(machines(1), PUBLISHED_PORTS);
    const folder = scratchFolder('chaos');
    cluster = new SluiceCluster({ ground, folder, stores: 1, tuned: false, leaseSeconds: 2 });
    await cluster.start();
    await prepareSet(cluster);
    load = startLoad(ground, cluster);
  });
  after(async () => {
    await load?.stop();
    await ground?.repair();
    await cluster?.stop();
    await ground?.discard();
  });

  async function survives(name: FaultName): Promise<void> {
    const round = await runRound(ground!, cluster!, load!, FAULTS[name], SHORT);
    assert.deepEqual(broken('everything', FAULTS[name], round), [], roundLines(round).join('\n'));
  }

  test('its primary is killed', () => survives('kill'));
  test('its primary is cut from the others and the store', () => survives('split'));
});
