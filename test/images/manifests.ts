/** What kustomize renders of the overlays, as far as pods go. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildManifests } from '../../src/control/manifests/kustomization.js';

const FOLDER = fileURLToPath(new URL('../../../deploy/kubernetes/overlays/', import.meta.url));

export interface Volume {
  readonly name: string;
  readonly configMap?: { readonly name: string };
  readonly secret?: { readonly secretName: string };
  readonly emptyDir?: { readonly medium?: string };
}

interface EnvironmentVariable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef?: { readonly fieldPath: string } };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly string[];
  readonly env?: readonly EnvironmentVariable[];
  readonly resources: object;
  readonly securityContext: object;
  readonly readinessProbe: { readonly periodSeconds: number };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

export interface PodSpec {
  readonly automountServiceAccountToken?: boolean;
  readonly terminationGracePeriodSeconds: number;
  readonly securityContext: { readonly runAsUser: number; readonly fsGroup: number };
  readonly containers: readonly [Container];
  readonly volumes: readonly Volume[];
}

interface RenderedObject {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: {
    readonly replicas?: number;
    readonly template?: { readonly spec: PodSpec };
    readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[];
  };
}

/** What makes pods: a Deployment or a StatefulSet. */
export interface Workload {
  readonly name: string;
  readonly replicas: number;
  readonly pod: PodSpec;
  /** Volumes that outlive a pod. */
  readonly claims: readonly string[];
  readonly configMaps: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

/** The workloads of an overlay, by name. @param change what is different in its configurations */
export function workloadsOf(
  overlay: string,
  change: (config: string) => string,
): ReadonlyMap<string, Workload> {
  const objects = buildManifests(join(FOLDER, overlay)) as unknown as RenderedObject[];
  const configMaps = new Map(
    objects
      .filter(({ kind }) => kind === 'ConfigMap')
      .map(({ metadata, data = {} }) => [metadata.name, mapValues(data, change)] as const),
  );
  const workloads = objects.flatMap(({ metadata: { name }, spec }): Workload[] => {
    if (spec?.template === undefined) return [];
    const claims = (spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata.name);
    return [{ name, replicas: spec.replicas ?? 1, pod: spec.template.spec, claims, configMaps }];
  });
  return new Map(workloads.map((workload) => [workload.name, workload]));
}

function mapValues(
  data: Readonly<Record<string, string>>,
  change: (text: string) => string,
): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(data).map(([key, text]) => [key, change(text)]));
}
