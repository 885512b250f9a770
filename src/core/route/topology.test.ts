import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Evidence } from './evidence.js';
import { judgeTopology, type Lineage, type Look, NO_LINEAGE } from './topology.js';

const PLAIN: Evidence = {
  isInRecovery: false,
  systemId: 'ours',
  timeline: 1,
  position: 100,
  written: 100,
  pageBytes: 8192,
  startedAt: '1',
  isPaused: false,
  asyncCommitMs: 600,
  insertOid: 1,
  replayOid: 2,
};

let started = 1;
const look = (change: Partial<Evidence>): Look => {
  const evidence = { ...PLAIN, startedAt: `${++started}`, ...change };
  return { evidence, isSettled: true, evidenceAskedAt: 0 };
};
const primary = (timeline = 1, change: Partial<Evidence> = {}): Look => look({ timeline, ...change });
const standby = (timeline = 1, change: Partial<Evidence> = {}): Look =>
  look({ timeline, isInRecovery: true, ...change });
const other = (it: Look): Look => ({ ...it, evidence: { ...it.evidence!, systemId: 'other' } });
const LOST: Look = { evidence: null, isSettled: true, evidenceAskedAt: 0 };
const UNTRIED: Look = { ...LOST, isSettled: false };
const later = (it: Look): Look => ({ ...it, evidenceAskedAt: 1 });
const known = (place: number, timeline = 1): Lineage => ({
  systemId: 'ours',
  timeline,
  primary: place,
  startedAt: 'before',
  hasPrimary: true,
});
const lost = (place: number, timeline = 1): Lineage => ({ ...known(place, timeline), hasPrimary: false });

interface Situation {
  readonly title: string;
  readonly looks: readonly Look[];
  readonly before?: Lineage;
  /** `primary`, `standby`, `foreign`, `unknown`; `-standby`: one that gets nothing. */
  readonly roles: readonly string[];
}

const SITUATIONS: readonly Situation[] = [
  { title: 'a primary and its standby', looks: [standby(), primary()], roles: ['standby', 'primary'] },
  { title: 'standbys alone', looks: [standby(), LOST], roles: ['standby', 'unknown'] },
  {
    title: 'the old primary has come back beside the promoted one, and is named first',
    looks: [primary(1), primary(2)],
    roles: ['foreign', 'primary'],
  },
  {
    title: '... although it was the primary before',
    looks: [primary(1), primary(2)],
    before: known(0),
    roles: ['foreign', 'primary'],
  },
  {
    title: 'the old primary has come back, and the promoted one is away',
    looks: [primary(1), LOST],
    before: known(1, 2),
    roles: ['foreign', 'unknown'],
  },
  {
    title: 'a standby follows a newer primary than the only one that answers',
    looks: [primary(1), standby(2)],
    roles: ['foreign', 'standby'],
  },
  {
    title: 'a standby that is not known to have followed a promotion',
    looks: [standby(1), primary(2)],
    before: known(0),
    roles: ['-standby', 'primary'],
  },
  {
    title: 'the first answer of all is a primary',
    looks: [primary(1), UNTRIED],
    roles: ['unknown', 'unknown'],
  },
  {
    title: 'a promotion is believed before others have answered',
    looks: [UNTRIED, primary(2)],
    before: known(0),
    roles: ['unknown', 'primary'],
  },
  {
    title: 'a primary that comes back waits for what the others say by now',
    looks: [later(primary(1)), standby(1)],
    before: lost(0),
    roles: ['unknown', 'standby'],
  },
  {
    title: '... and is the primary if that is nothing against it',
    looks: [later(primary(1)), later(standby(1)), LOST],
    before: lost(0),
    roles: ['primary', 'standby', 'unknown'],
  },
  {
    title: '... also when it was started again unnoticed',
    looks: [later(primary(1)), standby(1)],
    before: known(0),
    roles: ['unknown', 'standby'],
  },
  {
    title: '... while one that has been it all the time waits for nobody',
    looks: [later(primary(1, { startedAt: 'before' })), standby(1)],
    before: known(0),
    roles: ['primary', 'standby'],
  },
  {
    title: 'the primary is lost, and another node without a promotion takes its place',
    looks: [LOST, primary(1)],
    before: known(0),
    roles: ['unknown', 'unknown'],
  },
  {
    title: '... which is right when the former one has become a standby',
    looks: [standby(1), primary(1)],
    before: known(0),
    roles: ['standby', 'primary'],
  },
  {
    title: 'two primaries of one timeline, one of which has been it',
    looks: [primary(2), primary(2)],
    before: known(1, 2),
    roles: ['foreign', 'primary'],
  },
  {
    title: 'two primaries of one timeline, neither of which has been it',
    looks: [primary(2), primary(2), standby(2)],
    roles: ['foreign', 'foreign', 'standby'],
  },
  {
    title: 'one primary under two addresses',
    looks: [primary(1, { startedAt: 'same' }), primary(1, { startedAt: 'same' })],
    roles: ['primary', 'foreign'],
  },
  {
    title: 'the primary is lost under the one address, and answers under the other',
    looks: [LOST, primary(1, { startedAt: 'before' })],
    before: known(0),
    roles: ['unknown', 'primary'],
  },
  {
    title: 'a node of another cluster is in the minority',
    looks: [other(primary(9)), primary(1), standby(1)],
    roles: ['foreign', 'primary', 'standby'],
  },
  {
    title: 'the majority is another cluster than it was',
    looks: [primary(9), other(primary(1)), other(standby(1))],
    before: known(0, 9),
    roles: ['foreign', 'primary', 'standby'],
  },
  {
    title: 'two nodes of two clusters',
    looks: [primary(1), other(primary(1))],
    roles: ['unknown', 'unknown'],
  },
  {
    title: '... one of which it has been',
    looks: [other(primary(1)), primary(1)],
    before: known(1),
    roles: ['foreign', 'primary'],
  },
  {
    title: 'a stranger is alone with the address of a lost primary',
    looks: [other(primary(1)), LOST],
    before: known(0),
    roles: ['foreign', 'unknown'],
  },
  {
    title: 'the only node is another cluster than it was',
    looks: [other(primary(1))],
    before: known(0),
    roles: ['primary'],
  },
];

describe('who is what among the nodes', () => {
  for (const { title, looks, before = NO_LINEAGE, roles } of SITUATIONS) {
    test(title, () => {
      const topology = judgeTopology(looks, before);
      const found = topology.standings.map(({ role, reason }) =>
        role === 'standby' && reason !== null ? `-${role}` : role,
      );
      assert.deepEqual(found, roles);
      assert.equal(topology.primary, roles.indexOf('primary'));
      assert.equal(judgeTopology(looks, topology.lineage).primary, topology.primary, 'the next look');
    });
  }

  test('a judgement does not depend on the order of the list', () => {
    for (const { looks, roles } of SITUATIONS.filter(({ before }) => before === undefined)) {
      if (new Set(looks.map(({ evidence }) => evidence?.startedAt)).size < looks.length) continue;
      const turned = judgeTopology([...looks].reverse(), NO_LINEAGE);
      assert.deepEqual(
        turned.standings.map(({ role }) => role),
        [...roles].reverse().map((role) => role.replace('-', '')),
      );
    }
  });
});
