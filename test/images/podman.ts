/** Pods of podman in network namespaces, as its own `kube play` makes them. Needs Linux, root, podman and runc. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run, succeed } from '../harness/command.js';

/**
 * Limits that a machine without the right to raise them can give, and the runtime that is there. Of no concern to who
 * runs the images elsewhere.
 */
const CONTAINERS_CONF = `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
`;
const PLAY_LIMIT_MS = 60_000;

/** Why no pods can be run here; false: they can. For `skip`. */
export function whyNoPodman(): string | false {
  if (process.platform !== 'linux') return 'pods need Linux';
  if (process.getuid?.() !== 0) return 'pods in network namespaces need root';
  for (const program of ['podman', 'buildah', 'runc', 'nsenter']) {
    const { error } = spawnSync(program, ['--version'], { stdio: 'ignore' });
    if (error !== undefined) return `${program} is not installed (Debian: podman, buildah, runc)`;
  }
  return false;
}

/** Whether podman has an image by this name. */
export function hasImage(name: string): boolean {
  return spawnSync('podman', ['image', 'exists', name], { stdio: 'ignore' }).status === 0;
}

/** Pods whose names begin alike. */
export class Podman {
  readonly #folder: string;
  readonly #prefix: string;
  readonly #options: { readonly env: Readonly<Record<string, string>>; readonly cwd: string };

  /** @param folder for the files that it needs */
  constructor(folder: string, prefix: string) {
    this.#folder = folder;
    this.#prefix = prefix;
    const conf = join(folder, 'containers.conf');
    writeFileSync(conf, CONTAINERS_CONF);
    // Podman's monitor may leave a file `oom` where it was started.
    this.#options = { env: { CONTAINERS_CONF: conf }, cwd: folder };
  }

  /** Starts a pod on the network of a namespace. */
  async play(pod: Pod, space: string): Promise<void> {
    const file = join(this.#folder, `${pod.metadata.name}.json`);
    const named = { ...pod, metadata: { ...pod.metadata, name: this.#named(pod.metadata.name) } };
    writeFileSync(file, JSON.stringify(named));
    // `ip netns exec` would mount another /sys, without the cgroups.
    const args = [`--net=/run/netns/${space}`, 'podman', 'kube', 'play', '--network', 'host', file];
    await succeed('nsenter', args, { ...this.#options, limitMs: PLAY_LIMIT_MS });
  }

  /** SIGTERM, and SIGKILL to what has not ended after the grace period. Returns how long it took, in ms. */
  async stop(pod: string, graceSeconds: number): Promise<number> {
    const began = performance.now();
    const limitMs = (graceSeconds + 20) * 1000;
    await this.#succeed(['pod', 'stop', '--time', `${graceSeconds}`, this.#named(pod)], limitMs);
    return performance.now() - began;
  }

  /** Removes a pod and all that runs in it, at once. */
  async remove(pod: string): Promise<void> {
    await this.#succeed(['pod', 'rm', '--force', '--time', '0', this.#named(pod)]);
  }

  /** SIGKILL to everything in a container, as when it has run out of memory. It is started again by itself. */
  async kill(pod: string, container: string): Promise<void> {
    process.kill(await this.pid(pod, container), 'SIGKILL');
  }

  /** The id of the container's first process, on this machine. */
  async pid(pod: string, container: string): Promise<number> {
    return Number(await this.inspect(pod, container, '{{.State.Pid}}'));
  }

  inspect(pod: string, container: string, format: string): Promise<string> {
    const name = `${this.#named(pod)}-${container}`;
    return this.#succeed(['container', 'inspect', '--format', format, name]).then((text) => text.trim());
  }

  async log(pod: string, container: string): Promise<string> {
    const { stdout, stderr } = await run(
      'podman',
      ['logs', `${this.#named(pod)}-${container}`],
      this.#options,
    );
    return stdout + stderr;
  }

  /** Runs a program in a container, and returns what it printed. */
  exec(pod: string, container: string, command: readonly string[], input = ''): Promise<string> {
    const args = ['exec', '--interactive', `${this.#named(pod)}-${container}`, ...command];
    return succeed('podman', args, { ...this.#options, input });
  }

  /** Removes all pods of this prefix. */
  async removeAll(): Promise<void> {
    const names = await this.#succeed(['pod', 'ps', '--format', '{{.Name}}']);
    const own = names.split('\n').filter((name) => name.startsWith(this.#prefix));
    if (own.length > 0) await this.#succeed(['pod', 'rm', '--force', '--time', '0', ...own]);
  }

  #named(pod: string): string {
    return `${this.#prefix}${pod}`;
  }

  #succeed(args: readonly string[], limitMs?: number): Promise<string> {
    return succeed('podman', args, { ...this.#options, ...(limitMs === undefined ? {} : { limitMs }) });
  }
}

/** A pod as `kube play` takes it. */
export interface Pod {
  readonly apiVersion: 'v1';
  readonly kind: 'Pod';
  readonly metadata: { readonly name: string };
  readonly spec: object;
}
