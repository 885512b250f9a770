/** Nodes that somebody else names: they come and go without a reload, and what is said of them is not believed against their own word. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { type Member, PatroniDouble } from '../discovery/patroni-double.js';
import { availableDrivers } from '../harness/drivers.js';
import { GatewayUnderTest } from '../harness/gateway-under-test.js';
import { PostgresServer, SUPERUSER } from '../harness/postgres-server.js';
import { freePort, scratchFolder } from '../harness/scratch.js';
import { until } from '../harness/until.js';

const PASSWORD = 'correct horse';

describe('nodes that a manager names', () => {
  let primary: PostgresServer;
  let standby: PostgresServer;
  let patroni: PatroniDouble;
  let gateway: GatewayUnderTest;
  let admin: pg.Client;
  let client: pg.Client;
  let http = '';

  const member = (name: string, { host, port }: PostgresServer, role = 'replica'): Member => ({
    ...{ name, role, state: 'running', host, port, timeline: 1 },
  });

  before(async () => {
    primary = await PostgresServer.start({
      hba: [
        'local all all trust',
        'host all alice 127.0.0.1/32 scram-sha-256',
        'host all all 127.0.0.1/32 trust',
      ],
    });
    await primary.query(
      `CREATE ROLE alice LOGIN PASSWORD '${PASSWORD}'; CREATE TABLE facts (n int); GRANT ALL ON facts TO alice`,
    );
    standby = await primary.startStandby();
    patroni = await PatroniDouble.start();
    patroni.members = [member('one', primary, 'leader')];
    http = `127.0.0.1:${await freePort()}`;
    const file = join(scratchFolder('nodes-from'), 'sluice.yaml');
    const lines = [
      `databases: { app: { nodes_from: { patroni: ["http://127.0.0.1:1", "${patroni.url}"] } } }`,
      'auth_type: scram-sha-256',
      `auth_user: ${SUPERUSER}`,
      'auth_query: SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1',
      `admin_users: op`,
      `users: { op: { password: ${PASSWORD} } }`,
      `http_listen: ${http}`,
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    gateway = await GatewayUnderTest.start({
      ...{ io: availableDrivers[0]!, server: [], file, settings: { auth_type: 'scram-sha-256' } },
      expectedTrouble: [/node .* is (unknown|not used)/, /server connection failed/],
    });
    admin = await connect('op', 'pgbouncer');
  });
  after(async () => {
    await client?.end();
    await admin?.end();
    await gateway?.stop();
    await patroni?.stop();
    await standby?.discard();
    await primary?.discard();
  });

  async function connect(user: string, database: string): Promise<pg.Client> {
    const { host, port } = gateway;
    const one = new pg.Client({ host, port, user, database, password: PASSWORD });
    await one.connect();
    return one;
  }

  /** `one primary,two standby` */
  async function roles(): Promise<string> {
    const { rows } = await admin.query('SHOW NODES');
    return rows.map(({ name, role }) => `${name} ${role}`).join();
  }

  const untilRoles = (expected: string) => until(expected, async () => (await roles()) === expected);

  test('are asked who a client is, and serve it', async () => {
    await until('the source', async () => {
      const health = (await (await fetch(`http://${http}/health`)).json()) as {
        nodeSources: { nodes: string[] }[];
      };
      return health.nodeSources[0]?.nodes.join() === 'one';
    });
    client = await connect('alice', 'app');
    await client.query('INSERT INTO facts VALUES (1)');
    assert.equal(await roles(), 'one primary');
  });

  test('come without a reload', async () => {
    patroni.members = [member('one', primary, 'leader'), member('two', standby)];
    await untilRoles('one primary,two standby');
    const page = await (await fetch(`http://${http}/metrics`)).text();
    assert.match(page, /^sluice_nodes_source_nodes\{source="patroni http[^"]*"\} 2$/m);
  });

  test('are not taken for the primary against their own word', async () => {
    patroni.members = [member('one', primary), { ...member('two', standby, 'leader'), timeline: 9 }];
    await until('the word', () => /two is called the primary/.test(gateway.log));
    await client.query('INSERT INTO facts VALUES (2)');
    assert.equal(await roles(), 'one primary,two standby');
  });

  test('get nothing while the manager knows of a newer timeline on a node that is out of reach', async () => {
    const away = { name: 'new', role: 'leader', host: '127.0.0.1', port: await freePort(), timeline: 2 };
    patroni.members = [member('one', primary), member('two', standby), away];
    await until('the old primary to be refused', async () => /one foreign/.test(await roles()));
    await admin.query("SET failover_timeout = '0.1'");
    await assert.rejects(client.query('INSERT INTO facts VALUES (3)'), { code: '57P03' });
    await admin.query("SET failover_timeout = '30'");
    patroni.members = [member('one', primary, 'leader'), member('two', standby)];
    await untilRoles('one primary,two standby');
    await client.query('INSERT INTO facts VALUES (4)');
  });

  test('leave without a reload', async () => {
    patroni.members = [member('one', primary, 'leader')];
    await untilRoles('one primary');
  });

  test('stay while nobody answers', async () => {
    await patroni.stop();
    await until('the trouble', () => /patroni http.*can't be asked/.test(gateway.log));
    await client.query('INSERT INTO facts VALUES (5)');
    assert.equal(await roles(), 'one primary');
  });
});
