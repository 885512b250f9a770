/** `sluice kubernetes render`: the overlays of deploy/kubernetes, changed to what values say. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseDocument, stringify } from 'yaml';
import { checkTree } from '../../config/check.js';
import type { ManifestValues } from '../../config/manifest-values.js';
import { OriginMap } from '../../config/origin-map.js';
import { databases as databaseSchema } from '../../config/schema/database.js';
import { atEach, type Fields, type KubernetesObject, objectNamed } from './kubernetes-object.js';
import { buildManifests } from './kustomization.js';
import { setImage, setNamespace } from './transformers.js';

const FOLDER = fileURLToPath(new URL('../../../../deploy/kubernetes/', import.meta.url));
/** What is between the end of a drain and SIGKILL. s. */
const GRACE_MARGIN_S = 25;
const GRACE_MIN_S = 60;
/** The agents' file of a node that doesn't begin the cluster: the others are like it. */
const STANDBY_FILE = 'main-1.yaml';

/** A tier of gateways: of most forms there is one. */
interface Tier {
  readonly suffix: string;
  readonly folder: string;
  /** Applications come to it. */
  readonly isFirst: boolean;
  /** It knows the databases. */
  readonly isLast: boolean;
}

/** Whether what is rendered was installed along: an image has no use for it. */
export function manifestsAreThere(): boolean {
  return existsSync(join(FOLDER, 'overlays'));
}

/** All objects, ready to be applied. Values must have been checked. */
export function renderManifests(values: ManifestValues): KubernetesObject[] {
  const overlay = join(FOLDER, 'overlays', values.form);
  const tiers = tiersOf(values, overlay);
  const components = new Map([[overlay, monitoringOf(values)]]);
  for (const { folder, isFirst, isLast } of tiers) {
    const own = [...(isFirst ? frontOf(values) : []), ...(isLast ? discoveryOf(values) : [])];
    components.set(folder, [...(components.get(folder) ?? []), ...own]);
  }
  return buildManifests(overlay, {
    components,
    change: (objects) => {
      for (const tier of tiers) changeTier(objects, tier, values);
      if (values.form === 'cluster') changeNodes(objects, values);
      changePods(objects, values);
      setNamespace(objects, values.namespace);
    },
  });
}

/** As one text for `kubectl apply -f -`. Its parser is one of YAML 1.1, where `yes` and `0440` mean something else. */
export function manifestsText(objects: readonly KubernetesObject[]): string {
  return objects
    .map((object) => stringify(object, { compat: 'yaml-1.1', lineWidth: 0, aliasDuplicateObjects: false }))
    .join('---\n');
}

function tiersOf({ form }: ManifestValues, overlay: string): Tier[] {
  if (form !== 'two-tier') return [{ suffix: '', folder: overlay, isFirst: true, isLast: true }];
  return [
    { suffix: '-pool', folder: join(overlay, 'pool'), isFirst: true, isLast: false },
    { suffix: '-route', folder: join(overlay, 'route'), isFirst: false, isLast: true },
  ];
}

function component(name: string): string {
  return join(FOLDER, 'components', name);
}

function monitoringOf({ monitoring, form }: ManifestValues): string[] {
  if (!monitoring) return [];
  return [component('monitoring'), ...(form === 'cluster' ? [component('monitoring-nodes')] : [])];
}

function frontOf({ autoscaling, certificates }: ManifestValues): string[] {
  return [
    ...(autoscaling === undefined ? [] : [component('autoscaling')]),
    ...(certificates === undefined ? [] : [component('certificates')]),
  ];
}

/** The right to look at pods, where nodes are found by their labels. */
function discoveryOf({ databases = {} }: ManifestValues): string[] {
  const read = databaseSchema.safeParse(databases);
  const looksAtPods =
    read.success &&
    Object.values(read.data).some((database) => database.nodes_from?.kubernetes !== undefined);
  return looksAtPods ? [component('discovery')] : [];
}

function changeTier(objects: readonly KubernetesObject[], tier: Tier, values: ManifestValues): void {
  const { gateway, databases, autoscaling } = values;
  const name = `sluice-gateway${tier.suffix}`;
  const settings = { ...gateway.settings, ...(tier.isLast && databases !== undefined && { databases }) };
  const graceS = changeFile(objectNamed(objects, 'ConfigMap', `sluice-config${tier.suffix}`), settings);
  const deployment = objectNamed(objects, 'Deployment', name);
  const spec = deployment.spec as Fields;
  const isScaled = tier.isFirst && autoscaling !== undefined;
  if (gateway.replicas !== undefined && !isScaled) spec.replicas = gateway.replicas;
  atEach(deployment, 'spec.template.spec.terminationGracePeriodSeconds', true, (parent, key) => {
    parent[key] = graceS;
  });
  setResources(deployment, gateway.resources);
  if (!tier.isFirst) return;
  const service = objectNamed(objects, 'Service', `sluice${tier.suffix}`);
  (service.spec as Fields).type = gateway.service;
  const { service_annotations: annotations } = gateway;
  if (Object.keys(annotations).length > 0) service.metadata.annotations = annotations;
  changeAutoscaler(objects, name, values);
  changeCertificate(objects, name, service.metadata.name, values);
}

