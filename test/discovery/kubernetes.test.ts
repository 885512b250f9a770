/** Pods as a source of nodes, by a double of the Kubernetes API. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { KubernetesSource } from '../../src/control/discovery/kubernetes-source.js';
import { until } from '../harness/until.js';
import { ApiServer, PODS } from '../stores/api-server.js';

const CLUSTER = { 'cnpg.io/cluster': 'main' };

describe('pods as nodes', () => {
  let api: ApiServer;
  let source: KubernetesSource;

  before(async () => {
    api = await ApiServer.start();
    api.folder(PODS);
    source = new KubernetesSource(
      {
        ...{ name: 'kubernetes test', kind: 'kubernetes', selector: 'cnpg.io/cluster=main', port: 5432 },
        ...{ namespace: 'test', server: api.url, tokenFile: null, caFile: null },
      },
      () => performance.now(),
    );
  });
  after(async () => {
    source?.close();
    await api?.stop();
  });

  function pod(
    name: string,
    ip: string | undefined,
    labels: Record<string, string> = CLUSTER,
    phase = 'Running',
  ) {
    const status = { phase, ...(ip !== undefined && { podIP: ip }) };
    return { apiVersion: 'v1', kind: 'Pod', metadata: { name, labels: { ...CLUSTER, ...labels } }, status };
  }

  const names = async () => (await source.read()).nodes.map(({ name }) => name);

  /** Resolves to true when the source sees news of what is done meanwhile. */
  async function seesNews(change: () => void, patienceMs = 15_000): Promise<boolean> {
    const giveUp = new AbortController();
    const watches = () => api.asked.filter((what) => what.startsWith('WATCH')).length;
    const before = watches();
    let isNews = false;
    const wait = source.untilNews(giveUp.signal).then(() => {
      isNews = !giveUp.signal.aborted;
    });
    await until('the watch', () => watches() > before);
    change();
    const late = setTimeout(() => giveUp.abort(), patienceMs);
    await wait;
    clearTimeout(late);
    return isNews;
  }

  test('are those with the labels that run and have an address', async () => {
    const pods = api.folder(PODS);
    pods.create(pod('main-1', '10.1.0.1', { 'cnpg.io/instanceRole': 'primary' }));
    pods.create(pod('main-2', '10.1.0.2', { 'cnpg.io/instanceRole': 'replica' }));
    pods.create(pod('main-3', undefined));
    pods.create(pod('main-1-initdb', '10.1.0.4', CLUSTER, 'Succeeded'));
    pods.create({ ...pod('other', '10.1.0.9'), metadata: { name: 'other', labels: { app: 'web' } } });
    assert.deepEqual(await source.read(), {
      nodes: [
        { name: 'main-1', address: { host: '10.1.0.1', port: 5432 }, weight: 1, zone: '' },
        { name: 'main-2', address: { host: '10.1.0.2', port: 5432 }, weight: 1, zone: '' },
      ],
      word: { leader: 'main-1', timeline: 0 },
    });
  });

  test('are told of when one comes, goes or gets another role, and not when nothing of that changes', async () => {
    const pods = api.folder(PODS);
    assert.equal(
      await seesNews(() => pods.merge('main-3', { status: { phase: 'Running', podIP: '10.1.0.3' } })),
      true,
    );
    assert.deepEqual(await names(), ['main-1', 'main-2', 'main-3']);
    assert.equal(
      await seesNews(() => pods.merge('main-3', { metadata: { annotations: { seen: 'now' } } }), 300),
      false,
    );
    assert.equal(
      await seesNews(() =>
        pods.merge('main-1', { metadata: { labels: { 'cnpg.io/instanceRole': 'replica' } } }),
      ),
      true,
    );
    assert.equal((await source.read()).word, null);
    assert.equal(await seesNews(() => pods.remove('main-2')), true);
    assert.deepEqual(await names(), ['main-1', 'main-3']);
  });

  for (const [label, value] of [
    ['spilo-role', 'master'],
    ['role', 'master'],
    ['role', 'primary'],
    ['sluice/role', 'primary'],
  ] as const) {
    test(`know ${label}=${value}`, async () => {
      const pods = api.folder(PODS);
      pods.merge('main-3', { metadata: { labels: { [label]: value } } });
      assert.equal((await source.read()).word?.leader, 'main-3');
      pods.merge('main-3', { metadata: { labels: { [label]: null } } });
    });
  }

  test('say why they can not be read', async () => {
    api.tokens = new Set(['secret']);
    await assert.rejects(source.read(), /Kubernetes API at 127\.0\.0\.1:\d+: /);
    api.tokens = null;
    assert.deepEqual(await names(), ['main-1', 'main-3']);
  });
});
