import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { firstError, singleValue } from '../harness/backend-message.js';
import { describeDrivers } from '../harness/drivers.js';
import { FaultProxy } from '../harness/fault-proxy.js';
import * as send from '../harness/frontend-message.js';
import { withGateway } from '../harness/gateway-under-test.js';
import { RawClient } from '../harness/raw-client.js';
import { onEveryDriver } from '../harness/stage.js';
import { until } from '../harness/until.js';

onEveryDriver('limits', {}, (stage) => {
  const gateway = (settings: Record<string, string | number>) => ({
    io: stage.io,
    server: stage.server,
    settings,
  });

  test('query_wait_timeout', async () => {
    await withGateway(gateway({ default_pool_size: 1, query_wait_timeout: '300ms' }), async (at) => {
      const holder = await RawClient.login(at);
      await holder.query('BEGIN');
      const waiting = await RawClient.login(at);
      waiting.send(send.query('SELECT 1'));
      const error = firstError(await waiting.untilEnd());
      assert.equal(error.severity, 'FATAL');
      assert.match(error.message, /query_wait_timeout/);
      assert.match(`${error.hint}`, /default_pool_size/);
      assert.equal(singleValue(await holder.query('SELECT 2')), '2');
      await holder.query('COMMIT');
      const next = await RawClient.login(at);
      assert.equal(singleValue(await next.query('SELECT 3')), '3');
      await holder.close();
      await next.close();
    });
  });

  test('max_client_conn', async () => {
    await withGateway(gateway({ max_client_conn: 3 }), async (at) => {
      const clients = [];
      for (let i = 0; i < 3; i++) clients.push(await RawClient.login(at));
      const fourth = await RawClient.connect(at);
      fourth.startup();
      const error = firstError(await fourth.untilEnd());
      assert.equal(error.code, '53300');
      assert.match(`${error.message} ${error.hint}`, /max_client_conn/);
      await clients[0]?.close();
      const fifth = await until('the place of a client that has left', async () =>
        RawClient.login(at).catch(() => null),
      );
      assert.equal(singleValue(await fifth.query('SELECT 4')), '4');
      await fifth.close();
      await clients[1]?.close();
      await clients[2]?.close();
    });
  });

  test('a cancel request is served although max_client_conn is reached', async () => {
    await withGateway(gateway({ max_client_conn: 1 }), async (at) => {
      const client = await RawClient.login(at);
      const sql = 'SELECT pg_sleep(60), 5';
      client.send(send.query(sql));
      await until('the query to run', async () => {
        const rows = await stage.server.query(
          `SELECT 1 FROM pg_stat_activity WHERE query = '${sql}' AND state = 'active'`,
        );
        return rows.length > 0;
      });
      await client.cancel(at);
      assert.equal(firstError(await client.untilReady()).code, '57014');
      await client.close();
    });
  });

  test('default_pool_size', async () => {
    await withGateway(gateway({ default_pool_size: 3 }), async (at) => {
      const clients = await Promise.all(Array.from({ length: 12 }, () => RawClient.login(at)));
      const sleeping = Promise.all(clients.map((client) => client.query('SELECT pg_sleep(0.1)')));
      let most = 0;
      let done = false;
      sleeping.finally(() => {
        done = true;
      });
      while (!done) most = Math.max(most, await stage.server.connections());
      await sleeping;
      assert.equal(most, 3);
      for (const client of clients) await client.close();
    });
  });

  test('clients are served in the order in which they came', async () => {
    await withGateway(gateway({ default_pool_size: 1 }), async (at) => {
      const holder = await RawClient.login(at);
      await holder.query('BEGIN');
      const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.login(at)));
      await stage.server.query('DROP SEQUENCE IF EXISTS turn; CREATE SEQUENCE turn');
      for (const client of clients) {
        client.send(send.query("SELECT nextval('turn')"));
        // The gateway has read this one when it answers the next.
        await (await RawClient.login(at)).close();
      }
      await holder.query('COMMIT');
      const turns = await Promise.all(clients.map(async (client) => singleValue(await client.untilReady())));
      assert.deepEqual(
        turns,
        Array.from({ length: 20 }, (_, i) => `${i + 1}`),
      );
      for (const client of [...clients, holder]) await client.close();
    });
  });

  test('server_idle_timeout', async () => {
    await withGateway(gateway({ server_idle_timeout: '200ms' }), async (at) => {
      const client = await RawClient.login(at);
      const pid = singleValue(await client.query('SELECT pg_backend_pid()'));
      await until('the unused server connection to be closed', async () => {
        return (await stage.server.connections()) === 0;
      });
      assert.notEqual(singleValue(await client.query('SELECT pg_backend_pid()')), pid);
      await client.close();
    });
  });

  test('server_lifetime', async () => {
    await withGateway(gateway({ server_lifetime: '200ms', default_pool_size: 1 }), async (at) => {
      const client = await RawClient.login(at);
      const pid = singleValue(await client.query('SELECT pg_backend_pid()'));
      await until('a new server connection', async () => {
        return singleValue(await client.query('SELECT pg_backend_pid()')) !== pid;
      });
      await client.query('BEGIN');
      const held = singleValue(await client.query('SELECT pg_backend_pid()'));
      await client.query('SELECT pg_sleep(0.5)');
      const after = singleValue(await client.query('SELECT pg_backend_pid()'));
      assert.equal(after, held, 'a server connection is not closed in a transaction');
      await client.query('COMMIT');
      await client.close();
    });
  });

  test('client_login_timeout', async () => {
    await withGateway(gateway({ client_login_timeout: '300ms' }), async (at) => {
      const silent = await RawClient.connect(at);
      const error = firstError(await silent.untilEnd());
      assert.equal(error.severity, 'FATAL');
      assert.match(error.message, /client_login_timeout/);
      silent.destroy();
    });
  });

  test('max_packet_size', async () => {
    await withGateway(gateway({ max_packet_size: 20_000 }), async (at) => {
      const client = await RawClient.login(at);
      assert.equal(singleValue(await client.query(`SELECT length('${'x'.repeat(10_000)}')`)), '10000');
      client.send(send.query(`SELECT length('${'x'.repeat(30_000)}')`));
      const error = firstError(await client.untilEnd());
      assert.deepEqual([error.severity, error.code], ['FATAL', '08P01']);
      assert.match(`${error.message} ${error.hint}`, /max_packet_size/);
      client.destroy();
    });
  });
});

describeDrivers('a server that does not answer', (io) => {
  test('server_connect_timeout', async () => {
    const mute = await FaultProxy.start({ host: '127.0.0.1', port: 1 });
    mute.stall(true);
    const settings = {
      server_connect_timeout: '200ms',
      server_login_retry: '100ms',
      query_wait_timeout: '600ms',
    };
    await withGateway({ io, server: mute, settings }, async (gateway) => {
      const client = await RawClient.connect(gateway);
      client.startup();
      const error = firstError(await client.untilEnd());
      assert.equal(error.severity, 'FATAL');
      client.destroy();
    });
    await mute.stop();
  });

  describe('nobody listens', () => {
    test('the client learns why', async () => {
      const settings = { query_wait_timeout: '500ms', server_login_retry: '100ms' };
      await withGateway({ io, server: { host: '127.0.0.1', port: 1 }, settings }, async (gateway) => {
        const client = await RawClient.connect(gateway);
        client.startup();
        const error = firstError(await client.untilEnd());
        assert.equal(error.severity, 'FATAL');
        assert.match(`${error.message} ${error.detail} ${error.hint}`, /refused/i);
        client.destroy();
      });
    });
  });
});