/** Settings of a `sluice.yaml`, whose comments stay. Returns how long its pods may take to end. s. */
function changeFile(map: KubernetesObject, settings: Fields): number {
  const data = map.data as Record<string, string>;
  const document = parseDocument(data['sluice.yaml'] ?? '');
  for (const [name, value] of Object.entries(settings)) document.set(name, document.createNode(value));
  data['sluice.yaml'] = document.toString({ lineWidth: 0 });
  const { drain_delay, drain_timeout } = checkTree(document.toJS() as Fields, new OriginMap());
  return Math.max(GRACE_MIN_S, Math.ceil((drain_delay + drain_timeout) / 1000) + GRACE_MARGIN_S);
}

function changeAutoscaler(
  objects: readonly KubernetesObject[],
  name: string,
  { autoscaling }: ManifestValues,
): void {
  if (autoscaling === undefined) return;
  const { spec } = objectNamed(objects, 'HorizontalPodAutoscaler', name) as unknown as {
    spec: Fields & { metrics: { pods: { target: Fields } }[] };
  };
  spec.minReplicas = autoscaling.min;
  spec.maxReplicas = autoscaling.max;
  spec.metrics[0]!.pods.target.averageValue = String(autoscaling.clients);
}

function changeCertificate(
  objects: readonly KubernetesObject[],
  name: string,
  service: string,
  { certificates, namespace }: ManifestValues,
): void {
  if (certificates === undefined) return;
  const spec = objectNamed(objects, 'Certificate', name).spec as Fields;
  spec.issuerRef = { kind: certificates.issuer_kind, name: certificates.issuer };
  const inside = [service, `${service}.${namespace}`, `${service}.${namespace}.svc`];
  spec.dnsNames = [...inside, ...certificates.names];
}

function changeNodes(objects: readonly KubernetesObject[], { cluster }: ManifestValues): void {
  const pods = Array.from({ length: cluster.nodes }, (_, index) => `main-${index}`);
  const set = objectNamed(objects, 'StatefulSet', 'main');
  const spec = set.spec as { replicas: number; volumeClaimTemplates: { spec: Fields }[] };
  spec.replicas = cluster.nodes;
  const claim = spec.volumeClaimTemplates[0]!.spec;
  claim.resources = { requests: { storage: cluster.storage } };
  if (cluster.storage_class !== undefined) claim.storageClassName = cluster.storage_class;
  setResources(set, cluster.resources);
  const { rules } = objectNamed(objects, 'Role', 'sluice-node') as unknown as { rules: Fields[] };
  for (const rule of rules) if (rule.resourceNames !== undefined) rule.resourceNames = pods;
  const map = objectNamed(objects, 'ConfigMap', 'sluice-agent');
  const files = map.data as Record<string, string>;
  map.data = Object.fromEntries(
    pods.map((pod) => [`${pod}.yaml`, agentFile(files[`${pod}.yaml`] ?? files[STANDBY_FILE]!, cluster)]),
  );
}

function agentFile(text: string, { durability, quorum, postgresql }: ManifestValues['cluster']): string {
  const document = parseDocument(text);
  document.set('durability', durability);
  document.set('quorum', quorum);
  for (const [name, value] of Object.entries(postgresql))
    document.setIn(['postgresql', 'settings', name], value);
  return document.toString({ lineWidth: 0 });
}

function setResources(
  workload: KubernetesObject,
  wanted: { cpu?: string | undefined; memory?: string | undefined } = {},
): void {
  atEach(workload, 'spec.template.spec.containers[].resources', true, (container, key) => {
    const { requests, limits } = container[key] as { requests: Fields; limits: Fields };
    if (wanted.cpu !== undefined) requests.cpu = wanted.cpu;
    if (wanted.memory !== undefined) requests.memory = limits.memory = wanted.memory;
  });
}

function changePods(objects: readonly KubernetesObject[], values: ManifestValues): void {
  setImage(objects, 'sluice-gateway', () => values.image);
  setImage(objects, 'sluice-node', () => values.node_image);
  if (values.pull_secrets.length === 0) return;
  for (const object of objects) {
    atEach(object, 'spec.template.spec', false, (template, key) => {
      const pod = template[key] as Fields;
      if (pod.containers !== undefined) pod.imagePullSecrets = values.pull_secrets.map((name) => ({ name }));
    });
  }
}
