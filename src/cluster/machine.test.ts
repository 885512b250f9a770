/** Rules of the machine that a run by chance seldom meets; whole clusters are in test/cluster-simulation.test.ts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Answer, Effect, Input } from './inputs.js';
import { begin, step } from './machine.js';
import type { NodeState } from './node-state.js';
import type { TimelineOrigin } from './position.js';
import { type ClusterView, type Epoch, type Member, NO_CONTROL, type Rule } from './records.js';
import { type ClusterSettings, DEFAULT_TIMING, holderMs } from './settings.js';

const FIRST: TimelineOrigin = { timeline: 1, term: 0, from: 0 };
const SECOND: TimelineOrigin = { timeline: 2, term: 4, from: 50 };
const OLD_RULE: Rule = {
  ...{ term: 3, primary: 'p', standbys: ['a', 'b'], quorum: 1 },
  mayLose: false,
  history: [FIRST],
};
const OLD_EPOCH: Epoch = {
  ...{ term: 3, primary: 'p', systemIdentifier: '7', history: [FIRST] },
  rule: OLD_RULE,
};
const SETTINGS: ClusterSettings = {
  contact: { host: 'a', port: 5432, api: null },
  ...{ node: 'a', priority: 1, mayBegin: false, replicateFrom: null, durability: 'durable', quorum: 1 },
  timing: DEFAULT_TIMING,
};

type Omitted<T> = T extends unknown ? Omit<T, 'at'> : never;

/** A node `a`, and what it wants. */
class Node {
  state: NodeState;
  effects: readonly Effect[];
  at = 1000;
  view: ClusterView;

  constructor(change: Partial<ClusterSettings> = {}) {
    ({ state: this.state, effects: this.effects } = begin({ ...SETTINGS, ...change }, 'life', this.at));
    this.view = {
      ...{ revision: 1, term: 3, leader: null, epoch: OLD_EPOCH, epochVersion: 1, control: NO_CONTROL },
      members: new Map(),
    };
  }

  tell(input: Omitted<Input>): void {
    ({ state: this.state, effects: this.effects } = step(this.state, { ...input, at: this.at } as Input));
  }

  /** The last command of the kind. */
  wanted<Kind extends Effect['do']>(kind: Kind): Extract<Effect, { do: Kind }> {
    const effect = this.effects.findLast((one) => one.do === kind);
    assert.ok(effect, `${kind} was not wanted, but ${this.effects.map((one) => one.do).join()}`);
    return effect as Extract<Effect, { do: Kind }>;
  }

  wants(kind: Effect['do']): boolean {
    return this.effects.some((one) => one.do === kind);
  }

  answer(kind: Effect['do'], answer: Answer): void {
    const command = this.wanted(kind);
    assert.ok('id' in command);
    this.tell({ kind: 'answer', id: command.id, answer });
  }

  see(change: Partial<ClusterView>): void {
    this.view = { ...this.view, ...change, revision: this.view.revision + 1 };
    this.tell({ kind: 'view', view: this.view });
  }

  /** Fenced, started, and standing still with this LSN. */
  stand(lsn = 50): void {
    this.answer('stop', { kind: 'stopped', stopped: { data: 'whole', systemIdentifier: '7' } });
    this.answer('start', { kind: 'at', position: { history: [FIRST], lsn } });
  }

  /** Elected after term 3, and promoted. */
  lead(): void {
    this.stand();
    this.see({});
    const own = this.wanted('register').member;
    this.at += DEFAULT_TIMING.graceMs;
    this.see({
      members: new Map([
        ['a', own],
        ['b', { ...own, holder: 'b/1', upstream: { term: 4, node: 'a', streams: true } }],
      ]),
    });
    const { holder } = this.state;
    this.answer('acquire', { kind: 'lease', holding: { holder, term: 4, since: this.at, lease: '' } });
    this.answer('promote', { kind: 'at', position: { history: [FIRST, SECOND], lsn: 51 } });
    this.answer('publish', { kind: 'published', version: 2 });
    this.see({ leader: { holder, term: 4 }, term: 4 });
  }

  /** With b as its only synchronous standby. */
  open(): void {
    this.lead();
    this.stream(['b', 51]);
    this.answer('synchronize', { kind: 'synchronized', lsn: 51 });
    this.answer('publish', { kind: 'published', version: 3 });
    assert.equal(this.state.name, 'leading');
  }

  stream(...streaming: [string, number][]): void {
    this.tell({ kind: 'replication', streaming: streaming.map(([name, flushed]) => ({ name, flushed })) });
  }
}

