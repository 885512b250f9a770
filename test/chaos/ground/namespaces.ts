/**
 * Machines that are network namespaces of this one, on a bridge in a namespace of its own: nothing that happens there touches
 * the machine's own network. Needs Linux and root.
 */
import type { ChildProcess } from 'node:child_process';
import { spawnSync } from 'node:child_process';
import { start, succeed } from '../../harness/command.js';
import { serverIdentity } from '../../harness/postgres-binaries.js';
import type { Ground, Place, RunAt } from './ground.js';
import { signalAll } from './program.js';

const SUBNET = '10.77.0';
/** A machine that doesn't exist: what is sent there, nobody takes. */
const NOBODY = '02:00:00:00:00:01';

/** Why there can be none here; null: there can. */
export function whyNoNamespaces(): string | null {
  if (process.platform !== 'linux') return 'network namespaces need Linux';
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  for (const program of ['ip', 'setpriv']) {
    if (spawnSync(program, ['-V'], { stdio: 'ignore' }).error !== undefined)
      return `network namespaces need the program "${program}"`;
  }
  // In a container root may not have what it takes.
  const probe = `chaos${process.pid}-probe`;
  const { status, stderr } = spawnSync('ip', ['netns', 'add', probe], { encoding: 'utf8' });
  spawnSync('ip', ['netns', 'delete', probe], { stdio: 'ignore' });
  return status === 0 ? null : `network namespaces can't be made: ${stderr.trim()}`;
}

class Namespace implements Place {
  readonly name: string;
  readonly address: string;
  readonly listens: string;
  readonly space: string;

  constructor(name: string, address: string, space: string) {
    this.name = name;
    this.address = address;
    this.listens = address;
    this.space = space;
  }

  start({ program, args, asServer = false, env = {}, cwd, stdio }: RunAt): ChildProcess {
    const { uid, gid } = serverIdentity();
    // Each of these becomes the next one, so that the process is the program's.
    const user = asServer ? ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--'] : [];
    return start('ip', ['netns', 'exec', this.space, ...user, program, ...args], {
      env: { ...process.env, ...env },
      stdio: stdio ?? ['ignore', 'pipe', 'pipe'],
      ...(cwd === undefined ? {} : { cwd }),
    });
  }
}

export class NamespaceGround implements Ground {
  readonly places: ReadonlyMap<string, Namespace>;
  readonly #hub: string;
  readonly #cuts = new Set<string>();
  readonly #downs = new Set<string>();

  private constructor(hub: string, places: readonly Namespace[]) {
    this.#hub = hub;
    this.places = new Map(places.map((place) => [place.name, place]));
  }

  static async create(names: readonly string[]): Promise<NamespaceGround> {
    const prefix = `chaos${process.pid}`;
    const places = names.map(
      (name, index) => new Namespace(name, `${SUBNET}.${index + 11}`, `${prefix}-${name}`),
    );
    const ground = new NamespaceGround(`${prefix}-hub`, places);
    process.once('exit', ground.#leave);
    try {
      await ground.#build();
    } catch (error) {
      await ground.discard();
      throw error;
    }
    return ground;
  }

  async #build(): Promise<void> {
    const hub = this.#hub;
    await batch([`netns add ${hub}`, ...[...this.places.values()].map(({ space }) => `netns add ${space}`)]);
    await batch(['link add hub type bridge', 'link set hub up'], hub);
    let port = 0;
    for (const { space, address } of this.places.values()) {
      const end = `port${port++}`;
      await batch(
        [`link add ${end} type veth peer name eth0 netns ${space}`, `link set ${end} master hub up`],
        hub,
      );
      const own = ['link set lo up', `addr add ${address}/24 dev eth0`, 'link set eth0 up'];
      await batch(own, space);
    }
  }

  place(name: string): Namespace {
    const place = this.places.get(name);
    if (place === undefined) throw new Error(`there is no machine ${name}`);
    return place;
  }

  processes(name: string): number[] {
    return processesIn(this.place(name).space);
  }

  async down(name: string): Promise<void> {
    this.#downs.add(name);
    await batch([`link set port${this.#portOf(name)} down`], this.#hub);
  }

  async up(name: string): Promise<void> {
    if (!this.#downs.delete(name)) return;
    await batch([`link set port${this.#portOf(name)} up`], this.#hub);
  }

  async cut(from: string, to: string): Promise<void> {
    this.#cuts.add(`${from} ${to}`);
    const { address } = this.place(to);
    await batch([`neigh replace ${address} lladdr ${NOBODY} dev eth0 nud permanent`], this.place(from).space);
  }

  async heal(from: string, to: string): Promise<void> {
    if (!this.#cuts.delete(`${from} ${to}`)) return;
    await batch([`neigh del ${this.place(to).address} dev eth0`], this.place(from).space);
  }

  async repair(): Promise<void> {
    for (const name of [...this.#downs]) await this.up(name);
    for (const cut of [...this.#cuts]) {
      const [from, to] = cut.split(' ');
      await this.heal(from!, to!);
    }
  }

  async discard(): Promise<void> {
    process.removeListener('exit', this.#leave);
    this.#leave();
  }

  /** Also when somebody ends us. */
  readonly #leave = (): void => {
    // Whatever is left of what was started there; nobody else's processes can be.
    for (const { space } of this.places.values()) signalAll(processesIn(space), 'SIGKILL');
    for (const space of [this.#hub, ...[...this.places.values()].map((place) => place.space)]) {
      spawnSync('ip', ['netns', 'delete', space], { stdio: 'ignore' });
    }
  };

  #portOf(name: string): number {
    return [...this.places.keys()].indexOf(this.place(name).name);
  }
}

/** The ids of all processes in a namespace. */
function processesIn(space: string): number[] {
  const { stdout } = spawnSync('ip', ['netns', 'pids', space], { encoding: 'utf8' });
  return stdout.split('\n').filter(Boolean).map(Number);
}

async function batch(lines: readonly string[], space?: string): Promise<void> {
  const where = space === undefined ? [] : ['-n', space];
  await succeed('ip', [...where, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}
