/** What lies in deploy/kubernetes: rendered by kubectl, checked against the API's types, and its settings by our own loaders. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { ROLE_LABEL } from '../../src/agent/pod-label.js';
import { loadAgentConfig } from '../../src/config/agent-config.js';
import { loadConfig } from '../../src/config/load.js';
import { scratchFolder } from '../harness/scratch.js';
import { type KubernetesObject, typeErrors } from './object-types.js';

const OVERLAYS = ['minimal', 'gateway', 'two-tier', 'cluster'];
const FOLDER = fileURLToPath(new URL('../../../deploy/kubernetes/overlays/', import.meta.url));

interface Template {
  readonly metadata: { readonly labels: Record<string, string> };
  readonly spec: {
    readonly securityContext: { readonly runAsNonRoot?: boolean; readonly seccompProfile?: { type: string } };
    readonly terminationGracePeriodSeconds: number;
    readonly volumes: readonly { readonly configMap?: { readonly name: string } }[];
    readonly containers: readonly {
      readonly securityContext: object;
      readonly livenessProbe: object;
      readonly readinessProbe: object;
    }[];
  };
}

const noKubectl: string | false = kubectlIsMissing();

function kubectlIsMissing(): string | false {
  try {
    execFileSync('kubectl', ['kustomize', '--help'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'kubectl is not installed (Debian: kubernetes-client)';
  }
}

const rendered = new Map<string, readonly KubernetesObject[]>();

function render(overlay: string): readonly KubernetesObject[] {
  const known = rendered.get(overlay);
  if (known !== undefined) return known;
  const text = execFileSync('kubectl', ['kustomize', join(FOLDER, overlay)], { encoding: 'utf8' });
  const objects = parseAllDocuments(text).map((document) => document.toJS() as KubernetesObject);
  rendered.set(overlay, objects);
  return objects;
}

function templates(objects: readonly KubernetesObject[]): Template[] {
  return objects
    .filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet')
    .map(({ spec }) => (spec as { template: Template }).template);
}

/** The files of a ConfigMap in a folder, beside the folders of Secrets that pods have. */
function unpacked(map: KubernetesObject): { readonly folder: string; readonly files: readonly string[] } {
  const root = scratchFolder('manifests');
  for (const name of ['config', 'users', 'secrets']) mkdirSync(join(root, name));
  writeFileSync(join(root, 'users/users.txt'), '"sluice_auth" "secret"\n');
  for (const name of ['http-token', 'superuser-password', 'replication-password']) {
    writeFileSync(join(root, 'secrets', name), 'sixteen characters and more');
  }
  const files = Object.entries(map.data as Record<string, string>);
  for (const [name, text] of files) writeFileSync(join(root, 'config', name), text);
  return { folder: join(root, 'config'), files: files.map(([name]) => name) };
}

describe('manifests', { skip: noKubectl }, () => {
  test('what every overlay renders is what the API of Kubernetes takes, and what it does not take is found', () => {
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'x' } };
    const unknownField = { ...service, spec: { port: [] } };
    const wrongType = { ...service, spec: { ports: [{ port: '5432' }] } };
    const errors = typeErrors([...OVERLAYS.flatMap(render), unknownField, wrongType]);
    assert.equal(errors.length, 2, errors.join('\n'));
    assert.match(errors[0] ?? '', /Service x: .*"port"/);
    assert.match(errors[1] ?? '', /Service x: .*'number'/);
  });

  for (const overlay of OVERLAYS) {
    test(`${overlay}: pods run with the least rights, are reached, spared and guarded`, () => {
      const objects = render(overlay);
      for (const { metadata, spec } of templates(objects)) {
        assert.equal(spec.securityContext.runAsNonRoot, true);
        assert.equal(spec.securityContext.seccompProfile?.type, 'RuntimeDefault');
        assert.ok(spec.terminationGracePeriodSeconds > 35);
        const maps = spec.volumes.flatMap(({ configMap }) =>
          configMap === undefined ? [] : [configMap.name],
        );
        for (const name of maps)
          assert.ok(
            objects.some((one) => one.metadata.name === name),
            name,
          );
        for (const container of spec.containers) {
          assert.deepEqual(container.securityContext, {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ['ALL'] },
          });
          assert.ok(container.livenessProbe && container.readinessProbe);
        }
        assert.ok(selectedBy(objects, 'Service', metadata.labels), 'a Service leads to it');
        assert.ok(selectedBy(objects, 'PodDisruptionBudget', metadata.labels), 'drains spare it');
        assert.ok(selectedBy(objects, 'NetworkPolicy', metadata.labels), 'a policy says who may come in');
      }
    });

    test(`${overlay}: its settings are understood`, async () => {
      const maps = render(overlay).filter(({ kind }) => kind === 'ConfigMap');
      assert.ok(maps.length > 0);
      for (const map of maps) {
        const { folder, files } = unpacked(map);
        for (const file of files) {
          if (file === 'sluice.yaml') {
            await loadConfig({ file: join(folder, file) });
          } else {
            const node = file.replace('.yaml', '');
            const agent = await loadAgentConfig(join(folder, file), {
              node,
              address: `${node}.sluice-nodes`,
            });
            assert.equal(agent.node, node);
            assert.ok(agent.labelPod);
          }
        }
      }
    });
  }

  test('cluster: Services lead to a role, and agents may label the pods of their StatefulSet, no others', () => {
    const objects = render('cluster');
    const named = (kind: string, name: string) =>
      objects.find((one) => one.kind === kind && one.metadata.name === name) as unknown as {
        readonly spec: { readonly selector: Record<string, string>; readonly replicas: number };
        readonly rules: readonly { readonly resources: string[]; readonly resourceNames?: string[] }[];
      };
    const role = (name: string) => named('Service', name).spec.selector[ROLE_LABEL];
    assert.deepEqual(['main-rw', 'main-ro', 'main-r'].map(role), ['primary', 'replica', undefined]);
    const { replicas } = named('StatefulSet', 'main').spec;
    const pods = Array.from({ length: replicas }, (_, index) => `main-${index}`);
    const rule = named('Role', 'sluice-node').rules.find(({ resources }) => resources.includes('pods'));
    assert.deepEqual(rule, {
      apiGroups: [''],
      resources: ['pods'],
      resourceNames: pods,
      verbs: ['patch'],
    });
  });
});

function selectedBy(
  objects: readonly KubernetesObject[],
  kind: string,
  labels: Record<string, string>,
): boolean {
  return objects.some((object) => {
    if (object.kind !== kind) return false;
    const { selector, podSelector } = object.spec as Record<string, Record<string, Record<string, string>>>;
    const wanted = podSelector?.matchLabels ?? selector?.matchLabels ?? selector ?? {};
    return Object.entries(wanted).every(([label, value]) => labels[label] === (value as unknown));
  });
}
