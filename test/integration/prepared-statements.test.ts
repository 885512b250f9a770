import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstError, singleValue, typesOf } from '../harness/backend-message.js';
import * as send from '../harness/frontend-message.js';
import { withGateway } from '../harness/gateway-under-test.js';
import { SUPERUSER } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { onEveryDriver } from '../harness/stage.js';
import { until } from '../harness/until.js';

onEveryDriver('prepared statements in transaction mode', {}, (stage) => {
  const gateway = (settings: Record<string, string | number>) => ({
    io: stage.io,
    server: stage.server,
    settings,
  });
  const execute = (name: string, values: string[]) => [send.bind('', name, values), send.execute('')];

  test('follow their client over server connections', async () => {
    await withGateway(gateway({ default_pool_size: 3 }), async (at) => {
      const client = await RawClient.login(at);
      client.send(send.parse('plus', 'SELECT $1::int + 1'), send.sync());
      await client.untilReady();
      const holders = [];
      for (let i = 0; i < 3; i++) {
        client.send(...execute('plus', [`${i}`]), send.sync());
        assert.equal(singleValue(await client.untilReady()), `${i + 1}`);
        // Takes the server connection that was used last, so that the client meets another one.
        if (i < 2) {
          const holder = await RawClient.login(at);
          await holder.query('BEGIN');
          holders.push(holder);
        }
      }
      for (const holder of holders) {
        await holder.query('COMMIT');
        await holder.close();
      }
      await client.close();
    });
  });

  test('a name that is taken is refused in a failed transaction, too, where its statement has yet to come', async () => {
    await withGateway(gateway({ default_pool_size: 2 }), async (at) => {
      const client = await RawClient.login(at);
      client.send(send.parse('taken', 'SELECT 1'), send.sync());
      await client.untilReady();
      const holder = await RawClient.login(at);
      for (const batch of [
        [send.parse('taken', 'ROLLBACK')],
        [send.extended('ROLLBACK').subarray(0, -5), send.parse('taken', 'SELECT 2')],
      ]) {
        await holder.query('BEGIN');
        await client.query('BEGIN');
        await client.query('SELECT 1/0');
        client.send(...batch, send.bind('', 'taken'), send.execute(''), send.sync());
        assert.match(firstError(await client.untilReady()).code, /^(25P02|42P05)$/);
        // What is no SQL is refused for that, transaction or not.
        client.send(send.parse('taken', 'SELEC 3'), send.sync());
        assert.equal(firstError(await client.untilReady()).code, '42601');
        await client.query('ROLLBACK');
        await holder.query('ROLLBACK');
        client.send(...execute('taken', []), send.sync());
        assert.equal(singleValue(await client.untilReady()), '1');
      }
      await client.close();
      await holder.close();
    });
  });

  test('a name may be longer than PostgreSQL takes it in Describe and Close', async () => {
    const name = 'a'.repeat(16 * 1024);
    await withGateway(gateway({}), async (at) => {
      const client = await RawClient.login(at);
      client.send(send.parse(name, 'SELECT $1::text'), send.describeStatement(name), ...execute(name, ['x']));
      client.send(send.sync());
      const answer = await client.untilReady();
      assert.equal(typesOf(answer), '1tT2DCZ');
      assert.equal(singleValue(answer), 'x');
      client.send(send.closeStatement(name), send.describeStatement(name), send.sync());
      const refused = await client.untilReady();
      assert.equal(typesOf(refused), '3EZ');
      assert.equal(firstError(refused).code, '26000');
      for (const over of [send.describeStatement('a'.repeat(65_536)), send.describePortal(name)]) {
        const ended = await RawClient.login(at);
        ended.send(over);
        assert.equal(firstError(await ended.untilEnd()).severity, 'FATAL');
      }
      await client.close();
    });
  });

  test('the same name in two clients means each one’s own', async () => {
    await withGateway(gateway({ default_pool_size: 1 }), async (at) => {
      const [one, two] = await Promise.all([RawClient.login(at), RawClient.login(at)]);
      one.send(send.parse('s', "SELECT 'one'"), send.sync());
      two.send(send.parse('s', "SELECT 'two'"), send.sync());
      await Promise.all([one.untilReady(), two.untilReady()]);
      for (let i = 0; i < 3; i++) {
        one.send(...execute('s', []), send.sync());
        two.send(...execute('s', []), send.sync());
        assert.equal(singleValue(await one.untilReady()), 'one');
        assert.equal(singleValue(await two.untilReady()), 'two');
      }
      one.send(send.closeStatement('s'), send.sync());
      await one.untilReady();
      two.send(...execute('s', []), send.sync());
      assert.equal(singleValue(await two.untilReady()), 'two');
      one.send(...execute('s', []), send.sync());
      assert.equal(firstError(await one.untilReady()).code, '26000');
      await one.close();
      await two.close();
    });
  });

  test('clients that prepare the same text share one statement of the server', async () => {
    await withGateway(gateway({ default_pool_size: 1 }), async (at) => {
      const clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.login(at)));
      for (const [i, client] of clients.entries()) {
        client.send(
          send.parse(`mine_${i}`, 'SELECT $1::int * 2'),
          ...execute(`mine_${i}`, [`${i}`]),
          send.sync(),
        );
        const answer = await client.untilReady();
        assert.equal(typesOf(answer), '12DCZ');
        assert.equal(singleValue(answer), `${i * 2}`);
      }
      const [client] = clients;
      const count = "SELECT count(*) FROM pg_prepared_statements WHERE statement = 'SELECT $1::int * 2'";
      assert.equal(singleValue(await client!.query(count)), '1');
      for (const each of clients) await each.close();
    });
  });

  test('max_prepared_statements bounds what a server connection keeps', async () => {
    await withGateway(gateway({ default_pool_size: 1, max_prepared_statements: 5 }), async (at) => {
      const client = await RawClient.login(at);
      for (let i = 0; i < 30; i++) client.send(send.parse(`s${i}`, `SELECT ${i}`), send.sync());
      for (let i = 0; i < 30; i++) assert.equal(typesOf(await client.untilReady()), '1Z');
      for (const i of [0, 29, 3, 17, 0, 28, 29]) {
        client.send(...execute(`s${i}`, []), send.sync());
        assert.equal(singleValue(await client.untilReady()), `${i}`);
      }
      // In one pipeline more statements are used than the server connection may keep.
      client.send(...Array.from({ length: 30 }, (_, i) => execute(`s${i}`, [])).flat(), send.sync());
      const answer = await client.untilReady();
      assert.equal(typesOf(answer), `${'2DC'.repeat(30)}Z`);
      const kept = await client.query('SELECT count(*) FROM pg_prepared_statements');
      assert.ok(Number(singleValue(kept)) <= 5, `${singleValue(kept)} are kept`);
      await client.close();
    });
  });

  test('max_prepared_statements = 0 at run time reaches a client when it has no statement', async () => {
    await withGateway(gateway({ default_pool_size: 1, admin_users: SUPERUSER }), async (at) => {
      const console = await RawClient.login(at, { database: 'pgbouncer' });
      const client = await RawClient.login(at);
      client.send(send.parse('old', "SELECT 'old'"), send.sync());
      await client.untilReady();
      await console.query('SET max_prepared_statements = 0');
      client.send(...execute('old', []), send.closeStatement('old'), send.sync());
      assert.equal(singleValue(await client.untilReady()), 'old');
      client.send(send.parse('new', "SELECT 'new'"), send.sync(), ...execute('new', []), send.sync());
      await client.untilReady();
      assert.equal(singleValue(await client.untilReady()), 'new');
      const named = "SELECT count(*) FROM pg_prepared_statements WHERE name = 'new'";
      assert.equal(singleValue(await client.query(named)), '1');
      await console.close();
      await client.close();
    });
  });

  test('max_prepared_statements = 0 leaves a client the statements that it has, wherever it is served', async () => {
    await withGateway(gateway({ default_pool_size: 2, admin_users: SUPERUSER }), async (at) => {
      const console = await RawClient.login(at, { database: 'pgbouncer' });
      const [client, other] = [await RawClient.login(at), await RawClient.login(at)];
      client.send(send.parse('old', "SELECT 'old'"), send.sync());
      await client.untilReady();
      await console.query('SET max_prepared_statements = 0');
      await other.query('BEGIN');
      client.send(...execute('old', []), send.sync());
      assert.equal(singleValue(await client.untilReady()), 'old');
      for (const each of [other, client, console]) await each.close();
    });
  });

  test('a pipeline that fails in the middle leaves all names right', async () => {
    await withGateway(gateway({ default_pool_size: 1, max_prepared_statements: 3 }), async (at) => {
      const client = await RawClient.login(at);
      for (let round = 0; round < 5; round++) {
        client.send(
          send.parse(`a${round}`, `SELECT 'a${round}'`),
          send.parse(`bad${round}`, 'SELECT FROM nowhere'),
          send.parse(`c${round}`, `SELECT 'c${round}'`),
          send.sync(),
          send.parse(`c${round}`, `SELECT 'c${round}'`),
          ...execute(`a${round}`, []),
          ...execute(`c${round}`, []),
          send.sync(),
          ...execute(`bad${round}`, []),
          send.sync(),
        );
        assert.equal(typesOf(await client.untilReady()), '1EZ');
        assert.equal(typesOf(await client.untilReady()), '12DC2DCZ');
        assert.equal(firstError(await client.untilReady()).code, '26000');
      }
      await client.close();
    });
  });

  test('a statement outlives the server connection on which it was prepared', async () => {
    await withGateway(gateway({ default_pool_size: 1, server_login_retry: '100ms' }), async (at) => {
      const client = await RawClient.login(at);
      client.send(send.parse('keeps', 'SELECT $1::text'), send.parse('', 'SELECT 9'), send.sync());
      await client.untilReady();
      const pid = singleValue(await client.query('SELECT pg_backend_pid()'));
      await stage.server.query(`SELECT pg_terminate_backend(${pid})`);
      await until('the backend to end', async () => (await stage.server.connections()) === 0);
      // Whoever connects now is seen by the gateway after the end of the server connection.
      await (await RawClient.login(at)).close();
      client.send(...execute('keeps', ['still here']), send.sync());
      assert.equal(singleValue(await client.untilReady()), 'still here');
      await client.close();
    });
  });

  test('fifty clients, twenty statements each, three server connections, small limit', async () => {
    const settings = { default_pool_size: 3, max_prepared_statements: 7 };
    await withGateway(gateway(settings), async (at) => {
      await Promise.all(
        Array.from({ length: 50 }, async (_, who) => {
          const client = await RawClient.login(at);
          for (let i = 0; i < 20; i++) {
            client.send(send.parse(`s${i}`, `SELECT ${(who % 5) * 100 + i} + $1::int`), send.sync());
            await client.untilReady();
          }
          for (let i = 0; i < 60; i++) {
            const which = (i * 7 + who) % 20;
            client.send(...execute(`s${which}`, [`${i}`]), send.sync());
            assert.equal(singleValue(await client.untilReady()), `${(who % 5) * 100 + which + i}`);
          }
          await client.close();
        }),
      );
    });
  });
});
