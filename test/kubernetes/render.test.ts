/** `sluice kubernetes render`: what values make of the overlays. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';
import { loadManifestValues, manifestValuesJsonSchema } from '../../src/config/manifest-values.js';
import { ConfigError } from '../../src/config/problem.js';
import {
  type Fields,
  type KubernetesObject,
  objectNamed,
} from '../../src/control/manifests/kubernetes-object.js';
import { buildManifests } from '../../src/control/manifests/kustomization.js';
import { renderManifests } from '../../src/control/manifests/render.js';
import { setNamespace } from '../../src/control/manifests/transformers.js';
import { run } from '../harness/command.js';
import { scratchFolder } from '../harness/scratch.js';
import { FULL_VALUES } from './full-values.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const OVERLAYS = fileURLToPath(new URL('../../../deploy/kubernetes/overlays/', import.meta.url));
const folder = scratchFolder('render');

function valuesFile(text: string): string {
  const file = join(folder, `values-${readdirSync(folder).length}.yaml`);
  writeFileSync(file, text);
  return file;
}

async function render(text: string): Promise<KubernetesObject[]> {
  return renderManifests(await loadManifestValues(valuesFile(text)));
}

/** Without how files are written, and the names that follow from that. */
function normal(objects: readonly KubernetesObject[]): unknown {
  const text = JSON.stringify(objects, (key, value) =>
    key === 'data'
      ? Object.fromEntries(Object.entries(value).map(([file, its]) => [file, parse(its as string)]))
      : value,
  );
  return JSON.parse(text.replace(/(sluice-(?:config|agent)(?:-pool|-route)?)-[a-z0-9]{10}/g, '$1'));
}

