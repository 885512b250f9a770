/** What clients connect to: poolers and gateways, one set on each gateway machine. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { GATEWAY_PROGRAM } from '../../harness/gateway-under-test.js';
import type { Place } from '../ground/ground.js';
import { Program } from '../ground/program.js';
import { type Building, FRONT_PORT, GATEWAYS } from './cluster-under-test.js';
import {
  DATABASE,
  type DatabaseNode,
  giveToServer,
  POSTGRES_PORT,
  SUPERUSER,
  serverFolder,
} from './database-node.js';

/** The newest PgBouncer that is at hand. */
export const PGBOUNCER = process.env.SLUICE_CHAOS_PGBOUNCER ?? 'pgbouncer';
export const PGPOOL_PORT = 9999;
const POOL_SIZE = 20;
/** Of a gateway. On a machine that others keep busy it has taken more than 30 s. */
const START_LIMIT_MS = 180_000;
/** Each gateway's log is a file of its own. */
let startedGateways = 0;

export function gatewayPlaces({ ground }: Building): Place[] {
  return GATEWAYS.map((name) => ground.place(name));
}

function write(folder: string, name: string, lines: readonly string[]): string {
  const path = join(folder, name);
  writeFileSync(path, `${lines.join('\n')}\n`);
  giveToServer(path);
  return path;
}

function gatewayFolder({ folder }: Building, name: string): string {
  return join(folder, `${name}-sluice`);
}

/** One Sluice, told its nodes or its cluster by lines of YAML below the database's name. */
function startSluice(
  building: Building,
  place: Place,
  database: readonly string[],
  rest: readonly string[] = [],
): Program {
  const folder = serverFolder(gatewayFolder(building, place.name));
  const file = write(folder, 'sluice.yaml', [
    'databases:',
    `  ${DATABASE}:`,
    ...database.map((line) => `    ${line}`),
    `listen_addr: ${place.listens}`,
    `listen_port: ${FRONT_PORT}`,
    `unix_socket_dir: "${folder}"`,
    // Faults of the network are to be felt.
    'server_unix_socket: off',
    'auth_type: trust',
    'pool_mode: transaction',
    `default_pool_size: ${POOL_SIZE}`,
    'drain_timeout: 2s',
    ...rest,
  ]);
  const args = [GATEWAY_PROGRAM, 'serve', file, '--log-format', 'json'];
  const log = join(folder, `sluice-${++startedGateways}.log`);
  return new Program(place, 'sluice', log, { program: process.execPath, args });
}

/** Sluice on each gateway machine. */
export class Gateways {
  readonly #building: Building;
  readonly #database: readonly string[];
  readonly #rest: readonly string[];
  readonly #running = new Map<Place, Program>();

  /** @param database its lines of YAML, and `rest` those beside the databases */
  constructor(building: Building, database: readonly string[], rest: readonly string[] = []) {
    this.#building = building;
    this.#database = database;
    this.#rest = rest;
  }

