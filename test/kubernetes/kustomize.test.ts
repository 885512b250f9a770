/** The kustomizations as this project builds them, beside what kustomize makes of them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { applyPatch } from '../../src/control/manifests/json-patch.js';
import type { KubernetesObject } from '../../src/control/manifests/kubernetes-object.js';
import { buildManifests } from '../../src/control/manifests/kustomization.js';
import { scratchFolder } from '../harness/scratch.js';

const FOLDER = fileURLToPath(new URL('../../../deploy/kubernetes/', import.meta.url));
const noKubectl: string | false = kubectlIsMissing();

function kubectlIsMissing(): string | false {
  try {
    const text = execFileSync('kubectl', ['version', '--client', '-o', 'yaml'], { encoding: 'utf8' });
    // Components came with kustomize 4, in kubectl 1.21.
    return /kustomizeVersion: v[45]/.test(text) ? false : 'kubectl is too old to know components';
  } catch {
    return 'kubectl is not installed: what is built is not compared with kustomize';
  }
}

function ordered(objects: readonly KubernetesObject[]): KubernetesObject[] {
  const key = ({ kind, metadata }: KubernetesObject) => `${kind} ${metadata.name}`;
  return [...objects].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function byKustomize(folder: string): KubernetesObject[] {
  const text = execFileSync('kubectl', ['kustomize', '--load-restrictor=LoadRestrictionsNone', folder], {
    encoding: 'utf8',
  });
  return parseAllDocuments(text).map((document) => document.toJS() as KubernetesObject);
}

/** Everything at once, as a user's own overlay. */
function everything(): string {
  const folder = join(scratchFolder('kustomize'), 'own');
  mkdirSync(folder);
  const to = (path: string) => relative(folder, join(FOLDER, path));
  const kustomization = {
    apiVersion: 'kustomize.config.k8s.io/v1beta1',
    kind: 'Kustomization',
    namespace: 'db',
    nameSuffix: '-own',
    resources: [to('overlays/cluster')],
    components: readdirSync(join(FOLDER, 'components')).map((name) => to(`components/${name}`)),
    images: [{ name: 'sluice-gateway', newName: 'registry.example.org:5000/sluice-gateway', newTag: '1' }],
    replicas: [{ name: 'main', count: 5 }],
  };
  writeFileSync(join(folder, 'kustomization.yaml'), JSON.stringify(kustomization));
  return folder;
}

describe('beside kustomize', { skip: noKubectl }, () => {
  for (const overlay of readdirSync(join(FOLDER, 'overlays'))) {
    test(`${overlay} is the same`, () => {
      const folder = join(FOLDER, 'overlays', overlay);
      assert.deepEqual(ordered(buildManifests(folder)), ordered(byKustomize(folder)));
    });
  }

  test('so is an overlay of a user, with every component', () => {
    const folder = everything();
    assert.deepEqual(ordered(buildManifests(folder)), ordered(byKustomize(folder)));
  });
});

test('what is not known is an error, and no manifest without it', () => {
  const folder = scratchFolder('unknown');
  const file = join(folder, 'kustomization.yaml');
  writeFileSync(file, 'apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nhelmCharts: []\n');
  assert.throws(() => buildManifests(folder), /kustomization\.yaml: .*helmCharts/s);
});

test('patches change what is there, and say what is not', () => {
  const object = { list: ['a', 'c'], 'a/b': 1 };
  applyPatch(object, [
    { op: 'add', path: '/list/1', value: 'b' },
    { op: 'add', path: '/list/-', value: 'd' },
    { op: 'replace', path: '/a~1b', value: 2 },
    { op: 'remove', path: '/list/0' },
  ]);
  assert.deepEqual(object, { list: ['b', 'c', 'd'], 'a/b': 2 });
  assert.throws(
    () => applyPatch(object, [{ op: 'replace', path: '/none', value: 1 }]),
    /\/none is not there/,
  );
  assert.throws(() => applyPatch(object, [{ op: 'remove', path: '/list/9' }]), /\/list\/9 is not there/);
  assert.throws(() => applyPatch(object, [{ op: 'add', path: '/none/x', value: 1 }]), /leads nowhere/);
});
