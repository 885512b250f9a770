/** Commits that wait for synchronous standbys, and don't get them. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { errorOf, firstError, singleValue, typesOf } from '../harness/backend-message.js';
import { availableDrivers } from '../harness/drivers.js';
import * as send from '../harness/frontend-message.js';
import { GatewayUnderTest } from '../harness/gateway-under-test.js';
import { PostgresServer } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/until.js';

describe('a commit that waits for synchronous standbys', () => {
  let server: PostgresServer;
  let gateway: GatewayUnderTest;

  before(async () => {
    server = await PostgresServer.start({ settings: { synchronous_commit: 'on' } });
    await server.query('CREATE TABLE t (i int)');
    gateway = await GatewayUnderTest.start({
      io: availableDrivers[0]!,
      server: [`app=postgres:///app?nodes=${server.host}:${server.port}`],
      settings: { log_disconnections: 'on' },
    });
    await server.query("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    await server.query('SELECT pg_reload_conf()');
  });
  after(async () => {
    await gateway?.stop();
    await server?.discard();
  });

  const waiting = async (): Promise<number | undefined> => {
    const [row] = await server.query("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    return row?.pid;
  };

  const ways: Readonly<Record<string, readonly Buffer[]>> = {
    'a statement by itself': [send.query('INSERT INTO t VALUES (1)')],
    'a batch': [send.extended('INSERT INTO t VALUES (2)')],
    'a COMMIT': [send.query('BEGIN; INSERT INTO t VALUES (3)'), send.query('COMMIT')],
    'a COMMIT in a batch': [send.query('BEGIN; INSERT INTO t VALUES (4)'), send.extended('COMMIT')],
    'several statements': [send.query('INSERT INTO t VALUES (5); SELECT 1; INSERT INTO t VALUES (6)')],
  };
  for (const [what, messages] of Object.entries(ways)) {
    test(`${what}: a client can't cancel it, and who gives up says that the outcome is unknown`, async () => {
      const client = await RawClient.login(gateway);
      const before = gateway.log.length;
      for (const [at, message] of messages.entries()) {
        client.send(message);
        if (at < messages.length - 1) await client.untilReady();
      }
      const pid = await until('the commit to wait', waiting);
      await client.cancel(gateway);
      const told = 'not sending cancel request for a commit that waits for synchronous standbys';
      await until('the cancel request to be dropped', () => gateway.log.slice(before).includes(told));
      assert.equal(await waiting(), pid);
      await server.query(`SELECT pg_cancel_backend(${pid})`);
      const answers = await client.untilReady();
      const error = firstError(answers);
      assert.deepEqual([error.severity, error.code], ['ERROR', '08007']);
      assert.match(typesOf(answers), /EZ$/);
      assert.equal(answers.at(-1)!.body.toString(), 'I');
      assert.equal(singleValue(await client.query('SELECT 7')), '7');
      await client.close();
    });
  }

  for (const mode of ['immediate', 'fast'] as const) {
    for (const [what, messages] of Object.entries(ways)) {
      test(`${what}: a server that ends meanwhile (${mode}) leaves the outcome unknown`, async () => {
        const client = await RawClient.login(gateway);
        for (const [at, message] of messages.entries()) {
          client.send(message);
          if (at < messages.length - 1) await client.untilReady();
        }
        await until('the commit to wait', waiting);
        await server.stop(mode);
        const answers = await client.untilReady();
        assert.equal(firstError(answers).code, '08007', typesOf(answers));
        assert.match(typesOf(answers), /EZ$/);
        assert.equal(answers.at(-1)!.body.toString(), 'I');
        await server.restart();
        assert.equal(singleValue(await client.query('SELECT 7')), '7');
        await client.close();
      });
    }
  }

  test('what else runs can be cancelled', async () => {
    const client = await RawClient.login(gateway);
    client.send(send.query('SELECT pg_sleep(60)'));
    await until('the query to run', async () => {
      const rows = await server.query("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
      return rows.length > 0;
    });
    await client.cancel(gateway);
    assert.equal(errorOf((await client.untilReady()).find(({ type }) => type === 'E')!).code, '57014');
    await client.close();
  });
});
