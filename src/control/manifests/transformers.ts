/** What a kustomization does to objects: labels, names and what refers to them, namespaces, images. As kustomize does it. */
import { createHash } from 'node:crypto';
import { atEach, type Fields, type KubernetesObject } from './kubernetes-object.js';

const AFFINITY = ['podAffinity', 'podAntiAffinity'].flatMap((kind) => [
  `spec.template.spec.affinity.${kind}.preferredDuringSchedulingIgnoredDuringExecution[].podAffinityTerm.labelSelector.matchLabels`,
  `spec.template.spec.affinity.${kind}.requiredDuringSchedulingIgnoredDuringExecution[].labelSelector.matchLabels`,
]);
const WORKLOAD_SELECTORS = [
  ...AFFINITY,
  'spec.template.spec.topologySpreadConstraints[].labelSelector.matchLabels',
];

/** Where labels go that count as selectors, by kind: places that are made, and places that are only added to. */
const SELECTORS: Readonly<
  Record<string, { readonly made: readonly string[]; readonly added: readonly string[] }>
> = {
  Service: { made: ['spec.selector'], added: [] },
  PodDisruptionBudget: { made: [], added: ['spec.selector.matchLabels'] },
  Deployment: {
    made: ['spec.selector.matchLabels', 'spec.template.metadata.labels'],
    added: WORKLOAD_SELECTORS,
  },
  StatefulSet: {
    made: [
      'spec.selector.matchLabels',
      'spec.template.metadata.labels',
      'spec.volumeClaimTemplates[].metadata.labels',
    ],
    added: WORKLOAD_SELECTORS,
  },
  NetworkPolicy: {
    made: [],
    added: [
      'spec.podSelector.matchLabels',
      'spec.ingress[].from[].podSelector.matchLabels',
      'spec.egress[].to[].podSelector.matchLabels',
    ],
  },
};

/** Where objects name others: the kind that refers, the field, the kind that is named. */
const REFERENCES: readonly (readonly [string, string, string])[] = [
  ...['Deployment', 'StatefulSet'].flatMap(
    (kind) =>
      [
        [kind, 'spec.template.spec.serviceAccountName', 'ServiceAccount'],
        [kind, 'spec.template.spec.volumes[].configMap.name', 'ConfigMap'],
        [kind, 'spec.template.spec.volumes[].secret.secretName', 'Secret'],
      ] as const,
  ),
  ['StatefulSet', 'spec.serviceName', 'Service'],
  ['RoleBinding', 'roleRef.name', 'Role'],
  ['RoleBinding', 'subjects[].name', 'ServiceAccount'],
  ['HorizontalPodAutoscaler', 'spec.scaleTargetRef.name', 'Deployment'],
];

/** Adds labels, to selectors too if they count as such. */
export function addLabels(
  objects: readonly KubernetesObject[],
  pairs: Record<string, string>,
  includeSelectors: boolean,
): void {
  const add = (parent: Fields, key: string) => {
    parent[key] = { ...(parent[key] as object | undefined), ...pairs };
  };
  for (const object of objects) {
    add(object.metadata, 'labels');
    const places = includeSelectors ? SELECTORS[object.kind] : undefined;
    for (const path of places?.made ?? []) atEach(object, path, true, add);
    for (const path of places?.added ?? []) atEach(object, path, false, add);
  }
}

/** Gives objects other names, and tells those that refer to them. */
export function rename(
  objects: readonly KubernetesObject[],
  newName: (object: KubernetesObject) => string,
): void {
  const names = new Map<string, string>();
  for (const object of objects) {
    const name = newName(object);
    names.set(`${object.kind} ${object.metadata.name}`, name);
    object.metadata.name = name;
  }
  for (const object of objects) {
    for (const [kind, path, named] of REFERENCES) {
      if (kind !== object.kind) continue;
      atEach(object, path, false, (parent, key) => {
        parent[key] = names.get(`${named} ${parent[key]}`) ?? parent[key];
      });
    }
  }
}

export function setNamespace(objects: readonly KubernetesObject[], namespace: string): void {
  for (const object of objects) {
    object.metadata.namespace = namespace;
    if (object.kind !== 'RoleBinding') continue;
    for (const subject of object.subjects as Fields[]) {
      if (subject.kind === 'ServiceAccount') subject.namespace = namespace;
    }
  }
}

/** Puts another image in the place of one that is named like this, whatever its tag. */
export function setImage(
  objects: readonly KubernetesObject[],
  name: string,
  change: (image: string) => string,
): void {
  for (const object of objects) {
    atEach(object, 'spec.template.spec.containers[].image', false, (parent, key) => {
      const image = String(parent[key]);
      if (image.replace(/[:@][^/]*$/, '') === name) parent[key] = change(image);
    });
  }
}

/**
 * Kustomize's suffix of generated ConfigMaps: another content is another object, so that pods with the old one are replaced, and
 * keep it until then.
 */
export function contentHash({ data }: KubernetesObject): string {
  const entries = Object.entries((data ?? {}) as Record<string, string>);
  const sorted = Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
  const text = JSON.stringify({ data: sorted, kind: 'ConfigMap', name: '' })
    .replaceAll('&', '\\u0026')
    .replaceAll('<', '\\u003c')
    .replaceAll('>', '\\u003e')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029');
  const digits = createHash('sha256').update(text).digest('hex').slice(0, 10);
  const letters: Readonly<Record<string, string>> = { '0': 'g', '1': 'h', '3': 'k', a: 'm', e: 't' };
  return [...digits].map((digit) => letters[digit] ?? digit).join('');
}
