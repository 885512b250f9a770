import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { firstError, singleValue, typesOf } from '../harness/backend-message.js';
import { describeDrivers } from '../harness/drivers.js';
import { FaultProxy } from '../harness/fault-proxy.js';
import * as send from '../harness/frontend-message.js';
import { withGateway } from '../harness/gateway-under-test.js';
import { PostgresServer } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { onEveryDriver, type Stage } from '../harness/stage.js';
import { until } from '../harness/until.js';

const ONE_CONNECTION = { gateway: { settings: { default_pool_size: 1, server_login_retry: '100ms' } } };

/** What the next client of a pool must not see. */
async function assertClean(stage: Stage): Promise<void> {
  const next = await RawClient.login(stage.gateway);
  const messages = await next.query('SELECT txid_current_if_assigned()');
  assert.equal(singleValue(messages), null);
  assert.equal(messages.at(-1)?.body.toString(), 'I');
  await next.query('SELECT 1');
  await next.close();
  const open = await stage.server.query(
    `SELECT query, state FROM pg_stat_activity
     WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND state <> 'idle'`,
  );
  assert.deepEqual(open, []);
}

onEveryDriver('a client is lost', { setup: 'CREATE TABLE t (i int)', ...ONE_CONNECTION }, (stage) => {
  const leave = {
    'by a reset': (client: RawClient) => client.reset(),
    'by closing its socket': (client: RawClient) => client.destroy(),
    'by closing its direction': (client: RawClient) => client.end(),
    'by Terminate': (client: RawClient) => client.send(send.terminate()),
  };
  for (const [how, lose] of Object.entries(leave)) {
    describe(how, () => {
      test('in a transaction', async () => {
        await stage.server.query('TRUNCATE t');
        const client = await RawClient.login(stage.gateway);
        await client.query('BEGIN');
        await client.query('INSERT INTO t VALUES (1)');
        lose(client);
        await assertClean(stage);
        assert.deepEqual(await stage.server.query('SELECT * FROM t'), []);
      });

      test('in a failed transaction', async () => {
        const client = await RawClient.login(stage.gateway);
        await client.query('BEGIN');
        await client.query('x');
        lose(client);
        await assertClean(stage);
      });

      test('in a COPY', async () => {
        const client = await RawClient.login(stage.gateway);
        client.send(send.query('COPY t FROM STDIN'));
        await client.take('G');
        client.send(send.copyData('1\n'));
        lose(client);
        await assertClean(stage);
        assert.deepEqual(await stage.server.query('SELECT * FROM t'), []);
      });

      test('between Parse and Sync', async () => {
        const client = await RawClient.login(stage.gateway);
        client.send(send.parse('', 'SELECT 1'), send.flush());
        await client.take('1');
        lose(client);
        await assertClean(stage);
      });

      test('while it waits for a server connection', async () => {
        const holder = await RawClient.login(stage.gateway);
        await holder.query('BEGIN');
        const client = await RawClient.login(stage.gateway);
        client.send(send.query('SELECT 1'));
        lose(client);
        await holder.query('COMMIT');
        await holder.close();
        await assertClean(stage);
      });
    });
  }

  // Terminate would be a part of the message.
  for (const [how, lose] of Object.entries(leave).filter(([how]) => how !== 'by Terminate')) {
    test(`in the middle of a message, ${how}`, async () => {
      const client = await RawClient.login(stage.gateway);
      client.send(send.query(`SELECT '${'x'.repeat(100_000)}'`).subarray(0, 50_000));
      lose(client);
      await assertClean(stage);
    });
  }

  test('in the middle of a large result', async () => {
    const client = await RawClient.login(stage.gateway);
    client.send(send.query("SELECT repeat('x', 1000) FROM generate_series(1, 300000)"));
    await client.take('D');
    client.reset();
    await assertClean(stage);
  });

  test('a hundred at once, in transactions', async () => {
    for (let round = 0; round < 5; round++) {
      const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.login(stage.gateway)));
      for (const client of clients) client.send(send.query('BEGIN'), send.query('INSERT INTO t VALUES (2)'));
      for (const client of clients) client.reset();
    }
    await assertClean(stage);
    assert.deepEqual(await stage.server.query('SELECT * FROM t WHERE i = 2'), []);
  });
});

/** A table on which commits take their time. */
const SLOW = `
  CREATE TABLE slow (i int);
  CREATE FUNCTION doze() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;
  CREATE CONSTRAINT TRIGGER doze AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION doze()`;
/** What PostgreSQL alone knows about. */
const STATEFUL = `;
  CREATE FUNCTION becomes(tenant text) RETURNS text LANGUAGE sql AS $$ SELECT set_config('app.tenant', tenant, false) $$`;
const TENANT = "SELECT coalesce(current_setting('app.tenant', true), '')";

