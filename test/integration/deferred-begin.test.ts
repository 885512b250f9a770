/** BEGIN is answered by the gateway, and reaches the primary with the first statement behind it (`defer_begin`). */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { firstError, singleValue, typesOf } from '../harness/backend-message.js';
import * as send from '../harness/frontend-message.js';
import { GatewayUnderTest } from '../harness/gateway-under-test.js';
import { DATABASE } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { onEveryDriver } from '../harness/stage.js';
import { until } from '../harness/until.js';

const SETUP = 'CREATE TABLE notes (n int)';
const HELD = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";

onEveryDriver('a transaction begins with its first statement', { setup: SETUP }, (stage) => {
  let gateway: GatewayUnderTest | undefined;
  const clients: RawClient[] = [];
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.close();
    await gateway?.stop();
  });

  async function open(settings: Record<string, string>): Promise<void> {
    const { host, port } = stage.server;
    gateway = await GatewayUnderTest.start({
      io: stage.io,
      server: [`${DATABASE}=postgres:///${DATABASE}?nodes=${host}:${port}`],
      settings: { default_pool_size: 1, ...settings },
    });
  }

  async function login(): Promise<RawClient> {
    const client = await RawClient.login(gateway!);
    clients.push(client);
    return client;
  }

  /** A client of a gateway that has one server connection, and knows what BEGIN is. */
  async function begun(begin = 'BEGIN', settings: Record<string, string> = {}): Promise<RawClient> {
    await open(settings);
    const client = await login();
    await until('a BEGIN that holds no server connection', async () => {
      assert.equal(status(await client.query(begin)), 'T');
      if ((await held()) === 0) return true;
      assert.equal(status(await client.query('ROLLBACK')), 'I');
      return false;
    });
    return client;
  }

  async function held(): Promise<number> {
    const [row] = (await stage.server.query(HELD)) as [{ count: string }];
    return Number(row.count);
  }

  test('and holds no server connection before', async () => {
    const client = await begun();
    const other = await login();
    assert.equal(singleValue(await other.query('INSERT INTO notes VALUES (1) RETURNING n')), '1');
    await client.query('INSERT INTO notes VALUES (2)');
    assert.equal(await held(), 1);
    assert.equal(status(await client.query('ROLLBACK')), 'I');
    assert.equal(singleValue(await other.query('SELECT count(*) FROM notes WHERE n = 2')), '0');
    assert.equal(status(await client.query('BEGIN')), 'T');
    assert.equal(status(await client.query('COMMIT')), 'I');
  });

  test('as its BEGIN has said', async () => {
    const client = await begun(
      '/* of some tool */ start transaction isolation level serializable, read only',
    );
    assert.equal(singleValue(await client.query('SHOW transaction_isolation')), 'serializable');
    const refused = await client.query('INSERT INTO notes VALUES (3)');
    assert.equal(firstError(refused).code, '25006');
    assert.equal(status(refused), 'E');
    await client.query('ROLLBACK');
    const answer = await client.query('START TRANSACTION');
    assert.equal(answer[0]!.body.toString(), 'START TRANSACTION\0');
    await client.query('ROLLBACK');
  });

  test('whatever that is', async () => {
    const client = await begun();
    // A second BEGIN is PostgreSQL's to warn of.
    assert.equal(typesOf(await client.query('BEGIN')), 'NCZ');
    await client.query('ROLLBACK');
    await client.query('BEGIN');
    client.send(send.sync());
    assert.equal(status(await client.untilReady()), 'T');
    await client.query('ROLLBACK');
    await client.query('BEGIN');
    client.send(send.extended('INSERT INTO notes VALUES ($1) RETURNING n', ['4']));
    const answer = await client.untilReady();
    assert.deepEqual([singleValue(answer), status(answer)], ['4', 'T']);
    await client.query('ROLLBACK');
    await client.query('BEGIN');
    assert.equal(firstError(await client.query('SELECT nothing_of_this_name')).code, '42703');
    assert.equal(firstError(await client.query('SELECT 1')).code, '25P02');
    assert.equal(status(await client.query('COMMIT')), 'I');
    await client.query('BEGIN');
    client.send(Buffer.concat([send.query('INSERT INTO notes VALUES (5)'), send.query('ROLLBACK')]));
    assert.equal(status(await client.untilReady()), 'T');
    assert.equal(status(await client.untilReady()), 'I');
  });

  test('which is known to have done nothing when the server is lost meanwhile', async () => {
    const client = await begun();
    const slow = 'INSERT INTO notes SELECT 8 FROM pg_sleep(60)';
    const found = `SELECT pid FROM pg_stat_activity WHERE query = '${slow}' AND wait_event = 'PgSleep'`;
    client.send(send.query(slow));
    const running = await until('it to run', async () => {
      const rows = (await stage.server.query(found)) as { pid: number }[];
      return rows[0] ?? null;
    });
    await stage.server.query(`SELECT pg_terminate_backend(${running.pid})`);
    const answer = await client.untilReady();
    assert.deepEqual([firstError(answer).code, status(answer)], ['40001', 'E']);
    assert.equal(status(await client.query('ROLLBACK')), 'I');
  });

  test('and may not be begun for too long', async () => {
    const client = await begun('BEGIN', { idle_transaction_timeout: '500ms' });
    const { code, message } = firstError(await client.untilEnd());
    assert.deepEqual([code, message], ['25P03', 'idle transaction timeout']);
  });

  test('also while the gateway is being drained', async () => {
    const client = await begun('BEGIN', { drain_timeout: '60s' });
    const resting = await login();
    gateway!.signal('SIGTERM');
    assert.equal(firstError(await resting.untilEnd()).code, '57P01');
    assert.equal(singleValue(await client.query('INSERT INTO notes VALUES (6) RETURNING n')), '6');
    await client.query('COMMIT');
    assert.equal(firstError(await client.untilEnd()).code, '57P01');
    await until('its end', () => gateway!.ended);
    gateway = undefined;
  });

  test('but not without defer_begin', async () => {
    await open({ defer_begin: 'off' });
    const client = await login();
    // What BEGIN is has been found out by the second time.
    for (let i = 0; i < 5; i++) {
      await client.query('BEGIN');
      assert.equal(await held(), 1);
      await client.query('ROLLBACK');
    }
  });

  test('nor where transactions are refused', async () => {
    await open({ pool_mode: 'statement' });
    for (let i = 0; i < 5; i++) {
      const client = await login();
      client.send(send.query('BEGIN'));
      assert.match(firstError(await client.untilEnd()).message, /transaction/);
    }
  });
});

/** Of the ReadyForQuery at the end. */
function status(answer: Awaited<ReturnType<RawClient['query']>>): string {
  return answer.at(-1)!.body.toString();
}