function ruleOf(effect: Extract<Effect, { do: 'publish' }>): [string, number] {
  return [effect.epoch.rule.standbys.join(), effect.epoch.rule.quorum];
}

describe('a node', () => {
  test('goes by other settings while it leads, but for those that others count on', () => {
    const node = new Node();
    node.open();
    const timing = { ...DEFAULT_TIMING, leaseMs: 60_000, dropMs: 1 };
    const contact = { host: 'moved', port: 5432, api: null };
    const renamed = { ...SETTINGS, node: 'other', contact, priority: 9, timing };
    node.tell({ kind: 'settings', settings: renamed });
    const { member } = node.wanted('register');
    assert.deepEqual([member.contact.host, member.priority], ['moved', 9]);
    const { settings, name } = node.state;
    assert.deepEqual([name, settings.node, settings.timing.dropMs], ['leading', 'a', 1]);
    assert.equal(settings.timing.leaseMs, DEFAULT_TIMING.leaseMs);
  });

  test('begins by ending what runs, and starts as a standby of nobody', () => {
    const node = new Node();
    assert.equal(node.wanted('stop').mode, 'immediate');
    assert.ok(!node.wants('start'));
    node.stand();
    assert.equal(node.state.name, 'standing');
  });

  test('is cloned if its data can never be started, as soon as somebody leads', () => {
    const node = new Node();
    node.answer('stop', { kind: 'stopped', stopped: { data: 'whole', systemIdentifier: '7' } });
    node.answer('start', { kind: 'damaged' });
    node.see({});
    assert.equal(node.state.name, 'fenced');
    node.at += DEFAULT_TIMING.retryMs;
    node.tell({ kind: 'tick' });
    assert.equal(node.state.name, 'fenced');
    node.see({ leader: { holder: 'p/1', term: 3 } });
    assert.equal(node.wanted('clone').primary, 'p');
  });

  test('is not elected by a vote that an earlier life of its agent has left', () => {
    const node = new Node();
    node.stand(40);
    const vote = { afterTerm: 3, position: { history: [FIRST], lsn: 90 } };
    const left: Member = { ...node.wanted('register').member, vote };
    node.at += DEFAULT_TIMING.graceMs;
    node.see({
      members: new Map([
        ['a', left],
        ['b', { ...left, vote: { ...vote, position: { history: [FIRST], lsn: 60 } } }],
      ]),
    });
    assert.ok(!node.wants('acquire'));
  });

  test('gives back a lease that an earlier life of its agent has left', () => {
    const node = new Node();
    node.stand();
    node.see({ leader: { holder: 'a/earlier', term: 4 }, term: 4 });
    assert.deepEqual(node.wanted('release').leader, { holder: 'a/earlier', term: 4 });
  });

  test('asks for a timeline with a number that nobody has used', () => {
    const node = new Node();
    node.stand();
    node.see({});
    const own = node.wanted('register').member;
    const branch = { timeline: 9, term: 2, from: 20 };
    const other: Member = { ...own, vote: { afterTerm: 3, position: { history: [FIRST, branch], lsn: 30 } } };
    node.at += DEFAULT_TIMING.graceMs;
    node.see({
      members: new Map([
        ['a', own],
        ['b', other],
      ]),
    });
    node.answer('acquire', {
      kind: 'lease',
      holding: { holder: node.state.holder, term: 4, since: node.at, lease: '' },
    });
    assert.equal(node.wanted('promote').above, 9);
  });

  test('does not touch data of another cluster', () => {
    const node = new Node();
    node.see({ leader: { holder: 'p/1', term: 3 } });
    const id = 1;
    node.tell({
      kind: 'answer',
      id,
      answer: { kind: 'stopped', stopped: { data: 'whole', systemIdentifier: '8' } },
    });
    assert.equal(node.state.name, 'fenced');
    assert.ok(!node.wants('start') && !node.wants('clone'));
  });

  test('clones where timelines of one number make a rewind uncertain, and keeps what it had', () => {
    const node = new Node();
    node.stand(60);
    node.tell({ kind: 'tick' });
    node.state = { ...node.state, position: { history: [FIRST, { ...SECOND, term: 2 }], lsn: 60 } };
    const epoch = {
      ...OLD_EPOCH,
      term: 4,
      primary: 'b',
      history: [FIRST, SECOND],
      rule: { ...OLD_RULE, term: 4 },
    };
    node.see({ leader: { holder: 'b/1', term: 4 }, term: 4, epoch, epochVersion: 2 });
    assert.deepEqual({ ...node.wanted('clone'), id: 0 }, { do: 'clone', id: 0, primary: 'b', keepFrom: 50 });
    assert.deepEqual(
      node.effects.filter((one) => one.do === 'report').map(({ report }) => report.what),
      ['state', 'left behind'],
    );
  });

  test('is cloned when an operator wants it, data of another cluster too, and only if nobody may need what it has', () => {
    const leads = { leader: { holder: 'b/1', term: 4 }, term: 4, epochVersion: 2 };
    const epoch = { ...OLD_EPOCH, term: 4, primary: 'b', rule: { ...OLD_RULE, term: 4, primary: 'b' } };
    const follower = new Node();
    follower.stand();
    follower.see({ ...leads, epoch });
    assert.equal(follower.state.name, 'following');
    follower.tell({ kind: 'reinit' });
    assert.equal(follower.wanted('clone').primary, 'b');

    const foreigner = new Node();
    foreigner.see({ ...leads, epoch });
    const stopped = { data: 'whole', systemIdentifier: '8' } as const;
    foreigner.tell({ kind: 'answer', id: 1, answer: { kind: 'stopped', stopped } });
    foreigner.tell({ kind: 'reinit' });
    assert.equal(foreigner.state.name, 'cloning');

    const needed = new Node();
    needed.stand();
    needed.see({ ...leads, epoch: { ...epoch, rule: OLD_RULE } });
    needed.tell({ kind: 'reinit' });
    assert.equal(needed.state.name, 'following');
    const alone = new Node();
    alone.stand();
    alone.tell({ kind: 'reinit' });
    assert.ok(!alone.wants('clone'), 'nobody leads');
  });
});

