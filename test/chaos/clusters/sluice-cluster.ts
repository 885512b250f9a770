/** Sluice alone: an agent on each of three nodes, etcd, and gateways that go by the same store. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { succeed } from '../../harness/command.js';
import { GATEWAY_PROGRAM } from '../../harness/gateway-under-test.js';
import { postgresProgram } from '../../harness/postgres-binaries.js';
import { until } from '../../harness/until.js';
import { Program, signalAll } from '../ground/program.js';
import { type Building, type ClusterUnderTest, DATABASES, FRONT_PORT } from './cluster-under-test.js';
import { DatabaseNode, POSTGRES_PORT, postgresFolder } from './database-node.js';
import { Etcd, untilWhole } from './etcd.js';
import { Gateways, gatewayPlaces } from './fronts.js';

export const SLUICE_PROGRAMS = ['etcd', 'setpriv'];

const CLUSTER = 'main';
const START_LIMIT_MS = 120_000;
const COMMAND_LIMIT_MS = 60_000;

export class SluiceCluster implements ClusterUnderTest {
  readonly nodes: readonly DatabaseNode[];
  readonly store: Etcd;
  readonly #building: Building;
  readonly #agents = new Map<DatabaseNode, Program>();
  readonly gateways: Gateways;
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
      await version(postgresProgram('postgres')),
    ];
  }

  async start(): Promise<void> {
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

  readonly boot = async (node: DatabaseNode): Promise<void> => {
    const running = this.#agents.get(node);
    if (running !== undefined && !running.ended) return;
    const log = join(node.folder, `agent-${++this.#lives}.log`);
    const args = [GATEWAY_PROGRAM, 'agent', this.#file(node), '--log-format', 'json'];
    this.#agents.set(node, new Program(node.place, 'agent', log, { program: process.execPath, args }));
  };

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
      signalAll(node.processes(), 'SIGCONT');
      const pid = node.postmaster;
      if (pid !== null) signalAll([pid], 'SIGQUIT');
      await until(`${node.name} to end`, () => node.postmaster === null);
    }
    await this.store.stop();
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
    const lines = [
      `node: ${node.name}`,
      `address: ${node.place.address}`,
      ...this.#section(),
      `http_listen: "${node.place.address}:8008"`,
      'postgresql:',
      `  data: ${node.data}`,
      `  bin: ${postgresFolder()}`,
      `  port: ${POSTGRES_PORT}`,
      `  socket_dir: ${node.folder}`,
      `  replication_password_file: ${this.#passwordFile()}`,
      `  bootstrap: ${isFirst ? 'initdb' : 'never'}`,
      "  client_rules: ['local all all trust', 'host all all 0.0.0.0/0 trust']",
      "  settings: { shared_buffers: '32MB', max_connections: 100 }",
    ];
    writeFileSync(path, `${lines.join('\n')}\n`);
    return path;
  }
}
