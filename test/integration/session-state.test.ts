/** Transaction mode with `session_state = transparent`: what a client has set follows it, what can't follow pins it. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { firstError, rowsOf, singleValue, typesOf } from '../harness/backend-message.js';
import * as send from '../harness/frontend-message.js';
import { withGateway } from '../harness/gateway-under-test.js';
import { SUPERUSER } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { onEveryDriver } from '../harness/stage.js';
import { until } from '../harness/until.js';

/** The drivers share one server. */
const GROUND = `
  DROP SCHEMA IF EXISTS mine CASCADE; CREATE SCHEMA mine; CREATE TABLE mine.here (i int);
  DROP ROLE IF EXISTS reader; CREATE ROLE reader; DROP SEQUENCE IF EXISTS numbers; CREATE SEQUENCE numbers`;
const SETTINGS = { default_pool_size: 2, query_wait_timeout: 10, stats_users: SUPERUSER };

onEveryDriver('session state', { gateway: { settings: SETTINGS } }, (stage) => {
  const login = (parameters: Record<string, string> = {}) => RawClient.login(stage.gateway, parameters);
  const value = async (client: RawClient, sql: string) => singleValue(await client.query(sql));

  /** Runs `use` with clients that have the pool's other server connections, so that `client` must change its own. */
  async function elsewhere(client: RawClient, use: () => Promise<void>): Promise<void> {
    const before = await value(client, 'SELECT pg_backend_pid()');
    const other = await login();
    await other.query('BEGIN');
    const taken = await value(other, 'SELECT pg_backend_pid()');
    // Whoever holds the client's server connection drives it to the other one.
    if (taken === before) await use();
    else {
      const third = await login();
      await third.query('BEGIN');
      assert.equal(await value(third, 'SELECT pg_backend_pid()'), before);
      await other.query('COMMIT');
      await use();
      await third.query('COMMIT');
      await third.close();
    }
    await other.query('COMMIT');
    await other.close();
  }

  before(() => stage.server.query(GROUND));

  test('whoever changes nothing costs no question', async () => {
    const client = await login();
    await client.query('SELECT 1; BEGIN; SELECT now(); COMMIT');
    client.send(send.parse('s', 'SELECT $1::int'), send.bind('', 's', ['1']), send.execute(''), send.sync());
    await client.untilReady();
    client.send(send.parse('', 'SELECT 2'), send.bind('', ''), send.execute(''), send.sync());
    await client.untilReady();
    const asked =
      "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%sluice: session state%' AND pid <> pg_backend_pid()";
    assert.deepEqual(await stage.server.query(asked), []);
    await client.close();
  });

  describe('settings', () => {
    test('follow their client, and reach nobody else', async () => {
      const client = await login();
      await client.query("SET work_mem = '77MB'; SET search_path = mine, public");
      await elsewhere(client, async () => {
        assert.equal(await value(client, 'SHOW work_mem'), '77MB');
        assert.equal(await value(client, 'SELECT count(*) FROM here'), '0');
      });
      const stranger = await login();
      for (let i = 0; i < 3; i++) {
        assert.equal(await value(stranger, 'SHOW work_mem'), '4MB');
        assert.equal(await value(stranger, 'SHOW search_path'), '"$user", public');
      }
      await stranger.close();
      await client.close();
    });

    test('keep others away from their server connection, while there is another one', async () => {
      const [client, second, stranger] = [await login(), await login(), await login()];
      const console = await login({ database: 'pgbouncer' });
      await client.query('BEGIN');
      await second.query('BEGIN');
      const [mine, free] = [
        await value(client, 'SELECT pg_backend_pid()'),
        await value(second, 'SELECT pg_backend_pid()'),
      ];
      await second.query('COMMIT');
      await client.query("SET work_mem = '77MB'; COMMIT");
      await until('both server connections to rest', async () => {
        const rows = rowsOf(await console.query("SHOW SERVERS WHERE state = 'idle'"));
        return rows.length === 2;
      });
      // It is the one that was used last.
      for (let i = 0; i < 3; i++) assert.equal(await value(stranger, 'SELECT pg_backend_pid()'), free);
      assert.equal(await value(client, 'SELECT pg_backend_pid()'), mine);
      for (const it of [client, second, stranger, console]) await it.close();
    });

    test('obey transactions', async () => {
      const client = await login();
      await client.query("SET work_mem = '5MB'");
      await client.query("BEGIN; SET work_mem = '6MB'");
      await client.query('ROLLBACK');
      assert.equal(await value(client, 'SHOW work_mem'), '5MB');
      await client.query(
        "BEGIN; SET work_mem = '7MB'; SAVEPOINT s; SET work_mem = '8MB'; ROLLBACK TO s; COMMIT",
      );
      await client.query("BEGIN; SET LOCAL work_mem = '9MB'; COMMIT");
      await client.query(
        'BEGIN; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY; SET work_mem = 7168; COMMIT',
      );
      await elsewhere(client, async () => assert.equal(await value(client, 'SHOW work_mem'), '7MB'));
      await client.query('RESET work_mem');
      await elsewhere(client, async () => assert.equal(await value(client, 'SHOW work_mem'), '4MB'));
      await client.close();
    });

    test('made by a function, and by the extended protocol', async () => {
      const client = await login();
      client.send(
        send.parse('', "SELECT set_config('work_mem', '11MB', false)"),
        send.bind('', ''),
        send.execute(''),
        send.sync(),
      );
      assert.equal(typesOf(await client.untilReady()), '12DCZ');
      client.send(send.parse('named', "SET statement_timeout = '77s'"), send.sync());
      await client.untilReady();
      client.send(send.bind('', 'named'), send.execute(''), send.sync());
      assert.equal(typesOf(await client.untilReady()), '2CZ');
      await elsewhere(client, async () => {
        assert.equal(await value(client, 'SHOW work_mem'), '11MB');
        assert.equal(await value(client, 'SHOW statement_timeout'), '77s');
      });
      await client.close();
    });

    test('of an application, and with letters of another alphabet', async () => {
      const client = await login();
      await client.query("SET app.tenant = 'Zoë''s \\ 漢字'");
      await elsewhere(client, async () =>
        assert.equal(await value(client, 'SHOW app.tenant'), "Zoë's \\ 漢字"),
      );
      const stranger = await login();
      for (let i = 0; i < 3; i++) {
        assert.equal(await value(stranger, "SELECT coalesce(current_setting('app.tenant', true), '')"), '');
      }
      await stranger.close();
      await client.close();
    });

    test('of an application, made by a function: no other client meets them', async () => {
      await stage.server.query(`
        CREATE OR REPLACE FUNCTION mine.enter(tenant text) RETURNS text LANGUAGE sql
          AS $$ SELECT set_config('hidden.tenant', tenant, false) $$`);
      const seen = "SELECT coalesce(current_setting('hidden.tenant', true), '')";
      const [one, two] = [await login(), await login({ TimeZone: 'Asia/Tokyo' })];
      await one.query('BEGIN');
      const pid = await value(one, 'SELECT pg_backend_pid()');
      await two.query("SET work_mem = '77MB'; SET ROLE reader");
      assert.notEqual(await value(two, 'SELECT pg_backend_pid()'), pid);
      await one.query("SELECT mine.enter('one'); COMMIT");
      await elsewhere(two, async () => {
        assert.equal(await value(two, 'SELECT pg_backend_pid()'), pid);
        assert.equal(await value(two, seen), '');
        for (const [name, is] of [
          ['TimeZone', 'Asia/Tokyo'],
          ['work_mem', '77MB'],
          ['role', 'reader'],
        ] as const) {
          assert.equal(await value(two, `SELECT current_setting('${name}')`), is);
        }
      });
      await one.close();
      await two.close();
    });

    test('made before a role is taken that may not see them', async () => {
      const [one, two] = [await login(), await login()];
      await one.query('BEGIN');
      const pid = await value(one, 'SELECT pg_backend_pid()');
      await two.query("SET work_mem = '77MB'");
      await one.query("SET dynamic_library_path = '/mine'; SET ROLE reader; COMMIT");
      await elsewhere(two, async () => {
        assert.equal(await value(two, 'SELECT pg_backend_pid()'), pid);
        assert.equal(await value(two, 'SHOW dynamic_library_path'), '$libdir');
      });
      await one.close();
      await two.close();
    });

    test('a role is taken along, and given back', async () => {
      const client = await login();
      await client.query('SET ROLE reader');
      await elsewhere(client, async () => assert.equal(await value(client, 'SELECT current_user'), 'reader'));
      const stranger = await login();
      for (let i = 0; i < 3; i++) assert.equal(await value(stranger, 'SELECT current_user'), 'postgres');
      await client.query('RESET ROLE; SET SESSION AUTHORIZATION reader');
      await elsewhere(client, async () => assert.equal(await value(client, 'SELECT session_user'), 'reader'));
      for (let i = 0; i < 3; i++) assert.equal(await value(stranger, 'SELECT session_user'), 'postgres');
      await stranger.close();
      await client.close();
    });

    test('RESET gives what the client asked for when it logged in', async () => {
      const client = await login({ TimeZone: 'Asia/Tokyo', application_name: 'first' });
      await client.query("SET TimeZone = 'UTC'");
      await client.query('RESET TimeZone');
      assert.equal(await value(client, 'SHOW TimeZone'), 'Asia/Tokyo');
      await client.query('DISCARD ALL');
      assert.equal(await value(client, 'SHOW application_name'), 'first');
      await client.close();
    });
  });

  describe('pins', () => {
    const pid = (client: RawClient) => value(client, 'SELECT pg_backend_pid()');

    /** The client keeps its server connection while `leave` holds, though others want one, and gives it up behind `undo`. */
    async function pinned(
      leave: string,
      check: (client: RawClient) => Promise<void>,
      undo: string,
    ): Promise<void> {
      const client = await login();
      await client.query(leave);
      const mine = await pid(client);
      const others = await Promise.all([login(), login(), login()]);
      for (let i = 0; i < 3; i++) {
        for (const other of others) assert.notEqual(await pid(other), mine);
      }
      await check(client);
      await client.query(undo);
      // Free again: two others can be in a transaction at once.
      await others[0]!.query('BEGIN');
      await others[1]!.query('BEGIN');
      assert.ok([await pid(others[0]!), await pid(others[1]!)].includes(mine));
      for (const other of others) await other.close();
      await client.close();
    }

    test('a temporary table', () =>
      pinned(
        'CREATE TEMP TABLE t (i int); INSERT INTO t VALUES (7)',
        async (client) => assert.equal(await value(client, 'SELECT i FROM t'), '7'),
        'DROP TABLE t',
      ));

    test('an advisory lock', () =>
      pinned(
        'SELECT pg_advisory_lock(7)',
        async (client) => assert.equal(await value(client, 'SELECT pg_advisory_unlock(8)'), 'f'),
        'SELECT pg_advisory_unlock(7)',
      ));

    test('a cursor with hold', () =>
      pinned(
        'DECLARE c CURSOR WITH HOLD FOR SELECT 1',
        async (client) => assert.equal(await value(client, 'FETCH c'), '1'),
        'DISCARD ALL',
      ));

    test('a statement prepared by SQL that cannot be prepared again', () =>
      pinned(
        'SELECT 1; PREPARE p AS SELECT 5',
        async (client) => assert.equal(await value(client, 'EXECUTE p'), '5'),
        'DEALLOCATE p',
      ));

    test('what a block of PL/pgSQL does', () =>
      pinned(
        'DO $$ BEGIN CREATE TEMP TABLE t (i int); END $$',
        async (client) => assert.equal(await value(client, 'SELECT count(*) FROM t'), '0'),
        'DROP TABLE t',
      ));

    test('nothing is left when the client goes', async () => {
      const client = await login();
      await client.query('CREATE TEMP TABLE t (i int); SELECT pg_advisory_lock(9); SET work_mem = 999');
      const mine = await pid(client);
      await client.close();
      const others = await Promise.all([login(), login()]);
      await until('the server connection to be used again', async () => {
        for (const other of others) await other.query('BEGIN');
        const pids = [await pid(others[0]!), await pid(others[1]!)];
        for (const other of others) {
          assert.equal(firstError(await other.query('SELECT * FROM t')).code, '42P01');
          await other.query('ROLLBACK');
          assert.equal(await value(other, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), '0');
        }
        return pids.includes(mine);
      });
      for (const other of others) await other.close();
    });
  });

  test('the console says who is pinned, why and since when', async () => {
    const client = await login({ application_name: 'holder' });
    await client.query('CREATE TEMP TABLE t (i int); SELECT pg_advisory_lock(7)');
    // Its next answer comes behind the gateway's question.
    const pid = await value(client, 'SELECT pg_backend_pid()');
    const console = await login({ database: 'pgbouncer' });
    const answer = await console.query("SHOW PINS WHERE application_name = 'holder'");
    const row = rowsOf(answer)[0] ?? [];
    assert.equal(row[3], 'temporary objects, advisory locks');
    assert.match(row[4] ?? '', /^\d{4}-\d\d-\d\d /);
    assert.equal(row[6], pid);
    await console.close();
    await client.close();
  });

  test('currval never tells of another session', async () => {
    const [one, two] = [await login(), await login()];
    assert.equal(await value(one, "SELECT nextval('numbers')"), '1');
    for (const client of [two, await login(), await login()]) {
      assert.equal(firstError(await client.query("SELECT currval('numbers')")).code, '55000');
      assert.equal(
        await value(client, "BEGIN; SELECT nextval('numbers')"),
        await value(client, "SELECT currval('numbers'); COMMIT"),
      );
      await client.close();
    }
    await one.close();
  });
});

