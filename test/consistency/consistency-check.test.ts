/** The check of consistency, checked: it passes a router that waits for standbys, and finds out one that doesn't. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkConsistency, type Report } from './consistency-check.js';
import type { StandIn } from './session.js';
import type { Mode } from './verdict.js';

function check(mode: Mode, standIn: StandIn): Promise<Report> {
  return checkConsistency({
    ...{ mode, standIn, way: 'database', seconds: 2, roundSeconds: 2, sessions: 6, seed: 1 },
    onRound: () => {},
  });
}

describe('the check of consistency', () => {
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
