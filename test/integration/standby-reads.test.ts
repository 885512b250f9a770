/** A database with nodes: where statements run, and what clients notice of it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { errorOf, rowsOf, singleValue, typesOf } from '../harness/backend-message.js';
import { availableDrivers } from '../harness/drivers.js';
import * as send from '../harness/frontend-message.js';
import { GatewayUnderTest } from '../harness/gateway-under-test.js';
import { PostgresServer, SUPERUSER } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/until.js';

/**
 * `place()` tells where it runs, and claims to be harmless; so does what takes a number of a sequence, which a standby
 * refuses. `slow()` runs until it is ended from outside.
 */
const GROUND = `
  CREATE TABLE facts (n int); INSERT INTO facts VALUES (1);
  CREATE SEQUENCE numbers;
  CREATE FUNCTION place() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN current_setting('port'); END $$;
  CREATE FUNCTION numbered() RETURNS bigint LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN nextval('numbers'); END $$;
  CREATE FUNCTION slow() RETURNS text LANGUAGE plpgsql STABLE AS $$
    BEGIN WHILE pg_is_in_recovery() LOOP PERFORM pg_sleep(0.01); END LOOP; RETURN 'from the primary'; END $$;
  CREATE FUNCTION volatile_place() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN current_setting('port'); END $$`;

/** What the tests send, apart from `SELECT place()`. */
const KNOWN = ['SELECT numbered()', 'SELECT slow()', 'BEGIN READ ONLY', 'SELECT volatile_place()'];

