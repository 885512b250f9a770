import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Election, elect } from './election.js';
import type { TimelineOrigin } from './position.js';
import { type ClusterView, type Member, NO_CONTROL, type Rule } from './records.js';
import { DEFAULT_TIMING } from './settings.js';

const FIRST: TimelineOrigin = { timeline: 1, term: 0, from: 0 };
const RULE: Rule = {
  ...{ term: 3, primary: 'p', standbys: ['a', 'b'], quorum: 1 },
  mayLose: false,
  history: [FIRST],
};

/** A member that has voted, with its LSN; null: it is there and has not. */
function member(lsn: number | null, change: Partial<Member> = {}): Member {
  const position = { history: [FIRST], lsn: lsn ?? 0 };
  return {
    ...{ holder: 'x', state: 'standing', priority: 1, systemIdentifier: '7', mayBegin: false },
    contact: { host: 'x', port: 5432, api: null },
    vote: lsn === null ? null : { afterTerm: 3, position },
    ...change,
  };
}

function view(
  members: Record<string, Member>,
  rule: Partial<Rule> = {},
  change: Partial<ClusterView> = {},
): ClusterView {
  const full = { ...RULE, ...rule };
  return {
    ...{ revision: 9, term: 3, leader: null, epochVersion: 5, control: NO_CONTROL },
    epoch: { term: 3, primary: full.primary, systemIdentifier: '7', history: full.history, rule: full },
    members: new Map(Object.entries(members)),
    ...change,
  };
}

function electNow(seen: ClusterView, vacantMs = DEFAULT_TIMING.graceMs): Election {
  return elect(seen, vacantMs, DEFAULT_TIMING);
}

function reason(election: Election): string | null {
  return election.winner === null ? election.reason : null;
}

