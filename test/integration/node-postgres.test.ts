import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { onEveryDriver } from '../harness/stage.js';

const SETUP =
  'CREATE TABLE accounts (id int PRIMARY KEY, balance int); INSERT INTO accounts VALUES (1, 100), (2, 100)';

/** Fewer server connections than the pool of the application has. */
onEveryDriver('node-postgres', { setup: SETUP, gateway: { settings: { default_pool_size: 4 } } }, (stage) => {
  let pool: pg.Pool;
  before(() => {
    pool = new pg.Pool({ connectionString: stage.gateway.url(), max: 20 });
  });
  after(() => pool?.end());

  test('queries, with and without parameters', async () => {
    assert.deepEqual((await pool.query('SELECT 1 AS one')).rows, [{ one: 1 }]);
    const { rows } = await pool.query('SELECT $1::int + $2::int AS sum, $3::text AS text', [40, 2, null]);
    assert.deepEqual(rows, [{ sum: 42, text: null }]);
  });

  test('several statements in one query', async () => {
    const results = (await pool.query('SELECT 1 AS a; SELECT 2 AS a')) as unknown as pg.QueryResult[];
    assert.deepEqual(
      results.map(({ rows }) => rows),
      [[{ a: 1 }], [{ a: 2 }]],
    );
  });

  test('types in both formats', async () => {
    const values = [new Date('2026-01-02T03:04:05Z'), { a: [1, 2] }, Buffer.from([0, 255]), [1, 2], 1.5];
    const { rows } = await pool.query(
      'SELECT $1::timestamptz AS t, $2::jsonb AS j, $3::bytea AS b, $4::int[] AS i, $5::float8 AS f',
      values,
    );
    assert.deepEqual(Object.values(rows[0]), values);
    const binary = { text: 'SELECT 7::int4 AS n', binary: true };
    assert.deepEqual((await pool.query(binary)).rows, [{ n: 7 }]);
  });

  test('an error does not harm the connection', async () => {
    const client = await pool.connect();
    try {
      await assert.rejects(client.query('SELECT nothing'), { code: '42703' });
      await assert.rejects(client.query('SELECT $1::int', ['x']), { code: '22P02' });
      assert.equal((await client.query('SELECT 1 AS n')).rows[0].n, 1);
    } finally {
      client.release();
    }
  });

  test('named statements over fewer server connections than clients', async () => {
    const ask = async (i: number) => {
      const named = { name: `named-${i % 5}`, text: `SELECT $1::int * ${i % 5} AS n`, values: [i] };
      return (await pool.query(named)).rows[0].n;
    };
    const answers = await Promise.all(Array.from({ length: 500 }, (_, i) => ask(i)));
    assert.deepEqual(
      answers,
      Array.from({ length: 500 }, (_, i) => i * (i % 5)),
    );
  });

  test('transactions commit and roll back', async () => {
    const transfer = async (amount: number, fail: boolean) => {
      const client = await pool.connect();
      try {
        await client.query('BEGIN');
        await client.query('UPDATE accounts SET balance = balance - $1 WHERE id = 1', [amount]);
        await client.query('UPDATE accounts SET balance = balance + $1 WHERE id = 2', [amount]);
        await client.query(fail ? 'ROLLBACK' : 'COMMIT');
      } finally {
        client.release();
      }
    };
    await pool.query('UPDATE accounts SET balance = 100');
    await Promise.all(Array.from({ length: 30 }, (_, i) => transfer(1, i % 3 === 0)));
    const { rows } = await pool.query('SELECT balance FROM accounts ORDER BY id');
    assert.deepEqual(rows, [{ balance: 80 }, { balance: 120 }]);
  });

  test('a portal is read in parts', async () => {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      const limited = { text: 'SELECT i FROM generate_series(1, 100) i', rows: 10 };
      const { rows } = await client.query(limited);
      assert.equal(rows.length, 100);
      await client.query('COMMIT');
    } finally {
      client.release();
    }
  });

  test('a query is cancelled by pg_cancel_backend', async () => {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      const pid = (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid;
      const sleeping = client.query('SELECT pg_sleep(30)');
      const refused = assert.rejects(sleeping, { code: '57014' });
      // Sent until the query runs: a cancel that comes too early changes nothing.
      let answered = false;
      refused.finally(() => {
        answered = true;
      });
      while (!answered) await pool.query('SELECT pg_cancel_backend($1)', [pid]);
      await refused;
      await client.query('ROLLBACK');
    } finally {
      client.release();
    }
  });

  test('notices and parameter changes arrive', async () => {
    const client = new pg.Client({ connectionString: stage.gateway.url() });
    const notices: (string | undefined)[] = [];
    client.on('notice', (notice) => notices.push(notice.message));
    await client.connect();
    await client.query("DO $$ BEGIN RAISE NOTICE 'heard'; END $$");
    assert.deepEqual(notices, ['heard']);
    await client.end();
  });

  test('five hundred connections that come and go', async () => {
    for (let round = 0; round < 10; round++) {
      await Promise.all(
        Array.from({ length: 50 }, async (_, i) => {
          const client = new pg.Client({ connectionString: stage.gateway.url() });
          await client.connect();
          assert.equal((await client.query('SELECT $1::int AS n', [i])).rows[0].n, i);
          await client.end();
        }),
      );
    }
  });
});
