/** What every store promises (src/stores/store.ts), asked of each that there is. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { CLOCK_RATE_ALLOWANCE, leaseTimes } from '../../src/cluster/lease-time.js';
import type { Holding, StoreView } from '../../src/cluster/store-view.js';
import type { Store, StoreError } from '../../src/stores/store.js';
import { until } from '../harness/until.js';
import { EMBEDDED, ETCD, KUBERNETES, type StoreUnderTest } from './stores-under-test.js';

/** Takes the lease from whoever has it, or had it. */
async function take(store: Store, holder: string): Promise<Holding> {
  return until(`${holder} gets the lease`, async () => store.acquire(holder, (await store.read()).term));
}

function failsAs(...kinds: readonly StoreError['kind'][]): (error: StoreError) => boolean {
  return ({ kind, message }) => {
    assert.ok(kinds.includes(kind), `${kind}: ${message}`);
    return true;
  };
}

describe('stores', { concurrency: true }, () => {
  for (const kind of [EMBEDDED, ETCD, KUBERNETES]) {
    describe(`the ${kind.name} store`, { skip: kind.missing, concurrency: 1 }, () => {
      let server: StoreUnderTest;
      let store: Store;
      before(async () => {
        server = await kind.start();
        store = server.open();
      });
      after(() => server.stop());
      beforeEach(async () => {
        const { leader } = await store.read();
        if (leader !== null) await store.release(leader);
      });
      leases(() => server);
      records(() => server);
      failures(() => server);
      watches(() => server);
    });
  }
});

function leases(server: () => StoreUnderTest): void {
  test('of many who want the lease one gets it, under the next term', async () => {
    const stores = Array.from({ length: 8 }, () => server().open());
    const { term } = await stores[0]!.read();
    const holdings = await Promise.all(stores.map((one, i) => one.acquire(`n${i}`, term)));
    const winners = holdings.filter((holding) => holding !== null);
    assert.equal(winners.length, 1);
    const view = await stores[1]!.read();
    assert.deepEqual(view.leader, { holder: winners[0]!.holder, term: term + 1 });
    assert.equal(view.term, term + 1);
    assert.equal(await stores[2]!.acquire('late', term), null, 'the term has moved on');
    assert.equal(await stores[2]!.acquire('late', term + 1), null, 'the lease is held');
  });

  test('who has lost the lease does not get it back under its term', async () => {
    const [old, young] = [server().open(), server().open()];
    const lost = await take(old, 'old');
    await old.release(lost);
    const held = await take(young, 'young');
    assert.equal(held.term, lost.term + 1);
    assert.equal(await old.renew(lost), null);
    assert.equal(await old.publish('epoch', 'mine', { version: 0, leader: lost }), null);
    await old.release(lost);
    assert.deepEqual((await old.read()).leader, { holder: 'young', term: held.term });
    assert.ok(await young.renew(held));
  });

  test('a released lease is free at once, and the term stays', async () => {
    const store = server().open();
    const held = await take(store, 'a');
    await store.release(held);
    const view = await store.read();
    assert.equal(view.leader, null);
    assert.equal(view.term, held.term);
    assert.equal(await store.acquire('b', held.term - 1), null);
    assert.ok(await store.acquire('b', held.term));
  });

  test('a lease that is renewed lasts; one that is not runs out, but not before its holder has stopped', async () => {
    const { settings } = server();
    // The holder's clock is as slow as is allowed for: it takes its time to be longer than it is.
    const rate = 1 - CLOCK_RATE_ALLOWANCE;
    const holderClock = () => performance.now() * rate;
    const [holder, other] = [server().openShort(rate), server().open()];
    let held = await take(holder, 'slow');
    const began = performance.now();
    while (performance.now() - began < 1.3 * settings.leaseMs) {
      await pause(settings.leaseMs / 4);
      const renewed = await holder.renew(held);
      // On a busy machine we may come too late ourselves; then it is lost, and rightly so.
      const isLate = holderClock() - held.since >= leaseTimes(settings.leaseMs).holderMs;
      assert.ok(isLate || (renewed !== null && renewed.since > held.since));
      held = renewed ?? (await take(holder, 'slow'));
    }
    const next = await take(other, 'next');
    const actedFor = holderClock() - held.since;
    assert.equal(next.term, held.term + 1);
    assert.ok(actedFor >= leaseTimes(settings.leaseMs).holderMs, `given away after ${actedFor} ms`);
    assert.equal(await holder.renew(held), null);
  });

  test('holders with clocks of different rates never act at one time', async () => {
    const acts: { from: number; to: number; term: number }[] = [];
    const hasHandedOver = () => new Set(acts.map(({ term }) => term)).size >= 3;
    const rates = [1 - CLOCK_RATE_ALLOWANCE, 1, 1 + CLOCK_RATE_ALLOWANCE];
    const compete = async (rate: number, index: number) => {
      const store = server().openShort(rate);
      const { holderMs } = leaseTimes(server().settings.leaseMs);
      while (!hasHandedOver()) {
        const { term, leader } = await store.read();
        let held = leader === null ? await store.acquire(`n${index}`, term) : null;
        const renewals = held === null ? 0 : index;
        for (let i = 0; held !== null && i <= renewals; i++) {
          const from = performance.now();
          const mayActUntil = (held.since + holderMs) / rate;
          if (i < renewals) held = await store.renew(held);
          acts.push({ from, to: i < renewals ? performance.now() : mayActUntil, term: term + 1 });
        }
        await pause(10);
      }
    };
    await Promise.all(rates.map(compete));
    acts.sort((a, b) => a.from - b.from);
    for (const { from, term } of acts) {
      const overlap = acts.find((other) => other.term < term && other.to > from);
      assert.equal(overlap, undefined, `term ${overlap?.term} acts while ${term} has begun`);
    }
  });
}

