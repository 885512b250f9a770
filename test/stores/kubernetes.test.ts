/** What is Kubernetes' own: tokens and authorities that change, conflicts, what a server forgets, Leases that others touch. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { leaseTimes } from '../../src/cluster/lease-time.js';
import type { Holding, StoreView } from '../../src/cluster/store-view.js';
import { type KubernetesSettings, podSettings } from '../../src/stores/kubernetes/kubernetes-settings.js';
import { KubernetesStore } from '../../src/stores/kubernetes/kubernetes-store.js';
import type { StoreError, StoreSettings } from '../../src/stores/store.js';
import { CertificateAuthority, noCertificates, pemOf } from '../harness/certificates.js';
import { scratchFolder } from '../harness/scratch.js';
import { until } from '../harness/until.js';
import type { ApiObject } from './api-objects.js';
import { type ApiFault, ApiServer, LEASES } from './api-server.js';
import { KUBERNETES_SETTINGS, leasesAt } from './stores-under-test.js';

const LONG = { leaseMs: 20_000, requestMs: 5000 };
const SHORT = { leaseMs: 300, requestMs: 5000 };

describe('Kubernetes', { concurrency: true }, () => {
  const ends: (() => Promise<void>)[] = [];
  after(async () => {
    for (const end of ends.reverse()) await end();
  });

  async function start(...args: Parameters<typeof ApiServer.start>): Promise<ApiServer> {
    const server = await ApiServer.start(...args);
    ends.push(() => server.stop());
    return server;
  }

  function open(
    server: ApiServer,
    change: Partial<StoreSettings> = LONG,
    kubernetes: Partial<KubernetesSettings> = {},
  ): KubernetesStore {
    const at = { ...leasesAt(server.url), ...kubernetes };
    const store = new KubernetesStore(at, { ...KUBERNETES_SETTINGS, ...change });
    ends.push(() => store.close());
    return store;
  }

  async function take(store: KubernetesStore, holder: string): Promise<Holding> {
    return until(`${holder} gets the lease`, async () => store.acquire(holder, (await store.read()).term));
  }

  function leaseIn(server: ApiServer): ApiObject {
    return server.objects.get('main').body as ApiObject;
  }

  test('the Lease is one that kubectl shows: holder, whole seconds, the term as its transitions', async () => {
    const server = await start();
    const held = await take(open(server, SHORT), 'main-0/1');
    const { spec, metadata } = leaseIn(server);
    assert.equal(spec?.holderIdentity, 'main-0/1');
    assert.equal(spec?.leaseTransitions, held.term);
    assert.equal(spec?.leaseDurationSeconds, 1);
    assert.match(`${(spec as Record<string, unknown>).renewTime}`, /^\d{4}-.*\.\d{6}Z$/);
    assert.equal(metadata.labels?.['app.kubernetes.io/managed-by'], 'sluice');
  });

  test('times of day mean nothing: a Lease is dead or alive by whether it changes', async () => {
    const server = await start();
    const [holder, other] = [open(server, SHORT), open(server, SHORT)];
    let held = await take(holder, 'a');
    for (let i = 0; i < 6; i++) {
      server.objects.merge('main', { spec: { renewTime: '2001-01-01T00:00:00.000000Z' } });
      assert.equal((await other.read()).leader?.holder, 'a');
      await pause(SHORT.leaseMs / 4);
      held = (await holder.renew(held)) ?? assert.fail('lost');
    }
    server.objects.merge('main', { spec: { renewTime: '2999-01-01T00:00:00.000000Z' } });
    await until('it has run out', async () => (await other.read()).leader === null);
    assert.equal(leaseIn(server).spec?.holderIdentity, '', 'and that is written down');
    assert.equal(await holder.renew(held), null);
  });

  test('who publishes does not keep a dead leader’s lease alive', async () => {
    const server = await start();
    const [holder, operator] = [open(server, SHORT), open(server, SHORT)];
    await take(holder, 'a');
    let version = 0;
    await until('it has run out all the same', async () => {
      version = (await operator.publish('control', `${version}`, { version })) ?? assert.fail('conflict');
      await pause(SHORT.leaseMs / 6);
      return (await operator.read()).leader === null;
    });
  });

  test('renewals and registrations wake nobody: those who watch read again for changes alone', async () => {
    const server = await start();
    const settings = { ...LONG, memberMs: 20_000, refreshMs: 60_000 };
    const [holder, gateway] = [open(server, settings), open(server, settings)];
    await open(server, SHORT).acquire('a', 0);
    let held = await take(holder, 'a');
    await holder.register('n1', 'x');
    const views: StoreView[] = [];
    const watch = gateway.watch(
      (view) => views.push(view),
      (error) => assert.fail(error),
    );
    ends.push(async () => watch.close());
    await until('the first view', () => views.length > 0);
    // A view that came before the watch may be read once more.
    await pause(200);
    const listed = () => server.asked.filter((what) => what === `GET ${LEASES}`).length;
    const before = listed();
    for (let i = 0; i < 20; i++) {
      held = (await holder.renew(held)) ?? assert.fail('lost');
      await holder.register('n1', 'x');
    }
    await holder.register('n1', 'y');
    await until('a change', () => views.at(-1)?.members.get('n1') === 'y');
    assert.equal(listed() - before, 1);
  });

  test('who may only look shows a leader until somebody else has found it gone, without haste', async () => {
    const server = await start();
    const file = tokenFile('looker');
    const looker = open(server, { ...SHORT, refreshMs: 400 }, { tokenFile: file });
    server.lookers.set('looker', 'main');
    await take(open(server, SHORT), 'a');
    const views: StoreView[] = [];
    const watch = looker.watch(
      (view) => views.push(view),
      (error) => assert.fail(error),
    );
    ends.push(async () => watch.close());
    await until('the leader is seen', () => views.at(-1)?.leader?.holder === 'a');
    const before = server.asked.length;
    await pause(4 * SHORT.leaseMs);
    assert.equal(views.at(-1)?.leader?.holder, 'a');
    assert.ok(server.asked.length - before < 30, `${server.asked.length - before} requests`);
    const other = open(server, SHORT);
    await until('somebody finds it gone', async () => (await other.read()).leader === null);
    await until('and that is seen', () => views.at(-1)?.leader === null);
    await looker.register('gateway.one', 'here');
    assert.equal((await other.read()).members.get('gateway.one'), 'here');
  });

  test('a Lease that is deleted stops those who knew it; a new one is nobody’s for a while', async () => {
    const server = await start();
    const holder = open(server, SHORT);
    const held = await take(holder, 'a');
    server.objects.remove('main');
    await assert.rejects(holder.renew(held), { kind: 'protocol', message: /was deleted.*term 1/ });
    await assert.rejects(holder.read(), { kind: 'protocol' });
    const deletedAt = performance.now();
    const fresh = open(server, SHORT);
    const next = await take(fresh, 'b');
    assert.equal(next.term, 1);
    assert.ok(performance.now() - deletedAt >= leaseTimes(SHORT.leaseMs).takeoverMs);
    server.objects.remove('main');
    await open(server, SHORT).acquire('c', 0);
    await assert.rejects(fresh.read(), { kind: 'protocol', message: /has gone back to term 0/ });
  });

  test('a Lease of something else is not touched', async () => {
    const server = await start();
    const labels = { 'sluice/cluster': 'main' };
    server.objects.create({ metadata: { name: 'main', labels }, spec: { holderIdentity: 'other' } } as never);
    const store = open(server, SHORT);
    await assert.rejects(store.read(), { kind: 'protocol', message: /none of a Sluice/ });
    await assert.rejects(store.acquire('a', 0), { kind: 'protocol' });
    assert.equal(leaseIn(server).spec?.holderIdentity, 'other');
  });

  test('what others have written into a Lease stays in it', async () => {
    const server = await start();
    const store = open(server, SHORT);
    const held = await take(store, 'a');
    const ownerReferences = [{ kind: 'StatefulSet', name: 'main', uid: 'u', apiVersion: 'apps/v1' }];
    server.objects.merge('main', { metadata: { ownerReferences, labels: { team: 'x' } } });
    assert.ok(await store.renew(held));
    assert.deepEqual(leaseIn(server).metadata.ownerReferences, ownerReferences);
    assert.equal(leaseIn(server).metadata.labels?.team, 'x');
  });

  test('a watch goes on after the server has forgotten where it was, and after restarts', async () => {
    const server = await start();
    const store = open(server);
    const views: StoreView[] = [];
    const watch = store.watch(
      (view) => views.push(view),
      () => {},
    );
    ends.push(async () => watch.close());
    for (let i = 0; i < 4; i++) {
      await until('a view', () => views.length > i);
      server.objects.passTime();
      server.objects.compact();
      await open(server).register('n1', `${i}`);
      await until(`state ${i}`, () => views.at(-1)?.members.get('n1') === `${i}`);
      await server.restart();
    }
  });

  test('members have any name that a store allows', async () => {
    const server = await start();
    const store = open(server);
    for (const name of ['main-0', 'gateway.a', 'Upper_Case', 'ends-', 'a..b'])
      await store.register(name, name);
    const { members } = await store.read();
    assert.deepEqual([...members.keys()].sort(), ['Upper_Case', 'a..b', 'ends-', 'gateway.a', 'main-0']);
    await store.withdraw('Upper_Case');
    assert.equal((await store.read()).members.has('Upper_Case'), false);
  });

  test('a token that was replaced is read again; one that is refused is told, and not shown', async () => {
    const server = await start();
    const file = tokenFile('token-1');
    server.tokens = new Set(['token-1']);
    const store = open(server, LONG, { tokenFile: file });
    await store.read();
    server.tokens = new Set(['token-2']);
    writeFileSync(file, 'token-2\n');
    await store.register('n1', 'x');
    server.tokens = new Set(['token-3']);
    await assert.rejects(store.read(), (error: StoreError) => {
      assert.equal(error.kind, 'denied');
      assert.doesNotMatch(error.message, /token-/);
      return true;
    });
    const missing = open(server, LONG, { tokenFile: `${file}.missing` });
    await assert.rejects(missing.read(), { kind: 'unreachable', message: /can't be read \(ENOENT\)/ });
  });

  test('the server must be the one whose authority is trusted', { skip: noCertificates }, async () => {
    const authority = new CertificateAuthority('cluster authority');
    const server = await start(pemOf(authority.issue('kubernetes', ['IP:127.0.0.1'])));
    const store = open(server, LONG, { caFile: authority.certFile });
    await store.register('n1', 'x');
    const stranger = new CertificateAuthority('another authority');
    await assert.rejects(open(server, LONG, { caFile: stranger.certFile }).read(), { kind: 'unreachable' });
    await assert.rejects(open(server).read(), { kind: 'unreachable' });
  });

  test('a request that was turned away is sent again; one of which nobody knows is not', async () => {
    const server = await start();
    const store = open(server);
    await open(server, SHORT).acquire('a', 0);
    const held = await take(store, 'a');
    server.faults.push('turn away');
    assert.ok(await store.renew(held));
    for (const fault of ['drop', 'lose', 'doubt'] as const) {
      server.faults.push(fault);
      const before = server.asked.length;
      await assert.rejects(store.publish(fault, 'x', { version: 0 }), { kind: 'unknown' });
      assert.equal(server.asked.length - before, 1);
      assert.equal((await store.read()).values.has(fault), fault !== 'drop');
    }
    // The second one meets what the first has made: that is a conflict, and then the version is another.
    server.faults.push('repeat');
    assert.equal(await store.publish('twice', 'x', { version: 0 }), null);
    assert.equal((await store.read()).values.get('twice')?.text, 'x');
  });

  test('whatever becomes of requests and answers, two never act at one time', async () => {
    const server = await start();
    const acts: { from: number; to: number; term: number }[] = [];
    const terms = () => new Set(acts.map(({ term }) => term)).size;
    const wrongs: ApiFault[] = ['drop', 'lose', 'repeat', 'turn away', 'doubt', 'late'];
    const stop = new AbortController();
    let moves = 0;
    const compete = async (holder: string) => {
      const store = open(server, { leaseMs: 200, requestMs: 400 });
      const { holderMs } = leaseTimes(200);
      let held: Holding | null = null;
      while (terms() < 5 && !stop.signal.aborted) {
        const wrong = ++moves % 3 === 0 ? wrongs[(moves / 3) % wrongs.length] : undefined;
        if (wrong !== undefined && server.faults.length === 0) server.faults.push(wrong);
        try {
          const { leader, term } = await store.read();
          if (held !== null) held = await store.renew(held);
          else if (leader === null) held = await store.acquire(holder, term);
          if (held !== null)
            acts.push({ from: performance.now(), to: held.since + holderMs, term: held.term });
          if (held !== null && moves % 9 === 0) held = null;
        } catch (error) {
          assert.ok(['unknown', 'unreachable'].includes((error as StoreError).kind), `${error}`);
          if (held !== null && performance.now() >= held.since + holderMs) held = null;
        }
        await pause(5);
      }
    };
    await Promise.all(['a', 'b', 'c'].map(compete)).finally(() => stop.abort());
    for (const { from, term } of acts) {
      const overlap = acts.find((other) => other.term < term && other.to > from);
      assert.equal(overlap, undefined, `term ${overlap?.term} acts while ${term} has begun`);
    }
  });
});

describe('where a pod finds its Kubernetes', () => {
  const pod = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };
  const account = '/var/run/secrets/kubernetes.io/serviceaccount';

  test('by what Kubernetes tells every pod', () => {
    const read = (path: string) => (path === `${account}/namespace` ? 'production\n' : null);
    assert.deepEqual(podSettings(pod, { name: 'main' }, read), {
      server: 'https://10.96.0.1:443',
      tokenFile: `${account}/token`,
      caFile: `${account}/ca.crt`,
      namespace: 'production',
      name: 'main',
    });
    const six = podSettings({ ...pod, KUBERNETES_SERVICE_HOST: 'fd00::1' }, { name: 'main' }, read);
    assert.equal(six.server, 'https://[fd00::1]:443');
  });

  test('elsewhere by what is said, and what is missing or wrong is named', () => {
    const none = () => null;
    const said = { name: 'main', namespace: 'x', server: 'http://127.0.0.1:8001' };
    assert.equal(podSettings(pod, said, none).tokenFile, null);
    assert.throws(() => podSettings({}, { name: 'main' }, none), /KUBERNETES_SERVICE_HOST is not set/);
    assert.throws(() => podSettings(pod, { name: 'main' }, none), /`namespace`/);
    assert.throws(() => podSettings({}, { ...said, name: 'Main' }, none), /no name for a Lease/);
    assert.throws(() => podSettings({}, { ...said, server: 'https://x/y' }, none), /must be like/);
    assert.throws(
      () => podSettings({}, { ...said, server: 'https://u:secret@x' }, none),
      (error: Error) => /no user/.test(error.message) && !/secret/.test(error.message),
    );
  });
});

function tokenFile(token: string): string {
  const file = join(scratchFolder('token'), 'token');
  writeFileSync(file, token);
  return file;
}
