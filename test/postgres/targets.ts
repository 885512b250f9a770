/** What suites are run against: the server itself, Sluice, PgBouncer; in session and in transaction mode. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { start } from '../harness/command.js';
import { availableDrivers } from '../harness/drivers.js';
import { GatewayUnderTest } from '../harness/gateway-under-test.js';
import { serverIdentity } from '../harness/postgres-binaries.js';
import { type PostgresServer, SUPERUSER } from '../harness/postgres-server.js';
import { freePort } from '../harness/scratch.js';
import { until } from '../harness/until.js';

/**
 * The ways to reach the server. `once`: in session mode, and no server connection serves a second client. `routing`: in
 * transaction mode, the server is a primary with two standbys, and reads go there.
 */
export const MODES = ['direct', 'session', 'once', 'transaction', 'routing'] as const;
export type Mode = (typeof MODES)[number];

/** One way to reach the server, by one program. */
export interface Route {
  readonly mode: Mode;
  /** Null: there is no pooler between. */
  readonly pooler: 'Sluice' | 'PgBouncer' | null;
}

/** e.g. `Sluice, session mode` */
export function routeName({ mode, pooler }: Route): string {
  if (pooler === null) return 'direct';
  if (mode === 'routing') return `${pooler}, transaction mode, routing`;
  return mode === 'once' ? `${pooler}, session mode, used once` : `${pooler}, ${mode} mode`;
}

/** A route that stands. */
export interface Target {
  readonly port: number;
  /** Ends it. @returns what was wrong with it; null: nothing */
  stop(): Promise<string | null>;
}

/**
 * As many as one group of pg_regress has tests, and some for tests that open more than one. Few enough that in transaction
 * mode clients share them.
 */
const POOL_SIZE = 24;
const CLIENTS_MAX = 1000;
/** Beyond what any pool of the tests' roles may hold together. */
export const SERVER_CONNECTIONS_MAX = 300;
const PGBOUNCER_START_MS = 15_000;
/** Of Sluice in every mode. */
export const GATEWAY_SETTINGS = {
  default_pool_size: POOL_SIZE,
  max_client_conn: CLIENTS_MAX,
  // For whoever wants to look at a run that hangs.
  admin_users: SUPERUSER,
};

/** @param folder for the pooler's files and its log */
export function openTarget(
  route: Route,
  server: PostgresServer,
  folder: string,
  pgbouncer: string | undefined,
): Promise<Target> {
  if (route.pooler === null) return Promise.resolve({ port: server.port, stop: async () => null });
  return route.pooler === 'Sluice'
    ? openSluice(route.mode, server, folder)
    : openPgBouncer(pgbouncer!, route.mode, server, folder);
}

function poolMode(mode: Mode): string {
  return mode === 'once' ? 'session' : mode;
}

async function openSluice(mode: Mode, server: PostgresServer, folder: string): Promise<Target> {
  const gateway = await GatewayUnderTest.start({
    io: availableDrivers[0]!,
    server,
    settings: {
      ...GATEWAY_SETTINGS,
      pool_mode: poolMode(mode),
      ...(mode === 'once' ? { server_lifetime: '1ms' } : {}),
    },
  });
  return gatewayTarget(gateway, folder);
}

/** A gateway that is being used; its log is left in `folder`. */
export function gatewayTarget(gateway: GatewayUnderTest, folder: string): Target {
  return {
    port: gateway.port,
    stop: async () => {
      const failure = await gateway.stop().then(
        () => null,
        (error: Error) => error.message.slice(0, 2000),
      );
      writeFileSync(join(folder, 'pooler.log'), gateway.log);
      return failure;
    },
  };
}

async function openPgBouncer(
  program: string,
  mode: Mode,
  server: PostgresServer,
  folder: string,
): Promise<Target> {
  const port = await freePort();
  const file = join(folder, 'pgbouncer.ini');
  writeFileSync(file, pgbouncerFile(mode, server, port));
  const child = start(program, [file], {
    stdio: ['ignore', 'ignore', 'pipe'],
    cwd: folder,
    ...serverIdentity(),
  });
  let log = '';
  child.stderr?.on('data', (chunk) => {
    log += chunk;
  });
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  await until('PgBouncer to start', () => hasEnded() || log.includes('process up'), PGBOUNCER_START_MS);
  if (hasEnded()) throw new Error(`PgBouncer did not start:\n${log}`);
  return {
    port,
    stop: async () => {
      const failure = hasEnded() ? `PgBouncer ended by itself:\n${log.slice(-2000)}` : null;
      child.kill('SIGQUIT');
      await until('PgBouncer to end', hasEnded);
      writeFileSync(join(folder, 'pooler.log'), log);
      return failure;
    },
  };
}

/** With everything that brings it near a direct connection. Its auth_query lets every role in that the tests make. */
function pgbouncerFile(mode: Mode, { host, port: serverPort }: PostgresServer, port: number): string {
  return `[databases]
* = host=${host} port=${serverPort}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_user = postgres
auth_dbname = postgres
auth_query = SELECT $1::text, ''::text
pool_mode = ${poolMode(mode)}
default_pool_size = ${POOL_SIZE}
max_client_conn = ${CLIENTS_MAX}
max_prepared_statements = 100
ignore_startup_parameters = extra_float_digits, options
${mode === 'once' ? 'server_lifetime = 0' : ''}
`;
}