describe('an election', () => {
  test('needs N - w + 1 of the listed standbys, and takes the one with most', () => {
    assert.equal(electNow(view({ a: member(10), b: member(20) })).winner, 'b');
    const one = electNow(view({ a: member(10) }));
    assert.equal(reason(one), 'too few of those that may have every commit have answered');
    assert.deepEqual(one.winner === null && one.waitingFor, ['p', 'b']);
    const five = { standbys: ['a', 'b', 'c', 'd'], quorum: 2 };
    assert.equal(electNow(view({ a: member(1), b: member(2) }, five)).winner, null);
    assert.equal(electNow(view({ a: member(1), b: member(2), c: member(3) }, five)).winner, 'c');
  });

  test('may be won by a standby that is not listed, if it has as much', () => {
    assert.equal(electNow(view({ a: member(10), b: member(20), c: member(30) })).winner, 'c');
    assert.equal(electNow(view({ a: member(10), b: member(20), c: member(19) })).winner, 'b');
  });

  test('is won by the last primary where nobody else can have everything', () => {
    assert.equal(electNow(view({ p: member(30), a: member(10) })).winner, 'p');
    assert.equal(
      electNow(view({ p: member(30), a: member(30) })).winner,
      'a',
      'a standby before the one that ended',
    );
    const alone = { standbys: [], quorum: 0 };
    assert.equal(electNow(view({ a: member(10), b: member(20) }, alone), 60_000).winner, null);
    assert.equal(electNow(view({ p: member(30), a: member(10), b: member(20) }, alone)).winner, 'p');
  });

  test('needs nobody but who has what the last leader began with, if that has let nobody in', () => {
    const history = [FIRST, { timeline: 2, term: 4, from: 20 }];
    const epoch = { term: 4, primary: 'a', systemIdentifier: '7', history, rule: RULE };
    const voted = (name: string, origins: readonly TimelineOrigin[], lsn: number) => {
      const vote = { afterTerm: 4, position: { history: origins, lsn } };
      return electNow(view({ [name]: member(lsn, { vote }) }, {}, { term: 4, epoch }));
    };
    assert.equal(voted('a', history, 21).winner, 'a');
    assert.equal(voted('c', [FIRST], 20).winner, 'c');
    assert.equal(voted('b', [FIRST], 19).winner, null);
    // One that followed it, and let nobody in either, has no more of the rule's own WAL.
    const again = [...history, { timeline: 3, term: 5, from: 30 }];
    const vote = { afterTerm: 5, position: { history: again, lsn: 31 } };
    const next = { ...epoch, term: 5, primary: 'b', history: again };
    assert.equal(electNow(view({ b: member(31, { vote }) }, {}, { term: 5, epoch: next })).winner, 'b');
    const opened = { ...epoch, rule: { ...RULE, term: 4, primary: 'a', standbys: ['b', 'p'], history } };
    const alone = { vote: { afterTerm: 4, position: { history, lsn: 21 } } };
    const seen = view({ b: member(21, alone) }, {}, { term: 4, epoch: opened });
    assert.equal(electNow(seen).winner, null);
  });

  test('counts no vote of an earlier election, and none of another cluster', () => {
    const earlier = member(20, { vote: { afterTerm: 2, position: { history: [FIRST], lsn: 20 } } });
    assert.equal(electNow(view({ a: member(10), b: earlier })).winner, null);
    assert.equal(electNow(view({ a: member(10), b: member(20, { systemIdentifier: '8' }) })).winner, null);
  });

  test('compares what is of the lineage, not LSNs', () => {
    const fork: TimelineOrigin = { timeline: 2, term: 3, from: 15 };
    const rule = { history: [FIRST, fork] };
    const onIt = { vote: { afterTerm: 3, position: { history: [FIRST, fork], lsn: 18 } } };
    assert.equal(electNow(view({ a: member(900), b: member(0, onIt) }, rule)).winner, 'b');
  });

  test('among equals prefers priority; who never leads is not elected', () => {
    const equals = { a: member(10, { priority: 1 }), b: member(10, { priority: 2 }) };
    assert.equal(electNow(view(equals)).winner, 'b');
    const unwilling = electNow(view({ a: member(10), b: member(20, { priority: 0 }) }));
    assert.equal(reason(unwilling), 'those that have every commit may not lead');
  });

  test('waits a moment for those who are about to vote', () => {
    const votes = { a: member(10), b: member(10), c: member(null, { state: 'detaching' }) };
    assert.equal(reason(electNow(view(votes), 0)), 'others are about to answer');
    assert.equal(electNow(view(votes)).winner, 'a');
  });

  test('obeys a switchover of this term, if the chosen one has everything', () => {
    const asked = (term: number, to: string) => ({ control: { ...NO_CONTROL, switchover: { term, to } } });
    const votes = { a: member(20), b: member(20) };
    assert.equal(electNow(view(votes, {}, asked(3, 'b'))).winner, 'b');
    assert.equal(electNow(view(votes, {}, asked(2, 'b'))).winner, 'a');
    assert.equal(electNow(view({ a: member(20), b: member(10) }, {}, asked(3, 'b'))).winner, 'a');
    const silent = { p: member(20), a: member(20), b: member(null) };
    assert.equal(
      reason(electNow(view(silent, {}, asked(3, 'b')))),
      'the chosen standby has not answered yet',
    );
    assert.equal(electNow(view(silent, {}, asked(3, 'b')), DEFAULT_TIMING.patienceMs).winner, 'a');
  });

  test('elects in a paused cluster nobody but the last primary', () => {
    const paused = { control: { ...NO_CONTROL, paused: true } };
    assert.equal(
      reason(electNow(view({ a: member(20), b: member(20) }, {}, paused))),
      'the cluster is paused',
    );
    assert.equal(electNow(view({ p: member(20), a: member(20) }, {}, paused)).winner, 'p');
  });

  test('may lose commits only where the operator allows it, and then waits for all who are there', () => {
    const rule = { standbys: [], quorum: 0, mayLose: true };
    const votes = { a: member(20), b: member(null) };
    assert.equal(electNow(view(votes, rule)).winner, null);
    assert.equal(electNow(view(votes, rule), DEFAULT_TIMING.patienceMs).winner, 'a');
    assert.equal(electNow(view({ a: member(20), b: member(30) }, rule)).winner, 'b');
  });

  test('begins a cluster with whom the operator has told to, and with nobody else', () => {
    const none = { epoch: null, epochVersion: 0 };
    assert.equal(electNow(view({ a: member(20) }, {}, none)).winner, null);
    assert.equal(electNow(view({ a: member(20), b: member(1, { mayBegin: true }) }, {}, none)).winner, 'b');
  });

  test('elects nobody while somebody leads', () => {
    const leader = { leader: { holder: 'p/1', term: 3 } };
    assert.equal(reason(electNow(view({ a: member(20), b: member(20) }, {}, leader))), 'somebody leads');
  });

  test('is not won at once by a primary that has just handed over, while a standby has not answered', () => {
    const asked = { control: { ...NO_CONTROL, switchover: { term: 3, to: null } } };
    const early = view({ p: member(20), a: member(null, { state: 'starting' }) }, {}, asked);
    assert.equal(reason(electNow(early)), 'others are about to answer');
    assert.equal(electNow(early, DEFAULT_TIMING.patienceMs).winner, 'p');
    assert.equal(electNow(view({ p: member(20) }, {}, asked)).winner, 'p', 'nobody else is there');
    const later = view({ p: member(20), a: member(20) }, {}, asked);
    assert.equal(electNow(later).winner, 'a');
  });

  test('obeys an operator who takes the loss upon himself, and of this term alone', () => {
    const order = (afterTerm: number, to: string, paused = false) =>
      view(
        { a: member(10), z: member(1, { priority: 0 }) },
        {},
        { control: { ...NO_CONTROL, paused, failover: { afterTerm, to } } },
      );
    assert.equal(electNow(order(3, 'a')).winner, 'a');
    assert.equal(electNow(order(3, 'z')).winner, 'z', 'whatever others have');
    assert.equal(electNow(order(3, 'a', true)).winner, 'a', 'in a paused cluster too');
    assert.equal(electNow(order(2, 'a')).winner, null, 'an earlier order is void');
    assert.equal(electNow(order(3, 'b')).winner, null, 'it has not voted');
  });
});
