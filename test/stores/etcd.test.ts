/** What is etcd's own: users and tokens, TLS, several members, compaction. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { StoreView } from '../../src/cluster/store-view.js';
import { encode } from '../../src/stores/etcd/etcd-answers.js';
import type { EtcdSettings } from '../../src/stores/etcd/etcd-endpoints.js';
import { EtcdStore } from '../../src/stores/etcd/etcd-store.js';
import { CertificateAuthority, noCertificates, pemOf } from '../harness/certificates.js';
import { freePort } from '../harness/scratch.js';
import { until } from '../harness/until.js';
import { ETCD_SETTINGS, EtcdProcess, noEtcd, untilReadable } from './stores-under-test.js';

const PREFIX = '/sluice/test';

/** With a lease that lasts for longer than a test; by default patient with a busy machine. */
function storeAt(
  endpoints: readonly string[],
  rest: Partial<EtcdSettings> = {},
  requestMs = 5000,
  leaseMs = 20_000,
): EtcdStore {
  const settings = { ...ETCD_SETTINGS, leaseMs, requestMs };
  return new EtcdStore({ endpoints, prefix: PREFIX, ...rest }, settings);
}

async function post(url: string, path: string, body: object): Promise<unknown> {
  const response = await fetch(`${url}${path}`, { method: 'POST', body: JSON.stringify(body) });
  assert.equal(response.status, 200, `${path}: ${await response.clone().text()}`);
  return response.json();
}

describe('etcd', { skip: noEtcd, concurrency: true }, () => {
  const started: EtcdProcess[] = [];
  after(async () => {
    for (const process of started) await process.kill();
  });
  function start(...processes: EtcdProcess[]): void {
    for (const process of processes) process.start();
    started.push(...processes);
  }

  test('a user with a password; a token that is lost is asked for again; a wrong password is told', async () => {
    const etcd = await EtcdProcess.single();
    start(etcd);
    await untilReadable(storeAt([etcd.url]));
    await post(etcd.url, '/v3/auth/user/add', { name: 'root', password: 'secret-1' });
    await post(etcd.url, '/v3/auth/role/add', { name: 'root' });
    await post(etcd.url, '/v3/auth/user/grant', { user: 'root', role: 'root' });
    await post(etcd.url, '/v3/auth/enable', {});
    const store = storeAt([etcd.url], { user: 'root', password: 'secret-1' });
    const held = await store.acquire('a', 0);
    assert.ok(held);
    await store.register('n1', 'x');
    // Tokens live in the server's memory.
    await etcd.kill();
    etcd.start();
    await untilReadable(store);
    assert.ok(await store.renew(held));
    await store.register('n1', 'y');
    await assert.rejects(storeAt([etcd.url]).read(), { kind: 'denied' });
    const wrong = storeAt([etcd.url], { user: 'root', password: 'secret-2' });
    await assert.rejects(wrong.read(), (error: Error & { kind: string }) => {
      assert.equal(error.kind, 'denied');
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
  });

  test('TLS with its own authority and a client certificate', { skip: noCertificates }, async () => {
    const authority = new CertificateAuthority('etcd authority');
    const server = authority.issue('etcd', ['IP:127.0.0.1']);
    const client = pemOf(authority.issue('agent'));
    const etcd = await EtcdProcess.single(
      [
        `--cert-file=${server.certFile}`,
        `--key-file=${server.keyFile}`,
        `--trusted-ca-file=${authority.certFile}`,
        '--client-cert-auth',
      ],
      'https',
    );
    start(etcd);
    const store = storeAt([etcd.url], { tls: { ca: authority.pem, ...client } });
    await untilReadable(store);
    assert.ok(await store.acquire('a', 0));
    await assert.rejects(storeAt([etcd.url]).read(), { kind: 'unreachable' });
  });

  test('a watch whose revision was compacted away meanwhile shows what is there', async () => {
    const etcd = await EtcdProcess.single();
    start(etcd);
    const store = storeAt([etcd.url]);
    await untilReadable(store);
    const views: StoreView[] = [];
    const watch = store.watch(
      (view) => views.push(view),
      () => {},
    );
    await until('the first view', () => views.length > 0);
    etcd.signal('SIGSTOP');
    await pause(50);
    etcd.signal('SIGCONT');
    for (let i = 0; i < 5; i++) await store.register('n1', `${i}`);
    const { revision } = await store.read();
    await post(etcd.url, '/v3/kv/compaction', { revision: `${revision}`, physical: true });
    await store.register('n1', 'last');
    await until('the last state', () => views.at(-1)?.members.get('n1') === 'last');
    watch.close();
    // From before the compaction: etcd ends such a watch at once, and that counts as a sign of change.
    const gone = { create_request: { key: encode(PREFIX), start_revision: '1' } };
    const answer = await fetch(`${etcd.url}/v3/watch`, { method: 'POST', body: JSON.stringify(gone) });
    const reader = answer.body!.getReader();
    const lines: string[] = [];
    while (!lines.join('').includes('canceled'))
      lines.push(Buffer.from((await reader.read()).value!).toString());
    await reader.cancel();
  });

  test('a member that is down, or hangs, is passed over; one without its majority renews nothing', async () => {
    const members = await EtcdProcess.cluster(3);
    start(...members);
    const nobody = `http://127.0.0.1:${await freePort()}`;
    const urls = members.map(({ url }) => url);
    const store = storeAt([nobody, ...urls], {}, ETCD_SETTINGS.requestMs);
    const patient = storeAt([nobody, ...urls]);
    await untilReadable(patient);
    let held = await patient.acquire('a', 0);
    assert.ok(held);
    // The one that is asked first hangs; should it lead, another one has to be elected.
    members[0]!.signal('SIGSTOP');
    const began = performance.now();
    held = await until('a renewal by another member', () => store.renew(held!).catch(() => null));
    assert.ok(held.since >= began);
    members[0]!.signal('SIGCONT');
    await until('a publication', () =>
      patient.publish('list', 'x', { version: 0, leader: held! }).catch(() => null),
    );
    await until('the lease is given back', () =>
      patient.release(held!).then(
        () => true,
        () => false,
      ),
    );
    await untilReadable(storeAt([urls[0]!]));
    // Alone, a member that was the leader may still say yes to a renewal. It must not be believed.
    const leader = members[await leaderOf(urls)]!;
    const { requestMs, leaseMs } = ETCD_SETTINGS;
    const alone = storeAt([leader.url], {}, requestMs, leaseMs);
    const sure = storeAt([leader.url]);
    const renewed = await sure.acquire('b', (await sure.read()).term);
    assert.ok(renewed);
    for (const member of members) if (member !== leader) member.signal('SIGSTOP');
    for (let i = 0; i < 3; i++) await assert.rejects(alone.renew(renewed), { kind: 'unknown' });
    for (const member of members) if (member !== leader) member.signal('SIGCONT');
    await untilReadable(alone);
  });
});

/** Which of them leads. */
async function leaderOf(urls: readonly string[]): Promise<number> {
  return until('etcd has a leader', async () => {
    const asked = urls.map((url) => post(url, '/v3/maintenance/status', {}));
    const all = (await Promise.all(asked)) as { leader?: string; header: { member_id: string } }[];
    const index = all.findIndex(({ leader, header }) => leader !== undefined && leader === header.member_id);
    return index === -1 ? null : index;
  });
}
