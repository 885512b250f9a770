import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { singleValue } from '../harness/backend-message.js';
import { start } from '../harness/command.js';
import * as send from '../harness/frontend-message.js';
import { GATEWAY_PROGRAM } from '../harness/gateway-under-test.js';
import { serverIdentity } from '../harness/postgres-binaries.js';
import { PostgresServer } from '../harness/postgres-server.js';
import { type Endpoint, RawClient } from '../harness/raw-client.js';
import { freePort, scratchFolder } from '../harness/scratch.js';
import { until } from '../harness/until.js';

/** `sluice pgbouncer` with a `pgbouncer.ini` of its own; it refuses to run as root. */
class Program {
  readonly address: Endpoint;
  readonly socket: Endpoint;
  readonly #folder: string;
  readonly #settings: string;
  readonly #child: ChildProcess;

  private constructor(folder: string, port: number, settings: string) {
    this.#folder = folder;
    this.#settings = settings;
    this.address = { host: '127.0.0.1', port };
    this.socket = { path: join(folder, `.s.PGSQL.${port}`) };
    this.configure('');
    const args = [GATEWAY_PROGRAM, 'pgbouncer', '--quiet', this.#ini];
    this.#child = start(process.execPath, args, { stdio: 'ignore', ...serverIdentity() });
  }

  static async start(server: PostgresServer): Promise<Program> {
    const folder = scratchFolder('pgbouncer');
    chmodSync(folder, 0o777);
    const port = await freePort();
    // PgBouncer trusts those alone whom it knows.
    const users = join(folder, 'users.txt');
    writeFileSync(users, '"postgres" ""\n');
    const settings = `
; what PgBouncer's users write
[databases]
app = host=127.0.0.1 port=${server.port}
forced = host=${server.socketFolder} port=${server.port} dbname=app user=postgres

[users]
postgres = pool_size=3

[pgbouncer]
logfile = ${join(folder, 'a.log')}
pidfile = ${join(folder, 'a.pid')}
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir = ${folder}
auth_type = trust
auth_file = ${users}
pool_mode = transaction
`;
    const program = new Program(folder, port, settings);
    await program.logSays('process up');
    return program;
  }

  get #ini(): string {
    return join(this.#folder, 'pgbouncer.ini');
  }

  get log(): string {
    const file = join(this.#folder, 'a.log');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  /** Rewrites the file, with these lines at its end. */
  configure(more: string): void {
    writeFileSync(this.#ini, this.#settings + more);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async logSays(text: string): Promise<void> {
    await until(`the log to say "${text}"`, () => this.exitCode !== null || this.log.includes(text), 20_000);
    assert.ok(this.log.includes(text), this.log);
  }

  async ends(): Promise<void> {
    await until('the program to end', () => this.exitCode !== null, 10_000);
  }

  kill(): void {
    if (this.exitCode === null) this.#child.kill('SIGKILL');
  }
}

async function answer(client: RawClient, sql: string): Promise<string | null> {
  client.send(send.query(sql));
  return singleValue(await client.untilReady());
}

describe('sluice pgbouncer with a pgbouncer.ini', () => {
  let server: PostgresServer;
  let program: Program;
  before(async () => {
    server = await PostgresServer.start();
    program = await Program.start(server);
  });
  after(async () => {
    program?.kill();
    await server?.discard();
  });

  test('serves by TCP and by its unix socket', async () => {
    const byTcp = await RawClient.login(program.address, { user: 'postgres', database: 'app' });
    assert.equal(await answer(byTcp, 'SELECT current_database()'), 'app');
    const bySocket = await RawClient.login(program.socket, { user: 'postgres', database: 'forced' });
    assert.equal(await answer(bySocket, 'SELECT current_database()'), 'app');
    byTcp.end();
    bySocket.end();
  });

  test('reloads at SIGHUP, with clients connected, and changes nothing when the file is bad', async () => {
    const client = await RawClient.login(program.address, { user: 'postgres', database: 'app' });
    program.configure('colour = red\n');
    program.signal('SIGHUP');
    await program.logSays('config file loading failed');
    assert.match(program.log, /ERROR .*pgbouncer\.ini:\d+:1: colour: no such setting/);
    program.configure(`[databases]\nmore = host=127.0.0.1 dbname=app port=${server.port}\n`);
    program.signal('SIGHUP');
    await until('the new database', async () => {
      const other = await RawClient.connect(program.address);
      other.startup({ user: 'postgres', database: 'more' });
      const messages = await other.untilReady().catch(() => []);
      other.end();
      return messages.length > 0;
    });
    assert.equal(await answer(client, 'SELECT 1'), '1');
    client.end();
  });

  test('pauses at SIGUSR1 and goes on at SIGUSR2', async () => {
    const client = await RawClient.login(program.address, { user: 'postgres', database: 'app' });
    program.signal('SIGUSR1');
    await program.logSays('got SIGUSR1, pausing all activity');
    program.signal('SIGUSR1');
    await program.logSays('got SIGUSR1, but already paused/suspended');
    client.send(send.query('SELECT 7'));
    program.signal('SIGUSR2');
    await program.logSays('got SIGUSR2, continuing from PAUSE');
    assert.equal(singleValue(await client.untilReady()), '7');
    program.signal('SIGUSR2');
    await program.logSays('got SIGUSR2, but not paused/suspended');
    client.end();
  });

  test('waits for its clients at SIGTERM', async () => {
    const client = await RawClient.login(program.address, { user: 'postgres', database: 'app' });
    program.signal('SIGTERM');
    await program.logSays('got SIGTERM, shutting down, waiting for all clients disconnect');
    program.signal('SIGUSR2');
    await program.logSays('got SIGUSR2 while shutting down, ignoring');
    assert.equal(await answer(client, 'SELECT 1'), '1');
    client.end();
    await program.ends();
    assert.equal(program.exitCode, 0);
    assert.match(program.log, /client connections dropped, exiting\n/);
  });
});
