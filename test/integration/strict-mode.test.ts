/** `session_state = strict`: what would outlast its transaction is refused, as by the server itself. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { type BackendMessage, firstError, singleValue, typesOf } from '../harness/backend-message.js';
import * as send from '../harness/frontend-message.js';
import { withGateway } from '../harness/gateway-under-test.js';
import { RawClient } from '../harness/raw-client.js';
import { scratchFolder } from '../harness/scratch.js';
import { onEveryDriver } from '../harness/stage.js';

const SETTINGS = { session_state: 'strict', default_pool_size: 1 };
const GROUND = `
  DROP TABLE IF EXISTS kept; CREATE TABLE kept (i int); DROP SEQUENCE IF EXISTS numbers; CREATE SEQUENCE numbers;
  DROP ROLE IF EXISTS reader; CREATE ROLE reader`;

const bodyText = ({ body }: BackendMessage) => body.toString('latin1');

onEveryDriver('strict mode', { gateway: { settings: SETTINGS } }, (stage) => {
  const login = (parameters: Record<string, string> = {}) => RawClient.login(stage.gateway, parameters);
  const value = async (client: RawClient, sql: string) => singleValue(await client.query(sql));
  /** The end of the answer to a Query that is refused, and what it was refused for. */
  async function refused(client: RawClient, sql: string): Promise<string> {
    const answer = await client.query(sql);
    assert.equal(typesOf(answer), 'EZ', sql);
    const { code, message, hint } = firstError(answer);
    assert.equal(code, '0A000');
    assert.ok(hint !== undefined && hint.length > 0);
    assert.match(message, / is not allowed \(session_state = strict\)$/);
    return message.split(' is not')[0]!;
  }

  before(() => stage.server.query(GROUND));

  test('names the statement', async () => {
    const client = await login();
    const statements = [
      ['SET work_mem = 999', 'SET work_mem'],
      ["SELECT set_config('search_path', 'mine', false)", "set_config('search_path', ..., false)"],
      ['SET ROLE reader', 'SET ROLE'],
      ['LISTEN news', 'LISTEN'],
      ['CREATE TEMP TABLE t (i int)', 'CREATE TEMPORARY TABLE'],
      ['SELECT pg_advisory_lock(1)', 'pg_advisory_lock()'],
      ['DECLARE c CURSOR WITH HOLD FOR SELECT 1', 'DECLARE ... WITH HOLD'],
      ['PREPARE p AS SELECT 1', 'PREPARE'],
      ["SELECT currval('numbers')", 'currval()'],
      ["LOAD 'auto_explain'", 'LOAD'],
    ] as const;
    for (const [sql, name] of statements) assert.equal(await refused(client, sql), name);
    await client.close();
    const next = await login();
    assert.equal(await value(next, 'SHOW work_mem'), '4MB');
    assert.equal(await value(next, 'SELECT current_user'), 'postgres');
    assert.equal(await value(next, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), '0');
    await next.close();
  });

  test('lets pass what ends with its transaction, what takes back, and what drivers set', async () => {
    const client = await login();
    for (const sql of [
      "BEGIN; SET LOCAL work_mem = 999; SELECT set_config('app.tenant', 'x', true); COMMIT",
      'BEGIN; CREATE TEMP TABLE t (i int) ON COMMIT DROP; INSERT INTO t VALUES (1); COMMIT',
      'SELECT pg_advisory_xact_lock(1)',
      'BEGIN; DECLARE c CURSOR FOR SELECT 1; FETCH c; COMMIT',
      "SELECT nextval('numbers')",
      "SET client_encoding = 'UTF8'; SET DateStyle = 'ISO'; SET TIME ZONE 'UTC'; SET application_name = 'it'",
      'SET extra_float_digits = 3; SET client_min_messages TO warning; SET bytea_output = hex',
      'SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL',
      'DISCARD ALL',
    ]) {
      assert.doesNotMatch(typesOf(await client.query(sql)), /E/, sql);
    }
    await client.query('SET extra_float_digits = 0');
    const other = await login();
    assert.equal(await value(other, 'SHOW extra_float_digits'), '1');
    assert.equal(await value(client, 'SHOW extra_float_digits'), '0');
    await other.close();
    await client.close();
  });

  test('fails the transaction', async () => {
    const client = await login();
    await client.query('BEGIN; INSERT INTO kept VALUES (1)');
    const answer = await client.query('LISTEN news');
    assert.equal(firstError(answer).code, '0A000');
    assert.equal(bodyText(answer.at(-1)!), 'E');
    assert.equal(firstError(await client.query('SELECT 1')).code, '25P02');
    assert.equal(firstError(await client.query('LISTEN news')).code, '25P02');
    assert.equal(typesOf(await client.query('COMMIT')), 'CZ');
    assert.equal(await value(client, 'SELECT count(*) FROM kept'), '0');
    await client.close();
  });

  test('runs nothing of a message in which one statement is refused', async () => {
    const client = await login();
    await refused(client, 'INSERT INTO kept VALUES (1); LISTEN news');
    await refused(client, 'BEGIN; INSERT INTO kept VALUES (1); COMMIT; SET work_mem = 999');
    assert.equal(await value(client, 'SELECT count(*) FROM kept'), '0');
    await client.close();
  });

  describe('extended protocol', () => {
    const run = (name: string) => [send.bind('', name), send.execute('')];

    test('an unnamed statement, and what is skipped up to the Sync', async () => {
      const client = await login();
      client.send(send.parse('', 'LISTEN news'), ...run(''), send.sync());
      const answer = await client.untilReady();
      assert.equal(typesOf(answer), 'EZ');
      assert.equal(firstError(answer).code, '0A000');
      // It has taken the place of whatever was there before.
      client.send(...run(''), send.sync());
      assert.equal(firstError(await client.untilReady()).code, '26000');
      client.send(send.parse('', 'SELECT 7'), ...run(''), send.sync());
      assert.equal(singleValue(await client.untilReady()), '7');
      await client.close();
    });

    test('a named statement never comes to be', async () => {
      const client = await login();
      client.send(send.parse('s', 'SET work_mem = 999'), send.sync());
      assert.equal(firstError(await client.untilReady()).code, '0A000');
      client.send(...run('s'), send.sync());
      assert.equal(firstError(await client.untilReady()).code, '26000');
      client.send(send.parse('s', 'SELECT 8'), ...run('s'), send.sync());
      assert.equal(singleValue(await client.untilReady()), '8');
      await client.close();
    });

    test('a pipeline goes on behind the Sync; the transaction of the batch is undone', async () => {
      const client = await login();
      client.send(
        ...[send.parse('', 'INSERT INTO kept VALUES (1)'), ...run('')],
        ...[send.parse('t', 'SELECT pg_advisory_lock(1)'), ...run('t'), send.sync()],
        ...[send.parse('', 'SELECT count(*) FROM kept'), ...run(''), send.sync()],
      );
      assert.equal(typesOf(await client.untilReady()), '12CEZ');
      assert.equal(singleValue(await client.untilReady()), '0');
      await client.close();
    });

    test('a Query behind messages without a Sync', async () => {
      const client = await login();
      client.send(send.parse('', 'SELECT 1'), ...run(''), send.query('LISTEN news'), send.sync());
      assert.equal(typesOf(await client.untilReady()), '12DCEZ');
      assert.equal(typesOf(await client.untilReady()), 'Z');
      client.send(...run(''), send.sync());
      assert.equal(firstError(await client.untilReady()).code, '26000');
      await client.close();
    });
  });

  test('what no text tells of is noticed behind the transaction', async () => {
    const client = await login();
    await client.query(
      "DO $$ BEGIN PERFORM pg_advisory_lock(1); PERFORM set_config('work_mem', '999', false); END $$",
    );
    const notice = await client.take('N');
    assert.match(bodyText(notice.at(-1)!), /keeps its server connection: advisory locks/);
    await client.query('SELECT pg_advisory_unlock_all()');
    const other = await login();
    assert.equal(await value(other, 'SHOW work_mem'), '4MB');
    await other.close();
    await client.close();
  });
});

onEveryDriver('strict for one user', {}, (stage) => {
  test('the others are transparent', async () => {
    await stage.server.query('DROP ROLE IF EXISTS careful; CREATE ROLE careful LOGIN');
    const file = join(scratchFolder('strict'), 'sluice.yaml');
    writeFileSync(file, JSON.stringify({ users: { careful: { session_state: 'strict' } } }));
    await withGateway({ io: stage.io, server: stage.server, file }, async (gateway) => {
      const strict = await RawClient.login(gateway, { user: 'careful' });
      const other = await RawClient.login(gateway);
      assert.equal(firstError(await strict.query('SET work_mem = 999')).code, '0A000');
      assert.equal(typesOf(await other.query('SET work_mem = 999')), 'CZ');
      await strict.close();
      await other.close();
    });
  });
});
