/**
 * What sessions see through two gateways while standbys are kept behind, in short; and that the check of it finds stale reads.
 * `npm run test:consistency` is the long form.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { availableDrivers } from '../harness/drivers.js';
import { Cluster } from './cluster.js';
import { type CheckOptions, checkConsistency, type Report } from './consistency-check.js';
import { POOL_SIZE } from './gateways.js';

describe('consistency', () => {
  let cluster: Cluster | undefined;
  before(async () => {
    cluster = await Cluster.start();
  });
  after(() => cluster?.discard());

  function check(options: Partial<CheckOptions>): Promise<Report> {
    return checkConsistency(cluster!, {
      ...{
        mode: 'strong',
        standIn: null,
        way: 'database',
        tiers: 1,
        sessions: 6,
        poolSize: POOL_SIZE,
        seed: 1,
      },
      ...{ seconds: 2, roundSeconds: 2 },
      ...options,
      onRound: () => {},
    });
  }

  /** The last two: others begin with the first two. */
  const otherDrivers = availableDrivers.slice(-2);

  test('strong: no read misses what was acknowledged before it', async () => {
    assert.deepEqual((await check({})).against, []);
  });

  test('strong, where sessions wait for server connections', async () => {
    assert.deepEqual((await check({ sessions: 12, poolSize: 2 })).against, []);
  });

  test('strong, as a session sets it, with a pooling tier in front', async () => {
    const { against } = await check({ tiers: 2, way: 'session', drivers: otherDrivers });
    assert.deepEqual(against, []);
  });

  test('session: own writes are seen, and nobody goes back', async () => {
    assert.deepEqual((await check({ mode: 'session', drivers: otherDrivers })).against, []);
  });

  test('eventual: stale reads are found', async () => {
    const { against, staleReads } = await check({ mode: 'eventual' });
    assert.deepEqual(against, []);
    assert.ok(staleReads > 0);
  });

  test('a router that waits for no standby is found out', async () => {
    const { against } = await check({ standIn: 'any', seconds: 1 });
    assert.match(against.join('\n'), /^stale reads: \d+, e\.g\. session \d+ read/m);
  });
});
