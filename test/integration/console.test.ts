import assert from 'node:assert/strict';
import { test } from 'node:test';
import pg from 'pg';
import postgres from 'postgres';
import { singleValue } from '../harness/backend-message.js';
import * as send from '../harness/frontend-message.js';
import { SUPERUSER } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { onEveryDriver } from '../harness/stage.js';
import { until } from '../harness/until.js';

const SETTINGS = {
  admin_users: SUPERUSER,
  stats_users: 'watcher',
  pool_mode: 'transaction',
  stats_period: 1,
};

/** What prometheus-community/pgbouncer_exporter asks, and the columns that it needs. */
const EXPORTER: Readonly<Record<string, readonly string[]>> = {
  'SHOW STATS': ['database'],
  'SHOW VERSION': ['version'],
  'SHOW LISTS': ['list', 'items'],
  'SHOW CONFIG': ['key', 'value', 'default', 'changeable'],
  'SHOW DATABASES': [
    'name',
    'host',
    'port',
    'pool_size',
    'reserve_pool_size',
    'max_connections',
    'current_connections',
    'paused',
    'disabled',
  ],
  'SHOW STATS_TOTALS': [
    'database',
    'query_count',
    'query_time',
    'bytes_received',
    'bytes_sent',
    'wait_time',
    'xact_count',
    'xact_time',
  ],
  'SHOW POOLS': [
    'database',
    'user',
    'cl_active',
    'cl_waiting',
    'sv_active',
    'sv_idle',
    'sv_used',
    'sv_tested',
    'sv_login',
    'maxwait',
  ],
};