describe('a database with standbys', () => {
  let primary: PostgresServer;
  let standby: PostgresServer;
  let onPrimary: string;
  let onStandby: string;

  before(async () => {
    primary = await PostgresServer.start({
      settings: { synchronous_commit: 'on', max_standby_streaming_delay: '60s' },
    });
    await primary.query(GROUND);
    standby = await primary.startStandby();
    await primary.replayedBy(standby);
    onPrimary = String(primary.port);
    onStandby = String(standby.port);
  });
  after(async () => {
    await standby?.discard();
    await primary?.discard();
  });

  for (const io of availableDrivers) {
    describe(io, () => {
      let gateway: GatewayUnderTest;
      const login = () => RawClient.login(gateway);
      const value = async (client: RawClient, sql: string) => singleValue(await client.query(sql));
      const place = (client: RawClient, rest = '') => value(client, `SELECT place()${rest}`);

      before(async () => {
        const nodes = [standby, primary].map(({ host, port }) => `${host}:${port}`).join(',');
        gateway = await GatewayUnderTest.start({
          io,
          server: [`app=postgres:///app?nodes=${nodes}`],
          settings: { stats_users: SUPERUSER, standby_wait: '10s', query_wait_timeout: 10 },
          // Nodes are not known at first, and one test takes a standby's connections away.
          expectedTrouble: [/node .* is unknown/, /terminating connection/],
        });
        const client = await login();
        await until('reads on the standby', async () => (await place(client)) === onStandby);
        // The first of its kind goes to the primary, and is known from then on.
        for (const sql of KNOWN) {
          await client.query(sql);
          await client.query('ROLLBACK');
          await until(`"${sql}" to be known`, async () =>
            (await consoleRows(gateway, 'SHOW SHAPES')).some((row) => row.includes(sql)),
          );
        }
        await client.close();
      });
      after(() => gateway?.stop());

      test('reads go to the standby, and see what was written before', async () => {
        const client = await login();
        for (let n = 2; n < 20; n += 1) {
          assert.equal(typesOf(await client.query(`INSERT INTO facts VALUES (${n})`)), 'CZ');
          const [row] = rowsOf(await client.query('SELECT place(), max(n) FROM facts'));
          if (n > 10) assert.deepEqual(row, [onStandby, String(n)]);
        }
        await client.query('DELETE FROM facts WHERE n > 1');
        await client.close();
      });

      test('the extended protocol, too, and statements that were prepared', async () => {
        const client = await login();
        const asked = () =>
          client.send(send.bind('', 's'), send.describePortal(''), send.execute(''), send.sync());
        client.send(send.parse('s', 'SELECT place()'), send.sync());
        assert.equal(typesOf(await client.untilReady()), '1Z');
        for (let round = 0; round < 3; round += 1) {
          asked();
          const answer = await client.untilReady();
          assert.equal(typesOf(answer), '2TDCZ');
          assert.equal(singleValue(answer), onStandby);
          client.send(send.extended('SELECT place()'));
          assert.equal(singleValue(await client.untilReady()), onStandby);
        }
        await client.close();
      });

      test('requests that are sent together are answered in their order, each from where it belongs', async () => {
        const client = await login();
        // What comes behind a statement of the primary's stays with it.
        client.send(
          send.query('SELECT place()'),
          send.extended('SELECT place()'),
          send.query('INSERT INTO facts VALUES (50)'),
          send.query('SELECT count(*) FROM facts WHERE n = 50'),
          send.query('DELETE FROM facts WHERE n = 50'),
          send.query('SELECT count(*) FROM facts WHERE n = 50'),
        );
        const answers: Awaited<ReturnType<RawClient['untilReady']>>[] = [];
        for (let count = 0; count < 6; count += 1) answers.push(await client.untilReady());
        const types = answers.map(typesOf);
        assert.deepEqual(types, ['TDCZ', '12TDCZ', 'CZ', 'TDCZ', 'CZ', 'TDCZ']);
        const values = [0, 1, 3, 5].map((place) => singleValue(answers[place]!));
        assert.deepEqual(values, [onStandby, onStandby, '1', '0']);
        await client.close();
      });

      test('a client that sends no more gets all of its answers', async () => {
        const client = await login();
        client.send(send.query('SELECT place()'), send.query('SELECT place()'), send.query('SELECT place()'));
        client.end();
        assert.equal(typesOf(await client.untilEnd()), 'TDCZTDCZTDCZ');
      });

      test('comments and settings choose, and the gateway says why', async () => {
        const client = await login();
        assert.equal(await value(client, '/* sluice: primary */ SELECT place()'), onPrimary);
        assert.equal(await value(client, '/*NO LOAD BALANCE*/ SELECT place()'), onPrimary);
        await client.query("SET sluice.explain_route = 'on'");
        const why = new RegExp(`routed to .*:${onStandby}: it only reads`);
        // It goes on with the server connection that it has until that has told what was set.
        await until('an explanation', async () => why.test(noticeOf(await client.query('SELECT place()'))));
        assert.match(noticeOf(await client.query('DELETE FROM facts WHERE n = 7')), /routed to the primary/);
        const long = `SELECT '${'x'.repeat(70_000)}'`;
        assert.match(noticeOf(await client.query(long)), /primary: it is longer than 65536 bytes/);
        await client.query("SET sluice.consistency = 'primary'; SET sluice.explain_route = 'off'");
        await until('the primary', async () => (await place(client)) === onPrimary);
        for (let count = 0; count < 10; count += 1) assert.equal(await place(client), onPrimary);
        await client.query("SET sluice.consistency = 'eventual'");
        await until('a standby', async () => (await place(client)) === onStandby);
        await client.close();
      });

      test('what a session has set holds on the standby', async () => {
        const client = await login();
        await client.query("SET search_path = pg_catalog, public; SET application_name = 'routed'");
        assert.equal(
          await place(client, " || current_setting('application_name', true)"),
          `${onPrimary}routed`,
        );
        const found = await client.query("SELECT place() WHERE to_regclass('facts') IS NOT NULL");
        assert.ok([onPrimary, onStandby].includes(singleValue(found)!));
        await client.close();
      });

      describe('what a standby refuses', () => {
        test('is carried out by the primary, and nobody is told', async () => {
          const client = await login();
          const answer = await client.query('SELECT numbered()');
          assert.equal(typesOf(answer), 'TDCZ');
          client.send(send.extended('SELECT numbered() + 1'));
          assert.equal(typesOf(await client.untilReady()), '12TDCZ');
          client.send(
            send.parse('p', 'SELECT numbered() + 2'),
            send.bind('', 'p'),
            send.execute(''),
            send.sync(),
          );
          assert.equal(typesOf(await client.untilReady()), '12DCZ');
          client.send(send.bind('', 'p'), send.execute(''), send.sync());
          assert.equal(typesOf(await client.untilReady()), '2DCZ');
          await client.close();
        });

        test('is answered by the primary, where that refuses it too', async () => {
          const client = await login();
          assert.equal(errorOf((await client.query('SELECT 1/0'))[0]!).code, '22012');
          for (let count = 0; count < 3; count += 1) {
            const [first, ...rest] = await client.query('SELECT n FROM no_such_table');
            assert.equal(errorOf(first!).code, '42P01');
            assert.equal(typesOf(rest), 'Z');
          }
          await client.close();
        });
      });

      test('a read whose standby ends before it has answered is repeated on the primary', async () => {
        const client = await login();
        client.send(send.query('SELECT slow()'));
        const running = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT slow()'";
        await until(
          'the read to run on the standby',
          async () => (await standby.query(running, 'app')).length === 1,
        );
        await standby.query(`SELECT pg_terminate_backend(pid) FROM (${running}) AS its`, 'app');
        const answer = await client.untilReady();
        assert.equal(typesOf(answer), 'TDCZ');
        assert.equal(singleValue(answer), 'from the primary');
        await client.close();
      });

      describe('a transaction that only reads', () => {
        test('runs on the standby as long as it consists of plain reads', async () => {
          const client = await login();
          await client.query('BEGIN READ ONLY');
          assert.equal(await place(client), onStandby);
          client.send(send.extended('SELECT place()'));
          assert.equal(singleValue(await client.untilReady()), onStandby);
          assert.equal(typesOf(await client.query('COMMIT')), 'CZ');
          assert.equal(await place(client), onStandby);
          await client.close();
        });

        test('goes on on the primary with the first statement that is no plain read', async () => {
          const client = await login();
          await client.query('BEGIN READ ONLY');
          assert.equal(await place(client), onStandby);
          assert.equal(await value(client, 'SELECT volatile_place()'), onPrimary);
          assert.equal(await place(client), onPrimary);
          const [refused] = await client.query('INSERT INTO facts VALUES (60)');
          assert.equal(errorOf(refused!).code, '25006');
          const [failed] = await client.query('SELECT 1');
          assert.equal(errorOf(failed!).code, '25P02');
          assert.equal(typesOf(await client.query('ROLLBACK')), 'CZ');
          await client.close();
        });

        test('does not end with the standby connection that it has', async () => {
          const client = await login();
          await client.query('BEGIN READ ONLY');
          assert.equal(await place(client), onStandby);
          const idle =
            "FROM pg_stat_activity WHERE state = 'idle in transaction' AND query = 'SELECT place()'";
          await standby.query(`SELECT pg_terminate_backend(pid) ${idle}`, 'app');
          assert.equal(await place(client), onPrimary);
          assert.equal(typesOf(await client.query('COMMIT')), 'CZ');
          await client.close();
        });
      });

      test('a transaction that may write runs on the primary whole', async () => {
        const client = await login();
        await client.query('BEGIN');
        assert.equal(await place(client), onPrimary);
        await client.query('INSERT INTO facts VALUES (70)');
        assert.equal(await value(client, 'SELECT count(*) FROM facts WHERE n = 70'), '1');
        await client.query('ROLLBACK');
        assert.equal(await value(client, 'SELECT count(*) FROM facts WHERE n = 70'), '0');
        await client.close();
      });
    });
  }
});

function noticeOf(messages: Awaited<ReturnType<RawClient['query']>>): string {
  const notice = messages.find(({ type }) => type === 'N');
  return notice === undefined ? 'no notice' : errorOf(notice).message;
}

async function consoleRows(gateway: GatewayUnderTest, command: string): Promise<(string | null)[][]> {
  const client = await RawClient.login(gateway, { database: 'pgbouncer' });
  const rows = rowsOf(await client.query(command));
  await client.close();
  return rows;
}