describe('a leader', () => {
  test('does not count a standby that received from it before it led, until that knows of its term', () => {
    const node = new Node();
    node.lead();
    const b = node.view.members.get('b')!;
    const members = (upstream: Member['upstream']) => new Map([['b', { ...b, upstream: upstream! }]]);
    node.see({ members: members({ term: 3, node: 'a', streams: true }) });
    node.stream(['b', 51]);
    assert.ok(!node.wants('synchronize'));
    node.see({ members: members({ term: 4, node: 'a', streams: true }) });
    assert.deepEqual(node.wanted('synchronize').standbys, ['b']);
  });

  test('leaves the rule of the last one in force, and lets nobody in, until its standbys have what it began with', () => {
    const node = new Node();
    node.lead();
    assert.deepEqual(node.state.epoch?.value.rule, OLD_RULE);
    node.stream(['b', 49]);
    node.answer('synchronize', { kind: 'synchronized', lsn: 51 });
    node.stream(['b', 50]);
    assert.ok(!node.wants('publish') && !node.wants('open'));
    node.stream(['b', 51]);
    assert.deepEqual(ruleOf(node.wanted('publish')), ['b', 1]);
    assert.ok(!node.wants('open'));
    node.answer('publish', { kind: 'published', version: 3 });
    assert.ok(node.wants('open'));
  });

  test('opens with the first standbys that are enough, and takes in behind that who comes meanwhile', () => {
    const node = new Node();
    node.lead();
    node.stream(['b', 49]);
    node.answer('synchronize', { kind: 'synchronized', lsn: 51 });
    const b = node.view.members.get('b')!;
    node.see({
      members: new Map([
        ['b', b],
        ['c', { ...b, holder: 'c/1', vote: null }],
      ]),
    });
    node.stream(['b', 50], ['c', 51]);
    assert.ok(!node.wants('synchronize'));
    node.stream(['b', 51], ['c', 51]);
    assert.deepEqual(ruleOf(node.wanted('publish')), ['b', 1]);
    node.answer('publish', { kind: 'published', version: 3 });
    assert.ok(node.wants('open'));
    assert.deepEqual(ruleOf(node.wanted('publish')), ['b,c', 1]);
  });

  test('tells the store of a longer list before PostgreSQL, and of a shorter one after', () => {
    const node = new Node();
    node.open();
    const member = (name: string): Member => ({
      ...node.view.members.get('b')!,
      holder: `${name}/1`,
      vote: null,
    });
    node.see({
      members: new Map([
        ['b', member('b')],
        ['c', member('c')],
      ]),
    });
    node.stream(['b', 60], ['c', 10]);
    assert.deepEqual(ruleOf(node.wanted('publish')), ['b,c', 1]);
    assert.ok(!node.wants('synchronize'));
    node.answer('publish', { kind: 'published', version: 4 });
    assert.deepEqual(node.wanted('synchronize').standbys, ['b', 'c']);
    node.answer('synchronize', { kind: 'synchronized', lsn: 60 });
    assert.ok(!node.wants('publish'));
    // b goes: the list without it counts only when c has what b alone may have.
    node.at += DEFAULT_TIMING.dropMs;
    node.stream(['c', 20]);
    assert.deepEqual(node.wanted('synchronize').standbys, ['c']);
    node.answer('synchronize', { kind: 'synchronized', lsn: 70 });
    node.stream(['c', 69]);
    assert.ok(!node.wants('publish'));
    node.stream(['c', 70]);
    assert.deepEqual(ruleOf(node.wanted('publish')), ['c', 1]);
  });

  test('tells PostgreSQL nothing that a publication in doubt would not cover', () => {
    const node = new Node();
    node.open();
    const member = { ...node.view.members.get('b')!, vote: null };
    node.see({
      members: new Map([
        ['b', member],
        ['c', member],
      ]),
    });
    node.at += DEFAULT_TIMING.dropMs;
    node.stream(['c', 60]);
    node.answer('publish', { kind: 'published', version: 4 });
    node.answer('synchronize', { kind: 'synchronized', lsn: 60 });
    assert.deepEqual(ruleOf(node.wanted('publish')), ['c', 1]);
    node.answer('publish', { kind: 'failed' });
    // The list of c alone may come into force: b must not be waited for before the store has said what is.
    node.at += DEFAULT_TIMING.renewRetryMs;
    node.stream(['b', 60], ['c', 60]);
    assert.ok(!node.wants('synchronize'));
    assert.deepEqual(ruleOf(node.wanted('publish')), ['b,c', 1]);
    node.answer('publish', { kind: 'published', version: 6 });
    assert.deepEqual(node.wanted('synchronize').standbys, ['b', 'c']);
  });

  test('goes on alone where it may, after the store knows; where it may not, commits wait', () => {
    const [available, durable] = [new Node({ durability: 'available' }), new Node()];
    for (const node of [available, durable]) {
      node.open();
      node.at += DEFAULT_TIMING.dropMs;
      node.stream();
    }
    assert.ok(!durable.wants('publish') && !durable.wants('synchronize'));
    assert.deepEqual(ruleOf(available.wanted('publish')), ['b', 0]);
    available.answer('publish', { kind: 'published', version: 4 });
    assert.equal(available.wanted('synchronize').quorum, 0);
  });

  test('weakens its promise after the store knows, and strengthens it when enough standbys have what was acknowledged', () => {
    const node = new Node();
    node.open();
    const change = (settings: Partial<ClusterSettings>) =>
      node.tell({ kind: 'settings', settings: { ...SETTINGS, ...settings } });
    const published = () => {
      const { rule } = node.wanted('publish').epoch;
      return [rule.standbys.join(), rule.quorum, rule.mayLose];
    };

    change({ durability: 'asynchronous' });
    assert.deepEqual(published(), ['b', 0, true]);
    assert.ok(!node.wants('synchronize'));
    node.answer('publish', { kind: 'published', version: 4 });
    assert.deepEqual(node.wanted('synchronize').standbys, []);
    node.answer('synchronize', { kind: 'synchronized', lsn: 60 });
    assert.deepEqual(published(), ['', 0, true]);
    node.answer('publish', { kind: 'published', version: 5 });

    // Nobody is there to keep it: nothing changes but what is wanted.
    node.at += DEFAULT_TIMING.dropMs;
    node.stream();
    change({ durability: 'durable' });
    assert.ok(!node.wants('publish') && !node.wants('synchronize'));
    node.stream(['b', 70]);
    assert.deepEqual(published(), ['b', 0, false]);
    node.answer('publish', { kind: 'published', version: 6 });
    assert.equal(node.wanted('synchronize').quorum, 1);
    node.answer('synchronize', { kind: 'synchronized', lsn: 80 });
    assert.ok(!node.wants('publish'));
    node.stream(['b', 80]);
    assert.deepEqual(published(), ['b', 1, false]);
  });

  test('that is alone says so in the store when it may lose commits from now on, and when no more', () => {
    const node = new Node({ durability: 'available' });
    node.open();
    node.at += DEFAULT_TIMING.dropMs;
    node.stream();
    node.answer('publish', { kind: 'published', version: 4 });
    node.answer('synchronize', { kind: 'synchronized', lsn: 60 });
    node.answer('publish', { kind: 'published', version: 5 });
    for (const [i, durability] of (['asynchronous', 'available'] as const).entries()) {
      node.tell({ kind: 'settings', settings: { ...SETTINGS, durability } });
      const { rule } = node.wanted('publish').epoch;
      assert.deepEqual([rule.standbys, rule.quorum, rule.mayLose], [[], 0, i === 0]);
      node.answer('publish', { kind: 'published', version: 6 + i });
      assert.ok(!node.wants('publish') && !node.wants('synchronize'));
    }
  });

  test('renews in time, gives leave until the lease ends, and begins to end PostgreSQL before that', () => {
    const node = new Node();
    node.open();
    const { since } = node.state.holding!;
    node.at = since + DEFAULT_TIMING.renewMs;
    node.tell({ kind: 'tick' });
    const holding = { ...node.wanted('renew').holding, since: node.at };
    node.at += 400;
    node.answer('renew', { kind: 'lease', holding });
    assert.equal(node.wanted('permit').until, holding.since + holderMs(DEFAULT_TIMING));
    node.at = holding.since + holderMs(DEFAULT_TIMING) - DEFAULT_TIMING.fenceMs - 1;
    node.tell({ kind: 'tick' });
    assert.equal(node.state.name, 'leading');
    node.at += 1;
    node.tell({ kind: 'tick' });
    assert.equal(node.wanted('stop').mode, 'immediate');
    assert.ok(!node.wants('release'), 'not before PostgreSQL has ended');
    node.answer('stop', { kind: 'stopped', stopped: { data: 'whole', systemIdentifier: '7' } });
    assert.ok(node.wants('release'));
  });

  test('whose postmaster has ended gives the lease back at once', () => {
    const node = new Node();
    node.open();
    node.tell({ kind: 'ended' });
    assert.deepEqual(node.wanted('release').leader, { holder: node.state.holder, term: 4 });
    assert.ok(node.wants('start'));
  });

  test('that another one has replaced ends PostgreSQL, also if nobody has refused a renewal', () => {
    const node = new Node();
    node.open();
    node.see({ leader: { holder: 'b/1', term: 5 }, term: 5 });
    assert.equal(node.wanted('stop').mode, 'immediate');
  });

  test('whose writes hang ends PostgreSQL', () => {
    const node = new Node();
    node.open();
    node.tell({ kind: 'wedged' });
    assert.equal(node.wanted('stop').mode, 'immediate');
  });

  test('hands over in two steps, to one who may have everything, and only if it is asked in its term', () => {
    const node = new Node();
    node.open();
    node.see({ control: { ...NO_CONTROL, switchover: { term: 3, to: 'b' } } });
    node.see({ control: { ...NO_CONTROL, switchover: { term: 4, to: 'nobody' } } });
    assert.equal(node.state.name, 'leading');
    node.see({ control: { ...NO_CONTROL, switchover: { term: 4, to: 'b' } } });
    assert.equal(node.state.name, 'leading', 'clients go on while the checkpoint is written');
    node.answer('checkpoint', { kind: 'checkpointed' });
    node.answer('hold', { kind: 'drained' });
    assert.equal(node.wanted('stop').mode, 'fast');
    node.answer('stop', { kind: 'stopped', stopped: { data: 'whole', systemIdentifier: '7' } });
    assert.ok(node.wants('release'));
  });

  test('lets clients in again when a switchover is called off', () => {
    const node = new Node();
    node.open();
    node.see({ control: { ...NO_CONTROL, switchover: { term: 4, to: null } } });
    node.answer('checkpoint', { kind: 'failed' });
    assert.ok(node.wants('hold'));
    node.see({ control: NO_CONTROL });
    assert.ok(node.wants('open'));
    assert.equal(node.state.name, 'leading');
  });

  test('waits for a checkpoint before it hands over, for so long, and for each switchover anew', () => {
    const node = new Node();
    node.open();
    const asked = { control: { ...NO_CONTROL, switchover: { term: 4, to: null } } };
    node.see(asked);
    const first = node.wanted('checkpoint').id;
    node.see({ control: NO_CONTROL });
    node.tell({ kind: 'answer', id: first, answer: { kind: 'checkpointed' } });
    node.see(asked);
    assert.notEqual(node.wanted('checkpoint').id, first);
    assert.ok(!node.wants('hold'), 'the answer to the one before is none to this');
    node.state = { ...node.state, holding: { ...node.state.holding!, since: node.at + 60_000 } };
    node.at += DEFAULT_TIMING.checkpointMs;
    node.tell({ kind: 'tick' });
    assert.equal(node.state.name, 'draining');
  });
});
