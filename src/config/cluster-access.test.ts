import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { loadConfig } from './load.js';
import { ConfigError } from './problem.js';

let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-cluster-section-'));
});
after(() => rm(folder, { recursive: true, force: true }));

async function load(section: string) {
  const file = join(folder, 'sluice.yaml');
  await writeFile(file, `databases: { app: { host: 127.0.0.1 } }\nauth_type: trust\n${section}`);
  return (await loadConfig({ file })).cluster;
}

async function refusal(section: string): Promise<string> {
  const error = await load(section).then(
    () => assert.fail('it was taken'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConfigError);
  return error.message.replaceAll(`${folder}/`, '');
}

describe('the section cluster', () => {
  test('may be missing, or empty', async () => {
    assert.equal(await load(''), null);
    assert.equal(await load('cluster:\n'), null);
  });

  test('has its secrets from files, whose paths count from its own', async () => {
    await writeFile(join(folder, 'password'), 'se cret\n');
    await writeFile(join(folder, 'ca.pem'), 'AUTHORITY');
    const store =
      '{ etcd: ["https://e1:2379", "https://e2:2379"], user: sluice, password_file: password, ca_file: ca.pem }';
    assert.deepEqual(await load(`cluster: { name: main, lease: 3s, store: ${store} }`), {
      name: 'main',
      leaseMs: 3000,
      store: {
        kind: 'etcd',
        endpoints: ['https://e1:2379', 'https://e2:2379'],
        user: 'sluice',
        password: 'se cret',
        ca: 'AUTHORITY',
        cert: null,
        key: null,
      },
    });
  });

  test('may name the embedded store, and has defaults for the rest', async () => {
    assert.deepEqual(await load('cluster: { store: { embedded: run/store.sock } }'), {
      name: 'main',
      leaseMs: 5000,
      store: { kind: 'embedded', socketPath: join(folder, 'run/store.sock') },
    });
  });

  test('may name Leases in Kubernetes, of the pod or elsewhere', async () => {
    const pod = { kind: 'kubernetes', namespace: null, server: null, tokenFile: null, caFile: null };
    assert.deepEqual((await load('cluster: { store: { kubernetes: {} } }'))?.store, pod);
    const there = '{ namespace: db, server: "https://k:6443", token_file: run/token, ca_file: /etc/ca.crt }';
    assert.deepEqual((await load(`cluster: { store: { kubernetes: ${there} } }`))?.store, {
      kind: 'kubernetes',
      namespace: 'db',
      server: 'https://k:6443',
      tokenFile: join(folder, 'run/token'),
      caFile: '/etc/ca.crt',
    });
    assert.match(
      await refusal('cluster: { name: Main, store: { kubernetes: {} } }'),
      /cluster\.name: as the name of a Lease/,
    );
    assert.match(
      await refusal('cluster: { store: { kubernetes: {}, user: u } }'),
      /cluster\.store\.user: this is a setting of etcd/,
    );
  });

  test('is refused with the place and the next step', async () => {
    const both = 'cluster:\n  lease: 1\n  store: { embedded: s, etcd: ["http://e:2379"] }';
    assert.equal(
      await refusal(both),
      [
        'sluice.yaml:4:3: cluster.lease: a lease lasts from 2s to 60s',
        'sluice.yaml:5:3: cluster.store: name one store: etcd: [http://10.0.0.1:2379, ...], kubernetes: {}, or embedded: /path/of/its/socket',
      ].join('\n'),
    );
    assert.match(
      await refusal('cluster: { store: { etc: [] } }'),
      /cluster\.store\.etc: no such setting; did you mean etcd\?/,
    );
    assert.match(
      await refusal('cluster: { store: { embedded: s, user: u } }'),
      /cluster\.store\.user: this is a setting of etcd/,
    );
    assert.match(
      await refusal('cluster: { store: { etcd: ["http://e:2379"], user: u, password_file: none } }'),
      /cluster\.store\.password_file: "none": there is no such file/,
    );
    const secret = await refusal('cluster: { store: { etcd: ["http://u:secret@e:2379"] } }');
    assert.match(secret, /cluster\.store\.etcd\.0: found "http:.*", expected a URL/);
    assert.doesNotMatch(secret, /secret/);
  });
});
