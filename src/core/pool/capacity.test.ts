import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ServerConnection } from '../server/server-connection.js';
import { Capacity, type CappedPool, type Share } from './capacity.js';
import type { PoolLimits } from './pool-limits.js';

const TERMS = { mayEvict: true, mayUseReserve: false };
const NO_LIMITS = { size: 9, minSize: 0, reserveSize: 0, maxDbConnections: 0, maxUserConnections: 0 };

/** A pool whose free server connections are known by when they became free. */
class FakePool implements CappedPool {
  readonly limits: PoolLimits;
  readonly share: Share;
  waitingSince: number | null = null;
  supplied = 0;
  readonly idle: number[] = [];
  private readonly capacity: Capacity;

  constructor(capacity: Capacity, database: string, user: string, limits: Partial<PoolLimits> = {}) {
    this.capacity = capacity;
    this.limits = { ...NO_LIMITS, ...limits } as PoolLimits;
    this.share = capacity.shareOf(database, user);
    capacity.applyLimits(this);
  }

  open(count: number): this {
    for (let i = 0; i < count; i++) this.capacity.opened(this);
    return this;
  }

  rest(...since: number[]): this {
    this.idle.push(...since);
    return this;
  }

  get idlest(): ServerConnection | undefined {
    const idleSince = this.idle[0];
    if (idleSince === undefined) return undefined;
    const close = (): void => {
      this.idle.shift();
      this.capacity.closed(this);
    };
    return { place: { idleSince }, close } as unknown as ServerConnection;
  }

  supply(): void {
    this.supplied += 1;
  }

  get mayOpen(): boolean {
    return this.capacity.admits(this, TERMS);
  }
}

describe('common limits of pools', () => {
  test('the size of a pool counts whatever the startup parameters are', () => {
    const capacity = new Capacity();
    const plain = new FakePool(capacity, 'app', 'ann', { size: 2 }).open(1);
    const other = new FakePool(capacity, 'app', 'ann', { size: 2 });
    assert.equal(other.mayOpen, true);
    other.open(1);
    assert.equal(plain.mayOpen, false);
    other.rest(1);
    assert.equal(capacity.admits(plain, TERMS), false, 'nothing has told it that there is room now');
    capacity.rested();
    assert.equal(plain.supplied, 0, 'nobody waits');
    assert.equal(plain.mayOpen, true);
    assert.deepEqual(other.idle, []);
  });

  test('a pool is full when its size is used up, unless another pool of the same size could make room', () => {
    const capacity = new Capacity();
    const ann = new FakePool(capacity, 'app', 'ann', { size: 2 }).open(1);
    assert.equal(capacity.isFull(ann), false);
    ann.open(1);
    assert.equal(capacity.isFull(ann), true);
    const other = new FakePool(capacity, 'app', 'ann', { size: 2 });
    assert.equal(capacity.isFull(ann), false);
    capacity.withdraw(other);
    assert.equal(capacity.isFull(ann), true);
  });

  test('the connection that has rested longest makes room', () => {
    const capacity = new Capacity();
    const limits = { maxDbConnections: 2 };
    const ann = new FakePool(capacity, 'app', 'ann', limits).open(1).rest(20);
    const ben = new FakePool(capacity, 'app', 'ben', limits).open(1).rest(10);
    assert.equal(new FakePool(capacity, 'app', 'carl', limits).mayOpen, true);
    assert.deepEqual([ann.idle, ben.idle], [[20], []]);
  });

  test('nothing is closed when that would not be enough', () => {
    const capacity = new Capacity();
    const inDatabase = new FakePool(capacity, 'app', 'ann', { maxDbConnections: 1 }).open(1).rest(1);
    new FakePool(capacity, 'shop', 'ben', { maxUserConnections: 1 }).open(1);
    const pool = new FakePool(capacity, 'app', 'ben', { maxDbConnections: 1, maxUserConnections: 1 });
    assert.equal(pool.mayOpen, false);
    assert.deepEqual(inDatabase.idle, [1]);
  });

  test('a pool keeps its minimum against others, unless they have nothing', () => {
    const capacity = new Capacity();
    const limits = { maxDbConnections: 3, minSize: 2 };
    const ann = new FakePool(capacity, 'app', 'ann', limits).open(2).rest(1, 2);
    const ben = new FakePool(capacity, 'app', 'ben', { maxDbConnections: 3 }).open(1);
    assert.equal(ben.mayOpen, false);
    assert.deepEqual(ann.idle, [1, 2]);
    assert.equal(new FakePool(capacity, 'app', 'carl', { maxDbConnections: 3 }).mayOpen, true);
  });

  test('what becomes free is offered to the oldest waiter first', () => {
    const capacity = new Capacity();
    const limits = { maxDbConnections: 1 };
    const order: string[] = [];
    const holder = new FakePool(capacity, 'app', 'ann', limits).open(1);
    const since = Object.entries({ ben: 30, carl: 10, dora: 20 });
    const pools = since.map(([user]) => new FakePool(capacity, 'app', user, limits));
    for (const [index, [user, waitingSince]] of since.entries()) {
      const pool = pools[index]!;
      pool.waitingSince = waitingSince;
      pool.supply = () => order.push(user);
      assert.equal(pool.mayOpen, false);
    }
    capacity.closed(holder);
    assert.deepEqual(order, ['carl', 'dora', 'ben']);
  });

  test('a busy pool gives way after its turn, to who has waited longer', () => {
    const capacity = new Capacity();
    const limits = { maxDbConnections: 1 };
    const busy = new FakePool(capacity, 'app', 'ann', limits).open(1);
    busy.waitingSince = 50;
    const other = new FakePool(capacity, 'app', 'ben', limits);
    other.waitingSince = 10;
    assert.equal(other.mayOpen, false);
    const server = { readyAt: 0 } as ServerConnection;
    assert.equal(capacity.isAnothersTurn(busy, server, 500), false);
    assert.equal(capacity.isAnothersTurn(busy, server, 1500), true);
    busy.waitingSince = 5;
    assert.equal(capacity.isAnothersTurn(busy, server, 1500), false);
  });
});
