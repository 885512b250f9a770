/** `sluice kubernetes check`: what it says of a namespace, by the API's double and through a kubectl. */
import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadManifestValues } from '../../src/config/manifest-values.js';
import { type Finding, judgeNamespace } from '../../src/control/kubernetes-check/judge.js';
import { readNamespace } from '../../src/control/kubernetes-check/snapshot.js';
import { apiSource } from '../../src/control/kubernetes-check/source.js';
import type { KubernetesObject } from '../../src/control/manifests/kubernetes-object.js';
import { renderManifests } from '../../src/control/manifests/render.js';
import { run } from '../harness/command.js';
import { scratchFolder } from '../harness/scratch.js';
import type { NewApiObject } from '../stores/api-objects.js';
import { ApiServer } from '../stores/api-server.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const FOLDERS: Readonly<Record<string, string>> = {
  Deployment: '/apis/apps/v1/namespaces/test/deployments',
  StatefulSet: '/apis/apps/v1/namespaces/test/statefulsets',
  Pod: '/api/v1/namespaces/test/pods',
  Service: '/api/v1/namespaces/test/services',
  ConfigMap: '/api/v1/namespaces/test/configmaps',
  Secret: '/api/v1/namespaces/test/secrets',
  PodDisruptionBudget: '/apis/policy/v1/namespaces/test/poddisruptionbudgets',
  PersistentVolumeClaim: '/api/v1/namespaces/test/persistentvolumeclaims',
  EndpointSlice: '/apis/discovery.k8s.io/v1/namespaces/test/endpointslices',
  Lease: '/apis/coordination.k8s.io/v1/namespaces/test/leases',
};
const scratch = scratchFolder('kubernetes-check');
const values = join(scratch, 'values.yaml');
writeFileSync(values, 'form: cluster\nnamespace: test\n');
const manifests = renderManifests(await loadManifestValues(values));
const server = await ApiServer.start();
after(() => server.stop());

function objects(kind: string) {
  return server.folder(FOLDERS[kind] as string);
}

function create(kind: string, name: string, rest: object, labels: Record<string, string> = {}): void {
  objects(kind).create({ kind, metadata: { name, labels }, ...rest } as NewApiObject);
}

/** The namespace as it is when everything runs. */
function fill(): void {
  for (const kind of Object.keys(FOLDERS)) objects(kind);
  for (const object of structuredClone(manifests) as (KubernetesObject & { spec: { replicas: number } })[]) {
    if (FOLDERS[object.kind] === undefined) continue;
    const status = { readyReplicas: object.spec?.replicas };
    objects(object.kind).create({ ...object, status } as unknown as NewApiObject);
    if (object.kind === 'Service') {
      const endpoints = [{ addresses: ['10.0.0.1'], conditions: { ready: true } }];
      create(
        'EndpointSlice',
        `${object.metadata.name}-x`,
        { endpoints },
        { 'kubernetes.io/service-name': object.metadata.name },
      );
    }
  }
  create('Secret', 'sluice-users', { data: { 'users.txt': '' } });
  create('Secret', 'sluice-nodes', {
    data: {
      'superuser-password': '',
      'replication-password': '',
      'auth-password': '',
      'http-token': 'Z2VoZWlt',
    },
  });
  for (let index = 0; index < 3; index++) {
    const role = index === 1 ? 'primary' : 'replica';
    create(
      'Pod',
      `main-${index}`,
      { status: { phase: 'Running' } },
      {
        'app.kubernetes.io/name': 'sluice',
        'app.kubernetes.io/component': 'node',
        'sluice/role': role,
      },
    );
  }
  const spec = {
    holderIdentity: 'main-1/life',
    leaseDurationSeconds: 5,
    renewTime: new Date().toISOString(),
  };
  create('Lease', 'main', { spec }, { 'sluice/cluster': 'main' });
}

async function check(): Promise<{ findings: Finding[]; isWrong: boolean }> {
  const source = apiSource({ server: server.url, tokenFile: null, caFile: null });
  try {
    const findings = judgeNamespace(await readNamespace(source, 'test'), Date.now());
    return { findings, isWrong: findings.some(({ level }) => level === 'wrong') };
  } finally {
    source.close();
  }
}

const said = ({ findings }: { findings: Finding[] }) =>
  findings.map(({ about, what }) => `${about}: ${what}`);

test('an empty namespace has no Sluice, one where everything runs has nothing wrong', async () => {
  for (const kind of Object.keys(FOLDERS)) objects(kind);
  const empty = await check();
  assert.ok(empty.isWrong);
  assert.match(said(empty)[0] ?? '', /namespace test: there is no Sluice here/);
  fill();
  const full = await check();
  assert.deepEqual(full.findings, []);
  assert.ok(
    server.asked.every((request) => request.startsWith('GET ')),
    'it only reads',
  );
});