onEveryDriver('a server connection is lost', { ...ONE_CONNECTION, setup: SLOW + STATEFUL }, (stage) => {
  const terminate = (pid: string | null) => stage.server.query(`SELECT pg_terminate_backend(${pid})`);

  test('idle in its pool: no client notices', async () => {
    const client = await RawClient.login(stage.gateway);
    const pid = singleValue(await client.query('SELECT pg_backend_pid()'));
    await terminate(pid);
    await until('the backend to end', async () => (await stage.server.connections()) === 0);
    // Whoever connects now is seen by the gateway after the end of the server connection.
    await (await RawClient.login(stage.gateway)).close();
    assert.notEqual(singleValue(await client.query('SELECT pg_backend_pid()')), pid);
    await client.close();
  });

  test('in a transaction: its client is told when it asks next, and goes on; others do at once', async () => {
    const linked = await RawClient.login(stage.gateway);
    const idle = await RawClient.login(stage.gateway);
    await linked.query('BEGIN');
    const pid = singleValue(await linked.query('SELECT pg_backend_pid()'));
    idle.send(send.query('SELECT 12'));
    await terminate(pid);
    assert.equal(singleValue(await idle.untilReady()), '12');
    const answers = await linked.query('SELECT 1');
    assert.deepEqual([firstError(answers).code, answers.at(-1)?.body.toString()], ['40001', 'E']);
    assert.equal(firstError(await linked.query('SELECT 1')).code, '25P02');
    assert.equal(typesOf(await linked.query('ROLLBACK')), 'CZ');
    assert.equal(singleValue(await linked.query('SELECT 11')), '11');
    await linked.close();
    await idle.close();
  });

  test('while a query runs', async () => {
    const client = await RawClient.login(stage.gateway);
    client.send(send.query('SELECT pg_sleep(60), 13'));
    const pid = await until('the query to run', async () => {
      const [row] = await stage.server.query(
        "SELECT pid FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60), 13' AND state = 'active'",
      );
      return row?.pid;
    });
    await terminate(pid);
    assert.equal(firstError(await client.untilReady()).code, '08007');
    assert.equal(singleValue(await client.query('SELECT 13')), '13');
    await client.close();
  });

  /** The server connection is terminated in a transaction that has done this. */
  const lostAfter = async (client: RawClient, ...before: readonly string[]): Promise<void> => {
    await client.query('BEGIN');
    for (const sql of before) await client.query(sql);
    await terminate(singleValue(await client.query('SELECT pg_backend_pid()')));
    await until('the backend to end', async () => (await stage.server.connections()) === 0);
    // Whoever connects now is seen by the gateway behind that.
    await (await RawClient.login(stage.gateway)).close();
  };

  test('what the transaction has set is undone, what was set before stays', async () => {
    const client = await RawClient.login(stage.gateway);
    await client.query("SET application_name = 'before'; SET work_mem = '5MB'");
    await lostAfter(client, "SET application_name = 'within'", "SET work_mem = '6MB'");
    assert.equal(firstError(await client.query('COMMIT')).code, '40001');
    const shown = "SELECT current_setting('application_name') || current_setting('work_mem')";
    assert.equal(singleValue(await client.query(shown)), 'before5MB');
    await client.close();
  });

  test('a batch of the extended protocol learns it, too, and can end the block', async () => {
    const client = await RawClient.login(stage.gateway);
    client.send(send.parse('end', 'ROLLBACK'), send.sync());
    await client.untilReady();
    await lostAfter(client);
    client.send(send.extended('SELECT 1'));
    assert.equal(firstError(await client.untilReady()).code, '40001');
    client.send(send.extended('SELECT 1'));
    assert.equal(firstError(await client.untilReady()).code, '25P02');
    client.send(send.bind('', 'end'), send.execute(), send.sync());
    assert.equal(typesOf(await client.untilReady()), '2CZ');
    client.send(send.extended('SELECT 12'));
    assert.equal(singleValue(await client.untilReady()), '12');
    await client.close();
  });

  test('while a COMMIT runs: nobody knows', async () => {
    for (const commit of [send.query('COMMIT'), send.extended('COMMIT'), send.query('SELECT 1; COMMIT')]) {
      const client = await RawClient.login(stage.gateway);
      await client.query('BEGIN; INSERT INTO slow VALUES (1)');
      const pid = singleValue(await client.query('SELECT pg_backend_pid()'));
      client.send(commit);
      await until('the COMMIT to run', async () => {
        const [row] = await stage.server.query(`SELECT wait_event FROM pg_stat_activity WHERE pid = ${pid}`);
        return row?.wait_event === 'PgSleep';
      });
      await terminate(pid);
      const answers = await client.untilReady();
      assert.deepEqual([firstError(answers).code, answers.at(-1)?.body.toString()], ['08007', 'I']);
      await client.close();
    }
  });

  test('while a statement of a transaction runs: nothing was committed', async () => {
    const client = await RawClient.login(stage.gateway);
    await client.query('BEGIN');
    const pid = singleValue(await client.query('SELECT pg_backend_pid()'));
    client.send(send.query('SELECT pg_sleep(60)'), send.query('ROLLBACK'));
    await until('the statement to run', async () => {
      const [row] = await stage.server.query(`SELECT wait_event FROM pg_stat_activity WHERE pid = ${pid}`);
      return row?.wait_event === 'PgSleep';
    });
    await terminate(pid);
    assert.equal(firstError(await client.untilReady()).code, '40001');
    assert.equal(firstError(await client.untilReady()).code, '25P02');
    assert.equal(typesOf(await client.query('ROLLBACK')), 'CZ');
    await client.close();
  });

  describe('while it is asked what a session holds', () => {
    /** The client gets its answer to `sql`; what that has left in the session is never found out. */
    const loseBehind = async (
      client: RawClient,
      sql: string,
      meanwhile: readonly Buffer[] = [],
    ): Promise<void> => {
      const admin = await RawClient.login(stage.server);
      // The gateway's question reads this view, and nothing else does.
      await admin.query('BEGIN; LOCK TABLE pg_catalog.pg_cursors');
      assert.match(typesOf(await client.query(sql)), /CZ$/);
      client.send(...meanwhile);
      const pid = await until('the question to wait', async () =>
        singleValue(await admin.query('SELECT (SELECT min(pid) FROM pg_locks WHERE NOT granted)')),
      );
      await admin.query(`SELECT pg_terminate_backend(${pid})`);
      await until('its end', async () => {
        const rows = await stage.server.query(`SELECT 1 FROM pg_stat_activity WHERE pid = ${pid}`);
        return rows.length === 0;
      });
      await admin.query('ROLLBACK');
      await admin.close();
      // Whoever connects now is seen by the gateway behind that.
      await (await RawClient.login(stage.gateway)).close();
    };
    const begun = async (): Promise<RawClient> => {
      const client = await RawClient.login(stage.gateway);
      await client.query("SET app.tenant = 'one'");
      // It is answered when the server has been asked what that has left.
      await client.query('SELECT 1');
      return client;
    };

    test('its client stays, is told once, and has what it had before', async () => {
      for (const ask of [send.query('SELECT 1'), send.extended('SELECT 1')]) {
        const client = await begun();
        await loseBehind(client, "SELECT becomes('two')");
        client.send(send.sync());
        assert.equal(typesOf(await client.untilReady()), 'Z');
        client.send(ask);
        const told = await client.untilReady();
        assert.equal(typesOf(told), 'EZ');
        const { severity, code, detail } = firstError(told);
        assert.deepEqual([severity, code], ['ERROR', '08006']);
        assert.match(detail ?? '', /This statement was not run/);
        assert.equal(singleValue(await client.query(TENANT)), 'one');
        assert.equal(singleValue(await client.query("SELECT becomes('three')")), 'three');
        assert.equal(singleValue(await client.query(TENANT)), 'three');
        await client.close();
      }
    });

    test('what it has sent meanwhile is not run, and is what is answered so', async () => {
      const client = await begun();
      const meanwhile = [send.sync(), send.query('DROP TABLE made'), send.query(TENANT)];
      await loseBehind(client, 'CREATE TABLE made (i int)', meanwhile);
      assert.equal(typesOf(await client.untilReady()), 'Z');
      assert.equal(firstError(await client.untilReady()).code, '08006');
      assert.equal(singleValue(await client.untilReady()), 'one');
      assert.equal(typesOf(await client.query('DROP TABLE made')), 'CZ');
      await client.close();
    });
  });
});