onEveryDriver('the admin console', { gateway: { settings: SETTINGS } }, (stage) => {
  const open = async (user = SUPERUSER): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: stage.gateway.url(user, 'pgbouncer') });
    await client.connect();
    return client;
  };

  test('answers by the simple and by the extended protocol', async () => {
    const client = await open();
    const simple = await client.query('SHOW VERSION');
    assert.match(simple.rows[0].version, /^PgBouncer \d+\.\d+/);
    const extended = await client.query('SHOW CONFIG WHERE key = $1', ['pool_mode']);
    assert.deepEqual(extended.rows, [
      { key: 'pool_mode', value: 'transaction', default: 'transaction', changeable: 'yes' },
    ]);
    const typed = await client.query({ text: 'SHOW LISTS ORDER BY list LIMIT 1', name: 'named' });
    assert.equal(typeof typed.rows[0].items, 'number');
    await client.end();

    const sql = postgres(stage.gateway.url(SUPERUSER, 'pgbouncer'), { max: 1 });
    const states = await sql`SHOW STATE`;
    assert.deepEqual(
      [...states],
      [
        { key: 'active', value: 'yes' },
        { key: 'paused', value: 'no' },
        { key: 'suspended', value: 'no' },
      ],
    );
    await sql.end();
  });

  test('lists what there is', async () => {
    const worker = await RawClient.login(stage.gateway);
    await worker.query('BEGIN');
    const client = await open();
    const [pool] = (await client.query('SHOW POOLS WHERE sv_active = 1 AND cl_waiting = 0')).rows;
    assert.equal(pool.pool_mode, 'transaction');
    assert.equal((await client.query("SHOW SERVERS WHERE state = 'active'")).rows.length, 1);
    assert.ok((await client.query('SHOW CLIENTS')).rows.length >= 2);
    await worker.query('COMMIT');
    const [totals] = (await client.query('SHOW STATS_TOTALS')).rows;
    assert.ok(Number(totals.xact_count) >= 1 && Number(totals.query_count) >= 2);
    await worker.close();
    await client.end();
  });

  test('answers what pgbouncer_exporter asks, as its driver asks', async () => {
    // lib/pq names this parameter at startup, and asks by the extended protocol.
    const connectionString = stage.gateway.url('watcher', 'pgbouncer');
    const client = new pg.Client({ connectionString, options: '-c extra_float_digits=2' });
    const raw = await RawClient.login(stage.gateway, {
      user: 'watcher',
      database: 'pgbouncer',
      extra_float_digits: '2',
    });
    await raw.close();
    await client.connect();
    for (const [text, columns] of Object.entries(EXPORTER)) {
      const { fields, rows } = await client.query({ text, values: [], name: `exporter ${text}` });
      assert.ok(rows.length > 0 || text === 'SHOW POOLS', text);
      const names = fields.map(({ name }) => name);
      assert.deepEqual(
        columns.filter((name) => !names.includes(name)),
        [],
        text,
      );
    }
    await client.end();
  });

  test('shows percentiles of the last period', async () => {
    const client = await open();
    const worker = await RawClient.login(stage.gateway);
    const row = await until('a period with such work alone in it', async () => {
      await worker.query('SELECT pg_sleep(0.01)');
      const { rows } = await client.query('SHOW LATENCIES WHERE query_p50 >= 9000');
      return rows[0];
    });
    assert.ok(Number(row.query_p99) >= Number(row.query_p50));
    assert.ok(Number(row.xact_p95) >= 9_000);
    assert.ok(Number(row.wait_p50) < Number(row.query_p50));
    await worker.close();
    await client.end();
  });

  test('tells of memory and of the listening sockets what is so', async () => {
    const client = await open();
    const { rows: fds } = await client.query('SHOW FDS');
    assert.deepEqual(
      fds.map(({ task, addr, port }) => [task, addr, port]),
      [['pooler', '127.0.0.1', stage.gateway.port]],
    );
    assert.ok(fds[0].fd > 2);
    const { rows: mem } = await client.query("SHOW MEM WHERE name = 'process'");
    assert.ok(mem[0].memtotal > 20 * 1024 ** 2);
    const { rows: sockets } = await client.query('SHOW SOCKETS');
    assert.ok(sockets.every(({ local_port, addr }) => local_port > 0 && addr === '127.0.0.1'));
    const { rows: lists } = await client.query("SHOW LISTS WHERE list = 'used_clients'");
    assert.ok(lists[0].items >= 1);
    await client.end();
  });

  test('counts an assignment for each transaction, and none for a login', async () => {
    const client = await open();
    const count = async (): Promise<number> => {
      const { rows } = await client.query("SHOW STATS_TOTALS WHERE database <> 'pgbouncer'");
      return rows.reduce((sum, row) => sum + Number(row.server_assignment_count), 0);
    };
    const before = await count();
    const worker = await RawClient.login(stage.gateway);
    await worker.query('SELECT 1');
    await worker.query('SELECT 2');
    assert.equal((await count()) - before, 2);
    await worker.close();
    await client.end();
  });

  test('counts its own statements as those of the database pgbouncer', async () => {
    const client = await open();
    const count = async (): Promise<number> => {
      const { rows } = await client.query("SHOW STATS_TOTALS WHERE database = 'pgbouncer'");
      return Number(rows[0].query_count);
    };
    assert.equal((await count()) + 1, await count());
    await client.end();
  });

  test('pauses and goes on, without an error for those who wait', async () => {
    const client = await open();
    const worker = await RawClient.login(stage.gateway);
    await worker.query('SELECT 1');
    await client.query('PAUSE');
    await assert.rejects(client.query('PAUSE'), /already suspended\/paused/);
    worker.send(send.query('SELECT 2'));
    await until(
      'the client to wait',
      async () => (await client.query('SHOW POOLS')).rows[0].cl_waiting === 1,
    );
    await client.query('RESUME');
    assert.equal(singleValue(await worker.untilReady()), '2');
    await worker.close();
    await client.end();
  });

  test('ends one client, and the server connections of a database', async () => {
    const client = await open();
    const worker = new pg.Client({ connectionString: stage.gateway.url(), application_name: 'victim' });
    const lost = new Promise((resolve) => worker.on('error', resolve));
    await worker.connect();
    await worker.query('SELECT 1');
    const { rows } = await client.query("SHOW CLIENTS WHERE application_name = 'victim'");
    await client.query(`KILL_CLIENT ${rows[0].id}`);
    assert.match(String(await lost), /terminating connection due to administrator command/);
    await assert.rejects(client.query('KILL_CLIENT 999999999'), /client not found/);
    await client.query('RECONNECT');
    await client.query('WAIT_CLOSE');
    await until('the servers to be gone', async () => (await stage.server.connections()) === 0);
    await client.end();
  });

  test('changes a setting', async () => {
    const client = await open();
    await client.query('SET default_pool_size = 7');
    const { rows } = await client.query("SHOW CONFIG WHERE key = 'default_pool_size'");
    assert.equal(rows[0].value, '7');
    await assert.rejects(client.query('SET default_pool_size = many'), /SET failed/);
    await client.end();
  });

  test('lets those look who may only look, and nobody else in', async () => {
    const watcher = await open('watcher');
    assert.equal((await watcher.query('SHOW POOLS')).command, 'SHOW');
    await assert.rejects(watcher.query('PAUSE'), /admin access needed/);
    for (const text of [
      'SHOW FDS',
      'KILL_CLIENT 1',
      'RELOAD',
      'SHUTDOWN',
      'SET pool_mode = session',
      'SUSPEND',
    ]) {
      await assert.rejects(watcher.query(text), /admin access needed/);
    }
    await watcher.end();
    await assert.rejects(open('stranger'), /not allowed/);
  });

  test('says what is wrong, and goes on', async () => {
    const client = await RawClient.login(stage.gateway, { user: SUPERUSER, database: 'pgbouncer' });
    const answer = await client.query('NONSENSE');
    assert.deepEqual(
      answer.map(({ type }) => type),
      ['E', 'Z'],
    );
    client.send(
      send.parse('', 'NONSENSE'),
      send.bind('', '', []),
      send.execute(''),
      send.sync(),
      send.query('SHOW VERSION'),
    );
    const types = (await client.untilReady()).map(({ type }) => type).join('');
    assert.equal(types, '12EZ');
    assert.equal((await client.untilReady()).map(({ type }) => type).join(''), 'TDCZ');
    await client.close();
  });
});