test('what is missing, stuck or contradicts itself is told with its next step', async () => {
  objects('Secret').remove('sluice-users');
  objects('Secret').merge('sluice-nodes', { data: { 'http-token': null } });
  objects('StatefulSet').merge('main', { spec: { replicas: 4 } });
  objects('Pod').merge('main-0', {
    metadata: { labels: { 'sluice/role': 'primary' } },
    status: {
      containerStatuses: [
        { name: 'node', state: { waiting: { reason: 'ImagePullBackOff', message: 'no such image' } } },
      ],
    },
  });
  objects('Pod').merge('main-2', {
    status: {
      conditions: [
        {
          type: 'PodScheduled',
          status: 'False',
          reason: 'Unschedulable',
          message: '0/2 nodes are available',
        },
      ],
    },
  });
  create(
    'PersistentVolumeClaim',
    'data-main-2',
    { status: { phase: 'Pending' } },
    { 'app.kubernetes.io/name': 'sluice' },
  );
  objects('EndpointSlice').merge('main-ro-x', { endpoints: [] });
  objects('PodDisruptionBudget').merge('sluice-node', { spec: { selector: null } });
  const result = await check();
  assert.ok(result.isWrong);
  assert.deepEqual(
    said(result).map((line) => line.replace(/sluice-agent-\w+/, 'sluice-agent-X')),
    [
      'Secret sluice-users: is not there, so that no pod that needs it can start',
      'Secret sluice-nodes: has no http-token',
      'PersistentVolumeClaim data-main-2: is Pending: its node has no disk yet',
      'pod main-0: has no image (ImagePullBackOff: no such image)',
      'pod main-2: finds no machine: 0/2 nodes are available',
      'StatefulSet main: 3 of 4 are ready',
      'pod main-3: has no file main-3.yaml in ConfigMap sluice-agent-X',
      'pod main-0: is labelled as primary, and main-1 leads',
      'Service main-ro: leads to nobody: of the pods that it selects (main-2) none is ready',
      'PodDisruptionBudget sluice-node: selects no pods, and so spares nobody',
    ],
  );
  assert.ok(result.findings.every(({ next }) => next.length > 10));
  assert.doesNotMatch(JSON.stringify(result), /Z2VoZWlt/);
});

test('who leads is read from the Lease', async () => {
  objects('Lease').merge('main', { spec: { renewTime: new Date(Date.now() - 600_000).toISOString() } });
  assert.ok(said(await check()).some((line) => /cluster main: its Lease was renewed 6\d\d s ago/.test(line)));
  objects('Lease').merge('main', { spec: { holderIdentity: '' } });
  assert.ok(said(await check()).includes('cluster main: has no primary: nobody holds its Lease'));
});

test('who may not look, or asks an API that does not answer, gets no verdict', async () => {
  server.tokens = new Set(['else']);
  const denied = await run(process.execPath, [
    MAIN,
    'kubernetes',
    'check',
    '-n',
    'test',
    '--server',
    server.url,
  ]);
  server.tokens = null;
  assert.equal(denied.code, 2);
  assert.match(denied.stderr, /deployments: .*Unauthorized/);
  const nobody = await run(process.execPath, [MAIN, 'kubernetes', 'check', '--server', 'http://127.0.0.1:1']);
  assert.equal(nobody.code, 2);
  assert.match(nobody.stderr, /Kubernetes API at 127\.0\.0\.1:1: /);
});

test('elsewhere kubectl asks, as whoever it is', async () => {
  for (const [kind, path] of Object.entries(FOLDERS)) {
    const { body } = objects(kind).list(null);
    writeFileSync(join(scratch, path.replaceAll('/', '_')), JSON.stringify(body));
  }
  const script = `#!/bin/sh
for last; do :; done
[ "$1" = config ] && { printf test; exit; }
cat "${scratch}/$(printf %s "\${last%%\\?*}" | tr / _)" 2>/dev/null && exit
echo 'Error from server (NotFound): the server could not find the requested resource' >&2
exit 1
`;
  const program = join(scratch, 'kubectl');
  writeFileSync(program, script);
  chmodSync(program, 0o755);
  const options = { env: { PATH: `${scratch}:${process.env.PATH}` } };
  const { code, stdout, stderr } = await run(process.execPath, [MAIN, 'kubernetes', 'check'], options);
  assert.equal(stderr, '');
  assert.equal(code, 1);
  assert.match(
    stdout,
    /wrong {3}Secret sluice-users: is not there.*\n {8}-> kubectl -n test create secret generic sluice-users/,
  );
  assert.match(stdout, /namespace test: \d+ things are wrong\n$/);
});
