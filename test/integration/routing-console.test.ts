/** What the console tells of routing: its nodes, its statements, and where one would go. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { availableDrivers } from '../harness/drivers.js';
import { GatewayUnderTest } from '../harness/gateway-under-test.js';
import { DATABASE, PostgresServer, SUPERUSER } from '../harness/postgres-server.js';
import { scratchFolder } from '../harness/scratch.js';
import { until } from '../harness/until.js';

describe('what the console tells of routing', () => {
  let primary: PostgresServer;
  let standby: PostgresServer;
  let gateway: GatewayUnderTest;
  let client: pg.Client;
  let admin: pg.Client;

  before(async () => {
    primary = await PostgresServer.start();
    await primary.query('CREATE TABLE plain (a int, b text); CREATE UNLOGGED TABLE fleeting (a int)');
    standby = await primary.startStandby();
    const nodes = [standby, primary].map(
      ({ host, port }, place) =>
        `{ host: ${host}, port: ${port}, name: ${['second', 'first'][place]}, zone: z }`,
    );
    const file = join(scratchFolder('routing'), 'sluice.yaml');
    const lines = [
      `databases: { ${DATABASE}: { nodes: [${nodes.join(', ')}] } }`,
      'pool_mode: transaction',
      `admin_users: ${SUPERUSER}`,
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    gateway = await GatewayUnderTest.start({ io: availableDrivers[0]!, server: [], file });
    admin = await connect('pgbouncer');
  });
  after(async () => {
    await client?.end();
    await admin?.end();
    await gateway?.stop();
    await standby?.discard();
    await primary?.discard();
  });

  async function connect(database: string): Promise<pg.Client> {
    const one = new pg.Client({ host: gateway.host, port: gateway.port, user: SUPERUSER, database });
    await one.connect();
    return one;
  }

  async function show(what: string): Promise<Record<string, string | number | null>[]> {
    return (await admin.query(`SHOW ${what}`)).rows;
  }

  /** Where the statement would go, and why. */
  async function routeOf(sql: string): Promise<string> {
    const [row] = (await admin.query('SHOW ROUTE $1', [sql])).rows;
    return `${row.node}: ${row.reason}`;
  }

  test('nothing is known before there is a client', async () => {
    assert.deepEqual(await show('NODES'), []);
    assert.deepEqual(await show('SHAPES'), []);
    assert.match(await routeOf('SELECT 1'), /^primary: .* has not been read yet/);
    client = await connect(DATABASE);
  });

  test('SHOW NODES tells who is what', async () => {
    await until('the roles', async () => {
      const roles = (await show('NODES')).map(({ name, role }) => `${name} ${role}`);
      return roles.join() === 'second standby,first primary';
    });
    await until('the standby to be known as current', async () => {
      const [second] = await show('NODES');
      return second?.lag_bytes === '0' && second.state === '';
    });
    const [second, first] = await show('NODES');
    assert.equal(second?.address, `${standby.host}:${standby.port}`);
    assert.deepEqual([first?.lag_bytes, first?.timeline, first?.zone], [null, '1', 'z']);
    assert.match(String(first?.lsn), /^[0-9A-F]+\/[0-9A-F]+$/);
  });

  test('SHOW ROUTE judges by the catalogue, and follows it', async () => {
    await until('the catalogue', async () => (await routeOf('SELECT 1')) === 'standby: it only reads');
    const [row] = await show("ROUTE app 'SELECT p.b, lower(p.b) FROM public.plain p'");
    assert.deepEqual(row, {
      database: DATABASE,
      node: 'standby',
      reason: 'it only reads',
      kind: 'read',
      functions: 'lower/1',
      relations: 'public.plain',
    });
    assert.match(await routeOf('TABLE fleeting'), /^primary: fleeting is unlogged/);
    assert.match(await routeOf('DELETE FROM plain'), /^primary: it is a DELETE/);
    assert.match(await routeOf('SELECT fresh()'), /^primary: .*not known here/);
    const creation = "CREATE FUNCTION fresh() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1'";
    for (const sql of ['BEGIN', creation, 'COMMIT']) await client.query(sql);
    await until('the new function', async () => (await routeOf('SELECT fresh()')).startsWith('standby'));
    await client.query('ALTER FUNCTION fresh() VOLATILE');
    await until('its change', async () => (await routeOf('SELECT fresh()')).includes('volatile'));
  });

  test('SHOW ROUTE says of which database', async () => {
    await assert.rejects(show("ROUTE other 'SELECT 1'"), /no such database: other/);
    await assert.rejects(show('ROUTE'), /SHOW ROUTE takes a statement in quotes/);
  });

  test('SHOW SHAPES counts, and shows no constant', async () => {
    const shapeOf = async (text: string) => (await show('SHAPES')).find((row) => row.text === text);
    const text = 'SELECT b FROM plain WHERE b = ?';
    await until('reads on the standby', async () => {
      await client.query("SELECT b FROM plain WHERE b = 'secret' -- why");
      return Number((await shapeOf(text))?.on_standby) > 0;
    });
    const shape = await shapeOf(text);
    assert.deepEqual(
      [shape?.database, shape?.may_run_on, shape?.kind, shape?.reason, shape?.rerouted],
      [DATABASE, 'standby', 'read', 'it only reads', '0'],
    );
    assert.ok(Number(shape?.avg_time) > 0);
    assert.equal(shape?.rows, '0');
    assert.equal(shape?.p99_time, null);
    assert.ok(!JSON.stringify(await show('SHAPES')).includes('secret'));
    await until('the writes', async () => {
      await client.query("INSERT INTO plain VALUES (3, 'z')");
      return Number((await shapeOf('INSERT INTO plain VALUES (?, ?)'))?.on_primary) > 0;
    });
  });

  test('SHOW SHAPES knows the rows that standbys answered, and how long they took', async () => {
    const shapeOf = async () =>
      (await show('SHAPES')).find(({ text }) => text === 'SELECT generate_series(?, ?)');
    await until('percentiles', async () => {
      await client.query('SELECT generate_series(1, 3)');
      return (await shapeOf())?.p99_time != null;
    });
    const shape = await shapeOf();
    assert.equal(Number(shape?.rows), 3 * Number(shape?.on_standby));
    const times = [shape?.p50_time, shape?.p95_time, shape?.p99_time].map(Number);
    assert.ok(times[0]! > 0);
    assert.deepEqual(
      times,
      times.toSorted((a, b) => a - b),
    );
  });
});
