/**
 * What a kubelet makes of a pod before a runtime gets it: its volumes as folders, its environment, the names that it can
 * look up, the token of its service account. Podman's `kube play` lacks some of these (fsGroup, the downward API, names),
 * and would publish ports; probes are asked by the double of a Service.
 */
import { chmodSync, chownSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Container, Volume, Workload } from '../manifests.js';
import type { Pod } from '../podman.js';

/** As whom a pod speaks to the API server, and where that is. */
export interface Account {
  readonly address: string;
  readonly port: number;
  readonly token: string;
  readonly ca: string;
}

/** What a cluster of pods has in common. */
export interface Surroundings {
  /** For what pods mount; reachable for their user. */
  readonly folder: string;
  readonly namespace: string;
  readonly account: Account;
  /** By Secret and file. */
  readonly secrets: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Addresses by name. */
  readonly hosts: ReadonlyMap<string, string>;
}

/** The folder of a pod's claim, which the next pod of that name has, too. */
export function claimPath({ folder }: Surroundings, pod: string, claim: string): string {
  return join(folder, `${pod}.${claim}`);
}

const ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

interface Mounted {
  readonly mountPath: string;
  readonly path: string;
  readonly readOnly?: boolean;
}

/** Makes the folders of one more pod of a workload, and the pod. A claim's folder is made once for each name. */
export function preparePod(name: string, workload: Workload, around: Surroundings): Pod {
  const [container] = workload.pod.containers;
  const { fsGroup } = workload.pod.securityContext;
  const own = mkdtempSync(join(around.folder, `${name}-`));
  chmodSync(own, 0o755);
  const mounts: Mounted[] = container.volumeMounts.map((mount) => {
    const volume = workload.pod.volumes.find((one) => one.name === mount.name);
    const path =
      volume === undefined
        ? writableFolder(claimPath(around, name, mount.name), fsGroup)
        : volumeFolder(join(own, mount.name), volume, workload, around);
    return { ...mount, path };
  });
  const hosts = join(own, 'hosts');
  const lines = [...around.hosts].map(([host, address]) => `${address} ${host}`);
  writeFileSync(hosts, `127.0.0.1 localhost\n${lines.join('\n')}\n`);
  mounts.push({ mountPath: '/etc/hosts', path: hosts, readOnly: true });
  const asked = workload.pod.automountServiceAccountToken !== false;
  if (asked) mounts.push(accountFolder(join(own, 'account'), fsGroup, around));
  return assemble(name, workload, container, mounts, environment(name, container, around, asked));
}

function assemble(
  name: string,
  { pod }: Workload,
  { image, args, resources, securityContext, name: container }: Container,
  mounts: readonly Mounted[],
  env: ReadonlyMap<string, string>,
): Pod {
  const { terminationGracePeriodSeconds, securityContext: all } = pod;
  const expanded = args.map((arg) => expand(arg, env));
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds,
      securityContext: all,
      containers: [
        {
          ...{ name: container, image, resources, securityContext, args: expanded },
          env: [...env].map(([key, value]) => ({ name: key, value })),
          volumeMounts: mounts.map(({ mountPath, readOnly = false }, index) => ({
            ...{ name: `v${index}`, mountPath, readOnly },
          })),
        },
      ],
      volumes: mounts.map(({ path }, index) => ({ name: `v${index}`, hostPath: { path } })),
    },
  };
}

function environment(
  name: string,
  { env = [] }: Container,
  { namespace, account }: Surroundings,
  asked: boolean,
): Map<string, string> {
  const fields: Record<string, string> = { 'metadata.name': name, 'metadata.namespace': namespace };
  const known = new Map<string, string>();
  if (asked) {
    known.set('KUBERNETES_SERVICE_HOST', account.address);
    known.set('KUBERNETES_SERVICE_PORT', `${account.port}`);
  }
  for (const { name: key, value = '', valueFrom } of env) {
    const path = valueFrom?.fieldRef?.fieldPath;
    const field = path === undefined ? undefined : fields[path];
    if (path !== undefined && field === undefined) throw new Error(`the double knows no field ${path}`);
    known.set(key, field ?? expand(value, known));
  }
  return known;
}

/** `$(NAME)`, as in Kubernetes. */
function expand(text: string, known: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\$\((\w+)\)/g, (whole, name: string) => known.get(name) ?? whole);
}

function volumeFolder(path: string, volume: Volume, workload: Workload, around: Surroundings): string {
  const { fsGroup } = workload.pod.securityContext;
  if (volume.configMap !== undefined) {
    const files = workload.configMaps.get(volume.configMap.name);
    if (files === undefined) throw new Error(`there is no ConfigMap ${volume.configMap.name}`);
    return filesFolder(path, files, fsGroup);
  }
  if (volume.secret !== undefined) {
    const files = around.secrets[volume.secret.secretName];
    if (files === undefined) throw new Error(`there is no Secret ${volume.secret.secretName}`);
    return filesFolder(path, files, fsGroup);
  }
  return writableFolder(path, fsGroup);
}

function filesFolder(path: string, files: Readonly<Record<string, string>>, group: number): string {
  mkdirSync(path);
  for (const [name, text] of Object.entries(files)) {
    const file = join(path, name);
    writeFileSync(file, text, { mode: 0o440 });
    chownSync(file, 0, group);
  }
  return path;
}

/** Writable for the pod's group, as `fsGroup` makes it. */
function writableFolder(path: string, group: number): string {
  mkdirSync(path, { recursive: true });
  chownSync(path, 0, group);
  chmodSync(path, 0o2775);
  return path;
}

function accountFolder(path: string, group: number, { account, namespace }: Surroundings): Mounted {
  filesFolder(path, { token: account.token, 'ca.crt': account.ca, namespace }, group);
  return { mountPath: ACCOUNT_FOLDER, path, readOnly: true };
}
