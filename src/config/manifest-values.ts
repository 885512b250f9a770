/** The values of `sluice kubernetes render`: what may be said of the manifests, checked. */
import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { checkAgainst, checkTree } from './check.js';
import type { OriginMap } from './origin-map.js';
import { ConfigError, type Problem } from './problem.js';
import { key } from './schema/entry.js';
import { Section } from './section.js';
import { explainUnreadable } from './unreadable.js';
import { booleanWord, name, oneOf, text, wholeNumber } from './value-types.js';
import { readYaml } from './yaml-source.js';

/** The overlays of deploy/kubernetes. */
export const FORMS = ['minimal', 'gateway', 'two-tier', 'cluster'] as const;

const NAMESPACE = 'a name of lower-case letters, digits and hyphens, like db';
const IMAGE = 'an image, like registry.example.org/sluice-gateway:0.1.0';
const IMAGE_PATTERN = /^[a-z0-9][a-z0-9._:/-]*(@sha256:[0-9a-f]{64})?$/i;
const QUANTITY = 'an amount, like 500m or 2Gi';
const QUANTITY_PATTERN = /^\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/;
const GATEWAYS_MAX = 200;
const NODES_MAX = 16;

const quantity = () => z.coerce.string().refine((value) => QUANTITY_PATTERN.test(value), { error: QUANTITY });
const image = (which: string, fallback: string) =>
  key(name(IMAGE).regex(IMAGE_PATTERN, { error: IMAGE }).prefault(fallback), 'image', which);
const mapping = (what: string) => z.record(z.string(), z.unknown(), { error: `a mapping like ${what}` });

const resourcesFields = z.strictObject(
  {
    cpu: key(
      quantity().optional(),
      'amount',
      'What a pod is promised. It is not limited: who is throttled answers late.',
    ),
    memory: key(quantity().optional(), 'amount', 'What a pod is promised, and may not exceed.'),
  },
  { error: 'a mapping like { cpu: 500m, memory: 512Mi }' },
);
const resources = (of: string) =>
  resourcesFields
    .optional()
    .meta({ description: `Processor and memory of ${of}. Without it: what the manifests have.` });

const gatewayFields = z.strictObject(
  {
    replicas: key(
      wholeNumber(1, GATEWAYS_MAX).optional(),
      'whole number',
      'How many gateways, in each tier. Without it: what the form has (one for `minimal`, else three). Has no meaning with `autoscaling`.',
    ),
    resources: resources('a gateway'),
    settings: mapping('{ default_pool_size: 40 }').prefault({}).meta({
      description: 'Settings of `sluice.yaml` ([configuration.md](configuration.md)), in each tier.',
    }),
    service: key(
      oneOf(['ClusterIP', 'LoadBalancer', 'NodePort'] as const).prefault('ClusterIP'),
      'one of ClusterIP, LoadBalancer, NodePort',
      'How applications come to the gateways.',
    ),
    service_annotations: z
      .record(z.string(), z.string(), { error: 'a mapping of texts' })
      .prefault({})
      .meta({ description: 'Annotations of that Service, as load balancers ask for.' }),
  },
  { error: 'a mapping like { replicas: 3 }' },
);

const clusterFields = z.strictObject(
  {
    nodes: key(wholeNumber(1, NODES_MAX).prefault(3), 'whole number', 'How many database nodes.'),
    durability: key(
      oneOf(['durable', 'available', 'asynchronous'] as const).prefault('durable'),
      'one of durable, available, asynchronous',
      'What an acknowledged commit is worth; see [availability.md](availability.md).',
    ),
    quorum: key(
      wholeNumber(1, NODES_MAX).prefault(1),
      'whole number',
      'How many standbys have an acknowledged commit.',
    ),
    storage: key(
      quantity().prefault('10Gi'),
      'amount',
      "The size of each node's volume. Kubernetes can't change it later.",
    ),
    storage_class: key(name('a storage class').optional(), 'text', "Without it: the cluster's default."),
    resources: resources('a node'),
    postgresql: mapping('{ max_connections: 200 }')
      .prefault({})
      .meta({ description: 'Settings of `postgresql.conf`.' }),
  },
  { error: 'a mapping like { nodes: 3, storage: 100Gi }' },
);

const autoscalingFields = z.strictObject(
  {
    min: key(wholeNumber(1, GATEWAYS_MAX).prefault(3), 'whole number', 'So many gateways are always there.'),
    max: key(wholeNumber(1, GATEWAYS_MAX).prefault(10), 'whole number', 'So many at most.'),
    clients: key(
      wholeNumber(1, 1_000_000).prefault(500),
      'whole number',
      'How many clients a gateway is meant to have (`sluice_clients` of custom.metrics.k8s.io).',
    ),
  },
  { error: 'a mapping like { min: 3, max: 10 }' },
);

