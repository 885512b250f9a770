/** Databases of a cluster whose store says who leads: the gateway writes to that one alone. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { errorOf, rowsOf, singleValue, typesOf } from '../harness/backend-message.js';
import { availableDrivers } from '../harness/drivers.js';
import { GatewayUnderTest } from '../harness/gateway-under-test.js';
import { PostgresServer } from '../harness/postgres-server.js';
import { PublishedCluster } from '../harness/published-cluster.js';
import { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/until.js';

const GROUND = `
  CREATE TABLE facts (n int);
  CREATE FUNCTION place() RETURNS text LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN current_setting('port'); END $$`;

describe('a cluster whose store names the primary', () => {
  const io = availableDrivers[0]!;
  let first: PostgresServer;
  let second: PostgresServer;
  let cluster: PublishedCluster;
  let gateway: GatewayUnderTest;
  const value = async (client: RawClient, sql: string) => singleValue(await client.query(sql));
  const placed = (client: RawClient) => value(client, 'SELECT place()');
  const login = () => RawClient.login(gateway);
  const epoch = async () => {
    const console = await RawClient.login(gateway, { database: 'pgbouncer' });
    const [row] = rowsOf(await console.query('SHOW EPOCH'));
    await console.close();
    return row;
  };

  before(async () => {
    first = await PostgresServer.start({ settings: { synchronous_commit: 'on' } });
    await first.query(GROUND);
    second = await first.startStandby();
    await first.replayedBy(second);
    cluster = await PublishedCluster.start(2000);
    await cluster.register('b', second, 'following');
    gateway = await GatewayUnderTest.start({
      io,
      server: [],
      file: cluster.configuration('app'),
      settings: { failover_timeout: '400ms', admin_users: 'postgres', server_login_retry: '100ms' },
      expectedTrouble: [/node .* is (unknown|not used)/, /server connection failed/],
    });
  });
  after(async () => {
    await gateway?.stop();
    await cluster?.stop();
    await second?.discard();
    await first?.discard();
  });

  test('while nobody leads requests wait, are refused in time, and their clients stay', async () => {
    const client = await RawClient.connect(gateway);
    client.startup({});
    const [refused] = await client.untilEnd();
    assert.equal(errorOf(refused!).code, '57P03');
    await cluster.lead('a', first);
    const stays = await login();
    assert.equal(await placed(stays), String(first.port));
    await cluster.vacate();
    await until('the news', async () => (await epoch())?.includes('vacant'));
    for (const _ of [1, 2]) {
      const answer = await stays.query('SELECT 1');
      assert.equal(typesOf(answer), 'EZ');
      assert.equal(errorOf(answer[0]!).code, '57P03');
    }
    const written = stays.query('INSERT INTO facts VALUES (1)');
    await cluster.lead('a', first);
    assert.equal(typesOf(await written), 'CZ');
    await stays.close();
  });

  test('while the leader drains new transactions wait, running ones end, and the gateway says so', async () => {
    const [running, waiting] = [await login(), await login()];
    await running.query('BEGIN; INSERT INTO facts VALUES (2)');
    await cluster.register('a', first, 'draining');
    const { term } = await cluster.store.read();
    await until('the gateway to hold', async () => (await cluster.gateways())[0]?.holds === term);
    const written = waiting.query('INSERT INTO facts VALUES (3)');
    assert.equal(typesOf(await running.query('INSERT INTO facts VALUES (2)')), 'CZ');
    assert.equal(typesOf(await running.query('COMMIT')), 'CZ');
    await cluster.register('a', first, 'leading');
    assert.equal(typesOf(await written), 'CZ');
    await until('the gateway to go on', async () => (await cluster.gateways())[0]?.holds === 0);
    await running.close();
    await waiting.close();
  });

  test('who leads next gets the writes, and who led before gets nothing, though it lives', async () => {
    const idle = await login();
    assert.equal(await placed(idle), String(first.port));
    await first.replayedBy(second);
    await second.query('SELECT pg_promote()');
    assert.equal(await placed(idle), String(first.port));
    await cluster.lead('b', second);
    await until('the news', async () => (await epoch())?.includes('b'));
    assert.equal(await placed(idle), String(second.port));
    assert.equal(await value(await login(), 'SELECT place()'), String(second.port));
    await idle.close();
  });

  test('a store that is away for longer than the lease stops the writes', async () => {
    const client = await login();
    await cluster.stop();
    await until('the doubt', async () => (await epoch())?.includes('unheard'));
    const [refused] = await client.query('INSERT INTO facts VALUES (4)');
    assert.equal(errorOf(refused!).code, '57P03');
    await client.close();
    const console = await RawClient.login(gateway, { database: 'pgbouncer' });
    const events = rowsOf(await console.query('SHOW EVENTS')).map((row) => row[1]);
    for (const event of ['epoch', 'hold', 'release', 'store', 'role', 'refused', 'cut'])
      assert.ok(events.includes(event), `${event} is missing in ${events}`);
    await console.close();
  });
});
