import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Evidence } from './evidence.js';
import { type Hint, judgeTopology, type Lineage, type Look, NO_LINEAGE } from './topology.js';

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
  return { evidence, isSettled: true, evidenceAskedAt: 0, promotedTo: 0 };
};
const primary = (timeline = 1, change: Partial<Evidence> = {}): Look => look({ timeline, ...change });
const standby = (timeline = 1, change: Partial<Evidence> = {}): Look =>
  look({ timeline, isInRecovery: true, ...change });
const other = (it: Look): Look => ({ ...it, evidence: { ...it.evidence!, systemId: 'other' } });
const LOST: Look = { evidence: null, isSettled: true, evidenceAskedAt: 0, promotedTo: 0 };
const UNTRIED: Look = { ...LOST, isSettled: false };
const later = (it: Look): Look => ({ ...it, evidenceAskedAt: 1 });
const promoted = (it: Look): Look => ({ ...it, promotedTo: it.evidence!.timeline + 1 });
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
    title: 'one has been promoted, and has not said more: nobody is the primary, and nobody serves',
    looks: [primary(1), promoted(standby(1)), standby(1)],
    before: known(0),
    roles: ['foreign', '-standby', '-standby'],
  },
  {
    title: '... and it is the primary as soon as it has said so, also while the old one is lost',
    looks: [LOST, primary(2), standby(1)],
    before: lost(0),
    roles: ['unknown', 'primary', '-standby'],
  },
  {
    title: 'the promotion of a node of another cluster concerns nobody',
    looks: [primary(1), promoted(other(standby(1))), standby(1)],
    before: known(0),
    roles: ['primary', 'foreign', 'standby'],
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

describe('what a manager says of the primary', () => {
  const rolesBy = (looks: readonly Look[], hint: Hint, before = NO_LINEAGE) =>
    judgeTopology(looks, before, hint).standings.map(({ role }) => role);

  test('decides between two that call themselves primary on one timeline', () => {
    for (const before of [NO_LINEAGE, known(0)]) {
      const looks = [primary(1), primary(1), standby(1)];
      assert.deepEqual(rolesBy(looks, { place: 1, timeline: 0 }, before), ['foreign', 'primary', 'standby']);
    }
  });

  test('is enough where a primary has come up without a promotion, and the old one is lost', () => {
    assert.deepEqual(rolesBy([LOST, primary(1)], { place: 1, timeline: 1 }, known(0)), [
      'unknown',
      'primary',
    ]);
  });

  test('is not believed of a node that says itself that it is a standby', () => {
    const looks = [standby(1), primary(1)];
    assert.deepEqual(rolesBy(looks, { place: 0, timeline: 9 }), ['standby', 'primary']);
  });

  test('does not stand against a newer timeline', () => {
    const looks = [primary(1), primary(2)];
    assert.deepEqual(rolesBy(looks, { place: 0, timeline: 1 }, known(0)), ['foreign', 'primary']);
  });

  test('tells of a promotion that can not be seen from here: the old primary gets nothing', () => {
    for (const place of [1, -1]) {
      const looks = [primary(1), LOST, standby(1)];
      const topology = judgeTopology(looks, known(0), { place, timeline: 2 });
      assert.deepEqual(
        topology.standings.map(({ role }) => role),
        ['foreign', 'unknown', 'standby'],
      );
      assert.match(topology.standings[2]!.reason!, /not known to follow timeline 2/);
      // It is the manager's word for as long as that lasts, and no more.
      assert.equal(judgeTopology(looks, topology.lineage, null).lineage.timeline, 1);
    }
  });

  test('changes nothing while the node that it names is of another cluster', () => {
    const looks = [primary(1), standby(1), other(primary(7))];
    assert.deepEqual(rolesBy(looks, { place: 2, timeline: 7 }), ['primary', 'standby', 'foreign']);
  });
});
