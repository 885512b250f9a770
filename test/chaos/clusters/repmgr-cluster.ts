/**
 * repmgr on three nodes. In front of it either Sluice, or what people chain: PgBouncer, then Pgpool-II. repmgr has no fence: a
 * service manager starts the dead primary again, and a health check attaches it to Pgpool-II again.
 */
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
  giveToServer,
  OPEN_HBA,
  postgresFolder,
  SETTINGS,
  SUPERUSER,
} from './database-node.js';
import { untilWhole } from './etcd.js';
import {
  Gateways,
  gatewayPlaces,
  PGBOUNCER,
  PGPOOL_PORT,
  startPgbouncer,
  startPgpool,
  writePgbouncer,
} from './fronts.js';

export type RepmgrFront = 'sluice' | 'pgpool';
export const REPMGR_PROGRAMS = ['repmgr', 'repmgrd'];
export const PGPOOL_PROGRAMS = [...REPMGR_PROGRAMS, 'pgpool', 'pcp_attach_node', PGBOUNCER];

export class RepmgrCluster implements ClusterUnderTest {
  readonly nodes: readonly DatabaseNode[];
  readonly #building: Building;
  readonly #front: RepmgrFront;
  readonly #gateways: Gateways;
  readonly #programs: Program[] = [];

  constructor(building: Building, front: RepmgrFront) {
    this.#building = building;
    this.#front = front;
    this.nodes = DATABASES.map(
      (name) => new DatabaseNode(building.ground.place(name), join(building.folder, name)),
    );
    const hosts = this.nodes.map(({ place }) => place.address).join(',');
    this.#gateways = new Gateways(building, [`nodes_from: { repmgr: "postgres://repmgr@${hosts}/repmgr" }`]);
  }

