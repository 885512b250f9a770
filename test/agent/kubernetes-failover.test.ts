/** Agents that agree in Kubernetes Leases, by an API server that loses, delays and repeats. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStore } from '../../src/stores/open-store.js';
import { until } from '../harness/until.js';
import { type ApiFault, ApiServer } from '../stores/api-server.js';
import { FakeCluster } from './agents.js';

const WRONGS: readonly ApiFault[] = ['lose', 'turn away', 'repeat', 'late', 'doubt', 'drop'];

test('a primary that has ended is replaced through an API server that is not to be relied on', async () => {
  const server = await ApiServer.start();
  const elsewhere = { namespace: 'test', server: server.url, tokenFile: null, caFile: null };
  const cluster = await FakeCluster.start({
    open: (leaseMs) => openStore({ name: 'main', leaseMs, store: { kind: 'kubernetes', ...elsewhere } }),
    close: () => server.stop(),
  });
  try {
    for (const node of ['a', 'b', 'c']) await cluster.startAgent(node);
    assert.equal(await cluster.settled(), 'a');
    await cluster.until(() => cluster.postgres('a').isOpen, 'clients may come');

    server.faults.push(...WRONGS);
    cluster.postgres('a').kill();
    await cluster.until(() => cluster.agents.get('a')!.state.name !== 'leading', 'a leads no more');
    const leader = await cluster.settled();
    assert.equal(cluster.agents.get(leader)!.state.view?.epoch?.primary, leader);
    await until('everything has gone wrong once', () => server.faults.length === 0);

    // Nobody's watch goes on over this.
    await server.restart();
    cluster.postgres(leader).kill();
    await cluster.until(() => cluster.agents.get(leader)!.state.name !== 'leading', 'the next is gone, too');
    await cluster.settled();
    assert.deepEqual(cluster.broken, []);
  } finally {
    await cluster.close();
  }
});