describe('render', () => {
  for (const [form, databases] of [
    ['minimal', '{ "*": { host: db.example.org, port: 5432 } }'],
    ['gateway', '{ "*": { nodes: "db1.example.org:5432,db2.example.org:5432" } }'],
    ['two-tier', '{ "*": { nodes: "db1.example.org:5432,db2.example.org:5432" } }'],
    ['cluster', '{ "*": { cluster: main } }'],
  ] as const) {
    test(`${form}: values that say nothing else are the overlay`, async () => {
      const overlay = buildManifests(join(OVERLAYS, form), {
        change: (objects) => {
          setNamespace(objects, 'default');
          const front = objectNamed(objects, 'Service', form === 'two-tier' ? 'sluice-pool' : 'sluice');
          (front.spec as Fields).type = 'ClusterIP';
        },
      });
      assert.deepEqual(normal(await render(`form: ${form}\ndatabases: ${databases}\n`)), normal(overlay));
    });
  }

  test('every value arrives', async () => {
    const objects = await render(FULL_VALUES.cluster);
    const spec = (kind: string, name: string) => objectNamed(objects, kind, name).spec as never;
    const gateway = spec('Deployment', 'sluice-gateway') as {
      replicas?: number;
      template: {
        spec: { terminationGracePeriodSeconds: number; imagePullSecrets: object; containers: Fields[] };
      };
    };
    assert.equal(gateway.replicas, undefined);
    assert.equal(gateway.template.spec.terminationGracePeriodSeconds, 5 + 90 + 25);
    assert.deepEqual(gateway.template.spec.imagePullSecrets, [{ name: 'registry' }]);
    assert.equal(
      gateway.template.spec.containers[0]?.image,
      'registry.example.org:5000/sluice-gateway:0.2.0',
    );
    assert.deepEqual(gateway.template.spec.containers[0]?.resources, {
      requests: { cpu: '1', memory: '1Gi' },
      limits: { memory: '1Gi' },
    });
    assert.equal((spec('Service', 'sluice') as Fields).type, 'LoadBalancer');
    const certificate = spec('Certificate', 'sluice-gateway') as Fields;
    assert.deepEqual(certificate.dnsNames, ['sluice', 'sluice.db', 'sluice.db.svc', 'db.example.org']);
    const nodes = spec('StatefulSet', 'main') as {
      replicas: number;
      volumeClaimTemplates: { spec: Fields }[];
    };
    assert.equal(nodes.replicas, 5);
    assert.equal(nodes.volumeClaimTemplates[0]?.spec.storageClassName, 'fast');
    const role = objectNamed(objects, 'Role', 'sluice-node') as unknown as {
      rules: { resourceNames?: string[] }[];
    };
    assert.equal(role.rules.find(({ resourceNames }) => resourceNames)?.resourceNames?.length, 5);
    const agents = objects.find(({ metadata }) => metadata.name.startsWith('sluice-agent'))?.data as Record<
      string,
      string
    >;
    const files = Object.values(agents).map((text) => parse(text) as { quorum: number; postgresql: Fields });
    assert.deepEqual(
      files.map(({ quorum }) => quorum),
      [2, 2, 2, 2, 2],
    );
    assert.deepEqual(
      files.map(({ postgresql }) => postgresql.bootstrap),
      ['initdb', 'never', 'never', 'never', 'never'],
    );
    assert.deepEqual(files[4]?.postgresql.settings, { max_connections: 300 });
    assert.ok(objects.every(({ metadata }) => metadata.namespace === 'db'));
  });

  test('of two tiers, the first has what is for clients, and the second knows the databases', async () => {
    const objects = await render(FULL_VALUES['two-tier']);
    const config = (tier: string) =>
      parse(
        (
          objects.find(({ metadata }) => metadata.name.startsWith(`sluice-config-${tier}`))!.data as Record<
            string,
            string
          >
        )['sluice.yaml']!,
      ) as Fields;
    assert.deepEqual(config('pool').databases, { '*': { host: 'sluice-route', port: 5432 } });
    assert.deepEqual(config('route').databases, { '*': { nodes: 'a:5432,b:5432' } });
    const named = objects.filter(({ kind }) => kind === 'Certificate' || kind === 'HorizontalPodAutoscaler');
    assert.deepEqual(
      named.map(({ metadata }) => metadata.name),
      ['sluice-gateway-pool', 'sluice-gateway-pool'],
    );
    const scaled = objectNamed(objects, 'HorizontalPodAutoscaler', 'sluice-gateway-pool').spec as {
      scaleTargetRef: Fields;
    };
    assert.equal(scaled.scaleTargetRef.name, 'sluice-gateway-pool');
  });

  test('who finds nodes by the labels of pods may look at pods, and nobody else', async () => {
    const from = '{ "*": { nodes_from: { kubernetes: { selector: "cnpg.io/cluster=main" } } } }';
    const short = '{ "*": { nodes_from: "kubernetes:cnpg.io/cluster=main" } }';
    const url = '{ app: "postgres:///app?nodes_from=kubernetes:cnpg.io%2Fcluster%3Dmain" }';
    for (const [form, name, databases] of [
      ['gateway', 'sluice-gateway', from],
      ['gateway', 'sluice-gateway', short],
      ['gateway', 'sluice-gateway', url],
      ['two-tier', 'sluice-gateway-route', from],
    ] as const) {
      const objects = await render(`form: ${form}\ndatabases: ${databases}`);
      const bindings = objects.filter(({ kind }) => kind === 'RoleBinding');
      assert.deepEqual(
        bindings.map(({ subjects }) => (subjects as Fields[]).map((subject) => subject.name)),
        [[name]],
      );
      const { template } = objectNamed(objects, 'Deployment', name).spec as { template: { spec: Fields } };
      assert.equal(template.spec.automountServiceAccountToken, true);
    }
    const named = await render('form: gateway\ndatabases: { "*": { nodes: "db1:5432,db2:5432" } }');
    assert.ok(!named.some(({ kind }) => kind === 'RoleBinding'));
  });

  test('a value that can not be is named, with its line and what would do', async () => {
    for (const [text, expected] of [
      ['form: gatway', /:1:1: form: found "gatway", expected one of minimal/],
      ['form: gateway', /databases: where are they\? With gateway, write databases: \{ "\*": \{ nodes/],
      [
        'form: gateway\ncluster: { nodes: 2 }\ndatabases: {}',
        /:2:1: cluster: has a meaning with form: cluster alone/,
      ],
      [
        'form: cluster\ncluster: { quorum: 3 }',
        /:2:12: cluster\.quorum: 3 standbys .* nothing could be committed/,
      ],
      [
        'form: cluster\ngateway: { replica: 2 }',
        /gateway\.replica: no such setting; did you mean replicas\?/,
      ],
      [
        'form: cluster\ngateway: { settings: { pool_mod: session } }',
        /:2:24: pool_mod: no such setting; did you mean pool_mode\?/,
      ],
      ['form: cluster\nautoscaling: { min: 5, max: 2 }', /:2:16: autoscaling\.min: more than max, 2/],
      ['form: cluster\ncluster: { storage: big }', /cluster\.storage: found "big", expected an amount/],
    ] as const) {
      await assert.rejects(render(text), (error) => {
        assert.ok(error instanceof ConfigError, String(error));
        assert.match(error.message, expected);
        return true;
      });
    }
  });

  test('docs/kubernetes.md explains every value', () => {
    const page = readFileSync(join(OVERLAYS, '../../../docs/kubernetes.md'), 'utf8');
    const names = (schema: Fields, above = ''): string[] =>
      Object.entries((schema.properties ?? {}) as Record<string, Fields>).flatMap(([name, inner]) =>
        inner.properties === undefined || name === 'resources'
          ? [above + name]
          : names(inner, `${above}${name}.`),
      );
    for (const name of names(manifestValuesJsonSchema())) {
      const [section = '', own] = name.split('.');
      const isThere =
        page.includes(`\`${name}\``) || (page.includes(`| \`${section}\``) && page.includes(`\`${own}\``));
      assert.ok(isThere, name);
    }
  });

  test('is a command: prints, writes files, explains', async () => {
    const sluice = (...args: string[]) => run(process.execPath, [MAIN, 'kubernetes', 'render', ...args]);
    const file = valuesFile('form: cluster\n');
    const printed = await sluice(file);
    assert.equal(printed.code, 0, printed.stderr);
    const documents = parseAllDocuments(printed.stdout);
    const target = join(folder, 'out', 'manifests');
    const written = await sluice(file, '--output', target);
    assert.equal(written.stdout, `${documents.length} files in ${target}\n`);
    assert.ok(readdirSync(target).includes('statefulset-main.yaml'));
    const again = await sluice(file, '--output', target);
    assert.equal(again.code, 2);
    assert.match(again.stderr, /is not empty/);
    const schema = JSON.parse((await sluice('--schema')).stdout) as {
      properties: object;
      required: string[];
    };
    assert.deepEqual(schema.required, ['form']);
    assert.equal((await sluice()).code, 2);
    mkdirSync(join(folder, 'x'));
    assert.equal((await sluice(join(folder, 'x'))).code, 1);
  });
});