  get targets() {
    return gatewayPlaces(this.#building).map(({ address }) => ({ host: address, port: FRONT_PORT }));
  }

  async describe(): Promise<string[]> {
    const version = async (program: string, line = 0) =>
      (await succeed('sh', ['-c', `${program} --version 2>&1`])).split('\n')[line]!;
    const chain = this.#front === 'sluice' ? ['Sluice'] : [await version(PGBOUNCER), await version('pgpool')];
    return [
      ...chain,
      await version('repmgr'),
      await version(postgresProgram('postgres')),
      this.#building.tuned
        ? 'tuned: reconnect_attempts 3, reconnect_interval 1, monitor_interval_secs 1; health_check_period 1'
        : "repmgr's defaults (reconnect 6 x 10 s); health_check_period 30, 5 retries",
    ];
  }

  async start(): Promise<void> {
    const [first, ...others] = this.nodes as [DatabaseNode, ...DatabaseNode[]];
    await this.#initialize(first);
    await this.#run(first.place, 'repmgr', ['-f', this.#file(first), 'primary', 'register']);
    for (const node of others) {
      const source = ['-h', first.place.address, '-U', 'repmgr', '-d', 'repmgr', '-f', this.#file(node)];
      await this.#run(node.place, 'repmgr', [...source, 'standby', 'clone', '--fast-checkpoint']);
      // The socket's folder is each node's own.
      this.#writeSettings(node);
      await this.#startPostgres(node);
      await until(`${node.name} to stream`, () => node.streams());
      await this.#run(node.place, 'repmgr', [
        '-f',
        this.#file(node),
        'standby',
        'register',
        '--wait-sync=10',
      ]);
    }
    for (const node of this.nodes) {
      const args = ['-f', this.#file(node), '--daemonize=false', '-p', join(node.folder, 'repmgrd.pid')];
      const log = join(node.folder, 'repmgrd.log');
      this.#programs.push(
        new Program(node.place, 'repmgrd', log, { program: 'repmgrd', args, asServer: true }),
      );
    }
    await untilWhole('repmgr', this.nodes);
    if (this.#front === 'sluice') await this.#gateways.start();
    else this.#startChain();
  }

  /** The service manager starts the server as it was; Pgpool-II's health check, as Bitnami's image has it, attaches it. */
  readonly revive = async (node: DatabaseNode): Promise<void> => {
    if (node.postmaster === null) await this.#startPostgres(node);
    if (this.#front === 'sluice') return;
    const index = String(this.nodes.indexOf(node));
    for (const place of gatewayPlaces(this.#building)) {
      const child = place.start({
        program: 'pcp_attach_node',
        args: ['-h', place.listens, '-p', '9898', '-U', 'postgres', '-w', '-n', index],
        env: { PCPPASSFILE: this.#passwordFile() },
      });
      await until('pcp_attach_node to end', () => child.exitCode !== null || child.signalCode !== null);
    }
  };

  get restartGateways() {
    return this.#front === 'sluice' ? () => this.#gateways.restart() : undefined;
  }

  async stop(): Promise<void> {
    await this.#gateways.stop();
    await Promise.all(this.#programs.map((program) => program.end()));
    for (const node of this.nodes) {
      const pid = node.postmaster;
      if (pid === null) continue;
      signalAll(node.processes(), 'SIGCONT');
      signalAll([pid], 'SIGQUIT');
      await until(`${node.name} to end`, () => node.postmaster === null);
    }
  }

  #startChain(): void {
    for (const place of gatewayPlaces(this.#building)) {
      this.#programs.push(startPgpool(this.#building, place, this.nodes));
      const file = writePgbouncer(this.#building, place, place.listens, PGPOOL_PORT);
      this.#programs.push(startPgbouncer(this.#building, place, file));
    }
  }

  async #initialize(node: DatabaseNode): Promise<void> {
    const args = [
      '-D',
      node.data,
      '-U',
      SUPERUSER,
      '--auth=trust',
      '--no-instructions',
      '--encoding=UTF8',
      '--locale=C',
    ];
    await this.#run(node.place, postgresProgram('initdb'), args);
    writeFileSync(join(node.data, 'pg_hba.conf'), `${OPEN_HBA.join('\n')}\n`);
    this.#writeSettings(node);
    await this.#startPostgres(node);
    await node.query('CREATE ROLE repmgr SUPERUSER REPLICATION LOGIN');
    await node.query('CREATE DATABASE repmgr OWNER repmgr');
  }

  #writeSettings(node: DatabaseNode): void {
    const settings = {
      ...SETTINGS,
      listen_addresses: node.place.listens,
      unix_socket_directories: node.folder,
      shared_preload_libraries: 'repmgr',
      hot_standby_feedback: 'on',
    };
    const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
    writeFileSync(join(node.data, 'postgresql.conf'), lines.join(''));
    giveToServer(join(node.data, 'postgresql.conf'));
  }

  /** As a service, which nobody's end ends. */
  async #startPostgres(node: DatabaseNode): Promise<void> {
    const log = join(node.folder, 'postgres.log');
    const args = ['-D', node.data, '-l', log, '-w', '-t', '60', 'start'];
    await this.#run(node.place, postgresProgram('pg_ctl'), args);
  }

  /** repmgr's configuration of a node. */
  #file(node: DatabaseNode): string {
    const path = join(node.folder, 'repmgr.conf');
    const options = `-f ${path} --log-to-file`;
    const lines = [
      `node_id=${this.nodes.indexOf(node) + 1}`,
      `node_name='${node.name}'`,
      `conninfo='host=${node.place.address} user=repmgr dbname=repmgr connect_timeout=2'`,
      `data_directory='${node.data}'`,
      `pg_bindir='${postgresFolder()}'`,
      "failover='automatic'",
      `promote_command='repmgr standby promote ${options}'`,
      `follow_command='repmgr standby follow ${options} --upstream-node-id=%n'`,
      `log_file='${join(node.folder, 'repmgr.log')}'`,
      ...(this.#building.tuned
        ? [
            'reconnect_attempts=3',
            'reconnect_interval=1',
            'monitor_interval_secs=1',
            'primary_notification_timeout=10',
          ]
        : []),
    ];
    writeFileSync(path, `${lines.join('\n')}\n`);
    return path;
  }

  #passwordFile(): string {
    const path = join(this.#building.folder, 'pcppass');
    writeFileSync(path, '*:*:postgres:postgres\n', { mode: 0o600 });
    return path;
  }

  async #run(place: Place, program: string, args: readonly string[]): Promise<void> {
    const log = join(this.#building.folder, 'commands.log');
    const command = new Program(place, program, log, {
      program,
      args,
      asServer: true,
      cwd: this.#building.folder,
    });
    await until(`${command.name} ${args.join(' ')}`, () => command.ended, 90_000);
    if (command.exitCode !== 0) {
      throw new Error(`${command.name} ${args.join(' ')} failed:\n${command.printed.slice(-3_000)}`);
    }
  }
}
