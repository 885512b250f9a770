/** A store: etcd, with one member or three, each on a machine of its own. */
import { join } from 'node:path';
import { run } from '../../harness/command.js';
import { until } from '../../harness/until.js';
import { Program } from '../ground/program.js';
import { type Building, STORES, type StoreUnderTest } from './cluster-under-test.js';
import { serverFolder } from './database-node.js';
import { PEER_PORT, STORE_PORT } from './ports.js';

export class Etcd implements StoreUnderTest {
  readonly #building: Building;
  readonly #members = new Map<string, Program>();
  #questions = 0;

  constructor(building: Building) {
    this.#building = building;
  }

  get names(): readonly string[] {
    return STORES.slice(0, this.#building.stores);
  }

  /** host:port of each member. */
  get endpoints(): string[] {
    return this.names.map((name) => `${this.#building.ground.place(name).address}:${STORE_PORT}`);
  }

  async start(): Promise<void> {
    for (const name of this.names) this.startMember(name);
    for (const member of this.#members.values())
      await member.says(/ready to serve client requests|serving (?:insecure )?client/);
  }

  /** Starts a member (again), unless it runs. */
  startMember(name: string): void {
    if (this.#members.get(name)?.ended === false) return;
    const { ground, folder } = this.#building;
    const place = ground.place(name);
    const url = (of: string, port: number) => `http://${ground.place(of).address}:${port}`;
    const own = (port: number) => `http://${place.listens}:${port}`;
    const home = serverFolder(join(folder, name));
    const args = [
      ...['--name', name, '--data-dir', join(home, 'data')],
      ...['--listen-client-urls', own(STORE_PORT), '--advertise-client-urls', url(name, STORE_PORT)],
      ...['--listen-peer-urls', own(PEER_PORT), '--initial-advertise-peer-urls', url(name, PEER_PORT)],
      ...['--initial-cluster', this.names.map((one) => `${one}=${url(one, PEER_PORT)}`).join(',')],
    ];
    this.#members.set(
      name,
      new Program(place, 'etcd', join(home, 'etcd.log'), { program: 'etcd', args, asServer: true }),
    );
  }

  /** Whether a member says of itself that it leads the others. */
  async leads(name: string): Promise<boolean> {
    const url = `http://${this.#building.ground.place(name).address}:${STORE_PORT}/v3/maintenance/status`;
    const log = join(this.#building.folder, `${name}-status-${++this.#questions}.json`);
    const args = ['--silent', '--max-time', '2', '--data', '{}', url];
    const question = new Program(this.#building.ground.place(name), 'curl', log, { program: 'curl', args });
    await until('curl to end', () => question.ended);
    const { leader, header } = JSON.parse(question.printed) as {
      leader: string;
      header: { member_id: string };
    };
    return leader === header.member_id;
  }

  async kill(name: string): Promise<void> {
    await this.#members.get(name)!.end('SIGKILL');
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#members.values()].map((member) => member.end()));
  }
}

/** Whether all programs are there; otherwise what is missing. */
export async function missingPrograms(programs: readonly string[]): Promise<string[]> {
  const answers = await Promise.all(programs.map((program) => run('sh', ['-c', `command -v ${program}`])));
  return programs.filter((_, index) => answers[index]!.code !== 0);
}

/** Waits until a write succeeds on one node and the others stream. */
export async function untilWhole(
  what: string,
  nodes: readonly { isWritable(): Promise<boolean>; streams(): Promise<boolean> }[],
  limitMs = 90_000,
): Promise<void> {
  await until(
    `${what} to be whole`,
    async () => {
      const writable = await Promise.all(nodes.map((node) => node.isWritable()));
      const streaming = await Promise.all(nodes.map((node) => node.streams()));
      return writable.filter(Boolean).length === 1 && streaming.filter(Boolean).length === nodes.length - 1;
    },
    limitMs,
  );
}
