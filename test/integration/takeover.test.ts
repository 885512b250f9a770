/** Restarts without loss: a new process takes the listening sockets over, and nobody notices. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { loadAddon } from '../../src/reactor/load-addon.js';
import { readNotificationResponse } from '../../src/wire/server-messages.js';
import { start } from '../harness/command.js';
import { availableDrivers } from '../harness/drivers.js';
import { GATEWAY_PROGRAM } from '../harness/gateway-under-test.js';
import { PostgresServer, SUPERUSER } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { freePort, scratchFolder } from '../harness/scratch.js';
import { until } from '../harness/until.js';

const TAKEOVERS = 3;
const CLIENTS = 4;

/** A gateway that may replace another one with the same file. */
class Generation {
  readonly child: ChildProcess;
  log = '';

  constructor(file: string, flags: readonly string[]) {
    this.child = start(process.execPath, [GATEWAY_PROGRAM, 'serve', file, ...flags], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.on('data', (chunk) => {
        this.log += chunk;
      });
    }
  }

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  async says(text: string): Promise<void> {
    await until(`a log with "${text}"`, () => this.ended || this.log.includes(text), 20_000);
    assert.ok(this.log.includes(text), this.log);
  }

  async end(): Promise<void> {
    await until('the old process to end', () => this.ended, 20_000);
    assert.equal(this.child.exitCode, 0, this.log);
    assert.doesNotMatch(this.log, /"level":"(error|fatal)"/);
  }
}

describe('a takeover', { skip: !('addon' in loadAddon()) }, () => {
  let server: PostgresServer;
  before(async () => {
    server = await PostgresServer.start();
  });
  after(() => server?.discard());

  for (const io of availableDrivers) {
    test(`is not noticed by those who connect and those who are connected (${io})`, async () => {
      const folder = scratchFolder('takeover');
      chmodSync(folder, 0o755);
      const port = await freePort();
      const http = await freePort();
      const file = join(folder, 'sluice.yaml');
      writeFileSync(
        file,
        `listen_port: ${port}\nunix_socket_dir: ${folder}\nauth_type: trust\nio: ${io}\nhttp_listen: 127.0.0.1:${http}\n` +
          `databases: { "*": postgres://${server.host}:${server.port} }\n`,
      );
      const places = [{ host: '127.0.0.1' }, { host: folder }];
      let current = new Generation(file, []);
      await current.says('listening on');

      let running = true;
      let served = 0;
      const clients = Array.from({ length: CLIENTS }, async (_, index) => {
        while (running) {
          const client = new pg.Client({ ...places[index % 2], port, user: SUPERUSER, database: 'postgres' });
          await client.connect();
          const { rows } = await client.query('SELECT $1::int AS n', [served]);
          assert.equal(typeof rows[0].n, 'number');
          await client.end();
          served += 1;
        }
      });
      // Any failure of theirs is the test's, at once.
      const failed = Promise.all(clients);
      const withClients = <T>(work: Promise<T>): Promise<T> => Promise.race([work, failed.then(() => work)]);

      for (let round = 1; round <= TAKEOVERS; round++) {
        const resident = await withClients(RawClient.login({ host: '127.0.0.1', port }));
        await resident.query('BEGIN');
        const next = new Generation(file, ['--takeover']);
        await withClients(next.says('listening on'));
        await withClients(current.says('has taken over'));
        await withClients(until('somebody to be served', () => served > round * 20));
        assert.equal(current.ended, false, 'it stays for the client that is connected');
        await resident.query('COMMIT');
        await resident.close();
        await withClients(current.end());
        const health = await fetch(`http://127.0.0.1:${http}/readiness`);
        assert.equal(health.status, 200);
        current = next;
      }
      running = false;
      await failed;
      assert.ok(existsSync(join(folder, `.s.PGSQL.${port}`)));
      current.child.kill('SIGTERM');
      await current.end();
      assert.equal(existsSync(join(folder, `.s.PGSQL.${port}`)), false);
    });
  }

  test('leaves those who listen where they are, and they hear the same as those who come', async () => {
    const port = await freePort();
    const folder = scratchFolder('takeover');
    const file = join(folder, 'sluice.yaml');
    const databases = { '*': `postgres://${server.host}:${server.port}` };
    writeFileSync(
      file,
      JSON.stringify({ listen_port: port, unix_socket_dir: folder, auth_type: 'trust', databases }),
    );
    const old = new Generation(file, []);
    await old.says('listening on');
    const listen = async () => {
      const client = await RawClient.login({ host: '127.0.0.1', port });
      await client.query('LISTEN a');
      return client;
    };
    const clients = [await listen()];
    const next = new Generation(file, ['--takeover']);
    await next.says('listening on');
    await old.says('has taken over');
    clients.push(await listen());
    for (let i = 0; i < 3; i++) {
      await server.query(`NOTIFY a, '${i}'`);
      for (const client of clients) {
        const { body } = (await client.take('A')).at(-1)!;
        assert.equal(readNotificationResponse(body, 0, body.length).payload, String(i));
      }
    }
    await clients[0]!.close();
    await old.end();
    await clients[1]!.close();
    next.child.kill('SIGTERM');
    await next.end();
  });

  test('that cannot succeed leaves the running process as it is', async () => {
    const folder = scratchFolder('takeover');
    const port = await freePort();
    const file = join(folder, 'sluice.yaml');
    const text = `listen_port: ${port}\nunix_socket_dir: ${folder}\nauth_type: trust\ndatabases: { "*": postgres://127.0.0.1:1 }\n`;
    writeFileSync(file, text);
    const current = new Generation(file, []);
    await current.says('listening on');
    const busy = await freePort();
    const other = join(folder, 'other.yaml');
    writeFileSync(other, `${text}listen_addr: 192.0.2.1\n`);
    const bad = new Generation(other, ['--takeover']);
    await until('it to give up', () => bad.ended, 20_000);
    assert.equal(bad.child.exitCode, 1, bad.log);
    const client = await RawClient.connect({ host: '127.0.0.1', port });
    client.destroy();
    assert.ok(busy > 0);
    current.child.kill('SIGTERM');
    await current.end();
    assert.doesNotMatch(current.log, /has taken over/);
    assert.ok(readFileSync(file).length > 0);
  });

  test('from nobody is a start', async () => {
    const folder = scratchFolder('takeover');
    const port = await freePort();
    const file = join(folder, 'sluice.yaml');
    writeFileSync(
      file,
      `listen_port: ${port}\nunix_socket_dir: ${folder}\nauth_type: trust\ndatabases: { "*": postgres://127.0.0.1:1 }\n`,
    );
    const alone = new Generation(file, ['--takeover']);
    await alone.says('listening on');
    assert.match(alone.log, /nobody to take over from/);
    alone.child.kill('SIGTERM');
    await alone.end();
  });
});
