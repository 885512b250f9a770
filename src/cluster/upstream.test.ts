/** From whom a standby receives, and what it does when nothing comes; whole clusters of such standbys are in test/cluster-simulation.test.ts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Effect, Input } from './inputs.js';
import { begin, step } from './machine.js';
import type { NodeState } from './node-state.js';
import type { TimelineOrigin } from './position.js';
import { type ClusterView, type Epoch, type Member, NO_CONTROL } from './records.js';
import { type ClusterSettings, DEFAULT_TIMING } from './settings.js';

const HISTORY: readonly TimelineOrigin[] = [{ timeline: 1, term: 0, from: 0 }];
const EPOCH: Epoch = {
  ...{ term: 3, primary: 'a', systemIdentifier: '7', history: HISTORY },
  rule: { term: 3, primary: 'a', standbys: ['b'], quorum: 1, mayLose: false, history: HISTORY },
};
const SETTINGS: ClusterSettings = {
  contact: { host: 'c', port: 5432, api: null },
  ...{ node: 'c', priority: 1, mayBegin: false, replicateFrom: 'b', durability: 'durable', quorum: 1 },
  timing: DEFAULT_TIMING,
};
const MEMBER: Member = {
  ...{ contact: SETTINGS.contact, holder: 'x', state: 'following', priority: 1, systemIdentifier: '7' },
  ...{ mayBegin: false, vote: null, upstream: { term: 3, node: 'a', streams: true }, replicateFrom: null },
};
const RETURN_MS = 2 * DEFAULT_TIMING.patienceMs;
const AVOID_MS = 15 * DEFAULT_TIMING.patienceMs;

type Omitted<T> = T extends unknown ? Omit<T, 'at'> : never;

/** The node `c`, which shall receive from `b` while `a` leads. */
class Standby {
  state: NodeState;
  at = 1000;
  /** From whom it was told to receive, in order. */
  readonly followed: string[] = [];
  #effects: readonly Effect[];
  #view: ClusterView = {
    ...{ revision: 1, term: 3, leader: { holder: 'a/1', term: 3 }, epoch: EPOCH, epochVersion: 1 },
    ...{ control: NO_CONTROL, members: new Map() },
  };

  constructor(b: Partial<Member> | null = {}, change: Partial<ClusterSettings> = {}) {
    const { state, effects } = begin({ ...SETTINGS, ...change }, 'life', this.at);
    this.state = state;
    this.#effects = effects;
    this.restart();
    this.see(b);
  }

  /** What was asked for when it was fenced. */
  restart(): void {
    this.#answer('stop', { kind: 'stopped', stopped: { data: 'whole', systemIdentifier: '7' } });
    this.#answer('start', { kind: 'at', position: { history: HISTORY, lsn: 50 } });
  }

  tell(input: Omitted<Input>): void {
    const { state, effects } = step(this.state, { ...input, at: this.at } as Input);
    this.state = state;
    this.#effects = effects;
    for (const effect of effects) if (effect.do === 'follow') this.followed.push(effect.upstream);
  }

  see(b: Partial<Member> | null, others: Record<string, Member> = {}): void {
    const members = { ...(b === null ? {} : { b: { ...MEMBER, ...b } }), ...others };
    this.#view = {
      ...this.#view,
      revision: this.#view.revision + 1,
      members: new Map(Object.entries(members)),
    };
    this.tell({ kind: 'view', view: this.#view });
  }

  after(ms: number): void {
    this.at += ms;
    this.tell({ kind: 'tick' });
  }

  #answer(kind: 'stop' | 'start', answer: Extract<Input, { kind: 'answer' }>['answer']): void {
    const command = this.#effects.find((effect) => effect.do === kind) as Extract<Effect, { do: 'start' }>;
    this.tell({ kind: 'answer', id: command.id, answer });
  }
}

