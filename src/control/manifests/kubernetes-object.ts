/** Objects of Kubernetes as YAML has them, and ways through their fields. */

/** A mapping. */
export type Fields = Record<string, unknown>;

/** Any object. */
export interface KubernetesObject extends Fields {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: Fields & { name: string; namespace?: string; labels?: Record<string, string> };
}

/**
 * Goes to every place that a path leads to and tells its mapping and last key. `spec.volumes[].configMap.name`: `[]` stands for
 * all elements.
 * @param create whether missing mappings are made on the way, and the last key may be missing
 */
export function atEach(
  root: Fields,
  path: string,
  create: boolean,
  act: (parent: Fields, key: string) => void,
): void {
  const [head = '', ...rest] = path.split('.');
  const key = head.replace('[]', '');
  if (rest.length === 0) {
    if (create || root[key] !== undefined) act(root, key);
    return;
  }
  if (root[key] === undefined && create && key === head) root[key] = {};
  const next = root[key];
  const places = Array.isArray(next) ? next : [next];
  for (const place of places) {
    if (typeof place === 'object' && place !== null) atEach(place as Fields, rest.join('.'), create, act);
  }
}

/** The one of this kind and name; throws when it is not there. */
export function objectNamed(
  objects: readonly KubernetesObject[],
  kind: string,
  name: string,
): KubernetesObject {
  const found = objects.find((one) => one.kind === kind && one.metadata.name === name);
  if (found === undefined) throw new Error(`there is no ${kind} ${name}`);
  return found;
}
