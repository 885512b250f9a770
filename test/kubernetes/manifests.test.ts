/** What lies in deploy/kubernetes: built, checked against the API's types and others' schemas, and its settings by our own loaders. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadAgentConfig } from '../../src/config/agent-config.js';
import { loadConfig } from '../../src/config/load.js';
import { loadManifestValues } from '../../src/config/manifest-values.js';
import type { KubernetesObject } from '../../src/control/manifests/kubernetes-object.js';
import { buildManifests } from '../../src/control/manifests/kustomization.js';
import { renderManifests } from '../../src/control/manifests/render.js';
import { ROLE_LABEL } from '../../src/stores/kubernetes/cluster-leases.js';
import { scratchFolder } from '../harness/scratch.js';
import { isCustom, schemaErrors } from './crd-schemas.js';
import { FULL_VALUES } from './full-values.js';
import { typeErrors } from './object-types.js';

const OVERLAYS = ['minimal', 'gateway', 'two-tier', 'cluster'];
const FOLDER = fileURLToPath(new URL('../../../deploy/kubernetes/', import.meta.url));
const COMPONENTS = readdirSync(join(FOLDER, 'components'));

interface PodSpec {
  readonly securityContext: { readonly runAsNonRoot?: boolean; readonly seccompProfile?: { type: string } };
  readonly terminationGracePeriodSeconds: number;
  readonly volumes: readonly { readonly configMap?: { readonly name: string } }[];
  readonly containers: readonly {
    readonly args: readonly string[];
    readonly securityContext: object;
    readonly livenessProbe: object;
    readonly readinessProbe: object;
  }[];
}

interface Template {
  readonly metadata: { readonly labels: Record<string, string> };
  readonly spec: PodSpec;
}

const rendered = new Map<string, readonly KubernetesObject[]>();

function render(overlay: string): readonly KubernetesObject[] {
  const known = rendered.get(overlay) ?? buildManifests(join(FOLDER, 'overlays', overlay));
  rendered.set(overlay, known);
  return known;
}

/** The cluster with everything that can be added to it. */
function renderAll(): readonly KubernetesObject[] {
  const folder = join(FOLDER, 'overlays/cluster');
  const components = COMPONENTS.map((name) => join(FOLDER, 'components', name));
  return buildManifests(folder, { components: new Map([[folder, components]]) });
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
  for (const name of ['http-token', 'superuser-password', 'replication-password', 'auth-password']) {
    writeFileSync(join(root, 'secrets', name), 'sixteen characters and more');
  }
  const files = Object.entries(map.data as Record<string, string>);
  for (const [name, text] of files) writeFileSync(join(root, 'config', name), text);
  return { folder: join(root, 'config'), files: files.map(([name]) => name) };
}

describe('manifests', () => {
  test('what every overlay renders is what the API of Kubernetes takes, and what it does not take is found', async () => {
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'x' } };
    const unknownField = { ...service, spec: { port: [] } };
    const wrongType = { ...service, spec: { ports: [{ port: '5432' }] } };
    const rendered = await Promise.all(
      Object.entries(FULL_VALUES).map(async ([form, text]) => {
        const file = join(scratchFolder('values'), `${form}.yaml`);
        writeFileSync(file, text);
        return renderManifests(await loadManifestValues(file));
      }),
    );
    const all = [...OVERLAYS.flatMap(render), ...renderAll(), ...rendered.flat()];
    assert.deepEqual(all.filter(isCustom).flatMap(schemaErrors), []);
    const own = all.filter((object) => !isCustom(object));
    const errors = typeErrors([...own, unknownField, wrongType]);
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
        for (const kind of ['Service', 'PodDisruptionBudget', 'NetworkPolicy'])
          assert.ok(selectedBy(objects, kind, metadata.labels), `${kind} of ${metadata.labels}`);
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

  test('cluster: gateways and nodes come to nodes, and what is labelled for it; others do not', () => {
    const objects = render('cluster');
    const policy = objects.find(
      ({ kind, metadata }) => kind === 'NetworkPolicy' && metadata.name === 'sluice-node',
    );
    const { ingress } = policy!.spec as { ingress: { from?: { podSelector: Selector }[] }[] };
    const mayCome = (labels: Record<string, string>) =>
      ingress[0]?.from?.some(({ podSelector }) => matches(podSelector, labels));
    for (const { metadata } of templates(objects)) {
      assert.equal(mayCome(metadata.labels), true, JSON.stringify(metadata.labels));
      const policies = objects.filter(
        (one) => one.kind === 'NetworkPolicy' && matches(selectorOf(one), metadata.labels),
      );
      assert.equal(policies.length, 1, 'a policy for one kind of pods holds for no other');
    }
    assert.equal(mayCome({ app: 'shop' }), false);
    assert.equal(mayCome({ app: 'backup', 'sluice/direct': 'true' }), true);
  });

  test('components add to every form that they are for', () => {
    const deployment = renderAll().find(({ kind }) => kind === 'Deployment');
    const { replicas, template } = deployment!.spec as { replicas?: number; template: { spec: PodSpec } };
    assert.equal(replicas, undefined, 'the autoscaler decides it');
    assert.match(template.spec.containers[0]?.args.join(' ') ?? '', /--set=client_tls_cert_file/);
    const kinds = new Set(renderAll().map(({ kind }) => kind));
    for (const kind of ['PodMonitor', 'PrometheusRule', 'HorizontalPodAutoscaler', 'Certificate'])
      assert.ok(kinds.has(kind), kind);
  });

  test('alerts look at metrics that there are', () => {
    const text = JSON.stringify(renderAll().filter(({ kind }) => kind === 'PrometheusRule'));
    const gateways = readFileSync(join(FOLDER, '../../docs/operating.md'), 'utf8');
    const agents = readFileSync(join(FOLDER, '../../src/agent/http/agent-metrics.ts'), 'utf8');
    const names = new Set(text.match(/sluice_[a-z_]+/g));
    assert.ok(names.size > 10);
    for (const name of names) {
      const own = name.replace('sluice_agent_', '');
      assert.ok(own === name ? gateways.includes(`\`${name}\``) : agents.includes(`gauge('${own}'`), name);
    }
  });

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
  return objects.some((object) => object.kind === kind && matches(selectorOf(object), labels));
}

interface Selector {
  readonly matchLabels?: Record<string, string>;
  readonly matchExpressions?: readonly { readonly key: string; readonly values: readonly string[] }[];
}

function selectorOf({ kind, spec }: KubernetesObject): Selector {
  const { selector, podSelector } = spec as Record<string, Selector & Record<string, string>>;
  return kind === 'Service' ? { matchLabels: selector } : (podSelector ?? selector ?? {});
}

/** A selector that says nothing would be everybody, or nobody: ours say something. */
function matches({ matchLabels = {}, matchExpressions = [] }: Selector, labels: Record<string, string>) {
  const wanted = Object.entries(matchLabels);
  assert.ok(wanted.length + matchExpressions.length > 0, 'an empty selector');
  return (
    wanted.every(([label, value]) => labels[label] === value) &&
    matchExpressions.every(({ key, values }) => values.includes(labels[key] ?? ''))
  );
}
