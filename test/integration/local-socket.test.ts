/** Servers on this machine that are configured by TCP, and reached by their unix sockets (`server_unix_socket`). */
import assert from 'node:assert/strict';
import { chownSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { firstError, rowsOf, singleValue } from '../harness/backend-message.js';
import { describeDrivers } from '../harness/drivers.js';
import * as send from '../harness/frontend-message.js';
import { type Driver, GatewayUnderTest, withGateway } from '../harness/gateway-under-test.js';
import { serverIdentity } from '../harness/postgres-binaries.js';
import { PostgresServer } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { scratchFolder } from '../harness/scratch.js';
import { until } from '../harness/until.js';

const WAY = "SELECT coalesce(host(inet_client_addr()), 'socket')";
const TCP = '127.0.0.1';
/** The driver `node` can't tell who is at the other end of a socket. */
const wayOf = (io: Driver) => (io === 'node' ? TCP : 'socket');
const SECRET = 'a secret';

/** The answer to a query on a connection of its own; a user has a password, the superuser none. */
async function ask(gateway: GatewayUnderTest, sql: string, user?: string): Promise<string | null> {
  const client = await (user === undefined
    ? RawClient.login(gateway)
    : RawClient.login(gateway, { user }, { password: SECRET }));
  try {
    return singleValue(await client.query(sql));
  } finally {
    await client.close();
  }
}

describe('the unix socket of a server on this machine', () => {
  let server: PostgresServer;
  before(async () => {
    server = await PostgresServer.start();
  });
  after(() => server.discard());

  describeDrivers('serves', (io) => {
    test('where it is found, from the first query on', async () => {
      const settings = { server_unix_socket: server.socketFolder, admin_users: 'ann' };
      await withGateway({ io, server, settings }, async (gateway) => {
        assert.equal(await ask(gateway, WAY), wayOf(io));
        const operator = await RawClient.login(gateway, { user: 'ann', database: 'pgbouncer' });
        const servers = rowsOf(await operator.query('SHOW SERVERS'));
        assert.deepEqual(
          servers.map((row) => row[5]),
          [io === 'node' ? TCP : 'unix'],
        );
        await operator.query('RECONNECT');
        assert.equal(await ask(gateway, WAY), wayOf(io));
        await operator.query('RELOAD');
        assert.equal(await ask(gateway, WAY), wayOf(io));
        await operator.close();
      });
    });

    test('also a host that has a name, and many clients at once', async () => {
      const url = `*=postgres://localhost:${server.port}?server_unix_socket=${server.socketFolder}`;
      await withGateway({ io, server: [url], settings: { server_unix_socket: 'off' } }, async (gateway) => {
        const sql = `${WAY} FROM pg_sleep(0.05)`;
        const ways = await Promise.all(Array.from({ length: 30 }, () => ask(gateway, sql)));
        assert.deepEqual([...new Set(ways)], [wayOf(io)]);
      });
    });

    test('cancel requests, too', async () => {
      const settings = { server_unix_socket: server.socketFolder };
      await withGateway({ io, server, settings }, async (gateway) => {
        const client = await RawClient.login(gateway);
        const sql = `SELECT pg_sleep(60), '${io}'`;
        client.send(send.query(sql));
        await until('it to run', async () => {
          const active = `SELECT query FROM pg_stat_activity WHERE state = 'active'`;
          return (await server.query(active)).some(({ query }) => query === sql);
        });
        await client.cancel(gateway);
        assert.equal(firstError(await client.untilReady()).code, '57014');
        await client.close();
      });
    });

    test('not where it is switched off, nor where there is none', async () => {
      for (const value of ['off', '/nowhere']) {
        const settings = { server_unix_socket: value };
        await withGateway({ io, server, settings }, async (gateway) => {
          assert.equal(await ask(gateway, WAY), TCP);
        });
      }
    });
  });

  describeDrivers('with an impostor', (io) => {
    let impostor: Server;
    let folder: string;
    let seen = 0;
    before(async () => {
      folder = scratchFolder('impostor');
      const path = join(folder, `.s.PGSQL.${server.port}`);
      impostor = createServer((socket) => {
        socket.on('data', (chunk) => {
          seen += chunk.length;
          socket.destroy();
        });
        socket.on('error', () => {});
      });
      await new Promise<void>((resolve) => impostor.listen(path, resolve));
      // The file may look like the server's own: the process at its end doesn't.
      const { uid, gid } = serverIdentity();
      if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
    });
    after(() => impostor.close());

    test('TCP serves, and nothing is told to a process of another user', async () => {
      await withGateway({ io, server, settings: { server_unix_socket: folder } }, async (gateway) => {
        assert.equal(await ask(gateway, WAY), TCP);
        const told = /unix socket .* is not used .*server_unix_socket=off/;
        if (io !== 'node') await until('the log', () => told.test(gateway.log));
      });
      if (serverIdentity().uid !== undefined) assert.equal(seen, 0);
    });
  });

  describeDrivers('of another server with the same port', (io) => {
    test('is not taken for it', async () => {
      const other = await PostgresServer.start({ settings: { port: server.port, listen_addresses: '' } });
      try {
        const settings = { server_unix_socket: other.socketFolder };
        await withGateway({ io, server, settings }, async (gateway) => {
          assert.equal(await ask(gateway, WAY), TCP);
          const told = /is not used .* it leads to another server/;
          if (io !== 'node') await until('the log', () => told.test(gateway.log));
        });
      } finally {
        await other.discard();
      }
    });
  });
});

describeDrivers('a server in the usual folder', (io) => {
  test('is found, lost with the server, and found again', async () => {
    const server = await PostgresServer.start({ settings: { unix_socket_directories: '/tmp' } });
    try {
      await withGateway({ io, server, settings: { server_login_retry: '100ms' } }, async (gateway) => {
        assert.equal(await ask(gateway, WAY), wayOf(io));
        await server.restart();
        await until('the server to be back', async () => {
          const client = await RawClient.login(gateway);
          const answer = await client.query(WAY);
          await client.close();
          return answer.every(({ type }) => type !== 'E') && singleValue(answer) === wayOf(io);
        });
      });
    } finally {
      await server.discard();
    }
  });
});

/** What pg_hba.conf says of each user, by socket and by TCP, and whether the socket serves. */
const RULES: Readonly<
  Record<string, { readonly local: string; readonly host: string; readonly isUsed: boolean }>
> = {
  same: { local: 'scram-sha-256', host: 'scram-sha-256', isUsed: true },
  rejected: { local: 'reject', host: 'scram-sha-256', isUsed: false },
  stranger: { local: 'peer', host: 'scram-sha-256', isUsed: false },
  trusted: { local: 'trust', host: 'scram-sha-256', isUsed: false },
  clear: { local: 'password', host: 'scram-sha-256', isUsed: false },
  hashed: { local: 'md5', host: 'password', isUsed: false },
  asked: { local: 'scram-sha-256', host: 'trust', isUsed: false },
};

describe('the socket of a server whose pg_hba.conf', () => {
  let server: PostgresServer;
  before(async () => {
    const rules = Object.entries(RULES).flatMap(([user, { local, host }]) => [
      `local all ${user} ${local}`,
      `host all ${user} 127.0.0.1/32 ${host}`,
    ]);
    const hba = [...rules, 'local all all trust', 'host all all 127.0.0.1/32 trust'];
    server = await PostgresServer.start({ hba });
    for (const user of Object.keys(RULES)) await server.query(`CREATE USER ${user} PASSWORD '${SECRET}'`);
  });
  after(() => server.discard());

  describeDrivers('asks for passwords', (io) => {
    let gateway: GatewayUnderTest;
    before(async () => {
      gateway = await GatewayUnderTest.start({
        io,
        server,
        users: Object.fromEntries(Object.keys(RULES).map((user) => [user, SECRET])),
        settings: {
          server_unix_socket: server.socketFolder,
          auth_type: 'scram-sha-256',
          // A login that fails would be seen.
          server_login_retry: 60,
        },
      });
    });
    after(() => gateway.stop());

    for (const [user, { local, host, isUsed }] of Object.entries(RULES)) {
      const outcome = isUsed ? 'is used' : 'is left alone, and nobody notices';
      test(`by local ${local}, by host ${host}: ${outcome}`, async () => {
        const way = isUsed ? wayOf(io) : TCP;
        const since = server.log.length;
        assert.equal(await ask(gateway, WAY, user), way);
        const sql = `${WAY} FROM pg_sleep(0.05)`;
        const ways = await Promise.all(Array.from({ length: 5 }, () => ask(gateway, sql, user)));
        assert.deepEqual([...new Set(ways)], [way]);
        const told = gateway.log
          .split('\n')
          .filter((line) => line.includes('is not used') && line.includes(user));
        assert.equal(told.length, isUsed || io === 'node' ? 0 : 1);
        // It is tried once, not by every connection.
        const failures = server.log.slice(since).match(/FATAL/g)?.length ?? 0;
        assert.ok(failures <= 1, server.log.slice(since));
      });
    }
  });
});
