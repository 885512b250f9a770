/** `auth_query`: users that no file names, found in a real database. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { ask, type PsqlOptions, psql } from '../harness/client-programs.js';
import { describeOneDriver } from '../harness/drivers.js';
import { type GatewayUnderTest, socketUrl, withGateway } from '../harness/gateway-under-test.js';
import { DATABASE, PostgresServer } from '../harness/postgres-server.js';
import { until } from '../harness/until.js';

const PASSWORD = 'correct horse';
const WHO = 'SELECT current_user';
const OWN = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'sluice auth_query'";

let server: PostgresServer;

before(async () => {
  server = await PostgresServer.start({
    hba: [
      'local all all trust',
      'host all md5_asker 127.0.0.1/32 md5',
      'host all asker 127.0.0.1/32 scram-sha-256',
      'host all postgres 127.0.0.1/32 trust',
      'host all all 127.0.0.1/32 scram-sha-256',
    ],
  });
  await server.query(`
    CREATE ROLE asker LOGIN SUPERUSER PASSWORD 'asks';
    SET password_encryption = 'md5';
    CREATE ROLE md5_asker LOGIN SUPERUSER PASSWORD 'asks';
    RESET password_encryption;
    CREATE ROLE alice LOGIN PASSWORD '${PASSWORD}';
    CREATE ROLE late LOGIN PASSWORD '${PASSWORD}' VALID UNTIL '2001-01-01';
    CREATE ROLE changing LOGIN PASSWORD 'old';
    CREATE ROLE nologin PASSWORD '${PASSWORD}';
    CREATE SCHEMA evil;
    CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT 'infinity'::timestamptz $$;
    CREATE SCHEMA lookup;
    CREATE FUNCTION lookup.find(wanted text) RETURNS TABLE (name text, secret text) LANGUAGE plpgsql AS $$
      BEGIN
        IF current_setting('search_path') <> 'pg_catalog' THEN RAISE EXCEPTION 'path %', current_setting('search_path'); END IF;
        RETURN QUERY SELECT rolname::text, rolpassword::text FROM pg_authid WHERE rolname = wanted;
      END $$;
    CREATE FUNCTION lookup.patient(wanted text) RETURNS TABLE (name text, secret text) LANGUAGE sql AS $$
      SELECT pg_advisory_xact_lock_shared(42);
      SELECT rolname::text, rolpassword::text FROM pg_authid WHERE rolname = wanted $$;
    GRANT USAGE ON SCHEMA evil TO public`);
});
after(() => server?.discard());

const LOOKING = { auth_type: 'scram-sha-256', auth_user: 'asker' };
const USERS = { asker: 'asks' };

const as = (user: string, password = PASSWORD, more: PsqlOptions = {}): PsqlOptions => ({
  user,
  password,
  ...more,
});

async function assertRefused(gateway: GatewayUnderTest, options: PsqlOptions, reason: RegExp): Promise<void> {
  const { code, stderr } = await psql(gateway, ['-c', WHO], options);
  assert.equal(code, 2, stderr);
  assert.match(stderr, reason);
}

async function logged(gateway: GatewayUnderTest, line: RegExp): Promise<void> {
  await until(`${line} in the log`, () => line.test(gateway.log));
}

describeOneDriver('auth_query', 'epoll', (io) => {
  test('finds users by SCRAM, whose keys then open the server', async () => {
    await withGateway({ io, server, users: USERS, settings: LOOKING }, async (gateway) => {
      assert.equal(await ask(gateway, WHO, as('alice')), 'alice');
      await assertRefused(gateway, as('alice', 'wrong'), /SASL authentication failed/);
      await assertRefused(gateway, as('nobody'), /SASL authentication failed/);
      await assertRefused(gateway, as('nologin'), /SASL authentication failed/);
      await assertRefused(gateway, as('late'), /SASL authentication failed/);
      assert.ok(!gateway.log.includes('SCRAM-SHA-256$') && !gateway.log.includes('horse'));
    });
  });

  test('over a unix socket', async () => {
    const options = { io, server: [socketUrl(server)], settings: LOOKING };
    await withGateway(options, async (gateway) => {
      assert.equal(await ask(gateway, WHO, as('alice')), 'alice');
    });
  });

  test('a new password, and the end of the old one, are known at once', async () => {
    await withGateway({ io, server, users: USERS, settings: LOOKING }, async (gateway) => {
      await server.query("ALTER ROLE changing PASSWORD 'old' VALID UNTIL 'infinity'");
      assert.equal(await ask(gateway, WHO, as('changing', 'old')), 'changing');
      await server.query("ALTER ROLE changing PASSWORD 'new'");
      // What was found a moment ago may serve one more login, and none that fails.
      await psql(gateway, ['-c', WHO], as('changing', 'new'));
      assert.equal(await ask(gateway, WHO, as('changing', 'new')), 'changing');
      await assertRefused(gateway, as('changing', 'old'), /SASL authentication failed/);
    });
  });

  test('runs with a fixed search_path, and with nothing that a client has sent', async () => {
    const settings = { ...LOOKING, auth_query: 'SELECT * FROM lookup.find($1)' };
    await withGateway({ io, server, users: USERS, settings }, async (gateway) => {
      const env = { PGOPTIONS: '-c search_path=evil,pg_catalog' };
      assert.equal(await ask(gateway, WHO, as('alice', PASSWORD, { env })), 'alice');
    });
  });

  test('with the md5 hash of auth_user alone', async () => {
    const [row] = await server.query("SELECT rolpassword FROM pg_authid WHERE rolname = 'md5_asker'");
    const settings = { ...LOOKING, auth_user: 'md5_asker' };
    await withGateway({ io, server, users: { md5_asker: row!.rolpassword }, settings }, async (gateway) => {
      assert.equal(await ask(gateway, WHO, as('alice')), 'alice');
    });
  });

  test('what goes wrong is in the log, and the client is told what PgBouncer tells', async () => {
    const wrong: Record<string, RegExp> = {
      'SELECT rolname FROM pg_authid WHERE rolname = $1': /expected 2 columns from auth_query, not 1/,
      'SELECT NULL::text, $1::text': /auth_query response contained null user name/,
      'SELECT * FROM no_such_table WHERE x = $1': /error in auth_query: ERROR: relation .*no_such_table/,
    };
    for (const [auth_query, line] of Object.entries(wrong)) {
      const settings = { ...LOOKING, auth_query };
      await withGateway({ io, server, users: USERS, settings }, async (gateway) => {
        await assertRefused(gateway, as('alice'), /bouncer config error/);
        await logged(gateway, line);
      });
    }
    await withGateway({ io, server, users: { asker: 'wrong' }, settings: LOOKING }, async (gateway) => {
      await assertRefused(gateway, as('alice'), /password authentication failed for user "asker"/);
    });
  });

  test('auth_dbname: another database is asked, and the console not', async () => {
    const settings = { ...LOOKING, auth_dbname: 'directory' };
    const databases = [`directory=${server.url(null)}`, `other=${server.url(null, 'app')}`];
    await withGateway({ io, server: databases, users: USERS, settings }, async (gateway) => {
      assert.equal(await ask(gateway, WHO, as('alice', PASSWORD, { database: 'other' })), 'alice');
    });
    const reserved = { ...LOOKING, auth_dbname: 'nowhere' };
    const options = { io, server: databases, users: USERS, settings: reserved, expectedTrouble: [/nowhere/] };
    await withGateway(options, async (gateway) => {
      await assertRefused(gateway, as('alice', PASSWORD, { database: 'other' }), /bouncer config error/);
      await logged(gateway, /authentication database \\"nowhere\\" is not configured/);
    });
  });

  test('many logins share few connections, which are closed when they are idle', async () => {
    const settings = { ...LOOKING, auth_query_cache_time: 0, auth_query_tells_unknown: 'on' };
    await withGateway({ io, server, users: USERS, settings }, async (gateway) => {
      const names = Array.from({ length: 12 }, (_, i) => `stranger${i}`);
      await Promise.all(names.map((name) => assertRefused(gateway, as(name), /FATAL: {2}no such user/)));
      const [most] = await server.query(OWN);
      assert.ok(most!.n >= 1 && most!.n <= 2, `${most!.n} connections`);
      await until('the connections to be closed', async () => (await server.query(OWN))[0]!.n === 0, 20_000);
      assert.equal(await ask(gateway, WHO, as('alice')), 'alice');
    });
  });

  test('the server closes idle connections: the next login does not notice', async () => {
    await withGateway({ io, server, users: USERS, settings: LOOKING }, async (gateway) => {
      await assertRefused(gateway, as('nobody'), /SASL/);
      await server.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sluice auth_query'",
      );
      assert.equal(await ask(gateway, WHO, as('alice')), 'alice');
    });
  });

  test('the server ends the process that is looking: another one is asked', async () => {
    const settings = { ...LOOKING, auth_query: 'SELECT * FROM lookup.patient($1)' };
    await withGateway({ io, server, users: USERS, settings }, async (gateway) => {
      const holder = new pg.Client({
        host: server.host,
        port: server.port,
        user: 'postgres',
        database: DATABASE,
      });
      await holder.connect();
      await holder.query('SELECT pg_advisory_lock(42)');
      const login = ask(gateway, WHO, as('alice'));
      const lookups = `FROM pg_stat_activity WHERE application_name = 'sluice auth_query' AND wait_event = 'advisory'`;
      await until('a lookup that waits', async () => (await server.query(`SELECT ${lookups}`)).length === 1);
      await server.query(`SELECT pg_terminate_backend(pid) ${lookups}`);
      await holder.end();
      assert.equal(await login, 'alice');
    });
  });

  test('PAUSE closes them, and logins wait for RESUME', async () => {
    const settings = { ...LOOKING, admin_users: 'asker' };
    await withGateway({ io, server, users: USERS, settings }, async (gateway) => {
      assert.equal(await ask(gateway, WHO, as('alice')), 'alice');
      const admin = as('asker', 'asks', { database: 'pgbouncer' });
      await ask(gateway, 'PAUSE app', admin);
      await until('no connection', async () => (await server.query(OWN))[0]!.n === 0);
      const waiting = psql(gateway, ['-Atc', WHO], as('alice'));
      await until('a client that logs in', async () =>
        (await ask(gateway, 'SHOW LISTS', admin)).includes('login_clients|1'),
      );
      assert.equal((await server.query(OWN))[0]!.n, 0);
      await ask(gateway, 'RESUME app', admin);
      const { stdout, code } = await waiting;
      assert.deepEqual([code, stdout.trim()], [0, 'alice']);
    });
  });
});
