import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { ask, psql } from '../harness/client-programs.js';
import { describeDrivers } from '../harness/drivers.js';
import { type Driver, GatewayUnderTest, withGateway } from '../harness/gateway-under-test.js';
import { PostgresServer } from '../harness/postgres-server.js';

const PASSWORD = 'correct “horse” \\ battery';

/** One user for each way in which the server may ask. */
const HBA = [
  'host all postgres 127.0.0.1/32 trust',
  'host all scram_user 127.0.0.1/32 scram-sha-256',
  'host all md5_user 127.0.0.1/32 md5',
  'host all plain_user 127.0.0.1/32 password',
  'host all trust_user 127.0.0.1/32 trust',
];
const USERS = ['scram_user', 'md5_user', 'plain_user', 'trust_user'];

let server: PostgresServer;
/** What `pg_authid` keeps of the users' passwords. */
const verifiers: Record<string, string> = {};

before(async () => {
  server = await PostgresServer.start({ hba: HBA });
  const quoted = `'${PASSWORD.replaceAll("'", "''")}'`;
  for (const user of USERS) {
    const kind = user === 'md5_user' ? 'md5' : 'scram-sha-256';
    await server.query(`SET password_encryption = '${kind}'; CREATE ROLE ${user} LOGIN PASSWORD ${quoted}`);
  }
  for (const { rolname, rolpassword } of await server.query('SELECT rolname, rolpassword FROM pg_authid')) {
    verifiers[rolname] = rolpassword;
  }
});
after(() => server?.discard());

const passwords = Object.fromEntries(USERS.map((user) => [user, PASSWORD]));
const WHO = 'SELECT current_user';

/** Refused by the gateway itself, in PgBouncer's words and without a word on why. */
async function assertRefused(gateway: GatewayUnderTest, user: string, password: string): Promise<void> {
  const { code, stderr } = await psql(gateway, ['-c', WHO], { user, password });
  assert.equal(code, 2);
  assert.match(stderr, /FATAL: {2}(password|SASL) authentication failed\n/);
}

describeDrivers('authentication', (io) => {
  for (const authType of ['scram-sha-256', 'md5', 'plain'] as const) {
    describe(`of clients by ${authType}`, () => clientsBy(io, authType));
  }

  test('by md5 with the md5 hash that the server keeps', async () => {
    const users = { md5_user: verifiers.md5_user as string };
    const database = `*=${server.url('trust_user', '')}`;
    const options = { io, server: [database], users, settings: { auth_type: 'md5' } };
    await withGateway(options, async (gateway) => {
      assert.equal(await ask(gateway, WHO, { user: 'md5_user', password: PASSWORD }), 'trust_user');
      await assertRefused(gateway, 'md5_user', 'wrong');
    });
  });

  test('by SCRAM with the verifier that the server keeps', async () => {
    const users = { scram_user: verifiers.scram_user as string };
    const database = `*=${server.url('trust_user', '')}`;
    const options = { io, server: [database], users, settings: { auth_type: 'scram-sha-256' } };
    await withGateway(options, async (gateway) => {
      assert.equal(await ask(gateway, WHO, { user: 'scram_user', password: PASSWORD }), 'trust_user');
      await assertRefused(gateway, 'scram_user', 'wrong');
    });
  });

  test('a user and password of the database entry serve everybody', async () => {
    const database = `*=${server.url('scram_user', '', PASSWORD)}`;
    await withGateway({ io, server: [database] }, async (gateway) => {
      assert.equal(await ask(gateway, WHO, { user: 'anybody' }), 'scram_user');
    });
  });

  test('a server that refuses the login: the client is told so', async () => {
    const database = `*=${server.url('scram_user', '', 'not the password')}`;
    await withGateway({ io, server: [database] }, async (gateway) => {
      const { code, stderr } = await psql(gateway, ['-c', WHO]);
      assert.equal(code, 2);
      assert.match(stderr, /password authentication failed for user "scram_user"/);
    });
  });

  test('a server that asks for a password that nobody knows', async () => {
    await withGateway({ io, server }, async (gateway) => {
      const { code, stderr } = await psql(gateway, ['-c', WHO], { user: 'scram_user' });
      assert.equal(code, 2);
      assert.match(stderr, /FATAL: .*wrong password type\n.*scram_user/);
    });
  });

  test('a new password works after the server has refused the old one', async () => {
    await server.query("CREATE ROLE changing LOGIN PASSWORD 'new'");
    await withGateway({ io, server, users: { changing: 'new' } }, async (gateway) => {
      await server.query('ALTER ROLE changing NOLOGIN');
      const refused = await psql(gateway, ['-c', WHO], { user: 'changing' });
      assert.notEqual(refused.code, 0);
      await server.query('DROP ROLE changing');
    });
  });
});

function clientsBy(io: Driver, authType: string): void {
  let gateway: GatewayUnderTest;
  before(async () => {
    gateway = await GatewayUnderTest.start({
      io,
      server,
      users: passwords,
      settings: { auth_type: authType },
    });
  });
  after(() => gateway?.stop());

  for (const user of USERS) {
    test(`psql as ${user}`, async () => {
      assert.equal(await ask(gateway, WHO, { user, password: PASSWORD }), user);
    });
  }

  test('node-postgres', async () => {
    const client = new pg.Client({
      host: gateway.host,
      port: gateway.port,
      user: 'scram_user',
      password: PASSWORD,
      database: 'app',
    });
    await client.connect();
    assert.deepEqual((await client.query(WHO)).rows, [{ current_user: 'scram_user' }]);
    await client.end();
  });

  test('a wrong password', () => assertRefused(gateway, 'scram_user', 'wrong'));
  test('an empty password', async () => {
    const { code } = await psql(gateway, ['-c', WHO], { user: 'scram_user', password: '' });
    assert.equal(code, 2);
  });
  test('an unknown user', () => assertRefused(gateway, 'unknown_user', PASSWORD));

  test('no secret is logged', () => {
    assert.ok(!gateway.log.includes('horse'));
    assert.ok(!gateway.log.includes('SCRAM-SHA-256$'));
  });
}