onEveryDriver('on_pin', {}, (stage) => {
  const settings = (on_pin: string) => ({
    io: stage.io,
    server: stage.server,
    settings: { on_pin, default_pool_size: 1 },
  });

  test('notice: the client is told why', async () => {
    await withGateway(settings('notice'), async (gateway) => {
      const client = await RawClient.login(gateway);
      await client.query('CREATE TEMP TABLE t (i int)');
      const notice = await client.take('N');
      assert.match(notice.at(-1)!.body.toString('latin1'), /keeps its server connection: temporary objects/);
      await client.close();
    });
  });

  test('refuse: the client has to go, and leaves nothing', async () => {
    await withGateway(settings('refuse'), async (gateway) => {
      const client = await RawClient.login(gateway);
      await client.query('CREATE TEMP TABLE t (i int)');
      const end = await client.untilEnd();
      assert.equal(firstError(end).code, '0A000');
      const next = await RawClient.login(gateway);
      assert.equal(firstError(await next.query('SELECT * FROM t')).code, '42P01');
      await next.close();
    });
  });

  test('what a client leaves goes whole, though server_reset_query takes less', async () => {
    const weak = { server_reset_query: 'RESET ALL', default_pool_size: 1 };
    await withGateway({ io: stage.io, server: stage.server, settings: weak }, async (gateway) => {
      const one = await RawClient.login(gateway);
      await one.query('CREATE TEMP TABLE t (i int)');
      await one.close();
      const two = await RawClient.login(gateway);
      assert.equal(firstError(await two.query('SELECT * FROM t')).code, '42P01');
      await two.close();
    });
  });

  test('statements under their own names (max_prepared_statements = 0) leave nothing to others', async () => {
    const passing = { max_prepared_statements: 0, default_pool_size: 1 };
    await withGateway({ io: stage.io, server: stage.server, settings: passing }, async (gateway) => {
      const [one, two] = [await RawClient.login(gateway), await RawClient.login(gateway)];
      one.send(send.parse('s', "SET work_mem = '77MB'"), send.sync());
      await one.untilReady();
      one.send(send.bind('', 's'), send.execute(''), send.sync());
      assert.equal(typesOf(await one.untilReady()), '2CZ');
      assert.equal(singleValue(await two.query('SHOW work_mem')), '4MB');
      assert.equal(singleValue(await one.query('SHOW work_mem')), '77MB');
      await one.close();
      await two.close();
    });
  });

  test('classic: everything stays on the server connection', async () => {
    const classic = { session_state: 'classic', default_pool_size: 1 };
    await withGateway({ io: stage.io, server: stage.server, settings: classic }, async (gateway) => {
      const [one, two] = [await RawClient.login(gateway), await RawClient.login(gateway)];
      await one.query("SET work_mem = '77MB'");
      assert.equal(singleValue(await two.query('SHOW work_mem')), '77MB');
      await one.close();
      await two.close();
    });
  });
});