describe('a standby with replicate_from', () => {
  test('receives from that standby while it follows the leader, and else from the leader', () => {
    const c = new Standby();
    c.see({ state: 'fenced', upstream: null });
    c.see({ upstream: { term: 3, node: 'a', streams: false } });
    c.after(RETURN_MS);
    c.see({});
    c.after(RETURN_MS - 1);
    assert.deepEqual(c.followed, ['b', 'a']);
    c.after(1);
    assert.deepEqual(c.followed, ['b', 'a', 'b']);
    c.see(null);
    assert.deepEqual(c.followed, ['b', 'a', 'b', 'a']);
  });

  test('begins with the leader where that standby is of another term, receives from another one, or is not there', () => {
    for (const b of [
      { state: 'fenced', upstream: null },
      { state: 'leading', upstream: { term: 2, node: 'a', streams: true } },
      { state: 'rejoining', replicateFrom: 'c' },
      null,
    ]) {
      const c = new Standby(b);
      c.after(RETURN_MS);
      assert.deepEqual(c.followed, ['a']);
    }
    const chained = new Standby({ replicateFrom: 'd' });
    chained.after(DEFAULT_TIMING.patienceMs);
    chained.after(RETURN_MS);
    assert.deepEqual(chained.followed, ['a']);
  });

  test('waits a moment for one that is about to follow a new leader', () => {
    const c = new Standby({ state: 'standing', upstream: null });
    c.after(DEFAULT_TIMING.patienceMs / 4);
    assert.deepEqual(c.followed, []);
    c.see({});
    assert.deepEqual(c.followed, ['b']);
    const late = new Standby({ state: 'standing', upstream: null });
    late.after(DEFAULT_TIMING.patienceMs / 2);
    assert.deepEqual(late.followed, ['a']);
  });

  test('stays with the leader as long as commits need it', () => {
    const c = new Standby({ priority: 0 });
    c.after(DEFAULT_TIMING.patienceMs / 2);
    c.after(RETURN_MS);
    assert.deepEqual(c.followed, ['a']);
    c.see({ priority: 0 }, { d: MEMBER });
    c.after(RETURN_MS);
    assert.deepEqual(c.followed, ['a', 'b']);
    assert.deepEqual(new Standby({ priority: 0 }, { priority: 0 }).followed, ['b']);
  });

  test('leaves one from which nothing comes, and does not try it again for a while', () => {
    const c = new Standby();
    c.tell({ kind: 'stream', upstream: 'a', isThere: false });
    c.tell({ kind: 'stream', upstream: 'b', isThere: true });
    assert.deepEqual(c.followed, ['b']);
    c.tell({ kind: 'stream', upstream: 'b', isThere: false });
    c.after(1);
    c.after(AVOID_MS - 2);
    assert.deepEqual(c.followed, ['b', 'a']);
    c.after(1);
    assert.deepEqual(c.followed, ['b', 'a', 'b']);
  });

  test('asks the leader for WAL that the other one has no more, before it is cloned', () => {
    const c = new Standby();
    c.tell({ kind: 'stream broken', upstream: 'b' });
    assert.deepEqual(c.followed, ['b', 'a']);
    c.tell({ kind: 'stream broken', upstream: 'b' });
    assert.equal(c.state.name, 'following');
    c.tell({ kind: 'stream broken', upstream: 'a' });
    assert.equal(c.state.name, 'cloning');
  });

  test('is started again when it is stuck, once a term, and only at the leader', () => {
    const c = new Standby();
    c.tell({ kind: 'stream stuck', upstream: 'b' });
    c.see(null);
    assert.equal(c.state.name, 'following');
    c.tell({ kind: 'stream stuck', upstream: 'a' });
    assert.equal(c.state.name, 'fencing');
    c.restart();
    assert.equal(c.state.name, 'following');
    c.tell({ kind: 'stream stuck', upstream: 'a' });
    assert.equal(c.state.name, 'following');
  });

  test('follows its operator when he changes his mind', () => {
    const c = new Standby();
    c.tell({ kind: 'settings', settings: { ...SETTINGS, replicateFrom: null } });
    assert.deepEqual(c.followed, ['b', 'a']);
  });
});