function records(server: () => StoreUnderTest): void {
  test('a value is published over the version that was read, or not at all', async () => {
    const [one, other] = [server().open(), server().open()];
    const version = (await one.read()).values.get('list')?.version ?? 0;
    const first = await one.publish('list', '["a"]', { version });
    assert.ok(first !== null && first > version);
    assert.equal(await other.publish('list', '["b"]', { version }), null);
    assert.deepEqual((await other.read()).values.get('list'), { text: '["a"]', version: first });
    const second = await other.publish('list', '["ü€𝄞"]', { version: first });
    assert.ok(second !== null && second > first);
    assert.equal((await one.read()).values.get('list')?.text, '["ü€𝄞"]');
  });

  test('a leader publishes as long as it holds the lease', async () => {
    const store = server().open();
    const held = await take(store, 'a');
    const version = (await store.read()).values.get('epoch')?.version ?? 0;
    const next = await store.publish('epoch', '1', { version, leader: held });
    assert.ok(next);
    await store.release(held);
    assert.equal(await store.publish('epoch', '2', { version: next, leader: held }), null);
  });

  test('a member is there while it registers, says something new at once, and goes by itself or by word', async () => {
    const { settings } = server();
    const store = server().open();
    const began = performance.now();
    await store.register('n1', 'standby');
    await store.register('n2', 'quiet');
    await store.register('n1', 'primary');
    assert.equal((await store.read()).members.get('n1'), 'primary');
    await until('n2 is gone', async () => {
      await store.register('n1', 'primary');
      await pause(settings.memberMs / 5);
      return !(await store.read()).members.has('n2');
    });
    assert.ok(performance.now() - began >= settings.memberMs);
    await store.register('n1', 'primary');
    assert.equal((await store.read()).members.get('n1'), 'primary');
    await store.withdraw('n1');
    assert.equal((await store.read()).members.size, 0);
    await store.register('n1', 'again');
    assert.equal((await store.read()).members.get('n1'), 'again');
    await store.withdraw('n1');
  });

  test('what it can not keep is refused', async () => {
    const store = server().open();
    await assert.rejects(store.register('../etc', ''), failsAs('protocol'));
    await assert.rejects(store.publish('big', 'x'.repeat(65 * 1024), { version: 0 }), failsAs('protocol'));
  });
}

