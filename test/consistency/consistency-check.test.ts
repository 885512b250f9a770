/** The check of consistency, checked: it passes a router that waits for standbys, and finds out one that doesn't. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Cluster } from './cluster.js';
import { checkConsistency, type Report } from './consistency-check.js';
import type { StandIn } from './session.js';
import type { Mode } from './verdict.js';

describe('the check of consistency', () => {
  let cluster: Cluster | undefined;
  before(async () => {
    cluster = await Cluster.start();
  });
  after(() => cluster?.discard());

  function check(mode: Mode, standIn: StandIn): Promise<Report> {
    return checkConsistency(cluster!, {
      ...{ mode, standIn, way: 'database', tiers: 1, seconds: 2, roundSeconds: 2, sessions: 6, seed: 1 },
      onRound: () => {},
    });
  }

  test('passes reads of standbys that have caught up', async () => {
    const { against, staleReads } = await check('strong', 'caught-up');
    assert.deepEqual(against, []);
    assert.equal(staleReads, 0);
  });

  test('finds stale reads of standbys that nobody has waited for', async () => {
    const { against, staleReads } = await check('strong', 'any');
    assert.ok(staleReads > 0);
    assert.match(against.join('\n'), /^stale reads: \d+, e\.g\. session \d+ read/m);
  });
});
