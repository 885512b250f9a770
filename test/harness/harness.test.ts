import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { describeMessage, rowsOf, singleValue, typesOf } from './backend-message.js';
import { succeed } from './command.js';
import { FaultProxy } from './fault-proxy.js';
import * as send from './frontend-message.js';
import { postgresProgram } from './postgres-binaries.js';
import { PostgresServer } from './postgres-server.js';
import { RawClient } from './raw-client.js';
import { until } from './until.js';

describe('the tests’ own tools, on PostgreSQL alone', () => {
  let server: PostgresServer;
  before(async () => {
    server = await PostgresServer.start();
  });
  after(() => server?.discard());

  test('two servers at once have ports of their own', async () => {
    const other = await PostgresServer.start({ settings: { max_connections: 17 } });
    try {
      assert.notEqual(other.port, server.port);
      assert.deepEqual(await other.query('SHOW max_connections'), [{ max_connections: '17' }]);
    } finally {
      await other.discard();
    }
  });

  test('psql reaches the server by its unix socket', async () => {
    const out = await succeed(postgresProgram('psql'), [
      ...['-h', server.socketFolder, '-p', `${server.port}`, '-U', 'postgres', '-d', 'app'],
      ...['-Atc', 'SELECT 40 + 2'],
    ]);
    assert.equal(out.trim(), '42');
  });

  test('a raw client logs in, asks, and is told of errors', async () => {
    const client = await RawClient.login(server);
    assert.ok(client.processId > 0);
    assert.equal(singleValue(await client.query('SELECT 1')), '1');
    const failed = await client.query('SELECT 1/0');
    assert.match(failed.map(describeMessage).join('\n'), /22012 division by zero/);
    client.send(send.extended('SELECT $1::int4 + 1, $2::text', ['41', null]));
    const answer = await client.untilReady();
    assert.equal(typesOf(answer), '12TDCZ');
    assert.deepEqual(rowsOf(answer), [['42', null]]);
    await client.close();
  });

  test('a raw client cancels', async () => {
    const client = await RawClient.login(server);
    client.send(send.query('SELECT pg_sleep(60)'));
    await until('the query to run', async () => {
      const rows = await server.query("SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'");
      return rows.length === 1;
    });
    await client.cancel(server);
    const answer = await client.untilReady();
    assert.match(answer.map(describeMessage).join('\n'), /57014/);
    await client.close();
  });

  test('a server that was killed comes back on its port', async () => {
    const { port } = server;
    await server.stop('immediate');
    await assert.rejects(RawClient.connect(server));
    await server.restart();
    assert.equal(server.port, port);
    assert.equal((await server.query('SELECT 1 AS one'))[0]?.one, 1);
  });

  test('the proxy cuts into pieces, stalls and cuts off', async () => {
    const proxy = await FaultProxy.start(server);
    try {
      proxy.pieceBytes = 1;
      const client = await RawClient.login(proxy);
      assert.equal(singleValue(await client.query("SELECT 'abc'")), 'abc');
      proxy.stall(true);
      client.send(send.query('SELECT 2'));
      proxy.stall(false);
      assert.equal(singleValue(await client.untilReady()), '2');
      proxy.cut();
      assert.deepEqual(await client.untilEnd(), []);
      await until('both sides to be gone', () => proxy.openSockets === 0);
    } finally {
      await proxy.stop();
    }
  });
});
