import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ModelNode } from '../simulator/nodes/model-node.js';
import { NodeSet, userOf } from '../simulator/nodes/node-set.js';
import { checkReads, type ReadCounts } from '../simulator/nodes/read-check.js';

const SEEDS = 25;

const refusal = (code: string, message: string) => ({ severity: 'FATAL', code, message });
const messages = ({ world }: NodeSet): string[] => world.reports.map(({ message }) => message);

/** A cluster whose store names one of its nodes. */
class NamedSet extends NodeSet {
  readonly leaseMs = 2000;
  private term = 0;

  constructor(seed: number, count: number) {
    super(seed, count, {}, 'main');
  }

  /** The store names this node from now on; null: nobody. */
  name(leader: ModelNode | null, isHeld = false, term = ++this.term): void {
    const { leaseMs, nodes } = this;
    this.term = term;
    const address = (host: string) => ({ host, port: 5432 });
    this.world.hear({
      ...{ cluster: 'main', term, isHeld, leaseMs },
      nodes: nodes.map(({ name }) => ({ name, address: address(name), weight: 1, zone: '' })),
      epoch: leader && { term, leader: leader.name, systemId: leader.systemId, timeline: leader.timeline },
    });
  }

  /** The same again. */
  renew(leader: ModelNode | null, isHeld = false): void {
    this.name(leader, isHeld, this.term);
  }
}

describe('model nodes of a cluster whose store names the primary', () => {
  const named = (seed = 1): NamedSet => {
    const set = new NamedSet(seed, 3);
    set.world.pass(1000);
    assert.equal(set.primary, null);
    set.name(set.nodes[0]!);
    set.passUntil('the primary', () => set.primary !== null, 10);
    return set;
  };

  test('nobody is before it has been heard, and nobody behind the lease', () => {
    const set = named();
    set.world.pass(set.leaseMs - 20);
    assert.equal(set.primary, set.nodes[0]!.name);
    set.world.pass(30);
    assert.equal(set.primary, null);
    assert.deepEqual(set.roles, ['unknown', 'standby', 'standby']);
    assert.equal(set.world.cuts.length, 0);
    set.renew(set.nodes[0]!);
    assert.equal(set.primary, set.nodes[0]!.name);
  });

  test('a former primary that still says it is one is cut at once, and gets nothing', () => {
    const set = named();
    const [former, heir] = set.nodes as [ModelNode, ModelNode];
    heir.isInRecovery = false;
    heir.timeline = 2;
    set.world.pass(1000);
    assert.equal(set.primary, former.name);
    set.name(heir);
    assert.deepEqual(set.world.cuts, [set.world.time]);
    assert.equal(set.primary, heir.name);
    set.world.pass(1000);
    assert.deepEqual(set.roles, ['foreign', 'primary', 'standby']);
  });

  test('new transactions wait while it hands over, or is not open yet', () => {
    const set = named();
    set.renew(set.nodes[0]!, true);
    assert.deepEqual([set.primary, set.cluster.isHeld], [set.nodes[0]!.name, true]);
    set.renew(set.nodes[0]!);
    assert.equal(set.cluster.isHeld, false);
    assert.equal(set.world.cuts.length, 0);
  });

  test('whatever nodes say and whenever: only who is named within the lease is the primary', () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const set = named(seed);
      const { random, nodes, world } = set;
      let leader: ModelNode | null = nodes[0]!;
      let timeline = 1;
      let heardAt = world.time;
      const check = (): void => {
        const isBelieved = world.time < heardAt + set.leaseMs + 1;
        if (set.primary !== null) assert.equal(set.primary, isBelieved ? leader?.name : null, `seed ${seed}`);
      };
      const acts = [
        (node: ModelNode) => world.crash(node),
        (node: ModelNode) => world.restart(node),
        (node: ModelNode) => world.frozen.add(node),
        () => world.frozen.clear(),
        (node: ModelNode) => {
          node.isInRecovery = false;
          node.timeline = ++timeline;
        },
        (node: ModelNode) => {
          node.isInRecovery = true;
        },
        (node: ModelNode) => {
          leader = random.chance(0.2) ? null : node;
          set.name(leader);
          heardAt = world.time;
        },
        () => {
          set.renew(leader);
          heardAt = world.time;
        },
      ];
      for (let turn = 0; turn < 200; turn++) {
        random.pick(acts)(random.pick(nodes));
        check();
        for (let ms = random.int(0, 300); ms > 0; ms -= 10) {
          world.pass(10);
          check();
        }
      }
      world.frozen.clear();
      for (const node of nodes) world.restart(node);
      nodes[1]!.isInRecovery = false;
      nodes[1]!.timeline = ++timeline;
      set.name(nodes[1]!);
      set.passUntil('the primary that is named', () => set.primary === nodes[1]!.name, 2000);
    }
  });
});

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
  const total: ReadCounts = {
    ...{ onStandbys: 0, early: 0, tooEarly: 0, onPrimary: 0, promotions: 0, commits: 0 },
  };
  for (let seed = 1; seed <= SEEDS; seed++) {
    const counts = checkReads(seed);
    for (const name of Object.keys(total) as (keyof ReadCounts)[]) total[name] += counts[name];
  }
  const isSeen = total.onStandbys > 1000 && total.promotions > 10 && total.early > 500 && total.tooEarly > 50;
  assert.ok(isSeen, JSON.stringify(total));
});

test('a gateway that lets answers go which it should hold is found out', () => {
  assert.throws(() => {
    for (let seed = 1; seed <= SEEDS; seed++)
      checkReads(seed, 'answers are let go whatever the primary says');
  }, /misses/);
});
