/** What a client has set goes to another server connection together with its first message, and nothing runs without it. */
import assert from 'node:assert/strict';
import { before, beforeEach, describe, test } from 'node:test';
import { firstError, singleValue, typesOf } from '../harness/backend-message.js';
import { FaultProxy } from '../harness/fault-proxy.js';
import * as send from '../harness/frontend-message.js';
import { withGateway } from '../harness/gateway-under-test.js';
import { RawClient } from '../harness/raw-client.js';
import { onEveryDriver } from '../harness/stage.js';
import { until } from '../harness/until.js';

/** One server connection, so that two clients in turn change it each time. */
const SETTINGS = { default_pool_size: 1, query_wait_timeout: 10, server_unix_socket: 'off' };

const value = async (client: RawClient, sql: string) => singleValue(await client.query(sql));

onEveryDriver('session alignment', { gateway: { settings: SETTINGS } }, (stage) => {
  const login = (user = 'postgres') => RawClient.login(stage.gateway, { user });

  /** Has another client leave its own settings on the server connection. */
  async function intervene(user = 'postgres'): Promise<void> {
    const other = await login(user);
    await other.query("SET work_mem = '1MB'");
    await other.query('SELECT 1');
    await other.close();
  }

  test('needs no round trip of its own', async () => {
    const proxy = await FaultProxy.start(stage.server);
    await withGateway({ io: stage.io, server: proxy, settings: SETTINGS }, async (gateway) => {
      const [one, two] = [await RawClient.login(gateway), await RawClient.login(gateway)];
      await one.query("SET work_mem = '2MB'");
      // The first one that a server connection gets is waited for.
      assert.equal(await value(two, 'SHOW work_mem'), '4MB');
      proxy.mute(true);
      proxy.heard = '';
      one.send(send.query('SHOW work_mem'));
      await until('the message behind what was set', () => {
        const heard = proxy.heard ?? '';
        return heard.includes('set_config') && heard.includes('SHOW work_mem');
      });
      proxy.mute(false);
      assert.equal(singleValue(await one.untilReady()), '2MB');
      await one.close();
      await two.close();
    });
    await proxy.stop();
  });

  test('goes before whatever comes first', async () => {
    const client = await login();
    await client.query("SET search_path = 'mine'; CREATE SCHEMA IF NOT EXISTS mine");
    await intervene();
    await client.query('BEGIN ISOLATION LEVEL SERIALIZABLE');
    assert.equal(await value(client, 'SHOW transaction_isolation'), 'serializable');
    assert.equal(await value(client, 'SHOW search_path'), 'mine');
    await client.query('ROLLBACK');
    assert.equal(await value(client, 'SHOW search_path'), 'mine');

    await intervene();
    assert.equal(typesOf(await client.query('VACUUM pg_catalog.pg_class')), 'CZ');

    await intervene();
    client.send(send.extended("SELECT current_setting('search_path')"));
    assert.equal(singleValue(await client.untilReady()), 'mine');

    await client.query('DROP TABLE IF EXISTS filled; CREATE TABLE filled (i int)');
    await intervene();
    client.send(
      send.query('COPY filled FROM STDIN'),
      send.copyData(Buffer.from('1\n2\n')),
      send.copyDone(),
      send.query('SELECT count(*) FROM mine.filled'),
    );
    assert.equal(typesOf(await client.untilReady()), 'GCZ');
    assert.equal(singleValue(await client.untilReady()), '2');
    await client.close();
  });

  describe('what is refused', () => {
    const gone = `gone_${stage.io}`;

    before(async () => {
      await stage.server.query(`
        DROP TABLE IF EXISTS seen; CREATE TABLE seen (who text DEFAULT current_user); GRANT ALL ON seen TO PUBLIC;
        DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN`);
    });
    beforeEach(() => stage.server.query(`DROP ROLE IF EXISTS ${gone}; CREATE ROLE ${gone}; TRUNCATE seen`));

    const seen = () => stage.server.query('SELECT who FROM seen');

    /** A client with a role that is no more, and a server connection that has another one's settings. */
    async function misfit(): Promise<RawClient> {
      const client = await login();
      await client.query(`SET ROLE ${gone}`);
      await intervene();
      await stage.server.query(`DROP ROLE ${gone}`);
      return client;
    }

    test('is an error, and the client stays', async () => {
      const client = await misfit();
      for (let i = 0; i < 2; i++) {
        const answer = await client.query('INSERT INTO seen DEFAULT VALUES');
        assert.equal(typesOf(answer), 'EZ');
        const { severity, code, message, hint } = firstError(answer);
        assert.deepEqual([severity, code, message], ['ERROR', '22023', `role "${gone}" does not exist`]);
        assert.match(hint ?? '', /what this session has set \(.*role.*\): nothing was run/);
        assert.deepEqual(await seen(), []);
        await stage.server.query(`CREATE ROLE ${gone}`);
        await client.query('INSERT INTO seen DEFAULT VALUES');
        assert.equal((await seen()).length, 1);
        await stage.server.query(`TRUNCATE seen; DROP ROLE ${gone}`);
        await intervene();
      }
      await client.close();
    });

    test('twice in a row is its end', async () => {
      const client = await misfit();
      assert.equal(firstError(await client.query('INSERT INTO seen DEFAULT VALUES')).severity, 'ERROR');
      // The new server connection has not been tried yet: this one is waited for.
      client.send(send.query('INSERT INTO seen DEFAULT VALUES'));
      assert.equal(firstError(await client.untilEnd()).severity, 'FATAL');
      assert.deepEqual(await seen(), []);
      const next = await login();
      assert.equal(await value(next, 'SELECT current_user'), 'postgres');
      await next.close();
    });

    test('twice with something that runs between is no end', async () => {
      const client = await misfit();
      for (let i = 0; i < 3; i++) {
        assert.equal(firstError(await client.query('INSERT INTO seen DEFAULT VALUES')).severity, 'ERROR');
        await stage.server.query(`CREATE ROLE ${gone}`);
        await client.query('SELECT 1');
        await stage.server.query(`DROP ROLE ${gone}`);
        // It has its server connection still, where nothing need be changed.
        await client.query('SELECT 1');
        await intervene();
      }
      await client.close();
    });

    test('the first that a server connection gets', async () => {
      const [one, two] = [await login(), await login()];
      await one.query(`SET ROLE ${gone}`);
      await two.query(`SET ROLE ${gone}`);
      await intervene();
      await stage.server.query(`DROP ROLE ${gone}`);
      for (const client of [one, two]) {
        assert.equal(typesOf(await client.query('INSERT INTO seen DEFAULT VALUES')), 'EZ');
        await client.close();
      }
      assert.deepEqual(await seen(), []);
    });

    test('a pipeline gets one error for each of its requests', async () => {
      const insert = 'INSERT INTO seen DEFAULT VALUES';
      const client = await misfit();
      client.send(
        send.extended(insert),
        send.query(insert),
        send.parse('kept', insert),
        send.bind('', 'kept'),
        send.execute(''),
        send.sync(),
        send.sync(),
        send.parse('', insert),
        send.flush(),
      );
      const answers = [];
      for (let i = 0; i < 4; i++) answers.push(typesOf(await client.untilReady()));
      assert.deepEqual(answers, ['EZ', 'EZ', 'EZ', 'Z']);
      assert.equal(typesOf(await client.take('E')), 'E');
      client.send(send.bind('', ''), send.execute(''), send.query(insert), send.sync());
      assert.equal(typesOf(await client.untilReady()), 'Z');
      assert.deepEqual(await seen(), []);
      await stage.server.query(`CREATE ROLE ${gone}`);
      // The statement was never prepared, so that its name is free.
      client.send(send.bind('', 'kept'), send.sync());
      assert.equal(firstError(await client.untilReady()).code, '26000');
      client.send(send.parse('kept', insert), send.bind('', 'kept'), send.execute(''), send.sync());
      assert.equal(typesOf(await client.untilReady()), '12CZ');
      await client.close();
    });

    test('a role that the user may not take any more', async () => {
      await stage.server.query(`GRANT ${gone} TO plain`);
      const client = await login('plain');
      await client.query(`SET ROLE ${gone}`);
      await intervene('plain');
      await stage.server.query(`REVOKE ${gone} FROM plain`);
      assert.equal(firstError(await client.query('INSERT INTO seen DEFAULT VALUES')).code, '42501');
      assert.deepEqual(await seen(), []);
      await client.close();
    });
  });
});
