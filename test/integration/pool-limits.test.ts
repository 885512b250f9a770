/** Limits that pools share, what keeps them warm, and the times that clients have. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstError, rowsOf, singleValue } from '../harness/backend-message.js';
import { oneDriver } from '../harness/drivers.js';
import * as send from '../harness/frontend-message.js';
import { type GatewayOptions, withGateway } from '../harness/gateway-under-test.js';
import { RawClient } from '../harness/raw-client.js';
import { onEveryDriver } from '../harness/stage.js';
import { until } from '../harness/until.js';

const PID = 'SELECT pg_backend_pid()';
const SETUP = 'CREATE ROLE ann LOGIN; CREATE ROLE ben LOGIN';

onEveryDriver('limits of pools', { setup: SETUP, drivers: oneDriver('uring') }, (stage) => {
  type Settings = NonNullable<GatewayOptions['settings']>;
  const gateway = (settings: Settings, parameters = '') => ({
    io: stage.io,
    server: [`*=postgres://${stage.server.host}:${stage.server.port}?${parameters}`],
    settings,
  });
  const held = async (sql: string): Promise<boolean> => {
    const rows = await stage.server.query(
      `SELECT 1 FROM pg_stat_activity WHERE query = '${sql}' AND state = 'active'`,
    );
    return rows.length > 0;
  };

  test('max_db_connections: an unused connection of one user makes room for another', async () => {
    await withGateway(gateway({ max_db_connections: 1 }), async (at) => {
      const ann = await RawClient.login(at, { user: 'ann' });
      const first = singleValue(await ann.query(PID));
      const ben = await RawClient.login(at, { user: 'ben' });
      assert.notEqual(singleValue(await ben.query(PID)), first);
      assert.equal(await stage.server.connections(), 1);
      await ann.close();
      await ben.close();
    });
  });

  test('under max_db_connections a busy pool gives way to an older waiter', async () => {
    await withGateway(gateway({ max_db_connections: 1 }), async (at) => {
      const busy = await Promise.all([1, 2, 3].map(() => RawClient.login(at, { user: 'ann' })));
      let isServed = false;
      const working = busy.map(async (client) => {
        while (!isServed) await client.query('SELECT pg_sleep(0.02)');
        await client.close();
      });
      const ben = await RawClient.login(at, { user: 'ben' });
      assert.equal(singleValue(await ben.query('SELECT 7')), '7');
      isServed = true;
      await ben.close();
      await Promise.all(working);
    });
  });

  test('pools that differ in startup parameters alone share one pool_size', async () => {
    await withGateway(gateway({ default_pool_size: 2 }), async (at) => {
      const clients = [];
      for (const value of ['8MB', '9MB', '10MB', '11MB']) {
        const client = await RawClient.login(at, { user: 'ann', work_mem: value });
        assert.equal(singleValue(await client.query('SHOW work_mem')), value);
        // The process of one that was closed for it may take a moment to end.
        await until('two server processes', async () => (await stage.server.connections()) <= 2);
        clients.push(client);
      }
      for (const client of clients) await client.close();
    });
  });

  test('reserve_pool_size is for those who have waited', async () => {
    const settings = { default_pool_size: 1, reserve_pool_size: 1, reserve_pool_timeout: '200ms' };
    await withGateway(gateway(settings), async (at) => {
      const [holder, waiter] = [await RawClient.login(at), await RawClient.login(at)];
      await holder.query('BEGIN');
      assert.equal(singleValue(await waiter.query('SELECT 1')), '1');
      await until('a line in the log', () => at.log.includes('taking connection from reserve_pool'));
      await holder.query('COMMIT');
      await holder.close();
      await waiter.close();
    });
  });

  test('min_pool_size is kept while there is a client', async () => {
    await withGateway(gateway({ min_pool_size: 3, server_idle_timeout: '100ms' }), async (at) => {
      const client = await RawClient.login(at);
      await until('three server connections', async () => (await stage.server.connections()) === 3);
      await client.close();
    });
  });

  test('a database with a forced user is warm before any client comes', async () => {
    const url = `app=postgres://ann@${stage.server.host}:${stage.server.port}/postgres?min_pool_size=2`;
    await withGateway({ io: stage.io, server: [url] }, async () => {
      await until('two server connections', async () => (await stage.server.connections()) === 2);
    });
  });

  test('query_wait_fail_fast refuses at once', async () => {
    await withGateway(gateway({ default_pool_size: 1, query_wait_fail_fast: 'on' }), async (at) => {
      const [holder, second] = [await RawClient.login(at), await RawClient.login(at)];
      await holder.query('BEGIN');
      second.send(send.query('SELECT 1'));
      const error = firstError(await second.untilEnd());
      assert.deepEqual([error.severity, error.code], ['FATAL', '53300']);
      assert.match(error.message, /query_wait_fail_fast/);
      await holder.query('COMMIT');
      await holder.close();
    });
  });

  test('max_user_client_connections and max_db_client_connections', async () => {
    for (const setting of ['max_user_client_connections', 'max_db_client_connections']) {
      await withGateway(gateway({ [setting]: 1 }), async (at) => {
        const first = await RawClient.login(at);
        const second = await RawClient.connect(at);
        second.startup();
        const { code, message } = firstError(await second.untilEnd());
        assert.deepEqual([code, message], ['53300', `client connections exceeded (${setting})`]);
        await first.close();
        await until('a place', async () => RawClient.login(at).catch(() => null)).then((it) => it.close());
      });
    }
  });

  test('query_timeout ends the client and cancels its query', async () => {
    await withGateway(gateway({ query_timeout: '500ms', default_pool_size: 1 }), async (at) => {
      const sql = 'SELECT pg_sleep(60), 8';
      const [slow, other] = [await RawClient.login(at), await RawClient.login(at)];
      slow.send(send.query(sql));
      const { code, message } = firstError(await slow.untilEnd());
      assert.deepEqual([code, message], ['57014', 'query timeout']);
      await until('the query to be cancelled', async () => !(await held(sql)));
      assert.equal(singleValue(await other.query('SELECT 1')), '1');
      await other.close();
    });
  });

  const ENDS: readonly (readonly [setting: string, begin: string, code: string, message: string])[] = [
    ['idle_transaction_timeout', 'BEGIN', '25P03', 'idle transaction timeout'],
    ['transaction_timeout', 'BEGIN', '25P04', 'transaction timeout'],
    ['client_idle_timeout', 'SELECT 1', '57P05', 'client_idle_timeout'],
  ];
  for (const [setting, begin, code, message] of ENDS) {
    test(setting, async () => {
      await withGateway(gateway({ [setting]: '200ms' }), async (at) => {
        const client = await RawClient.login(at);
        await client.query(begin);
        const error = firstError(await client.untilEnd());
        assert.deepEqual([error.code, error.message], [code, message]);
      });
    });
  }

  test('query_wait_notify tells a client once that it waits', async () => {
    await withGateway(gateway({ default_pool_size: 1, query_wait_notify: '100ms' }), async (at) => {
      const [holder, waiter] = [await RawClient.login(at), await RawClient.login(at)];
      await holder.query('BEGIN');
      waiter.send(send.query('SELECT 2'));
      const notice = await waiter.next();
      assert.equal(notice.type, 'N');
      await holder.query('COMMIT');
      assert.equal(singleValue(await waiter.untilReady()), '2');
      await holder.close();
      await waiter.close();
    });
  });

  test('a server connection that has died while it rested is not handed out', async () => {
    await withGateway(gateway({ server_check_delay: 0 }), async (at) => {
      const client = await RawClient.login(at);
      const pid = singleValue(await client.query(PID));
      assert.equal(singleValue(await client.query(PID)), pid, 'a sound one is used again');
      await stage.server.query(`SELECT pg_terminate_backend(${pid})`);
      assert.notEqual(singleValue(await client.query(PID)), pid);
      await client.close();
    });
  });

  test('connect_query is run on every new server connection', async () => {
    const query = encodeURIComponent("SET search_path = 'here'");
    await withGateway(gateway({}, `connect_query=${query}`), async (at) => {
      const client = await RawClient.login(at);
      assert.equal(singleValue(await client.query('SHOW search_path')), 'here');
      await client.close();
    });
  });

  test('server_reset_query_always', async () => {
    const settings = { default_pool_size: 1, server_reset_query_always: 'on' };
    await withGateway(gateway(settings), async (at) => {
      const [first, second] = [await RawClient.login(at), await RawClient.login(at)];
      await first.query("SET statement_timeout = '7min'");
      assert.equal(singleValue(await second.query('SHOW statement_timeout')), '0');
      await first.close();
      await second.close();
    });
  });

  test('of several hosts the next one is tried when one fails', async () => {
    const { host, port } = stage.server;
    const url = `*=postgres://127.0.0.1:1,${host}:${port}?load_balance_hosts=disable`;
    await withGateway({ io: stage.io, server: [url] }, async (at) => {
      const client = await RawClient.login(at);
      assert.equal(singleValue(await client.query('SELECT 5')), '5');
      await client.close();
    });
  });

  test('a host may have a name, whose addresses the console shows', async () => {
    const url = `*=postgres://localhost:${stage.server.port}`;
    const settings = { admin_users: 'ann' };
    await withGateway({ io: stage.io, server: [url], settings }, async (at) => {
      const client = await RawClient.login(at);
      assert.equal(singleValue(await client.query('SELECT 6')), '6');
      const operator = await RawClient.login(at, { user: 'ann', database: 'pgbouncer' });
      const [[name, , addresses]] = rowsOf(await operator.query('SHOW DNS_HOSTS')) as [string[]];
      assert.equal(name, 'localhost');
      assert.match(`${addresses}`, /127\.0\.0\.1|::1/);
      await operator.close();
      await client.close();
    });
  });
});