describeDrivers('the way to the server', (io) => {
  test('is cut while a query runs: the outcome is unknown, and said to be', async () => {
    const server = await PostgresServer.start();
    const proxy = await FaultProxy.start(server);
    try {
      await withGateway({ io, server: proxy, settings: { server_login_retry: '100ms' } }, async (gateway) => {
        const busy = await RawClient.login(gateway);
        const idle = await RawClient.login(gateway);
        busy.send(send.query('SELECT pg_sleep(60), 14'));
        await until('the query to run', async () => {
          const rows = await server.query(
            "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60), 14' AND state = 'active'",
          );
          return rows.length > 0;
        });
        proxy.cut();
        const error = firstError(await busy.untilReady());
        assert.deepEqual([error.severity, error.code], ['ERROR', '08007']);
        assert.equal(singleValue(await busy.query('SELECT 14')), '14');
        assert.equal(singleValue(await idle.query('SELECT 15')), '15');
        await idle.close();
      });
    } finally {
      await proxy.stop();
      await server.discard();
    }
  });

  test('comes back: clients that wait meanwhile get their answers', async () => {
    const server = await PostgresServer.start();
    try {
      await withGateway({ io, server, settings: { server_login_retry: '100ms' } }, async (gateway) => {
        const client = await RawClient.login(gateway);
        assert.equal(singleValue(await client.query('SELECT 16')), '16');
        await server.stop('immediate');
        client.send(send.query('SELECT 17'));
        await server.restart();
        assert.equal(singleValue(await client.untilReady()), '17');
        await client.close();
      });
    } finally {
      await server.discard();
    }
  });
});
