import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NodeSet, userOf } from '../simulator/nodes/node-set.js';
import { checkReads, type ReadCounts } from '../simulator/nodes/read-check.js';

const SEEDS = 25;

const refusal = (code: string, message: string) => ({ severity: 'FATAL', code, message });
const messages = ({ world }: NodeSet): string[] => world.reports.map(({ message }) => message);

describe('the watching of model nodes', () => {
  const watched = (count = 2, seed = 1): NodeSet => {
    const set = new NodeSet(seed, count);
    set.passUntil('the roles', () => set.primary !== null && set.cluster.hasStandby);
    return set;
  };

  test('each node is reported once, and nothing while nothing happens', () => {
    const set = watched(3);
    set.world.pass(60_000);
    assert.deepEqual(messages(set).sort(), [
      'node 10.0.0.1 is the primary',
      'node 10.0.0.2 is a standby',
      'node 10.0.0.3 is a standby',
    ]);
    assert.deepEqual(set.world.changes, ['10.0.0.1']);
    assert.ok(set.nodes.every(({ logins }) => logins === 1));
  });

  test('a promotion is seen within a second', () => {
    const set = watched();
    const [former, heir] = set.nodes;
    set.world.crash(former!);
    set.passUntil('the loss', () => set.primary === null, 100);
    heir!.isInRecovery = false;
    heir!.timeline = 2;
    const ms = set.passUntil('the promotion', () => set.primary === heir!.name);
    assert.ok(ms < 500, `${ms} ms`);
    set.world.restart(former!);
    set.passUntil('the former primary', () => set.roles[0] === 'foreign');
    assert.deepEqual(set.world.changes, ['10.0.0.1', null, '10.0.0.2']);
  });

  test('a primary that is doubted is looked at within a round trip', () => {
    const set = watched();
    const [former, heir] = set.nodes;
    former!.isInRecovery = true;
    former!.timeline = 2;
    heir!.isInRecovery = false;
    heir!.timeline = 2;
    set.cluster.doubtPrimary();
    const ms = set.passUntil('the change', () => set.primary === heir!.name);
    assert.ok(ms < 5, `${ms} ms`);
  });

  test('a node that says nothing is counted on for two seconds, and comes back', () => {
    const set = watched();
    const [primary] = set.nodes;
    set.world.frozen.add(primary!);
    const ms = set.passUntil('the silence to be noticed', () => set.primary === null);
    assert.ok(ms > 1700 && ms < 2600, `${ms} ms`);
    set.world.frozen.delete(primary!);
    set.passUntil('it to be back', () => set.primary === primary!.name);
    const words = messages(set).filter((message) => message.startsWith('node 10.0.0.1'));
    assert.deepEqual(words, [
      'node 10.0.0.1 is the primary',
      'node 10.0.0.1 is unknown: it does not answer',
      'node 10.0.0.1 is the primary',
    ]);
  });

  test('a gateway that was stopped itself blames nobody', () => {
    const set = watched();
    set.world.pass(100);
    set.world.stall(60_000);
    set.world.pass(1000);
    assert.deepEqual(set.world.changes, ['10.0.0.1']);
  });

  test('a connection that is cut costs no role', () => {
    const set = watched();
    for (const node of set.nodes) set.world.cut(node);
    set.world.pass(1000);
    assert.deepEqual(set.world.changes, ['10.0.0.1']);
    assert.ok(set.nodes.every(({ logins }) => logins === 2));
  });

  test('a full server stays what it was', () => {
    const set = watched();
    const [primary] = set.nodes;
    primary!.refusals.set('first', refusal('53300', 'sorry, too many clients already'));
    set.world.cut(primary!);
    set.world.pass(20_000);
    assert.equal(set.primary, primary!.name);
    assert.ok(primary!.logins < 60, `${primary!.logins} logins`);
    primary!.refusals.clear();
    set.world.pass(5000);
    assert.deepEqual(set.world.changes, ['10.0.0.1']);
  });

  test('a user who is refused gives way to the next one, and when all are, that is what is said', () => {
    const set = new NodeSet(1, 2);
    for (const node of set.nodes) node.refusals.set('first', refusal('28P01', 'wrong password'));
    set.passUntil('the refusal', () => set.cluster.refusal !== null);
    assert.equal(set.cluster.refusal?.message, 'wrong password');
    const logins = set.nodes[0]!.logins;
    set.world.pass(10_000);
    assert.equal(set.nodes[0]!.logins, logins, 'it is not tried all the time');
    set.join(userOf('second'));
    const ms = set.passUntil('the primary', () => set.primary !== null);
    assert.ok(ms < 10, `${ms} ms`);
    assert.equal(set.cluster.refusal, null);
  });

  test('a node that is away is tried ten times a second at first, and once a second later', () => {
    const set = watched();
    const [, standby] = set.nodes;
    set.world.crash(standby!);
    standby!.refusals.set('first', refusal('57P03', 'the database system is starting up'));
    set.world.restart(standby!);
    const before = standby!.logins;
    set.world.pass(500);
    assert.ok(standby!.logins - before >= 4, `${standby!.logins - before}`);
    set.world.pass(60_000);
    const later = standby!.logins;
    set.world.pass(10_000);
    assert.ok(standby!.logins - later <= 11, `${standby!.logins - later}`);
    assert.equal(messages(set).filter((message) => message.includes('unknown')).length, 1);
  });

  test('standbys of different freshness', () => {
    const set = watched(3);
    const [primary, fresh, late] = set.nodes;
    primary!.log = Array.from({ length: 100 }, (_, id) => ({ id, isCommit: true }));
    primary!.flushed = 100;
    fresh!.replayed = 100;
    late!.replayed = 1;
    const pick = (how: 'eventual' | 'bounded'): Set<string | undefined> =>
      new Set(Array.from({ length: 10 }, () => set.cluster.pick(how, 0, null)?.settings.name));
    set.world.pass(500);
    assert.deepEqual([...pick('eventual')].sort(), [fresh!.name, late!.name]);
    set.world.pass(1200);
    assert.deepEqual([...pick('bounded')], [fresh!.name]);
    set.world.pass(10_000);
    assert.deepEqual([...pick('eventual')], [fresh!.name], 'standby_lag');
    late!.replayed = 100;
    set.world.pass(500);
    assert.equal(pick('eventual').size, 2);
  });
});

test('no read on a standby misses what had been committed, whatever happens', () => {
  const total: ReadCounts = { onStandbys: 0, onPrimary: 0, promotions: 0, commits: 0 };
  for (let seed = 1; seed <= SEEDS; seed++) {
    const counts = checkReads(seed);
    for (const name of Object.keys(total) as (keyof ReadCounts)[]) total[name] += counts[name];
  }
  assert.ok(total.onStandbys > 1000 && total.promotions > 10, JSON.stringify(total));
});
