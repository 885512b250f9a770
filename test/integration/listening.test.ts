/** LISTEN, NOTIFY and UNLISTEN in transaction mode: clients that listen hold no server connection, and miss nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readErrorFields } from '../../src/wire/error-fields.js';
import { readNotificationResponse } from '../../src/wire/server-messages.js';
import { type BackendMessage, firstError, rowsOf, typesOf } from '../harness/backend-message.js';
import * as send from '../harness/frontend-message.js';
import { withGateway } from '../harness/gateway-under-test.js';
import { SUPERUSER } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { onEveryDriver } from '../harness/stage.js';
import { until } from '../harness/until.js';

const SETTINGS = {
  default_pool_size: 1,
  query_wait_timeout: 10,
  server_login_retry: 1,
  stats_users: SUPERUSER,
  admin_users: SUPERUSER,
};

/** The channel and the payload of a NotificationResponse. */
function heard({ body }: BackendMessage): string {
  const { channel, payload } = readNotificationResponse(body, 0, body.length);
  return `${channel}: ${payload}`;
}

function processIdIn({ body }: BackendMessage): number {
  return readNotificationResponse(body, 0, body.length).processId;
}

onEveryDriver('listening', { gateway: { settings: SETTINGS } }, (stage) => {
  const login = (parameters: Record<string, string> = {}) => RawClient.login(stage.gateway, parameters);
  /** Waits for a notification. */
  const next = async (client: RawClient) => heard(await client.next());

  async function listener(...channels: string[]): Promise<RawClient> {
    const client = await login();
    for (const channel of channels) assert.match(typesOf(await client.query(`LISTEN ${channel}`)), /^N?CZ$/);
    return client;
  }

  /** Nothing comes: what is sent afterwards on another channel comes first. */
  async function assertNothing(client: RawClient, channel: string, from: RawClient): Promise<void> {
    await from.query(`NOTIFY ${channel}, 'the end'`);
    assert.equal(await next(client), `${channel}: the end`);
  }

  async function shown(command: string): Promise<string[][]> {
    const console = await RawClient.login(stage.gateway, { database: 'pgbouncer' });
    const rows = rowsOf(await console.query(command)) as string[][];
    await console.close();
    return rows;
  }

  test('over a pool of one server connection, with others at work', async () => {
    const client = await listener('news');
    const other = await login();
    await other.query("BEGIN; NOTIFY news, 'first'; NOTIFY news, 'second'; NOTIFY other, 'x'");
    assert.deepEqual(client.arrived, []);
    await other.query('COMMIT');
    assert.equal(await next(client), 'news: first');
    assert.equal(await next(client), 'news: second');
    assert.deepEqual(await shown('SHOW PINS'), []);
    await stage.server.query("NOTIFY news, 'from elsewhere'");
    assert.equal(await next(client), 'news: from elsewhere');
    await other.close();
    await client.close();
  });

  test('a LISTEN that is rolled back was none', async () => {
    const client = await listener('kept');
    await client.query('BEGIN; LISTEN gone; ROLLBACK');
    await client.query('BEGIN; SAVEPOINT s; LISTEN gone; ROLLBACK TO s; LISTEN stays; COMMIT');
    const other = await login();
    await other.query("NOTIFY gone, 'no'; NOTIFY stays, 'yes'");
    assert.equal(await next(client), 'stays: yes');
    await assertNothing(client, 'kept', other);
    await other.close();
    await client.close();
  });

  test('UNLISTEN, with and without a name, in and out of transactions', async () => {
    const client = await listener('a', 'b', 'c', 'z');
    const other = await login();
    await client.query('UNLISTEN a');
    await client.query('BEGIN; UNLISTEN b; ROLLBACK');
    await client.query('BEGIN');
    await client.query('SELECT 1');
    await client.query('UNLISTEN c');
    await client.query('COMMIT');
    await other.query("NOTIFY a, 'no'; NOTIFY b, 'yes'; NOTIFY c, 'no'");
    assert.equal(await next(client), 'b: yes');
    await assertNothing(client, 'z', other);
    await client.query('BEGIN; SAVEPOINT s');
    await client.query('UNLISTEN *');
    await client.query('ROLLBACK TO s; COMMIT');
    await other.query("NOTIFY b, 'still'");
    assert.equal(await next(client), 'b: still');
    await client.query('BEGIN; SAVEPOINT s');
    await client.query('UNLISTEN b');
    await client.query('ROLLBACK TO s');
    await client.query('UNLISTEN z');
    await client.query('COMMIT; LISTEN y');
    await other.query("NOTIFY b, 'still'; NOTIFY z, 'no'");
    assert.equal(await next(client), 'b: still');
    await assertNothing(client, 'y', other);
    await client.query('BEGIN');
    await client.query('UNLISTEN b');
    await client.query('UNLISTEN y');
    await client.query('LISTEN x');
    await client.query('COMMIT');
    await other.query("NOTIFY b, 'no'; NOTIFY y, 'no'");
    await assertNothing(client, 'x', other);
    await client.query('UNLISTEN *; LISTEN d');
    await other.query("NOTIFY b, 'no'");
    await assertNothing(client, 'd', other);
    await other.close();
    await client.close();
  });

  test('UNLISTEN with a RESET ALL, as drivers reset their connections', async () => {
    const client = await listener('a', 'b');
    const other = await login();
    await client.query('SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN b; RESET ALL; SELECT 1/0');
    await other.query("NOTIFY b, 'still'");
    assert.equal(await next(client), 'b: still');
    await client.query('SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL');
    await client.query('LISTEN c');
    await other.query("NOTIFY a, 'no'; NOTIFY b, 'no'");
    await assertNothing(client, 'c', other);
    client.send(send.query('UNLISTEN c; RESET ALL'), send.query('UNLISTEN a'), send.query('LISTEN d'));
    for (let i = 0; i < 3; i++) await client.untilReady();
    await other.query("NOTIFY c, 'no'");
    await assertNothing(client, 'd', other);
    await other.close();
    await client.close();
  });

  test('pg_listening_channels() shows them', async () => {
    const client = await listener('a', '"B"');
    const other = await login();
    const channels = async (who: RawClient) => {
      const rows = rowsOf(await who.query('SELECT pg_listening_channels()'));
      return rows.map(([name]) => name).sort();
    };
    assert.deepEqual(await channels(client), ['B', 'a']);
    assert.deepEqual(await channels(other), []);
    await client.query('BEGIN; UNLISTEN a');
    assert.deepEqual(await channels(client), ['B', 'a']);
    await client.query('COMMIT');
    assert.deepEqual(await channels(client), ['B']);
    await other.query("NOTIFY a, 'no'");
    await other.query(`NOTIFY "B", 'yes'`);
    assert.equal(await next(client), 'B: yes');
    await other.close();
    await client.close();
  });

  test('DISCARD ALL ends it, DISCARD TEMP does not', async () => {
    const client = await listener('a');
    const other = await login();
    await client.query('DISCARD TEMP');
    await assertNothing(client, 'a', other);
    await client.query('DISCARD ALL');
    await client.query('LISTEN b');
    await other.query("NOTIFY a, 'no'");
    await assertNothing(client, 'b', other);
    await other.close();
    await client.close();
  });

  test('in the extended protocol', async () => {
    const client = await login();
    const run = async (...messages: Uint8Array[]) => {
      client.send(...messages, send.sync());
      return typesOf(await client.untilReady());
    };
    const statement = (text: string) => [send.parse('', text), send.bind('', ''), send.execute('')];
    assert.equal(await run(...statement('LISTEN a')), '12CZ');
    assert.equal(
      await run(send.parse('named', 'LISTEN b'), send.bind('', 'named'), send.execute('')),
      '12CZ',
    );
    const other = await login();
    await other.query("NOTIFY a, '1'; NOTIFY b, '2'");
    assert.equal(await next(client), 'a: 1');
    assert.equal(await next(client), 'b: 2');
    assert.equal(
      await run(...statement('SELECT 1'), ...statement('UNLISTEN a'), ...statement('SELECT 2')),
      '12DC12C12DCZ',
    );
    await other.query("NOTIFY a, 'no'");
    await assertNothing(client, 'b', other);
    assert.equal(await run(send.parse('all', 'UNLISTEN *')), '1Z');
    assert.equal(
      await run(
        send.bind('', 'all'),
        send.execute(''),
        ...statement('SELECT 1 FROM generate_series(0, 1) AS n WHERE 1 / n > 0'),
      ),
      '2C12EZ',
    );
    await assertNothing(client, 'b', other);
    await other.close();
    await client.close();
  });

  test('not within a transaction, but before ReadyForQuery behind it', async () => {
    const client = await listener('a');
    await client.query('BEGIN');
    await stage.server.query("NOTIFY a, 'meanwhile'");
    assert.equal(typesOf(await client.query('SELECT 1')), 'TDCZ');
    const answer = await client.query('COMMIT');
    if (typesOf(answer) === 'CZ') assert.equal(await next(client), 'a: meanwhile');
    else assert.equal(typesOf(answer), 'CAZ');
    await client.close();
  });

  test('what it sends itself comes before ReadyForQuery, with its own process id', async () => {
    const other = await login();
    const client = await listener('a');
    const own = client.processId;
    for (let i = 0; i < 20; i++) {
      const answer = await client.query(`BEGIN; SELECT pg_notify('a', '${i}'); COMMIT`);
      assert.equal(typesOf(answer), 'CTDCCAZ');
      assert.equal(processIdIn(answer[5]!), own);
      const foreign = await other.query(`NOTIFY a, 'x'`);
      assert.equal(typesOf(foreign), 'CZ');
      const message = await client.next();
      assert.equal(heard(message), 'a: x');
      assert.equal(processIdIn(message), other.processId);
    }
    assert.equal(typesOf(await client.query('BEGIN; LISTEN b; NOTIFY b; COMMIT')), 'CCCCAZ');
    await client.close();
    await other.close();
  });

  test('of a trigger', async () => {
    await stage.server.query(`
      CREATE TABLE IF NOT EXISTS told (i int);
      CREATE OR REPLACE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_notify('told', NEW.i::text); RETURN NEW; END $$;
      CREATE OR REPLACE TRIGGER tells AFTER INSERT ON told FOR EACH ROW EXECUTE FUNCTION tell()`);
    const client = await listener('told');
    const other = await login();
    await other.query('INSERT INTO told VALUES (1), (2)');
    assert.equal(await next(client), 'told: 1');
    assert.equal(await next(client), 'told: 2');
    await other.close();
    await client.close();
  });

  test('whatever channels are called, and as much as a payload may hold', async () => {
    const names = ['"Größe ""x"""', `"${'n'.repeat(63)}"`, 'FoLdEd', `l${'o'.repeat(80)}ng`];
    const client = await listener(...names);
    assert.deepEqual(await shown('SHOW PINS'), []);
    const other = await login();
    const payload = 'ä'.repeat(3999);
    await other.query(`NOTIFY ${names[0]}, '${payload}'`);
    assert.equal(await next(client), `Größe "x": ${payload}`);
    for (const name of names.slice(1)) await other.query(`NOTIFY ${name}, '${'p'.repeat(7999)}'`);
    assert.equal(await next(client), `${'n'.repeat(63)}: ${'p'.repeat(7999)}`);
    assert.equal(await next(client), `folded: ${'p'.repeat(7999)}`);
    assert.equal(await next(client), `l${'o'.repeat(62)}: ${'p'.repeat(7999)}`);
    await other.close();
    await client.close();
  });

  test('what a function listens to keeps the server connection', async () => {
    const client = await listener('a');
    await client.query("DO $$ BEGIN EXECUTE 'LISTEN hidden'; END $$");
    await until('it is pinned', async () => (await shown('SHOW PINS')).length === 1, 10_000);
    await stage.server.query("NOTIFY hidden, '1'; NOTIFY a, '2'");
    const both = [await next(client), await next(client)];
    assert.deepEqual(both.sort(), ['a: 2', 'hidden: 1']);
    await client.query('UNLISTEN hidden');
    await until('it is not', async () => (await shown('SHOW PINS')).length === 0, 10_000);
    await stage.server.query("NOTIFY hidden, 'no'; NOTIFY a, '3'");
    assert.equal(await next(client), 'a: 3');
    await client.close();
  });

  test('the shared connection is shown, and made again when it is lost', async () => {
    const client = await listener('a', 'b');
    const servers = await shown('SHOW SERVERS');
    const listening = servers.filter((row) => row[4] === 'listening');
    assert.deepEqual([servers.length, listening.length], [2, 1]);
    await stage.server.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sluice: listening'",
    );
    const notice = await client.next();
    assert.equal(notice.type, 'N');
    const { severity, code, message, detail } = readErrorFields(notice.body, 0, notice.body.length);
    assert.deepEqual([severity, code, message], ['WARNING', '01000', 'notifications may have been lost']);
    assert.match(detail ?? '', /"a", "b"/);
    await stage.server.query("NOTIFY b, 'again'");
    assert.equal(await next(client), 'b: again');
    await client.close();
  });

  test('a thousand listeners, one server connection; all hear everything in its order', async () => {
    const clients: RawClient[] = [];
    while (clients.length < 1000) {
      const some = await Promise.all(Array.from({ length: 50 }, () => login()));
      await Promise.all(some.map((client) => client.query('LISTEN crowd')));
      clients.push(...some);
    }
    const other = await login();
    for (let i = 0; i < 20; i++) await other.query(`NOTIFY crowd, '${i}'`);
    for (const client of clients) {
      for (let i = 0; i < 20; i++) assert.equal(await next(client), `crowd: ${i}`);
    }
    const count =
      "SELECT count(*) AS n FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    const backends = async () => Number((await stage.server.query(count))[0]!.n);
    await until('two server connections are left', async () => (await backends()) === 2, 10_000);
    await Promise.all(clients.map((client) => client.close()));
    await other.close();
  });

  test('many who notify at once: the same as a direct connection hears, in the same order', async () => {
    const client = await listener('load');
    const direct = await RawClient.login(stage.server);
    await direct.query('LISTEN load');
    const crowd = await Promise.all(Array.from({ length: 8 }, () => login()));
    await Promise.all(
      crowd.map(async (other, n) => {
        for (let i = 0; i < 100; i++) await other.query(`NOTIFY load, '${n}/${i}'`);
      }),
    );
    for (let i = 0; i < 800; i++) assert.equal(await next(client), await next(direct));
    await Promise.all([client, direct, ...crowd].map((one) => one.close()));
  });

  test('who takes nothing is ended when too much is kept for it, and nobody else is harmed', async () => {
    const client = await listener('flood');
    const other = await listener('flood');
    await client.query('BEGIN');
    const payload = 'x'.repeat(7000);
    for (let i = 0; i < 160; i++) await stage.server.query(`NOTIFY flood, '${payload}'`);
    const end = await client.untilEnd();
    assert.equal(firstError(end).code, '54000');
    for (let i = 0; i < 160; i++) assert.equal(await next(other), `flood: ${payload}`);
    await other.close();
  });

  test('where no room is left for it, or the encoding is another one, LISTEN pins', async () => {
    const settings = { ...SETTINGS, max_db_connections: 1 };
    await withGateway({ io: stage.io, server: stage.server, settings }, async (gateway) => {
      const client = await RawClient.login(gateway);
      await client.query('LISTEN a');
      await stage.server.query("NOTIFY a, 'x'");
      assert.equal(heard((await client.take('A')).at(-1)!), 'a: x');
      await client.close();
    });
    const latin = await login({ client_encoding: 'LATIN1' });
    await latin.query('LISTEN "größe"');
    await until('it is pinned', async () => (await shown('SHOW PINS')).length === 1, 10_000);
    await latin.close();
  });

  test('where the user of the shared connection may not log in any more, it is another listener', async () => {
    await stage.server.query('CREATE ROLE first LOGIN; CREATE ROLE second LOGIN; CREATE ROLE third LOGIN');
    const whose = async () => {
      const query = "SELECT usename FROM pg_stat_activity WHERE application_name = 'sluice: listening'";
      return (await stage.server.query(query))[0]?.usename;
    };
    // Nobody listens yet: it is closed, if it is still there.
    await shown('RECONNECT');
    const clients: RawClient[] = [];
    for (const user of ['first', 'second', 'third']) {
      clients.push(await login({ user }));
      await clients.at(-1)!.query('LISTEN a');
    }
    const allHear = async () => {
      await stage.server.query("NOTIFY a, 'x'");
      for (const client of clients) assert.equal(heard((await client.take('A')).at(-1)!), 'a: x');
    };
    assert.equal(await whose(), 'first');
    await stage.server.query('ALTER ROLE first NOLOGIN; DROP ROLE second');
    await shown('RECONNECT');
    for (const client of clients) assert.equal((await client.next()).type, 'N');
    assert.equal(await whose(), 'third');
    await allHear();
    for (const told of [
      /can not log in as .+first.+, and tries .+second.+ is not permitted to log in/,
      /can not log in as .+second.+, and tries .+third.+ does not exist/,
    ]) {
      await until('the log', () => told.test(stage.gateway.log));
    }
    await stage.server.query('ALTER ROLE first LOGIN; DROP ROLE third');
    await clients.pop()!.close();
    await shown('RECONNECT');
    for (const client of clients) assert.equal((await client.next()).type, 'N');
    assert.equal(await whose(), 'first');
    await allHear();
    for (const client of clients) await client.close();
    await shown('RECONNECT');
    await stage.server.query('DROP ROLE first');
  });

  test('RECONNECT and PAUSE take it along; nobody keeps it from closing', async () => {
    const client = await listener('a');
    await shown('RECONNECT');
    assert.equal((await client.next()).type, 'N');
    await shown('PAUSE');
    assert.deepEqual(await shown('SHOW SERVERS'), []);
    await shown('RESUME');
    assert.equal((await client.next()).type, 'N');
    await stage.server.query("NOTIFY a, 'x'");
    assert.equal(await next(client), 'a: x');
    await client.close();
  });
});
