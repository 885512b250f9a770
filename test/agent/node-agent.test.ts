import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { askSwitchover, setPaused, WishRefused } from '../../src/stores/wishes.js';
import { FakeCluster } from './agents.js';

let cluster: FakeCluster;

beforeEach(async () => {
  cluster = await FakeCluster.start();
});
afterEach(async () => {
  await cluster.close();
  assert.deepEqual(cluster.broken, []);
});

describe("agents' loops", () => {
  test('begin a cluster, replace a primary that has ended, and take it back', async () => {
    for (const node of ['a', 'b', 'c']) await cluster.startAgent(node);
    assert.equal(await cluster.settled(), 'a');
    await cluster.until(() => cluster.postgres('a').isOpen, 'clients may come');
    cluster.postgres('a').write();

    cluster.postgres('a').kill();
    await cluster.until(() => cluster.agents.get('a')!.state.name !== 'leading', 'a leads no more');
    const leader = await cluster.settled();
    assert.notEqual(leader, 'a');
    assert.equal(cluster.agents.get('a')!.state.view?.epoch?.primary, leader);
    assert.deepEqual(
      cluster.reports.filter(({ what }) => what === 'leads').map(({ node }) => node),
      ['a', leader],
    );
  });

  test('hand over when an operator asks, and say which wishes nobody could obey', async () => {
    for (const node of ['a', 'b']) await cluster.startAgent(node);
    await cluster.startAgent('c', { priority: 0 });
    await cluster.settled();
    await assert.rejects(askSwitchover(cluster.store, 'c'), WishRefused);
    await assert.rejects(askSwitchover(cluster.store, 'a'), /a leads already/);
    await assert.rejects(askSwitchover(cluster.store, 'z'), /no node "z"/);
    await setPaused(cluster.store, true);
    await assert.rejects(askSwitchover(cluster.store, 'b'), /paused/);
    await setPaused(cluster.store, false);

    await askSwitchover(cluster.store, 'b');
    await cluster.until(() => cluster.agents.get('b')!.state.name === 'leading', 'b leads');
    assert.equal(await cluster.settled(), 'b');
    assert.ok(cluster.postgres('a').done.includes('hold'));
  });

  test('end without leaving anything behind', async () => {
    for (const node of ['a', 'b']) await cluster.startAgent(node);
    await cluster.settled();
    await cluster.agents.get('a')!.end('fast', 1000);
    cluster.agents.delete('a');
    assert.equal(cluster.postgres('a').isRunning, false);
    // Nobody had to wait for a lease to run out: it was given back.
    await cluster.until(() => cluster.agents.get('b')!.state.view?.members.has('a') === false, 'a is gone');
    assert.notEqual(cluster.agents.get('b')!.state.view?.leader?.holder.split('/')[0], 'a');
  });

  test('decide nothing any more when the machine has failed', async () => {
    const agent = await cluster.startAgent('a', { durability: 'asynchronous' });
    await cluster.settled();
    agent.tell({ kind: 'replication', streaming: null as never });
    assert.equal(cluster.broken.length, 1);
    cluster.postgres('a').kill();
    assert.equal(agent.state.name, 'leading');
    agent.tell({ kind: 'tick' });
    assert.equal(agent.state.name, 'leading');
    cluster.broken.length = 0;
  });
});
