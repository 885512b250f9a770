/**
 * Builds the kustomizations of deploy/kubernetes, so that `sluice kubernetes render` needs neither kubectl nor a second copy of them.
 * Not kustomize: the fields that ours have, and an error for every other one. A test compares the two.
 */
import { readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import * as z from 'zod';
import { applyPatch, JSON_PATCH } from './json-patch.js';
import type { KubernetesObject } from './kubernetes-object.js';
import { addLabels, contentHash, rename, setImage, setNamespace } from './transformers.js';

const KUSTOMIZATION = z.strictObject({
  apiVersion: z.enum(['kustomize.config.k8s.io/v1beta1', 'kustomize.config.k8s.io/v1alpha1']),
  kind: z.enum(['Kustomization', 'Component']),
  resources: z.array(z.string()).default([]),
  components: z.array(z.string()).default([]),
  configMapGenerator: z.array(z.strictObject({ name: z.string(), files: z.array(z.string()) })).default([]),
  patches: z
    .array(
      z.strictObject({ target: z.strictObject({ kind: z.string(), name: z.string() }), patch: z.string() }),
    )
    .default([]),
  namespace: z.string().optional(),
  nameSuffix: z.string().default(''),
  labels: z
    .array(
      z.strictObject({
        pairs: z.record(z.string(), z.string()),
        includeSelectors: z.boolean().default(false),
      }),
    )
    .default([]),
  replicas: z.array(z.strictObject({ name: z.string(), count: z.number().int() })).default([]),
  images: z
    .array(
      z.strictObject({ name: z.string(), newName: z.string().optional(), newTag: z.string().optional() }),
    )
    .default([]),
});
type Kustomization = z.infer<typeof KUSTOMIZATION>;

/** What is built beside what the files say. */
export interface Additions {
  /** Folders of components for a kustomization, by its folder. */
  readonly components?: ReadonlyMap<string, readonly string[]>;
  /** Changes the objects before generated names get their final form. */
  readonly change?: (objects: KubernetesObject[]) => void;
}

/** Kinds that others need come first. */
const ORDER = ['Namespace', 'ServiceAccount', 'Role', 'RoleBinding', 'ConfigMap', 'Secret', 'Service'];

/** All objects of the kustomization in a folder. Throws where it has something that isn't known here. */
export function buildManifests(folder: string, { components, change }: Additions = {}): KubernetesObject[] {
  const generated = new Set<KubernetesObject>();
  const objects: KubernetesObject[] = [];
  accumulate(resolve(folder), objects, generated, components ?? new Map());
  change?.(objects);
  rename(objects, (object) =>
    generated.has(object) ? `${object.metadata.name}-${contentHash(object)}` : object.metadata.name,
  );
  const rank = ({ kind }: KubernetesObject) => (ORDER.indexOf(kind) + ORDER.length + 1) % (ORDER.length + 1);
  return objects.sort((a, b) => rank(a) - rank(b));
}

/** Adds what a folder has to `objects`; of a component, what it does is done to those that are there already. */
function accumulate(
  folder: string,
  objects: KubernetesObject[],
  generated: Set<KubernetesObject>,
  added: ReadonlyMap<string, readonly string[]>,
): void {
  const file = join(folder, 'kustomization.yaml');
  const parsed = KUSTOMIZATION.safeParse(parse(readFileSync(file, 'utf8')));
  if (!parsed.success) throw new Error(`${file}: ${z.prettifyError(parsed.error)}`);
  const kustomization = parsed.data;
  const own: KubernetesObject[] = kustomization.kind === 'Component' ? objects : [];
  for (const resource of kustomization.resources) {
    const path = join(folder, resource);
    if (resource.endsWith('.yaml')) own.push(...readObjects(path));
    else accumulate(path, own, generated, added);
  }
  for (const component of kustomization.components)
    accumulate(join(folder, component), own, generated, added);
  for (const component of added.get(folder) ?? []) accumulate(component, own, generated, added);
  for (const { name, files } of kustomization.configMapGenerator) {
    const data = Object.fromEntries(
      files.map((path) => [basename(path), readFileSync(join(folder, path), 'utf8')]),
    );
    const map: KubernetesObject = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data };
    generated.add(map);
    own.push(map);
  }
  transform(own, kustomization);
  if (own !== objects) objects.push(...own);
}

function transform(objects: readonly KubernetesObject[], kustomization: Kustomization): void {
  const { patches, namespace, nameSuffix, labels, replicas, images } = kustomization;
  for (const { target, patch } of patches) {
    for (const object of objects) {
      const isMeant = object.kind === target.kind && object.metadata.name === target.name;
      if (isMeant) applyPatch(object, JSON_PATCH.parse(parse(patch)));
    }
  }
  for (const { name, count } of replicas) {
    for (const { kind, metadata, spec } of objects) {
      const isMeant = (kind === 'Deployment' || kind === 'StatefulSet') && metadata.name === name;
      if (isMeant) (spec as { replicas: number }).replicas = count;
    }
  }
  if (namespace !== undefined) setNamespace(objects, namespace);
  if (nameSuffix !== '') rename(objects, ({ metadata }) => `${metadata.name}${nameSuffix}`);
  for (const { pairs, includeSelectors } of labels) addLabels(objects, pairs, includeSelectors);
  for (const { name, newName, newTag } of images) {
    setImage(objects, name, (image) => `${newName ?? name}:${newTag ?? image.split(':')[1]}`);
  }
}

function readObjects(file: string): KubernetesObject[] {
  return parseAllDocuments(readFileSync(file, 'utf8')).map((document) => document.toJS() as KubernetesObject);
}