function failures(server: () => StoreUnderTest): void {
  /** A client whose connection is up, so that what follows is about requests. */
  async function connected(isShort = false): Promise<Store> {
    const store = server().openThroughFaults(isShort);
    await store.read();
    return store;
  }

  test('an election whose answer is lost leaves nobody in doubt for longer than a lease', async () => {
    const [store, other] = [await connected(true), server().open()];
    const { term } = await other.read();
    server().faults.mute(true);
    await assert.rejects(store.acquire('lost', term), failsAs('unknown'));
    server().faults.mute(false);
    const next = await take(other, 'next');
    assert.ok(next.term > term);
    assert.equal((await store.read()).leader?.holder, 'next');
  });

  test('a renewal whose answer is lost has an unknown outcome, and the next one tells', async () => {
    const store = await connected(true);
    const held = await take(store, 'a');
    server().faults.mute(true);
    await assert.rejects(store.renew(held), failsAs('unknown'));
    server().faults.mute(false);
    const renewed = await store.renew(held).catch(() => null);
    if (renewed === null) return assert.notEqual((await server().open().read()).leader?.term, held.term);
    assert.ok(renewed.since > held.since);
  });

  test('an answer that comes late counts from when the question was sent', async () => {
    const store = await connected();
    const held = await take(store, 'a');
    const asked = server().settings.clock();
    const renewal = store.renew(held);
    server().faults.stall(true);
    await pause(server().settings.requestMs / 4);
    server().faults.stall(false);
    const renewed = await renewal;
    assert.ok(renewed !== null && renewed.since <= asked + 5);
  });

  test('a renewal waits for longer than other requests: a slow store is no lost lease', async () => {
    const store = await connected();
    const held = await take(store, 'a');
    server().faults.stall(true);
    const renewal = store.renew(held);
    await assert.rejects(store.read(), failsAs('unknown'));
    await assert.rejects(store.read(), failsAs('unknown'));
    server().faults.stall(false);
    assert.ok((await renewal)?.since);
  });

  test('what could not reach it has changed nothing, and says so', async () => {
    const [store, other] = [server().openThroughFaults(), server().open()];
    const { revision } = await other.read();
    server().faults.refuse(true);
    await assert.rejects(store.read(), failsAs('unreachable', 'unknown'));
    await assert.rejects(store.publish('x', 'y', { version: 0 }), failsAs('unreachable', 'unknown'));
    server().faults.refuse(false);
    assert.equal((await other.read()).revision, revision);
    await store.read();
  });

  test('a restart keeps terms and values, and gives the lease its whole time again', async () => {
    const store = server().open();
    const held = await take(store, 'a');
    const version = (await store.read()).values.get('kept')?.version ?? 0;
    await store.publish('kept', 'text', { version });
    const before = await store.read();
    await store.renew(held);
    await server().restart();
    const after = await store.read();
    assert.equal(after.term, held.term);
    assert.equal(after.values.get('kept')?.text, 'text');
    assert.ok(after.revision >= before.revision);
    assert.deepEqual(after.leader, { holder: 'a', term: held.term });
    assert.ok(await store.renew(held));
    await store.release(held);
    assert.equal((await take(store, 'b')).term, held.term + 1);
  });
}

function watches(server: () => StoreUnderTest): void {
  /** A watch that remembers what it was shown. */
  function follow(store: Store) {
    const seen: StoreView[] = [];
    const troubles: StoreError[] = [];
    const watch = store.watch(
      (view) => seen.push(view),
      (error) => troubles.push(error),
    );
    const shows = (text: string) =>
      until(`the watch shows ${text}`, () => seen.at(-1)?.values.get('w')?.text === text);
    return { seen, troubles, shows, close: () => watch.close() };
  }

  async function say(store: Store, text: string): Promise<void> {
    const version = (await store.read()).values.get('w')?.version ?? 0;
    await store.publish('w', text, { version });
  }

  function assertForward(seen: readonly StoreView[]): void {
    for (let i = 1; i < seen.length; i++) assert.ok(seen[i]!.revision >= seen[i - 1]!.revision);
  }

  test('a watch shows changes as they come, and the end of a lease that nobody gives back', async () => {
    const [store, other] = [server().open(), server().open()];
    const watched = follow(store);
    await say(other, '1');
    await watched.shows('1');
    await say(other, '2');
    await watched.shows('2');
    const held = await take(server().openShort(), 'a');
    await until('the leader is seen', () => watched.seen.some(({ leader }) => leader?.term === held.term));
    await until('its end is seen', () => watched.seen.at(-1)?.leader === null);
    assert.equal(watched.seen.at(-1)?.term, held.term);
    watched.close();
    assertForward(watched.seen);
  });

  test('a watch that was cut off, and missed changes, shows what is there in the end', async () => {
    const [store, other] = [server().openThroughFaults(), server().open()];
    const watched = follow(store);
    await say(other, 'before');
    await watched.shows('before');
    server().faults.refuse(true);
    server().faults.cut();
    for (let i = 0; i < 20; i++) await say(other, `missed ${i}`);
    await until('the trouble is told', () => watched.troubles.length > 0);
    server().faults.refuse(false);
    await say(other, 'after');
    await watched.shows('after');
    watched.close();
    assertForward(watched.seen);
  });

  test('a watch whose stream has fallen silent is not believed for long', async () => {
    const [store, other] = [server().openThroughFaults(), server().open()];
    const watched = follow(store);
    await say(other, 'heard');
    await watched.shows('heard');
    server().faults.stall(true);
    await say(other, 'unheard');
    await until('the silence is told', () => watched.troubles.length > 0);
    server().faults.stall(false);
    await say(other, 'heard again');
    await watched.shows('heard again');
    watched.close();
    assertForward(watched.seen);
  });
}
