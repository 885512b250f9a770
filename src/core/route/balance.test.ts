import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { Balance } from './balance.js';
import type { Evidence } from './evidence.js';
import { FlushedPosition } from './flushed-position.js';
import { PositionHistory } from './position-history.js';
import { RouteNode } from './route-node.js';

const SLOW_START_MS = 5000;
let now = 0;
const clock = { now: () => now };

function standby(name: string, { weight = 1, zone = '' } = {}): RouteNode {
  const node = new RouteNode({ name, address: { host: name, port: 1 }, weight, zone }, clock, {
    lost() {},
    leftRecovery() {},
  });
  node.role = 'standby';
  node.reason = null;
  node.serves(now);
  return node;
}

describe('the balance among standbys', () => {
  let balance: Balance;
  beforeEach(() => {
    now = 100_000;
    balance = new Balance();
  });
  const settings = { zone: '', standbySlowStartMs: SLOW_START_MS };
  /** So many reads, each of which takes this time before the next one comes. */
  const shares = (nodes: RouteNode[], reads: number, ms: (node: RouteNode) => number, zone = '') => {
    const counts = new Map(nodes.map((node) => [node, 0]));
    for (let i = 0; i < reads; i++) {
      const node = balance.choose(nodes, { ...settings, zone }, now, 0, ({ mayServe }) => mayServe);
      if (node === null) continue;
      counts.set(node, counts.get(node)! + 1);
      node.begun();
      node.ended(ms(node));
      now += 1;
    }
    return nodes.map((node) => counts.get(node)!);
  };

  test('equal ones get the same', () => {
    assert.deepEqual(
      shares([standby('a'), standby('b'), standby('c')], 300, () => 1),
      [100, 100, 100],
    );
  });

  test('weights are shares, and none is no share', () => {
    const nodes = [standby('a'), standby('b', { weight: 3 }), standby('c', { weight: 0 })];
    const [a, b, c] = shares(nodes, 400, () => 1);
    assert.ok(Math.abs(a! - 100) <= 10 && a! + b! === 400, `${a} ${b}`);
    assert.equal(c, 0);
  });

  test('a slow one gets less, and is tried again in time', () => {
    const nodes = [standby('fast'), standby('slow')];
    const slowness = (node: RouteNode): number => (node === nodes[1] ? 20 : 1);
    const [fast, slow] = shares(nodes, 4000, slowness);
    assert.ok(slow! > 0 && slow! < fast! / 5, `${fast} ${slow}`);
  });

  test('one with reads in flight gets less', () => {
    const [a, b] = [standby('a'), standby('b')];
    for (let i = 0; i < 10; i++) a.begun();
    const chosen = Array.from(
      { length: 10 },
      () => balance.choose([a, b], settings, now, 0, () => true)?.settings.name,
    );
    assert.ok(chosen.filter((name) => name === 'b').length >= 9, `${chosen}`);
  });

  test('the own zone comes first, and another one before none', () => {
    const near = standby('near', { zone: 'here' });
    const far = standby('far', { zone: 'there' });
    assert.deepEqual(
      shares([far, near], 10, () => 1, 'here'),
      [0, 10],
    );
    near.reason = 'lost';
    assert.deepEqual(
      shares([far, near], 10, () => 1, 'here'),
      [10, 0],
    );
  });

  test('one that comes back begins slowly, and owes nothing', () => {
    const [stays, returns] = [standby('stays'), standby('returns')];
    shares([stays], 1000, () => 1);
    returns.serves(now);
    const [first, second] = shares([stays, returns], 100, () => 1);
    assert.ok(second! > 0 && second! < first! / 4, `${first} ${second}`);
    now += SLOW_START_MS;
    const [, later] = shares([stays, returns], 100, () => 1);
    assert.ok(Math.abs(later! - 50) <= 5, `${later}`);
  });
});

describe('how old the state is that a standby shows', () => {
  test('it is as old as the last look at which the primary had no more', () => {
    const history = new PositionHistory();
    assert.equal(history.ageOf(1000, 50), Number.POSITIVE_INFINITY);
    history.note(100, 1000);
    history.note(200, 2000);
    history.note(300, 3000);
    assert.equal(history.ageOf(300, 3500), 500);
    assert.equal(history.ageOf(299, 3500), 1500);
    assert.equal(history.ageOf(100, 3500), 2500);
    assert.equal(history.ageOf(99, 3500), Number.POSITIVE_INFINITY);
  });

  test('many looks in a row leave the older ones in place', () => {
    const history = new PositionHistory();
    history.note(100, 1000);
    for (let i = 0; i < 10_000; i++) history.note(200 + i, 1100 + i / 100);
    assert.equal(history.ageOf(100, 1200), 200);
    assert.equal(history.ageOf(200 + 9999, 1200), 1200 - (1100 + 99.99));
  });
});

describe('what a standby needs while the primary rests in a transaction', () => {
  const look = (position: number, written: number): Evidence =>
    ({ position, written, pageBytes: 8192, asyncCommitMs: 600 }) as Evidence;

  test('what is inserted, until no commit without a flush can be in it', () => {
    const flushed = new FlushedPosition();
    flushed.note(look(500, 400), 1000, 1001);
    assert.equal(flushed.enoughFor(500), 500);
    flushed.note(look(500, 400), 1500, 1501);
    assert.equal(flushed.enoughFor(500), 500);
    flushed.note(look(500, 400), 1601, 1602);
    assert.equal(flushed.enoughFor(500), 400);
    assert.equal(flushed.enoughFor(501), 501);
    flushed.note(look(501, 400), 9000, 9001);
    assert.equal(flushed.enoughFor(501), 501);
  });

  test('the end of a page may lie within a record', () => {
    const flushed = new FlushedPosition();
    flushed.note(look(8200, 8192), 1000, 1000);
    flushed.note(look(8200, 8192), 2000, 2000);
    assert.equal(flushed.enoughFor(8200), 8200);
  });
});
