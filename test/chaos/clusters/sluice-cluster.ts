/** Sluice alone: an agent on each of three nodes, etcd, and gateways that go by the same store. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { succeed } from '../../harness/command.js';
import { GATEWAY_PROGRAM } from '../../harness/gateway-under-test.js';
import { until } from '../../harness/until.js';
import { Program, signalAll } from '../ground/program.js';
import { type Building, type ClusterUnderTest, DATABASES, FRONT_PORT } from './cluster-under-test.js';
import { DatabaseNode, giveToServer, POSTGRES_PORT, postgresFolder } from './database-node.js';
import { Etcd, untilWhole } from './etcd.js';
import { Gateways, gatewayPlaces } from './fronts.js';
import { HTTP_PORT } from './ports.js';
import { SmallDisk } from './small-disk.js';

export const SLUICE_PROGRAMS = ['etcd'];

const CLUSTER = 'main';
const START_LIMIT_MS = 120_000;
const COMMAND_LIMIT_MS = 60_000;

/** As the agent writes them; of these properties nothing is said where an event has none. */
export interface NodeEvent {
  readonly what: string;
  readonly details: { readonly to?: string };
}

export class SluiceCluster implements ClusterUnderTest {
  readonly nodes: readonly DatabaseNode[];
  readonly store: Etcd;
  readonly #building: Building;
  readonly #agents = new Map<DatabaseNode, Program>();
  readonly gateways: Gateways;
  /** Where nodes have disks of their own. */
  readonly disks = new Map<DatabaseNode, SmallDisk>();
  #lives = 0;

  constructor(building: Building) {
    this.#building = building;
    this.store = new Etcd(building);
    this.nodes = DATABASES.map(
      (name) => new DatabaseNode(building.ground.place(name), join(building.folder, name)),
    );
    this.gateways = new Gateways(building, [`cluster: ${CLUSTER}`], this.#section());
  }

  get targets() {
    return gatewayPlaces(this.#building).map(({ address }) => ({ host: address, port: FRONT_PORT }));
  }

  async describe(): Promise<string[]> {
    const version = async (program: string) => (await succeed(program, ['--version'])).split('\n')[0]!;
    return [
      `Sluice: three agents, durable with a quorum of 1, lease 5 s, two gateways`,
      `${await version('etcd')}, members: ${this.#building.stores}`,
      await version(join(postgresFolder(), 'postgres')),
    ];
  }

  async start(): Promise<void> {
    const { diskMegabytes } = this.#building;
    for (const node of diskMegabytes === undefined ? [] : this.nodes) {
      this.disks.set(node, await SmallDisk.mount(node.folder, diskMegabytes!));
      giveToServer(node.folder);
    }
    await this.store.start();
    for (const node of this.nodes) await this.boot(node);
    await Promise.race([untilWhole('the cluster', this.nodes), this.#untilAgentEnds()]);
    await this.gateways.start();
  }

  /** Rejects when an agent has ended that should run. */
  async #untilAgentEnds(): Promise<void> {
    const agent = await until(
      'an agent to end',
      () => [...this.#agents.values()].find(({ ended }) => ended),
      START_LIMIT_MS,
    );
    throw new Error(`${agent.name} has ended:\n${agent.printed.slice(-3_000)}`);
  }

  /** With variables of the environment that ordinary agents don't have. */
  async bootWith(node: DatabaseNode, env: Readonly<Record<string, string>>): Promise<void> {
    const running = this.#agents.get(node);
    if (running !== undefined && !running.ended) return;
    const log = join(node.folder, `agent-${++this.#lives}.log`);
    const args = [GATEWAY_PROGRAM, 'agent', this.#file(node), '--log-format', 'json'];
    const run = { program: process.execPath, args, env };
    this.#agents.set(node, new Program(node.place, 'agent', log, run));
  }

  readonly boot = (node: DatabaseNode): Promise<void> => this.bootWith(node, {});

  /** The agent of a node, whether it runs or not. */
  agentOf(node: DatabaseNode): Program {
    return this.#agents.get(node)!;
  }

  /** Events of a node, as its agent writes them down. */
  eventsOf(node: DatabaseNode): NodeEvent[] {
    const lines = readFileSync(join(`${node.data}.sluice`, 'events.jsonl'), 'utf8').split('\n');
    return lines.filter(Boolean).map((line) => JSON.parse(line) as NodeEvent);
  }

  readonly managerOf = (node: DatabaseNode): number => this.#agents.get(node)!.pid;

  /** Process ids of agents that run. */
  get agentPids(): number[] {
    return [...this.#agents.values()].filter(({ ended }) => !ended).map(({ pid }) => pid);
  }

  readonly restartGateways = (): Promise<void> => this.gateways.restart();

  readonly switchOver = async (): Promise<void> => {
    const place = gatewayPlaces(this.#building)[0]!;
    const log = join(this.#building.folder, 'switchover.log');
    const args = [GATEWAY_PROGRAM, 'switchover', '--yes', '--config', this.#file(this.nodes[0]!)];
    const command = new Program(place, 'sluice switchover', log, { program: process.execPath, args });
    await until('the switchover to end', () => command.ended, COMMAND_LIMIT_MS);
    if (command.exitCode !== 0) throw new Error(`the switchover failed:\n${command.printed.slice(-2_000)}`);
  };

  async stop(): Promise<void> {
    await this.gateways.stop();
    await Promise.all([...this.#agents.values()].map((agent) => agent.end('SIGKILL')));
    for (const node of this.nodes) {
      await this.disks.get(node)?.thaw();
      signalAll(node.processes(), 'SIGCONT');
      const pid = node.postmaster;
      if (pid !== null) signalAll([pid], 'SIGQUIT');
      await until(`${node.name} to end`, () => node.postmaster === null);
    }
    await this.store.stop();
    for (const disk of this.disks.values()) await disk.unmount();
  }

  /** The section that agents, gateways and commands share. */
  #section(): string[] {
    const urls = this.store.endpoints.map((endpoint) => `"http://${endpoint}"`);
    const { leaseSeconds } = this.#building;
    const lease = leaseSeconds === undefined ? [] : [`  lease: ${leaseSeconds}s`];
    return ['cluster:', `  name: ${CLUSTER}`, `  store: { etcd: [${urls.join(', ')}] }`, ...lease];
  }

  #passwordFile(): string {
    const path = join(this.#building.folder, 'replication-password');
    writeFileSync(path, 'chaos\n', { mode: 0o600 });
    return path;
  }

  #file(node: DatabaseNode): string {
    const path = join(node.folder, 'agent.yaml');
    const isFirst = node === this.nodes[0];
    const { durability = 'durable', settings } = this.#building;
    const own = { shared_buffers: '32MB', max_connections: '100', ...settings };
    const lines = [
      `node: ${node.name}`,
      `address: ${node.place.address}`,
      ...this.#section(),
      `http_listen: "${node.place.listens}:${HTTP_PORT}"`,
      `durability: ${durability}`,
      'postgresql:',
      `  data: ${node.data}`,
      `  bin: ${postgresFolder()}`,
      `  listen: ${node.place.listens}`,
      `  port: ${POSTGRES_PORT}`,
      `  socket_dir: ${node.folder}`,
      `  replication_password_file: ${this.#passwordFile()}`,
      `  bootstrap: ${isFirst ? 'initdb' : 'never'}`,
      "  client_rules: ['local all all trust', 'host all all 0.0.0.0/0 trust']",
      `  settings: ${JSON.stringify(own)}`,
    ];
    writeFileSync(path, `${lines.join('\n')}\n`);
    return path;
  }
}
