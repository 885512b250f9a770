import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { after, before, test } from 'node:test';
import postgres from 'postgres';
import { onEveryDriver } from '../harness/stage.js';
import { until } from '../harness/until.js';

const SETUP = 'CREATE TABLE items (id int PRIMARY KEY, name text)';

/** It prepares every statement under a name, and sends queries without waiting for the answers to those before. */
onEveryDriver('postgres.js', { setup: SETUP, gateway: { settings: { default_pool_size: 4 } } }, (stage) => {
  let sql: postgres.Sql;
  before(() => {
    sql = postgres(stage.gateway.url(), { max: 20, onnotice: () => {} });
  });
  after(() => sql?.end());

  test('two thousand queries at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 2000 }, (_, i) => sql`SELECT ${i}::int AS n, ${'x'.repeat(i % 50)} AS text`),
    );
    answers.forEach(([row], i) => {
      assert.deepEqual({ ...row }, { n: i, text: 'x'.repeat(i % 50) });
    });
  });

  test('many different prepared statements', async () => {
    const answers = await Promise.all(
      Array.from({ length: 600 }, (_, i) =>
        sql.unsafe(`SELECT $1::int + ${i % 300} AS n`, [i], { prepare: true }),
      ),
    );
    answers.forEach(([row], i) => {
      assert.equal(row?.n, i + (i % 300));
    });
  });

  test('errors stay with their queries', async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 300 }, (_, i) =>
        i % 3 === 0 ? sql`SELECT 1 / ${0}::int` : sql`SELECT ${i}::int AS n`,
      ),
    );
    outcomes.forEach((outcome, i) => {
      if (i % 3 === 0) assert.equal(outcome.status === 'rejected' && outcome.reason.code, '22012');
      else assert.equal(outcome.status === 'fulfilled' && outcome.value[0]?.n, i);
    });
  });

  test('transactions, savepoints and pipelined transactions', async () => {
    await sql`TRUNCATE items`;
    await sql.begin(async (transaction) => {
      await transaction`INSERT INTO items VALUES (1, 'kept')`;
      await transaction
        .savepoint(async (inner) => {
          await inner`INSERT INTO items VALUES (2, 'undone')`;
          throw new Error('undo');
        })
        .catch(() => {});
      await Promise.all([3, 4, 5].map((id) => transaction`INSERT INTO items VALUES (${id}, 'piped')`));
    });
    await assert.rejects(
      sql.begin(async (transaction) => {
        await transaction`INSERT INTO items VALUES (6, 'undone')`;
        throw new Error('give up');
      }),
    );
    const rows = await sql`SELECT id FROM items ORDER BY id`;
    assert.deepEqual(
      rows.map(({ id }) => id),
      [1, 3, 4, 5],
    );
  });

  test('transactions at once on all connections', async () => {
    await sql`TRUNCATE items`;
    await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        sql.begin(async (transaction) => {
          await transaction`INSERT INTO items VALUES (${i}, 'a')`;
          await transaction`UPDATE items SET name = 'b' WHERE id = ${i}`;
        }),
      ),
    );
    const [row] = await sql`SELECT count(*)::int AS n FROM items WHERE name = 'b'`;
    assert.equal(row?.n, 100);
  });

  test('a cancelled query', async () => {
    const sleeping = sql`SELECT pg_sleep(30), 'to be cancelled'`;
    const refused = assert.rejects(sleeping.execute(), { code: '57014' });
    await until('the query to run', async () => {
      const running = await stage.server.query(
        "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%to be cancelled%' AND pid <> pg_backend_pid()",
      );
      return running.length > 0;
    });
    sleeping.cancel();
    await refused;
    assert.equal((await sql`SELECT 1 AS n`)[0]?.n, 1);
  });

  test('a cursor', async () => {
    const seen: number[] = [];
    for await (const rows of sql`SELECT i FROM generate_series(1, 1000) i`.cursor(100)) {
      seen.push(...rows.map(({ i }) => i));
    }
    assert.equal(seen.length, 1000);
  });

  test('copy in both directions', async () => {
    await sql`TRUNCATE items`;
    const lines = Array.from({ length: 5000 }, (_, i) => `${i}\tname ${i}\n`);
    const writable = await sql`COPY items FROM STDIN`.writable();
    await pipeline(Readable.from(lines), writable);
    const readable = await sql`COPY (SELECT * FROM items ORDER BY id) TO STDOUT`.readable();
    const chunks: Buffer[] = [];
    readable.on('data', (chunk: Buffer) => chunks.push(chunk));
    await once(readable, 'end');
    assert.equal(Buffer.concat(chunks).toString(), lines.join(''));
  });

  test('simple queries with several statements', async () => {
    const results = await sql`SELECT 1 AS a; SELECT 2 AS a`.simple();
    assert.equal(results.length, 2);
  });

  test('connections that are closed while queries run', async () => {
    const hasty = postgres(stage.gateway.url(), { max: 10, fetch_types: false });
    const running = Array.from({ length: 100 }, () => hasty`SELECT pg_sleep(0.05)`.catch(() => null));
    await until('some to run', async () => (await stage.server.connections()) > 0);
    await hasty.end({ timeout: 0 });
    await Promise.all(running);
    assert.equal((await sql`SELECT 1 AS n`)[0]?.n, 1);
  });
});
