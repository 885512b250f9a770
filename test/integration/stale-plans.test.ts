/** Prepared statements whose result has other columns since a DDL: "cached plan must not change result type". */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { firstError, rowsOf, singleValue, typesOf } from '../harness/backend-message.js';
import * as send from '../harness/frontend-message.js';
import { RawClient } from '../harness/raw-client.js';
import { onEveryDriver } from '../harness/stage.js';

const FRESH = 'DROP TABLE IF EXISTS t; CREATE TABLE t (a int); INSERT INTO t VALUES (1)';
const WIDEN = 'ALTER TABLE t ADD COLUMN b int DEFAULT 2';

/** As libpq does it: with a Describe of the portal. */
const described = (name = 's') => [
  send.bind('', name),
  send.describePortal(''),
  send.execute(''),
  send.sync(),
];
/** As drivers do that remember the columns. */
const undescribed = (name = 's') => [send.bind('', name), send.execute(''), send.sync()];

onEveryDriver('stale plans', { gateway: { settings: { default_pool_size: 1 } } }, (stage) => {
  beforeEach(() => stage.server.query(FRESH));

  async function prepared(sql = 'SELECT * FROM t'): Promise<RawClient> {
    const client = await RawClient.login(stage.gateway);
    client.send(send.parse('s', sql), ...described());
    assert.equal(typesOf(await client.untilReady()), '12TDCZ');
    return client;
  }

  test('are healed where the client asks for the columns, whoever ran the DDL', async () => {
    const client = await prepared();
    await stage.server.query(WIDEN);
    client.send(...described());
    const answer = await client.untilReady();
    assert.equal(typesOf(answer), '2TDCZ');
    assert.deepEqual(rowsOf(answer), [['1', '2']]);
    await client.query('ALTER TABLE t DROP COLUMN b');
    client.send(send.describeStatement('s'), send.sync());
    assert.equal(typesOf(await client.untilReady()), 'tTZ');
    await client.close();
  });

  test('what was to be done is done once', async () => {
    const client = await prepared('INSERT INTO t VALUES (7) RETURNING *');
    await stage.server.query(WIDEN);
    client.send(...described());
    assert.deepEqual(rowsOf(await client.untilReady()), [['7', '2']]);
    assert.equal(singleValue(await client.query('SELECT count(*) FROM t WHERE a = 7')), '2');
    await client.close();
  });

  test('several requests of one batch, and another batch behind it', async () => {
    const client = await prepared();
    await stage.server.query(WIDEN);
    // In one piece, as drivers send it: the server must not refuse the beginning before the end is there.
    const first = [send.bind('', 's'), send.describePortal(''), send.execute('', 1)];
    client.send(...first, send.bind('p', 's'), send.execute('p'), send.closePortal('p'), send.sync());
    assert.equal(typesOf(await client.untilReady()), '2TDs2DC3Z');
    await stage.server.query('ALTER TABLE t DROP COLUMN b');
    // Two batches at once: which of them is meant can't be told, so both learn of it.
    client.send(...described(), ...described());
    assert.equal(typesOf(await client.untilReady()), 'EZ');
    assert.match(typesOf(await client.untilReady()), /^(EZ|2TDCZ)$/);
    client.send(...described());
    assert.equal(typesOf(await client.untilReady()), '2TDCZ');
    await client.close();
  });

  test('what an earlier batch has done is not done again', async () => {
    const client = await prepared('INSERT INTO t VALUES (7) RETURNING *');
    client.send(send.parse('', 'SELECT * FROM t'), send.sync());
    await client.untilReady();
    client.send(...described());
    await client.untilReady();
    await stage.server.query(WIDEN);
    client.send(...described(''));
    assert.equal(firstError(await client.untilReady()).code, '0A000');
    assert.equal(singleValue(await client.query('SELECT count(*) FROM t WHERE a = 7')), '2');
    await client.close();
  });

  test('a batch is not repeated where a later request of it is refused', async () => {
    await stage.server.query('DROP TABLE IF EXISTS u; CREATE TABLE u (a int)');
    const client = await prepared();
    client.send(send.parse('i', 'INSERT INTO u VALUES (1) RETURNING a'), send.sync());
    await client.untilReady();
    await stage.server.query(WIDEN);
    client.send(send.bind('', 'i'), send.describePortal(''), send.execute(''), ...undescribed());
    const answer = await client.untilReady();
    assert.equal(typesOf(answer), '2TDCEZ');
    assert.equal(firstError(answer).code, '0A000');
    assert.equal(singleValue(await client.query('SELECT count(*) FROM u')), '0');
    await client.close();
  });

  test('a client that remembers the columns gets the error, and a new statement when it prepares again', async () => {
    const client = await prepared();
    await client.query(WIDEN);
    client.send(...undescribed());
    assert.equal(firstError(await client.untilReady()).code, '0A000');
    client.send(send.closeStatement('s'), send.parse('s', 'SELECT * FROM t'), send.describeStatement('s'));
    client.send(...undescribed());
    const answer = await client.untilReady();
    assert.equal(typesOf(answer), '31tT2DCZ');
    assert.deepEqual(rowsOf(answer), [['1', '2']]);
    await client.close();
  });

  /** As postgres.js does it. */
  const anew = (name = 'n') => [
    send.parse(name, 'SELECT * FROM t'),
    send.describeStatement(name),
    ...undescribed(name),
  ];

  test('a client that prepares now never meets the columns of before a DROP', async () => {
    const [old, other] = [await prepared(), await RawClient.login(stage.gateway)];
    await other.query("DROP TABLE t; CREATE TABLE t (b text); INSERT INTO t VALUES ('x')");
    const fresh = await RawClient.login(stage.gateway);
    await fresh.query('BEGIN');
    fresh.send(...anew());
    assert.equal(typesOf(await fresh.untilReady()), '1tT2DCZ');
    await fresh.query('COMMIT');
    fresh.send(send.parse('remembered', 'SELECT * FROM t'), send.sync(), ...undescribed('remembered'));
    assert.equal(typesOf(await fresh.untilReady()), '1Z');
    assert.deepEqual(rowsOf(await fresh.untilReady()), [['x']]);
    // Its own statement is from before, as on a connection of its own.
    old.send(...undescribed());
    assert.equal(firstError(await old.untilReady()).code, '0A000');
    for (const client of [old, other, fresh]) await client.close();
  });

  test('nor where nobody has told the gateway, if it asks for the columns', async () => {
    const old = await prepared();
    await stage.server.query("DROP TABLE t; CREATE TABLE t (b text); INSERT INTO t VALUES ('x')");
    const fresh = await RawClient.login(stage.gateway);
    fresh.send(...anew());
    const answer = await fresh.untilReady();
    assert.equal(typesOf(answer), '1tT2DCZ');
    assert.deepEqual(rowsOf(answer), [['x']]);
    await stage.server.query(FRESH);
    old.send(send.describeStatement('s'), send.sync());
    assert.equal(typesOf(await old.untilReady()), 'tTZ');
    await old.close();
    await fresh.close();
  });

  test('each search_path has its own columns', async () => {
    await stage.server.query(`DROP SCHEMA IF EXISTS tenant_a, tenant_b CASCADE; CREATE SCHEMA tenant_a; CREATE SCHEMA tenant_b;
      CREATE TABLE tenant_a.own AS SELECT 1 AS one; CREATE TABLE tenant_b.own AS SELECT 'x' AS one, 'y' AS two`);
    const tenants = [];
    for (const schema of ['tenant_a', 'tenant_b']) {
      const client = await RawClient.login(stage.gateway);
      await client.query(`SET search_path = ${schema}`);
      client.send(send.parse('s', 'SELECT * FROM own'), send.sync());
      await client.untilReady();
      tenants.push(client);
    }
    for (let round = 0; round < 2; round++) {
      for (const [client, row] of [[tenants[0]!, ['1']] as const, [tenants[1]!, ['x', 'y']] as const]) {
        client.send(...undescribed());
        assert.deepEqual(rowsOf(await client.untilReady()), [row]);
      }
    }
    const stranger = await RawClient.login(stage.gateway);
    stranger.send(send.parse('s', 'SELECT * FROM own'), send.sync());
    assert.equal(firstError(await stranger.untilReady()).code, '42P01');
    for (const client of [...tenants, stranger]) await client.close();
  });

  test('nor is a batch repeated that uses another statement, too', async () => {
    const client = await prepared();
    client.send(send.parse('i', 'SELECT 5'), send.sync());
    await client.untilReady();
    await stage.server.query(WIDEN);
    client.send(send.describeStatement('s'), ...undescribed('i'));
    assert.equal(typesOf(await client.untilReady()), 'tEZ');
    client.send(send.describeStatement('s'), ...undescribed('i'));
    assert.equal(typesOf(await client.untilReady()), 'tT2DCZ');
    await client.close();
  });

  test('within a transaction it is an error, unless the DDL went through the gateway', async () => {
    const client = await prepared();
    await stage.server.query(WIDEN);
    await client.query('BEGIN');
    client.send(...described());
    assert.equal(firstError(await client.untilReady()).code, '0A000');
    await client.query('ROLLBACK');
    client.send(...described());
    assert.deepEqual(rowsOf(await client.untilReady()), [['1', '2']]);

    const other = await RawClient.login(stage.gateway);
    await other.query('ALTER TABLE t DROP COLUMN b');
    await client.query('BEGIN');
    client.send(...described());
    assert.deepEqual(rowsOf(await client.untilReady()), [['1']]);
    await client.query('COMMIT');
    await other.close();
    await client.close();
  });

  test('a batch that is too long to be kept learns of it', async () => {
    const client = await RawClient.login(stage.gateway);
    const run = [
      send.bind('', 's', ['x'.repeat(10_000)]),
      send.describePortal(''),
      send.execute(''),
      send.sync(),
    ];
    client.send(send.parse('s', 'SELECT *, length($1) FROM t'), ...run);
    assert.equal(typesOf(await client.untilReady()), '12TDCZ');
    await stage.server.query(WIDEN);
    client.send(...run);
    assert.equal(firstError(await client.untilReady()).code, '0A000');
    client.send(...run);
    assert.deepEqual(rowsOf(await client.untilReady()), [['1', '2', '10000']]);
    await client.close();
  });
});