  async start(): Promise<void> {
    await Promise.all(gatewayPlaces(this.#building).map((place) => this.#startAt(place)));
  }

  async #startAt(place: Place): Promise<void> {
    const gateway = startSluice(this.#building, place, this.#database, this.#rest);
    this.#running.set(place, gateway);
    await gateway.says(/listening on/, START_LIMIT_MS);
  }

  /** One after the other, each ended as an operator does it. */
  async restart(): Promise<void> {
    for (const place of [...this.#running.keys()]) {
      await this.end(place.name);
      await this.startAgain(place.name);
    }
  }

  /** A session past every network, by the unix socket of a gateway. Connect it and end it yourself. */
  client(name: string, user: string = SUPERUSER): pg.Client {
    const host = gatewayFolder(this.#building, name);
    const client = new pg.Client({ host, port: FRONT_PORT, user, database: DATABASE });
    client.on('error', () => {});
    return client;
  }

  /** Process ids, of those that run. */
  get pids(): number[] {
    return [...this.#running.values()].filter(({ ended }) => !ended).map(({ pid }) => pid);
  }

  async end(name: string, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.#at(name)[1].end(signal);
  }

  /** Starts one that has ended. */
  async startAgain(name: string): Promise<void> {
    const [place, gateway] = this.#at(name);
    if (gateway.ended) await this.#startAt(place);
  }

  #at(name: string): [Place, Program] {
    const found = [...this.#running].find(([place]) => place.name === name);
    if (found === undefined) throw new Error(`there is no gateway at ${name}`);
    return found;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#running.values()].map((gateway) => gateway.end('SIGKILL')));
  }
}

/** Writes PgBouncer's configuration; it takes it at its start and at SIGHUP. */
export function writePgbouncer(building: Building, place: Place, host: string, port: number): string {
  const folder = serverFolder(join(building.folder, `${place.name}-pgbouncer`));
  const users = write(folder, 'users.txt', [`"${SUPERUSER}" ""`]);
  return write(folder, 'pgbouncer.ini', [
    '[databases]',
    `${DATABASE} = host=${host} port=${port} dbname=${DATABASE}`,
    '[pgbouncer]',
    `listen_addr = ${place.listens}`,
    `listen_port = ${FRONT_PORT}`,
    'unix_socket_dir =',
    'auth_type = trust',
    `auth_file = ${users}`,
    'pool_mode = transaction',
    `default_pool_size = ${POOL_SIZE}`,
    'max_client_conn = 500',
    ...(building.tuned
      ? ['server_login_retry = 1', 'server_connect_timeout = 2', 'tcp_user_timeout = 3000']
      : []),
  ]);
}

export function startPgbouncer(building: Building, place: Place, file: string): Program {
  const log = join(building.folder, `${place.name}-pgbouncer.log`);
  return new Program(place, 'pgbouncer', log, { program: PGBOUNCER, args: [file], asServer: true });
}

/** Settings that people deploy Pgpool-II with in front of repmgr, or the shortest that make sense. */
function pgpoolTimes(tuned: boolean): string[] {
  if (!tuned) {
    return [
      ...[
        'health_check_period = 30',
        'health_check_timeout = 10',
        'health_check_max_retries = 5',
        'health_check_retry_delay = 5',
      ],
      ...['sr_check_period = 10', 'failover_on_backend_error = off'],
    ];
  }
  return [
    ...[
      'health_check_period = 1',
      'health_check_timeout = 2',
      'health_check_max_retries = 1',
      'health_check_retry_delay = 1',
    ],
    ...['sr_check_period = 1', 'failover_on_backend_error = on', 'connect_timeout = 2000'],
  ];
}

export function startPgpool(building: Building, place: Place, nodes: readonly DatabaseNode[]): Program {
  const folder = serverFolder(join(building.folder, `${place.name}-pgpool`));
  const file = write(folder, 'pgpool.conf', [
    "backend_clustering_mode = 'streaming_replication'",
    `listen_addresses = '${place.listens}'`,
    `port = ${PGPOOL_PORT}`,
    `unix_socket_directories = '${folder}'`,
    `pcp_socket_dir = '${folder}'`,
    `pcp_listen_addresses = '${place.listens}'`,
    `pid_file_name = '${join(folder, 'pgpool.pid')}'`,
    `logdir = '${folder}'`,
    ...nodes.flatMap((node, index) => [
      `backend_hostname${index} = '${node.place.address}'`,
      `backend_port${index} = ${POSTGRES_PORT}`,
      `backend_weight${index} = 1`,
      `backend_application_name${index} = '${node.name}'`,
    ]),
    'enable_pool_hba = off',
    'num_init_children = 64',
    'max_pool = 4',
    'load_balance_mode = on',
    `sr_check_user = '${SUPERUSER}'`,
    `health_check_user = '${SUPERUSER}'`,
    "failover_command = ''",
    'search_primary_node_timeout = 0',
    'auto_failback = off',
    ...pgpoolTimes(building.tuned),
  ]);
  // The MD5 sum of "postgres": the command pcp_attach_node logs in by it.
  const pcp = write(folder, 'pcp.conf', ['postgres:e8a48653851e28c69d0506508fb27fc5']);
  const args = ['-n', '-f', file, '-F', pcp];
  const log = join(building.folder, `${place.name}-pgpool.log`);
  return new Program(place, 'pgpool', log, { program: 'pgpool', args, asServer: true });
}
