/** Databases of a cluster whose store says who leads: the gateway writes to that one alone. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { describeMessage, errorOf, rowsOf, singleValue, typesOf } from '../harness/backend-message.js';
import { availableDrivers } from '../harness/drivers.js';
import { FaultProxy } from '../harness/fault-proxy.js';
import { GatewayUnderTest, withGateway } from '../harness/gateway-under-test.js';
import { PostgresServer } from '../harness/postgres-server.js';
import { PublishedCluster } from '../harness/published-cluster.js';
import { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/until.js';

describe('a cluster whose store names the primary', () => {
  const io = availableDrivers[0]!;
  let first: PostgresServer;
  let second: PostgresServer;
  let cluster: PublishedCluster;
  let gateway: GatewayUnderTest;
  const value = async (client: RawClient, sql: string) => singleValue(await client.query(sql));
  /** Only the primary says that. */
  const placed = (client: RawClient) => value(client, "SELECT current_setting('port')");
  const login = () => RawClient.login(gateway);
  const onConsole = async (command: string) => {
    const console = await RawClient.login(gateway, { database: 'pgbouncer' });
    const answers = await console.query(command);
    await console.close();
    return answers;
  };
  const epoch = async () => rowsOf(await onConsole('SHOW EPOCH'))[0];

  before(async () => {
    first = await PostgresServer.start({ settings: { synchronous_commit: 'on' } });
    await first.query('CREATE TABLE facts (n int)');
    second = await first.startStandby();
    await first.replayedBy(second);
    cluster = await PublishedCluster.start(2000);
    await cluster.register('b', second, 'following');
    gateway = await GatewayUnderTest.start({
      io,
      server: [],
      file: cluster.configuration('app'),
      settings: { failover_timeout: '600ms', admin_users: 'postgres', server_login_retry: '100ms' },
      expectedTrouble: [/node .* is (unknown|not used)/, /server connection failed/],
    });
  });
  after(async () => {
    await gateway?.stop();
    await cluster?.stop();
    await second?.discard();
    await first?.discard();
  });

  test('a server that does not say that it is a standby (PostgreSQL 13) is asked before it is used', async () => {
    const proxy = await FaultProxy.start(first);
    proxy.disguise = ['in_hot_standby', 'in_old_servers'];
    const options = {
      io,
      server: [`app=postgres:///app?nodes=${proxy.host}:${proxy.port}`],
      settings: { server_login_retry: '100ms' },
      expectedTrouble: [/the server is a standby/],
    };
    try {
      await withGateway(options, async (old) => {
        const [running, other] = [await RawClient.login(old), await RawClient.login(old)];
        await running.query('BEGIN; INSERT INTO facts VALUES (0)');
        // What the gateway knows of the node is what the first server has said.
        proxy.target = second;
        const written = other.query('INSERT INTO facts VALUES (0)');
        await until('the standby to be found out', () => /the server is a standby/.test(old.log));
        proxy.target = first;
        assert.equal(typesOf(await written), 'CZ');
        await running.query('ROLLBACK');
        await running.close();
        await other.close();
      });
    } finally {
      await proxy.stop();
    }
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
      assert.equal(typesOf(answer), 'EZ', answer.map(describeMessage).join('; '));
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
    const idle = singleValue(await waiting.query('SELECT pg_backend_pid()'));
    await cluster.register('a', first, 'draining');
    const { term } = await cluster.store.read();
    await until('the gateway to hold', async () => (await cluster.gateways())[0]?.holds === term);
    await until('the idle server connection to end', async () => {
      return (await first.query(`SELECT FROM pg_stat_activity WHERE pid = ${idle}`)).length === 0;
    });
    const written = waiting.query('INSERT INTO facts VALUES (3)');
    assert.equal(typesOf(await running.query('INSERT INTO facts VALUES (2)')), 'CZ');
    assert.equal(typesOf(await running.query('COMMIT')), 'CZ');
    await cluster.register('a', first, 'leading');
    assert.equal(typesOf(await written), 'CZ');
    await until('the gateway to go on', async () => (await cluster.gateways())[0]?.holds === 0);
    await running.close();
    await waiting.close();
  });

  test('who is being asked for its session when the leader begins to drain waits with its next transaction, too', async () => {
    await onConsole("SET failover_timeout = '60'");
    const client = await login();
    const holder = await RawClient.login(first);
    // The question looks there.
    await holder.query('BEGIN; LOCK TABLE pg_catalog.pg_cursors');
    await client.query("SELECT set_config('app.mine', 'yes', false)");
    const written = client.query('INSERT INTO facts VALUES (5)');
    await cluster.register('a', first, 'draining');
    const { term } = await cluster.store.read();
    await until('the gateway to hold', async () => (await cluster.gateways())[0]?.holds === term);
    await holder.query('ROLLBACK');
    const waits = async () => rowsOf(await onConsole('SHOW CLIENTS')).some((row) => row.includes('waiting'));
    await until('it to wait', waits);
    assert.equal((await first.query('SELECT FROM facts WHERE n = 5', 'app')).length, 0);
    await cluster.register('a', first, 'leading');
    assert.equal(typesOf(await written), 'CZ');
    assert.equal(await value(client, "SELECT current_setting('app.mine')"), 'yes');
    await client.close();
    await holder.close();
    await onConsole("SET failover_timeout = '0.6'");
  });

  test('in a switchover no transaction fails, and nothing reaches who led before, though it lives', async () => {
    // How long a promotion takes is not what this is about.
    await onConsole("SET failover_timeout = '60'");
    let isOver = false;
    let written = 0;
    const work = async (number: number): Promise<void> => {
      const client = await login();
      while (!isOver) {
        const sql =
          number % 2 === 0 ? 'INSERT INTO facts VALUES (4)' : 'BEGIN; INSERT INTO facts VALUES (4); COMMIT';
        const answers = await client.query(sql);
        assert.ok(!typesOf(answers).includes('E'), typesOf(answers));
        written += 1;
        // A transaction of several round trips.
        for (const part of ['BEGIN', 'INSERT INTO facts VALUES (4)', 'COMMIT'])
          assert.equal(typesOf(await client.query(part)), 'CZ');
        written += 1;
      }
      await client.close();
    };
    const working = Promise.all(Array.from({ length: 8 }, (_, number) => work(number)));
    await until('the load', () => written > 100);
    await cluster.register('a', first, 'draining');
    const { term } = await cluster.store.read();
    await until('the gateway to hold', async () => (await cluster.gateways())[0]?.holds === term);
    await until('running transactions to end', async () => {
      const running = await first.query(`SELECT 1 FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND xact_start IS NOT NULL AND pid <> pg_backend_pid()`);
      return running.length === 0;
    });
    await first.replayedBy(second);
    await second.query('SELECT pg_promote()');
    await cluster.lead('b', second);
    const before = written;
    await until('the load to go on', () => written > before + 100);
    isOver = true;
    await working;
    const [row] = await second.query('SELECT count(*)::int AS count FROM facts WHERE n = 4', 'app');
    assert.equal(row!.count, written);
    const client = await login();
    assert.equal(await placed(client), String(second.port));
    await client.close();
    await onConsole("SET failover_timeout = '0.6'");
  });

  test('a store that is away for longer than the lease stops the writes', async () => {
    const client = await login();
    await cluster.stop();
    await until('the doubt', async () => (await epoch())?.includes('unheard'));
    const [refused] = await client.query('INSERT INTO facts VALUES (5)');
    assert.equal(errorOf(refused!).code, '57P03');
    await client.close();
    const events = rowsOf(await onConsole('SHOW EVENTS')).map((row) => row[1]);
    for (const event of ['epoch', 'hold', 'release', 'store', 'role', 'refused', 'cut'])
      assert.ok(events.includes(event), `${event} is missing in ${events}`);
  });
});
