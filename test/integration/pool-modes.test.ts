import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { firstError, singleValue } from '../harness/backend-message.js';
import * as send from '../harness/frontend-message.js';
import { withGateway } from '../harness/gateway-under-test.js';
import { RawClient } from '../harness/raw-client.js';
import { onEveryDriver } from '../harness/stage.js';

onEveryDriver('pool modes', {}, (stage) => {
  const gateway = (mode: string, size = 1) => ({
    io: stage.io,
    server: stage.server,
    settings: { pool_mode: mode, default_pool_size: size },
  });
  const pid = async (client: RawClient) => singleValue(await client.query('SELECT pg_backend_pid()'));

  describe('session', () => {
    test('a client keeps its server connection, and is told its process id', async () => {
      await withGateway(gateway('session', 2), async (at) => {
        const one = await RawClient.login(at);
        const first = await pid(one);
        const two = await RawClient.login(at);
        await two.query('SELECT 1');
        assert.equal(await pid(one), first);
        assert.notEqual(await pid(two), first);
        await one.close();
        await two.close();
      });
    });

    test('nothing of a session is left for the next one', async () => {
      await withGateway(gateway('session'), async (at) => {
        const one = await RawClient.login(at);
        const first = await pid(one);
        await one.query("SET work_mem = '77MB'");
        await one.query("SET application_name = 'one'");
        await one.query('PREPARE plan AS SELECT 1');
        await one.query('SELECT pg_advisory_lock(7)');
        one.send(send.parse('named', 'SELECT 1'), send.sync());
        await one.untilReady();
        await one.close();
        const two = await RawClient.login(at);
        assert.equal(await pid(two), first, 'the server connection was used again');
        assert.notEqual(singleValue(await two.query('SHOW work_mem')), '77MB');
        assert.notEqual(singleValue(await two.query('SHOW application_name')), 'one');
        assert.equal(singleValue(await two.query('SELECT count(*) FROM pg_prepared_statements')), '0');
        assert.equal(
          singleValue(await two.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")),
          '0',
        );
        await two.close();
      });
    });

    /** What DISCARD ALL does not take back. */
    const REMAINS = ['CREATE TEMPORARY TABLE mine (i int)', 'DO $$ BEGIN END $$', "LOAD 'auto_explain'"];

    test('a server process that is not as it was when it was new serves nobody else', async () => {
      await withGateway(gateway('session'), async (at) => {
        for (const statement of REMAINS) {
          const one = await RawClient.login(at);
          const first = await pid(one);
          await one.query(statement);
          await one.close();
          const two = await RawClient.login(at);
          const second = await pid(two);
          assert.notEqual(second, first, statement);
          await two.close();
          const three = await RawClient.login(at);
          assert.equal(await pid(three), second, 'who has left nothing costs no server process');
          await three.close();
        }
      });
    });

    test('what every new server process has is nothing that a session has left', async () => {
      const query = encodeURIComponent('CREATE TEMPORARY TABLE ours (i int)');
      const server = [`app=postgres://127.0.0.1:${stage.server.port}?connect_query=${query}`];
      await withGateway({ ...gateway('session'), server }, async (at) => {
        const one = await RawClient.login(at);
        const first = await pid(one);
        await one.close();
        const two = await RawClient.login(at);
        assert.equal(await pid(two), first);
        await two.close();
      });
    });

    test('with session_state = classic it goes on serving, as with PgBouncer', async () => {
      const { settings } = gateway('session');
      const classic = { ...gateway('session'), settings: { ...settings, session_state: 'classic' } };
      await withGateway(classic, async (at) => {
        const one = await RawClient.login(at);
        const first = await pid(one);
        for (const statement of REMAINS) await one.query(statement);
        await one.close();
        const two = await RawClient.login(at);
        assert.equal(await pid(two), first);
        assert.equal(firstError(await two.query('SELECT * FROM mine')).code, '42P01');
        await two.close();
      });
    });

    test('RESET goes back to what the client asked for at its startup', async () => {
      await withGateway(gateway('session', 2), async (at) => {
        const show = async (client: RawClient, name: string) =>
          singleValue(await client.query(`SHOW ${name}`));
        const options = '-c IntervalStyle=postgres_verbose -c work_mem=5MB';
        const one = await RawClient.login(at, { DateStyle: 'German', timezone: 'Asia/Tokyo', options });
        for (const reset of [
          'RESET DateStyle; RESET TimeZone; RESET IntervalStyle; RESET work_mem',
          'RESET ALL',
          'DISCARD ALL',
        ]) {
          await one.query(
            "SET DateStyle = 'SQL'; SET TimeZone = 'UTC'; SET IntervalStyle = iso_8601; SET work_mem = '9MB'",
          );
          for (const statement of reset.split(';')) await one.query(statement);
          assert.equal(await show(one, 'DateStyle'), 'German, DMY', reset);
          assert.equal(await show(one, 'TimeZone'), 'Asia/Tokyo', reset);
          assert.equal(await show(one, 'IntervalStyle'), 'postgres_verbose', reset);
          assert.equal(await show(one, 'work_mem'), '5MB', reset);
        }
        const two = await RawClient.login(at);
        await two.query('RESET ALL');
        assert.equal(await show(two, 'DateStyle'), 'ISO, MDY');
        assert.equal(await show(two, 'TimeZone'), 'UTC');
        await one.close();
        await two.close();
      });
    });

    test('clients that ask for what they would get anyway share server connections with those that don’t', async () => {
      await withGateway(gateway('session'), async (at) => {
        const one = await RawClient.login(at);
        const first = await pid(one);
        await one.close();
        const two = await RawClient.login(at, { TimeZone: 'UTC', application_name: 'two' });
        assert.equal(await pid(two), first);
        await two.close();
      });
    });

    test('a client that left in a transaction leaves nothing', async () => {
      await withGateway(gateway('session'), async (at) => {
        const one = await RawClient.login(at);
        await one.query('BEGIN');
        await one.query('CREATE TEMPORARY TABLE mine (i int)');
        one.reset();
        const two = await RawClient.login(at);
        assert.equal(firstError(await two.query('SELECT * FROM mine')).code, '42P01');
        await two.close();
      });
    });

    test('another client waits until the session ends', async () => {
      await withGateway(gateway('session'), async (at) => {
        const one = await RawClient.login(at);
        await one.query('SELECT 1');
        const two = await RawClient.connect(at);
        two.startup();
        two.send(send.query('SELECT 2'));
        assert.equal(singleValue(await one.query('SELECT 3')), '3');
        await one.close();
        const messages = [...(await two.untilReady()), ...(await two.untilReady())];
        assert.equal(singleValue(messages), '2');
        await two.close();
      });
    });
  });

  describe('transaction', () => {
    test('two clients share a server connection, transaction by transaction', async () => {
      await withGateway(gateway('transaction'), async (at) => {
        const one = await RawClient.login(at);
        const two = await RawClient.login(at);
        assert.equal(await pid(one), await pid(two));
        await one.query('BEGIN');
        two.send(send.query('SELECT 2'));
        assert.equal(singleValue(await one.query('SELECT 1')), '1');
        assert.equal(two.arrived.length, 0);
        await one.query('COMMIT');
        assert.equal(singleValue(await two.untilReady()), '2');
        await one.close();
        await two.close();
      });
    });

    test('a pipeline stays on one server connection up to its last answer', async () => {
      await withGateway(gateway('transaction'), async (at) => {
        const one = await RawClient.login(at);
        const two = await RawClient.login(at);
        await stage.server.query('DROP TABLE IF EXISTS told; CREATE TABLE told (who text, n serial)');
        const tell = (who: string) => send.query(`INSERT INTO told VALUES ('${who}')`);
        one.send(...Array.from({ length: 20 }, () => tell('one')));
        two.send(...Array.from({ length: 20 }, () => tell('two')));
        for (let i = 0; i < 20; i++) await Promise.all([one.untilReady(), two.untilReady()]);
        const rows = await stage.server.query('SELECT count(*)::int AS n FROM told');
        assert.equal(rows[0]?.n, 40);
        await one.close();
        await two.close();
      });
    });
  });

  describe('statement', () => {
    test('single statements work', async () => {
      await withGateway(gateway('statement'), async (at) => {
        const client = await RawClient.login(at);
        assert.equal(singleValue(await client.query('SELECT 1')), '1');
        client.send(send.extended('SELECT $1::int', ['2']));
        assert.equal(singleValue(await client.untilReady()), '2');
        await client.close();
      });
    });

    test('a transaction of several statements is refused, and leaves nothing', async () => {
      await withGateway(gateway('statement'), async (at) => {
        const client = await RawClient.login(at);
        client.send(send.query('BEGIN'));
        const error = firstError(await client.untilEnd());
        assert.equal(error.severity, 'FATAL');
        client.destroy();
        const next = await RawClient.login(at);
        const answer = await next.query('SELECT 3');
        assert.equal(singleValue(answer), '3');
        assert.equal(answer.at(-1)?.body.toString(), 'I');
        await next.close();
      });
    });
  });
});
