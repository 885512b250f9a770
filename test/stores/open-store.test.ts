import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStore } from '../../src/stores/open-store.js';
import { StoreError } from '../../src/stores/store.js';

const CLUSTER = { name: 'main', leaseMs: 5000 };

test('the store of a configuration is opened without being asked', async () => {
  const embedded = openStore({ ...CLUSTER, store: { kind: 'embedded', socketPath: '/nowhere/store.sock' } });
  assert.equal(embedded.description, 'embedded store at /nowhere/store.sock');
  await assert.rejects(
    embedded.read(),
    (error) => error instanceof StoreError && error.kind === 'unreachable',
  );
  await embedded.close();

  const secrets = { user: 'sluice', password: 'secret', ca: null, cert: null, key: null };
  const etcd = openStore({
    ...CLUSTER,
    store: { kind: 'etcd', endpoints: ['http://127.0.0.1:1'], ...secrets },
  });
  assert.equal(etcd.description, 'etcd at 127.0.0.1:1 (/sluice/main)');
  await assert.rejects(etcd.read(), (error) => error instanceof StoreError && error.kind === 'unreachable');
  await etcd.close();

  const kubernetes = openStore({
    ...CLUSTER,
    store: {
      kind: 'kubernetes',
      namespace: 'db',
      server: 'http://127.0.0.1:1',
      tokenFile: null,
      caFile: null,
    },
  });
  assert.equal(kubernetes.description, 'Kubernetes API at 127.0.0.1:1 (Lease db/main)');
  await assert.rejects(
    kubernetes.read(),
    (error) => error instanceof StoreError && error.kind === 'unreachable',
  );
  await kubernetes.close();
});
