/** Statements that a client prepares by SQL, where server connections are shared: they follow it, and reach nobody else. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { firstError, singleValue, typesOf } from '../harness/backend-message.js';
import * as send from '../harness/frontend-message.js';
import { RawClient } from '../harness/raw-client.js';
import { onEveryDriver } from '../harness/stage.js';

/** One server connection: a client that keeps it makes all others wait. */
const SETTINGS = { default_pool_size: 1, query_wait_timeout: 10, stats_users: 'postgres' };
const GROUND = `
  DROP SCHEMA IF EXISTS mine CASCADE; CREATE SCHEMA mine; CREATE TABLE mine.here AS SELECT 'mine' AS whose;
  DROP TABLE IF EXISTS here; CREATE TABLE here AS SELECT 'public' AS whose`;

const value = async (client: RawClient, sql: string) => singleValue(await client.query(sql));
const code = async (client: RawClient, sql: string) => firstError(await client.query(sql)).code;

onEveryDriver("SQL's PREPARE", { gateway: { settings: SETTINGS } }, (stage) => {
  before(() => stage.server.query(GROUND));

  async function withTwo(use: (one: RawClient, two: RawClient) => Promise<void>): Promise<void> {
    const [one, two] = [await RawClient.login(stage.gateway), await RawClient.login(stage.gateway)];
    await use(one, two);
    await one.close();
    await two.close();
  }

  test('is the client’s own', () =>
    withTwo(async (one, two) => {
      await one.query('PREPARE p(int) AS SELECT $1 + 1');
      assert.equal(await code(two, 'EXECUTE p(1)'), '26000');
      await two.query("PREPARE p AS SELECT 'two'; ");
      assert.equal(await value(one, 'EXECUTE p(1)'), '2');
      assert.equal(await value(two, 'EXECUTE p'), 'two');
      assert.equal(await code(one, 'PREPARE p AS SELECT 1'), '42P05');
      await one.query('DEALLOCATE p');
      assert.equal(await value(two, 'EXECUTE p'), 'two');
      assert.equal(await code(one, 'EXECUTE p(1)'), '26000');
      await two.query('DISCARD ALL');
      assert.equal(await code(two, 'EXECUTE p'), '26000');
    }));

  test('follows with everything that its text has', () =>
    withTwo(async (one, two) => {
      await one.query(`/* first */ PREPARE "A ""name""; of (its) own" (text, int) AS
        SELECT $1 || ';' || $$it's; $$ || $2 -- the end`);
      await one.query("PREPARE umlauts AS SELECT 'ä漢'");
      await one.query('SET search_path = mine');
      await one.query('DEALLOCATE ALL');
      await one.query('PREPARE whose AS SELECT whose FROM here');
      await one.query(`PREPARE "A ""name""" (text) AS SELECT $1 || ';' || $$it's; $$`);
      await one.query("PREPARE umlauts AS SELECT 'ä漢' -- the end");
      await two.query("SET search_path = public; SET work_mem = '1MB'");
      assert.equal(await value(two, 'SELECT count(*) FROM pg_prepared_statements WHERE from_sql'), '0');
      assert.equal(await value(one, 'EXECUTE whose'), 'mine');
      await two.query('SELECT 1');
      assert.equal(await value(one, `EXECUTE "A ""name""" ('x')`), "x;it's; ");
      await two.query('SELECT 1');
      assert.equal(await value(one, 'EXECUTE umlauts'), 'ä漢');
      // The protocol knows it by the same name.
      await two.query('SELECT 1');
      one.send(send.bind('', 'whose'), send.execute(''), send.sync());
      assert.equal(singleValue(await one.untilReady()), 'mine');
    }));

  test('what it does is noticed where the protocol runs it', () =>
    withTwo(async (one, two) => {
      await one.query("PREPARE s AS SELECT set_config('work_mem', '9MB', false)");
      one.send(send.bind('', 's'), send.execute(''), send.sync());
      assert.equal(singleValue(await one.untilReady()), '9MB');
      assert.equal(await value(two, 'SHOW work_mem'), '4MB');
      assert.equal(await value(one, 'SHOW work_mem'), '9MB');
    }));

  test('reaches no statement of the protocol', () =>
    withTwo(async (one, two) => {
      one.send(send.parse('mine', "SELECT 'secret'"), send.sync());
      await one.untilReady();
      const sql = "SELECT name FROM pg_prepared_statements WHERE statement LIKE '%secret%' AND NOT from_sql";
      const name = await value(two, sql);
      assert.match(name ?? '', /^sluice_/);
      assert.equal(await code(two, `EXECUTE ${name}`), '26000');
      await two.query('BEGIN');
      assert.equal(await code(two, `DEALLOCATE ${name}`), '26000');
      assert.equal(await code(two, 'SELECT 1'), '25P02');
      await two.query('ROLLBACK');
      two.send(send.extended(`EXECUTE ${name}`));
      assert.equal(firstError(await two.untilReady()).code, '26000');
      assert.equal(await code(two, `PREPARE ${name} AS SELECT 1`), '42P05');
      one.send(send.bind('', 'mine'), send.execute(''), send.sync());
      assert.equal(singleValue(await one.untilReady()), 'secret');
    }));

  test('DEALLOCATE lets go what a driver has prepared by the protocol', () =>
    withTwo(async (one, two) => {
      for (const driver of ['first', 'again']) {
        one.send(send.parse('a1', `SELECT '${driver}'`), send.bind('', 'a1'), send.execute(''), send.sync());
        assert.equal(singleValue(await one.untilReady()), driver);
        await one.query('BEGIN');
        const answer = await one.query('DEALLOCATE PREPARE "a1"');
        assert.equal(typesOf(answer), 'CZ');
        assert.equal(answer.at(-1)!.body.toString('latin1'), 'T');
        one.send(send.bind('', 'a1'), send.sync());
        assert.equal(firstError(await one.untilReady()).code, '26000');
        assert.equal(await code(one, 'DEALLOCATE a1'), '25P02');
        await one.query('ROLLBACK');
        assert.equal(await code(one, 'DEALLOCATE a1'), '26000');
        await two.query('SELECT 1');
      }
      // Together with others, and behind them.
      one.send(
        send.parse('a1', 'SELECT 1'),
        send.sync(),
        send.query('DEALLOCATE a1'),
        send.query('SELECT 2'),
      );
      const answers = [];
      for (let i = 0; i < 3; i++) answers.push(typesOf(await one.untilReady()));
      assert.deepEqual(answers, ['1Z', 'CZ', 'TDCZ']);
    }));

  test('one that can no more be prepared harms nothing else', () =>
    withTwo(async (one, two) => {
      await one.query('DROP TABLE IF EXISTS passing; CREATE TABLE passing AS SELECT 1 AS i');
      await one.query('PREPARE p AS SELECT i FROM passing');
      await one.query('PREPARE q AS SELECT 7');
      await two.query('DROP TABLE passing');
      for (let i = 0; i < 2; i++) {
        assert.equal(typesOf(await one.query('SELECT 1')), 'TDCZ');
        assert.equal(await value(one, 'EXECUTE q'), '7');
        // As on a direct connection.
        assert.equal(await code(one, 'EXECUTE p'), '42P01');
        await two.query('SELECT 1');
      }
      await two.query('CREATE TABLE passing AS SELECT 2 AS i');
      assert.equal(await value(one, 'EXECUTE p'), '2');
      await two.query('DROP TABLE passing');
      assert.equal(typesOf(await one.query('DEALLOCATE p')), 'CZ');
      assert.equal(await code(one, 'EXECUTE p'), '26000');
      await one.query('PREPARE p AS SELECT 8');
      await two.query('SELECT 1');
      assert.equal(await value(one, 'EXECUTE p'), '8');
    }));

  describe('pins where the text does not tell all', () => {
    const reasons = async () => {
      const console = await RawClient.login(stage.gateway, { database: 'pgbouncer' });
      const answer = await console.query('SHOW PINS');
      await console.close();
      return answer.filter(({ type }) => type === 'D').map(({ body }) => body.toString('latin1'));
    };

    for (const [what, first, second] of [
      ['several statements in one text', "SELECT 1; PREPARE p AS SELECT 'x'", ''],
      ['a backslash', "PREPARE p AS SELECT E'x'; -- \\", ''],
      ['a function', `DO $$ BEGIN EXECUTE 'PREPARE p AS SELECT ''x''; SELECT 1'; END $$`, ''],
      ['another search_path since', "PREPARE p AS SELECT 'x'", 'SET search_path = mine'],
      ['another DateStyle since', "PREPARE p AS SELECT 'x'", 'SET DateStyle = German'],
      [
        'letters that the server reads in another encoding',
        'SET client_encoding = LATIN1; SELECT 1',
        'PREPARE p AS SELECT \'x\' AS "ä"',
      ],
    ] as const) {
      test(what, async () => {
        const client = await RawClient.login(stage.gateway);
        await client.query(first);
        if (second !== '') await client.query(second);
        await client.query('SELECT 1');
        const pins = await reasons();
        assert.equal(pins.length, 1, pins.join('\n'));
        assert.match(pins[0]!, /statements prepared by SQL/);
        assert.equal(await value(client, 'EXECUTE p'), 'x');
        await client.query('DEALLOCATE p');
        await client.query('SELECT 1');
        assert.deepEqual(await reasons(), []);
        await client.close();
      });
    }
  });
});
