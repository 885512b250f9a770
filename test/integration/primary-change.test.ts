/** Another node becomes the primary: what clients notice of it. And databases whose clients reach standbys alone. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { errorOf, firstError, singleValue, typesOf } from '../harness/backend-message.js';
import { availableDrivers } from '../harness/drivers.js';
import { GatewayUnderTest } from '../harness/gateway-under-test.js';
import { PostgresServer } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { freePort } from '../harness/scratch.js';
import { until } from '../harness/until.js';

const GROUND = `
  CREATE TABLE facts (n int);
  CREATE FUNCTION place() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN current_setting('port'); END $$`;

for (const io of availableDrivers) {
  describe(`another primary, ${io}`, () => {
    let first: PostgresServer;
    let second: PostgresServer;
    let gateway: GatewayUnderTest;
    let http = '';
    const value = async (client: RawClient, sql: string) => singleValue(await client.query(sql));

    before(async () => {
      first = await PostgresServer.start({ settings: { synchronous_commit: 'on' } });
      await first.query(GROUND);
      second = await first.startStandby();
      await first.replayedBy(second);
      const nodes = `${second.host}:${second.port},${first.host}:${first.port}`;
      http = `127.0.0.1:${await freePort()}`;
      gateway = await GatewayUnderTest.start({
        io,
        server: [
          `app=postgres:///app?nodes=${nodes}`,
          `standbys=postgres:///app?nodes=${nodes}&target_session_attrs=standby`,
          `odd=postgres:///app?nodes=${nodes}`,
          `any=postgres:///app?nodes=${nodes}&target_session_attrs=prefer-standby`,
        ],
        settings: { http_listen: http, query_wait_timeout: 30, server_login_retry: '100ms' },
        expectedTrouble: [/node .* is (unknown|not used)/, /server connection failed/],
      });
    });
    after(async () => {
      await gateway?.stop();
      await second?.discard();
      await first?.discard();
    });

    test('clients of target_session_attrs = standby reach a standby, and can only read', async () => {
      for (const database of ['standbys', 'any']) {
        const client = await RawClient.login(gateway, { database });
        await until(
          'the standby',
          async () => (await value(client, 'SELECT place()')) === String(second.port),
        );
        const [refused] = await client.query('INSERT INTO facts VALUES (1)');
        assert.equal(errorOf(refused!).code, '25006');
        await client.close();
      }
    });

    test('what a role has made its default keeps nobody from the nodes', async () => {
      await first.query(`CREATE ROLE odd LOGIN; ALTER ROLE odd SET statement_timeout = '1ms';
        ALTER ROLE odd SET default_transaction_isolation = 'serializable'`);
      await first.replayedBy(second);
      // Its own statements may take longer.
      const own = { options: '-c statement_timeout=0' };
      const client = await RawClient.login(gateway, { user: 'odd', database: 'odd', ...own });
      assert.equal(await value(client, 'SELECT 1'), '1');
      await client.close();
    });

    test('whom no server lets in is told so in their words', async () => {
      for (const startup of [{ user: 'nobody' }, { database: 'standbys', user: 'nobody' }]) {
        const client = await RawClient.connect(gateway);
        client.startup(startup);
        const [error] = await client.untilEnd();
        assert.equal(errorOf(error!).message, 'role "nobody" does not exist');
      }
    });

    test('who was between transactions waits, and goes on there; who was in one is told', async () => {
      const [idle, busy, late] = [
        await RawClient.login(gateway),
        await RawClient.login(gateway),
        await RawClient.login(gateway),
      ];
      await idle.query("SET application_name = 'idle'; INSERT INTO facts VALUES (2)");
      await busy.query('BEGIN; INSERT INTO facts VALUES (3)');
      const answered = late.query('BEGIN; INSERT INTO facts VALUES (4); COMMIT');
      await answered;
      await first.replayedBy(second);
      await first.stop('immediate');
      const written = idle.query('INSERT INTO facts VALUES (5)');
      assert.equal(firstError(await busy.query('INSERT INTO facts VALUES (3)')).code, '40001');
      await second.query('SELECT pg_promote()', 'app');
      assert.equal(typesOf(await written), 'CZ');
      assert.equal(await value(idle, 'SELECT string_agg(n::text, $$,$$ ORDER BY n) FROM facts'), '2,4,5');
      assert.equal(await value(idle, "SELECT current_setting('application_name')"), 'idle');
      assert.equal(typesOf(await busy.query('ROLLBACK')), 'CZ');
      assert.equal(await value(busy, 'SELECT place()'), String(second.port));
      await busy.close();
      await late.close();
      await idle.close();
    });

    test('which is counted, for whoever looks from outside', async () => {
      const page = await (await fetch(`http://${http}/metrics`)).text();
      assert.match(page, /^sluice_primary_changes_total [1-9]/m);
      const place = `database="app",node="${second.host}:${second.port}"`;
      assert.match(page, new RegExp(`^sluice_node_role\\{${place},role="primary"\\} 1$`, 'm'));
    });

    test('where no standby is left, reads go to the primary, and who prefers a standby gets it', async () => {
      for (const database of ['app', 'any']) {
        const client = await RawClient.login(gateway, { database });
        assert.equal(await value(client, 'SELECT place()'), String(second.port));
        assert.equal(typesOf(await client.query('INSERT INTO facts VALUES (6)')), 'CZ');
        await client.close();
      }
    });
  });
}
