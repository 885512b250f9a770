/**
 * Patroni on three nodes with etcd. In front of it either Sluice, or a PgBouncer that follows the leader's key as Patroni's own
 * template for confd has it: its configuration is written anew and reloaded.
 */
import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { succeed } from '../../harness/command.js';
import { postgresProgram } from '../../harness/postgres-binaries.js';
import { until } from '../../harness/until.js';
import type { Place } from '../ground/ground.js';
import { Program, signalAll } from '../ground/program.js';
import { type Building, type ClusterUnderTest, DATABASES, FRONT_PORT } from './cluster-under-test.js';
import {
  DatabaseNode,
  OPEN_HBA,
  POSTGRES_PORT,
  postgresFolder,
  SETTINGS,
  SUPERUSER,
} from './database-node.js';
import { Etcd, untilWhole } from './etcd.js';
import { Gateways, gatewayPlaces, PGBOUNCER, startPgbouncer, writePgbouncer } from './fronts.js';
import { HTTP_PORT } from './ports.js';

export type PatroniFront = 'sluice' | 'pgbouncer';
export const PATRONI_PROGRAMS = ['patroni', 'etcd', 'etcdctl'];
export const PATRONI_CHAIN_PROGRAMS = [...PATRONI_PROGRAMS, PGBOUNCER];

const LEADER = '/service/main/leader';

export class PatroniCluster implements ClusterUnderTest {
  readonly nodes: readonly DatabaseNode[];
  readonly #building: Building;
  readonly #front: PatroniFront;
  readonly #etcd: Etcd;
  readonly #gateways: Gateways;
  readonly #programs: Program[] = [];
  readonly #watches: ChildProcess[] = [];

  constructor(building: Building, front: PatroniFront) {
    this.#building = building;
    this.#front = front;
    this.#etcd = new Etcd(building);
    this.nodes = DATABASES.map(
      (name) => new DatabaseNode(building.ground.place(name), join(building.folder, name)),
    );
    const endpoints = this.nodes.map(({ place }) => `"http://${place.address}:${HTTP_PORT}"`);
    this.#gateways = new Gateways(building, [`nodes_from: { patroni: [${endpoints.join(', ')}] }`]);
  }

  get targets() {
    return gatewayPlaces(this.#building).map(({ address }) => ({ host: address, port: FRONT_PORT }));
  }

  get store() {
    return this.#etcd;
  }

  async describe(): Promise<string[]> {
    const version = async (program: string) =>
      (await succeed('sh', ['-c', `${program} --version 2>&1`])).split('\n')[0]!;
    return [
      this.#front === 'sluice'
        ? 'Sluice'
        : `${await version(PGBOUNCER)}, its configuration follows the leader's key`,
      await version('patroni'),
      `${await version('etcd')}, members: ${this.#building.stores}`,
      await version(postgresProgram('postgres')),
      this.#building.tuned
        ? 'tuned: ttl 20, loop_wait 1, retry_timeout 3, primary_start_timeout 0, synchronous_mode on'
        : "Patroni's defaults: ttl 30, loop_wait 10, retry_timeout 10, primary_start_timeout 300, asynchronous",
    ];
  }

  async start(): Promise<void> {
    await this.#etcd.start();
    // The first is alone for a moment, so that it is the one that initialises.
    for (const node of this.nodes) {
      const log = join(node.folder, 'patroni.log');
      const run = { program: 'patroni', args: [this.#file(node)], asServer: true, cwd: node.folder };
      this.#programs.push(new Program(node.place, 'patroni', log, run));
      if (node === this.nodes[0])
        await until('the first node to be primary', () => node.isWritable(), 60_000);
    }
    await untilWhole('Patroni', this.nodes);
    if (this.#front === 'sluice') await this.#gateways.start();
    else for (const place of gatewayPlaces(this.#building)) await this.#startPooler(place);
  }

  get restartGateways() {
    return this.#front === 'sluice' ? () => this.#gateways.restart() : undefined;
  }

  async stop(): Promise<void> {
    for (const watch of this.#watches) watch.kill('SIGTERM');
    await this.#gateways.stop();
    await Promise.all(this.#programs.map((program) => program.end('SIGKILL')));
    for (const node of this.nodes) {
      signalAll(node.processes(), 'SIGCONT');
      const pid = node.postmaster;
      if (pid === null) continue;
      signalAll([pid], 'SIGQUIT');
      await until(`${node.name} to end`, () => node.postmaster === null);
    }
    await this.#etcd.stop();
  }

  /** PgBouncer, and in confd's place a watch of the leader's key. */
  async #startPooler(place: Place): Promise<void> {
    let file = writePgbouncer(this.#building, place, this.nodes[0]!.place.address, POSTGRES_PORT);
    const pooler = startPgbouncer(this.#building, place, file);
    this.#programs.push(pooler);
    await pooler.says(/process up/);
    const watch = place.start({
      program: 'etcdctl',
      args: ['--endpoints', this.#etcd.endpoints.join(), 'watch', LEADER],
      env: { ETCDCTL_API: '3' },
    });
    this.#watches.push(watch);
    watch.stdout!.setEncoding('utf8').on('data', (text: string) => {
      const leader = this.nodes.find(({ name }) => text.trimEnd().endsWith(`\n${name}`));
      if (leader === undefined || pooler.ended) return;
      file = writePgbouncer(this.#building, place, leader.place.address, POSTGRES_PORT);
      pooler.signal('SIGHUP');
    });
  }

  #file(node: DatabaseNode): string {
    const path = join(node.folder, 'patroni.json');
    const { tuned } = this.#building;
    const parameters = { ...SETTINGS, unix_socket_directories: node.folder };
    const times = tuned
      ? {
          ttl: 20,
          loop_wait: 1,
          retry_timeout: 3,
          primary_start_timeout: 0,
          master_start_timeout: 0,
          synchronous_mode: true,
        }
      : { ttl: 30, loop_wait: 10, retry_timeout: 10 };
    const { address, listens } = node.place;
    // YAML contains JSON.
    const configuration = {
      scope: 'main',
      name: node.name,
      restapi: { listen: `${listens}:${HTTP_PORT}`, connect_address: `${address}:${HTTP_PORT}` },
      etcd3: { hosts: this.#etcd.endpoints },
      bootstrap: {
        dcs: { ...times, postgresql: { use_pg_rewind: true, use_slots: true, parameters } },
        initdb: [{ encoding: 'UTF8' }, { locale: 'C' }],
      },
      postgresql: {
        listen: `${listens}:${POSTGRES_PORT}`,
        connect_address: `${address}:${POSTGRES_PORT}`,
        data_dir: node.data,
        bin_dir: postgresFolder(),
        pgpass: join(node.folder, 'pgpass'),
        pg_hba: OPEN_HBA,
        authentication: {
          superuser: { username: SUPERUSER, password: 'unused' },
          replication: { username: SUPERUSER, password: 'unused' },
          rewind: { username: SUPERUSER, password: 'unused' },
        },
        parameters: { unix_socket_directories: node.folder },
      },
    };
    writeFileSync(path, JSON.stringify(configuration, null, 1));
    return path;
  }
}