const certificatesFields = z.strictObject(
  {
    issuer: key(name('the name of an issuer'), 'text', "cert-manager's issuer."),
    issuer_kind: key(
      oneOf(['Issuer', 'ClusterIssuer'] as const).prefault('Issuer'),
      'one of Issuer, ClusterIssuer',
      'Of this namespace, or of all.',
    ),
    names: key(
      z.array(text('a host name')).prefault([]),
      'list of texts',
      "Host names beside those of the gateways' Service, by which clients come.",
    ),
  },
  { error: 'a mapping like { issuer: my-authority }' },
);

/** The whole of a values file. Unknown keys are refused at every level. */
export const manifestValuesSchema = z
  .strictObject(
    {
      form: key(
        oneOf(FORMS),
        `one of ${FORMS.join(', ')}`,
        'What is rendered: one gateway that pools; gateways that pool and route; two tiers of them; gateways with database nodes.',
      ),
      namespace: key(
        name(NAMESPACE)
          .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, { error: NAMESPACE })
          .prefault('default'),
        'text',
        'Where everything is. One namespace holds one of these forms.',
      ),
      image: image("The gateways' image, with its tag or digest.", 'sluice-gateway:0.1.0'),
      node_image: image("The database nodes' image.", 'sluice-node:0.1.0'),
      pull_secrets: key(
        z.array(text('the name of a Secret')).prefault([]),
        'list of texts',
        'Secrets with which the images are pulled.',
      ),
      databases: mapping('{ "*": { nodes: "db1:5432,db2:5432" } }').optional().meta({
        description:
          'As in `sluice.yaml`. Needed, but for `cluster`, where it is all databases of the nodes. Of `two-tier`, those of the routing tier.',
      }),
      gateway: gatewayFields.prefault({}),
      cluster: clusterFields.prefault({}),
      monitoring: key(
        booleanWord().prefault(false),
        'boolean',
        "Prometheus Operator's objects: what is read, and when somebody is told.",
      ),
      autoscaling: autoscalingFields
        .optional()
        .meta({ description: 'As many gateways as clients need. Of `two-tier`, in the first tier.' }),
      certificates: certificatesFields
        .optional()
        .meta({ description: 'A certificate for clients, who must use TLS then.' }),
    },
    { error: 'a mapping of values, like form: cluster' },
  )
  .meta({ title: 'Values of sluice kubernetes render' });

/** Values, checked. */
export type ManifestValues = z.output<typeof manifestValuesSchema>;

/** For editors, and for who asks what there is. */
export function manifestValuesJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(manifestValuesSchema, { io: 'input', target: 'draft-2020-12' });
}

/**
 * Reads a values file.
 * @throws {ConfigError} with every problem that could be found
 */
export async function loadManifestValues(file: string): Promise<ManifestValues> {
  const source = await readFile(file, 'utf8').catch((error: unknown) => {
    const origin = { kind: 'file', file, line: 1, column: 1 } as const;
    throw new ConfigError([{ origin, key: '', message: explainUnreadable(error) }]);
  });
  const { values: tree, origins } = readYaml(source, file);
  const values = checkAgainst(manifestValuesSchema, tree, origins);
  const problems: Problem[] = [];
  checkTogether(values, new Section(origins, problems, []), tree);
  if (problems.length > 0) throw new ConfigError(problems);
  checkSettings(values, origins);
  return values;
}

function checkTogether(values: ManifestValues, section: Section, tree: Record<string, unknown>): void {
  const { form, databases, autoscaling, cluster } = values;
  if (databases === undefined && form !== 'cluster') {
    section.refuse(
      ['databases'],
      `where are they? With ${form}, write databases: { "*": { ${form === 'minimal' ? 'host: db.example.org' : 'nodes: "db1:5432,db2:5432"'} } }`,
    );
  }
  if (form !== 'cluster') {
    for (const key of ['cluster', 'node_image'])
      if (tree[key] !== undefined)
        section.refuse([key], `has a meaning with form: cluster alone, and this is ${form}`);
  }
  if (form === 'minimal' && autoscaling !== undefined)
    section.refuse(['autoscaling'], 'minimal is one gateway: take form: gateway');
  if (autoscaling !== undefined && autoscaling.min > autoscaling.max)
    section.refuse(['autoscaling', 'min'], `more than max, ${autoscaling.max}`);
  if (form === 'cluster' && cluster.durability !== 'asynchronous' && cluster.quorum >= cluster.nodes) {
    section.refuse(
      ['cluster', 'quorum'],
      `${cluster.quorum} standbys have each commit, and of ${cluster.nodes} nodes ${cluster.nodes - 1} can be standbys: nothing could be committed`,
    );
  }
}

/** Settings of gateways, as a gateway would check them. */
function checkSettings({ gateway, databases = {} }: ManifestValues, origins: OriginMap): void {
  for (const name of Object.keys(gateway.settings))
    origins.replace([name], origins.get(['gateway', 'settings', name]));
  checkTree({ databases, ...structuredClone(gateway.settings) }, origins);
}
