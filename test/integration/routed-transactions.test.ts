/** Transactions that only read, on a standby: each of their statements sees what was committed before it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import pg from 'pg';
import { describeDrivers } from '../harness/drivers.js';
import { GatewayUnderTest } from '../harness/gateway-under-test.js';
import { DATABASE, PostgresServer } from '../harness/postgres-server.js';
import { scratchFolder } from '../harness/scratch.js';
import { until } from '../harness/until.js';

/** It tells where it runs, and its text does not show that. */
const SETUP = `
  CREATE TABLE notes (n int); INSERT INTO notes VALUES (0);
  CREATE FUNCTION served_by() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN current_setting('port'); END $$;`;
const SNAPSHOT = 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY';
const READ = 'SELECT n, served_by() AS port FROM notes';

describe('transactions that only read', () => {
  let primary: PostgresServer;
  let standby: PostgresServer | undefined;
  before(async () => {
    primary = await PostgresServer.start();
    await primary.query(SETUP);
    standby = await primary.startStandby();
    await primary.replayedBy(standby);
  });
  after(async () => {
    await standby?.discard();
    await primary.discard();
  });

  describeDrivers('through a gateway', (io) => {
    let gateway: GatewayUnderTest | undefined;
    let client: pg.Client | undefined;
    before(async () => {
      const file = join(scratchFolder('routing'), 'sluice.yaml');
      const nodes = [standby!, primary]
        .map(({ host, port }) => `{ host: ${host}, port: ${port} }`)
        .join(', ');
      writeFileSync(file, `databases: { ${DATABASE}: { nodes: [${nodes}] } }\npool_mode: transaction\n`);
      // Longer than a busy machine takes to ask both servers; one test waits for its end.
      gateway = await GatewayUnderTest.start({ io, server: [], file, settings: { standby_wait: '1s' } });
    });
    after(() => gateway?.stop());
    afterEach(async () => {
      await standby!.query('SELECT pg_wal_replay_resume()');
      await client?.end();
    });

    /** A session whose reads go to the standby, and in whose transaction one has gone there. */
    async function begun(consistency: string, begin = 'BEGIN READ ONLY', setting = ''): Promise<pg.Client> {
      client = new pg.Client({ connectionString: gateway!.url() });
      await client.connect();
      await client.query(`SET sluice.consistency = '${consistency}'; ${setting}`);
      await until('a transaction to begin on the standby', async () => {
        await client!.query(begin);
        if ((await port()) === standby!.port) return true;
        await client!.query('ROLLBACK');
        return false;
      });
      return client;
    }

    async function port(): Promise<number> {
      const { rows } = await client!.query(READ);
      return Number(rows[0].port);
    }

    test('go on on the primary where the standby has not replayed what a statement must see', async () => {
      const session = await begun('strong');
      await standby!.query('SELECT pg_wal_replay_pause()');
      const [{ n }] = (await primary.query('UPDATE notes SET n = n + 1 RETURNING n')) as [{ n: number }];
      const { rows } = await session.query(READ);
      assert.deepEqual(rows, [{ n, port: String(primary.port) }]);
      await assert.rejects(session.query('DELETE FROM notes'), { code: '25006' });
      await session.query('ROLLBACK');
    });

    test('stay on the standby while it has that', async () => {
      const session = await begun('strong');
      const [{ n }] = (await primary.query('UPDATE notes SET n = n + 1 RETURNING n')) as [{ n: number }];
      await primary.replayedBy(standby!);
      assert.deepEqual((await session.query(READ)).rows, [{ n, port: String(standby!.port) }]);
      await session.query('COMMIT');
    });

    test('leave a standby that has become older than bounded_staleness', async () => {
      const session = await begun('bounded');
      await standby!.query('SELECT pg_wal_replay_pause()');
      await primary.query('UPDATE notes SET n = n + 1');
      await until('the standby to be too old', async () => (await port()) === primary.port);
      await session.query('COMMIT');
    });

    test('keep their snapshot on the standby, and end there, where that is asked for', async () => {
      const session = await begun('strong', SNAPSHOT, 'SET sluice.route = standby');
      const before = await session.query(READ);
      const [{ n }] = (await primary.query('UPDATE notes SET n = n + 1 RETURNING n')) as [{ n: number }];
      await primary.replayedBy(standby!);
      assert.deepEqual((await session.query(READ)).rows, before.rows);
      // A standby gets nothing else by itself.
      const { rows } = await session.query('SELECT pg_is_in_recovery() AS there');
      assert.deepEqual(rows, [{ there: true }]);
      await assert.rejects(session.query('DELETE FROM notes'), { code: '25006' });
      await assert.rejects(session.query(READ), { code: '25P02' });
      await session.query('ROLLBACK');
      assert.equal((await session.query(READ)).rows[0].n, n);
    });

    test('go on on the primary before they have one, with their isolation level', async () => {
      const session = await begun('strong', SNAPSHOT, 'SET sluice.route = standby');
      await session.query('COMMIT');
      await session.query(SNAPSHOT);
      const { rows } = await session.query('SHOW transaction_isolation');
      assert.deepEqual(rows, [{ transaction_isolation: 'repeatable read' }]);
      const before = await session.query(READ);
      assert.equal(before.rows[0].port, String(primary.port));
      await primary.query('UPDATE notes SET n = n + 1');
      assert.deepEqual((await session.query(READ)).rows, before.rows);
      await session.query('COMMIT');
    });

    test("are the primary's with a snapshot, unless a standby is asked for", async () => {
      const session = await begun('strong');
      await session.query('COMMIT');
      await session.query(SNAPSHOT);
      assert.equal(await port(), primary.port);
      await session.query('COMMIT');
    });

    test('may write after all, with balance_leading_reads', async () => {
      const session = await begun('strong', 'BEGIN', 'SET sluice.balance_leading_reads = on');
      const { rows: written } = await session.query('UPDATE notes SET n = n + 1 RETURNING n');
      const { rows } = await session.query(READ);
      assert.deepEqual(rows, [{ n: written[0].n, port: String(primary.port) }]);
      await session.query('ROLLBACK');
      assert.equal((await session.query(READ)).rows[0].n, written[0].n - 1);
      await session.query('BEGIN READ WRITE');
      assert.equal(await port(), primary.port);
      await session.query('COMMIT');
    });

    test('see the state of their standby where that is enough', async () => {
      const session = await begun('eventual');
      const before = await session.query(READ);
      await standby!.query('SELECT pg_wal_replay_pause()');
      await primary.query('UPDATE notes SET n = n + 1');
      assert.deepEqual((await session.query(READ)).rows, before.rows);
      await session.query('COMMIT');
    });
  });
});
