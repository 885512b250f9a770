import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { NodeEpoch } from './epoch.js';
import { judgeByEpoch } from './epoch-topology.js';
import type { Evidence } from './evidence.js';
import { type Lineage, type Look, NO_LINEAGE } from './topology.js';

const PLAIN: Evidence = {
  isInRecovery: false,
  systemId: 'ours',
  timeline: 2,
  position: 100,
  written: 100,
  pageBytes: 8192,
  startedAt: '1',
  isPaused: false,
  asyncCommitMs: 600,
  insertOid: 1,
  replayOid: 2,
};
const look = (change: Partial<Evidence>): Look => ({
  evidence: { ...PLAIN, ...change },
  isSettled: true,
  evidenceAskedAt: 0,
  promotedTo: 0,
});
const primary = (timeline = 2, systemId = 'ours'): Look => look({ timeline, systemId });
const standby = (timeline = 2): Look => look({ timeline, isInRecovery: true });
const LOST: Look = { evidence: null, isSettled: true, evidenceAskedAt: 0, promotedTo: 0 };
const EPOCH: NodeEpoch = { term: 5, leader: 'a', systemId: 'ours', timeline: 2 };
const KNOWN: Lineage = { systemId: 'ours', timeline: 2, primary: 0, startedAt: '1', hasPrimary: true };

const roles = (looks: readonly Look[], place: number, before = KNOWN, epoch: NodeEpoch | null = EPOCH) => {
  const found = judgeByEpoch(looks, before, { epoch, place, whyNone: 'nobody leads' });
  assert.equal(found.standings.filter(({ role }) => role === 'primary').length, found.primary === -1 ? 0 : 1);
  return found.standings.map(({ role, reason }) =>
    role === 'standby' && reason !== null ? '-standby' : role,
  );
};

describe('where a store names the primary', () => {
  test('it is that one, once it says so itself', () => {
    assert.deepEqual(roles([primary(), standby()], 0), ['primary', 'standby']);
    assert.deepEqual(roles([standby(), standby()], 0), ['standby', 'standby']);
    assert.deepEqual(roles([LOST, standby()], 0), ['unknown', 'standby']);
    assert.deepEqual(roles([primary(3), standby(3)], 0), ['primary', '-standby']);
  });

  test('no other is, whatever it says', () => {
    assert.deepEqual(roles([standby(), primary()], 0), ['standby', 'foreign']);
    assert.deepEqual(roles([LOST, primary(9)], 0), ['unknown', 'foreign']);
    assert.deepEqual(roles([primary(), primary(9)], 0), ['primary', 'foreign']);
    assert.deepEqual(roles([primary(), primary()], -1), ['foreign', 'foreign']);
  });

  test('it is not, with an older timeline or of another cluster', () => {
    assert.deepEqual(roles([primary(1), standby()], 0), ['foreign', 'standby']);
    assert.deepEqual(roles([primary(2, 'other'), standby()], 0), ['foreign', 'standby']);
  });

  test('while nobody leads there is none, and standbys stay what they are', () => {
    assert.deepEqual(roles([primary(), standby()], -1, KNOWN, null), ['unknown', 'standby']);
    assert.deepEqual(roles([primary(), standby(1)], -1, KNOWN, null), ['unknown', '-standby']);
    assert.deepEqual(roles([primary(), standby()], -1, NO_LINEAGE, null), ['unknown', 'unknown']);
  });

  test('another system identifier than before forgets the timeline', () => {
    const other = { ...EPOCH, systemId: 'other', timeline: 1 };
    assert.deepEqual(roles([primary(1, 'other'), standby()], 0, KNOWN, other), ['primary', 'foreign']);
  });
});
