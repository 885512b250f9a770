/** `currval()` and `lastval()` on shared server connections: they tell of their own session, or of none. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { firstError, singleValue, typesOf } from '../harness/backend-message.js';
import * as send from '../harness/frontend-message.js';
import { RawClient } from '../harness/raw-client.js';
import { onEveryDriver } from '../harness/stage.js';

const READ = "SELECT currval('numbers')";
const GROUND = `
  DROP TABLE IF EXISTS rows; DROP SEQUENCE IF EXISTS numbers; CREATE SEQUENCE numbers;
  CREATE TABLE rows (i int DEFAULT nextval('numbers'), j int)`;

onEveryDriver('sequence reads', { gateway: { settings: { default_pool_size: 1 } } }, (stage) => {
  const extended = (name: string, sql: string) => [
    send.parse(name, sql),
    send.bind('', name),
    send.execute(''),
  ];

  /** A client whose server connection has just given another one a value. */
  async function second(): Promise<RawClient> {
    const first = await RawClient.login(stage.gateway);
    await first.query("SELECT nextval('numbers')");
    await first.close();
    return RawClient.login(stage.gateway);
  }

  before(() => stage.server.query(GROUND));

  describe('the first thing that a client does', () => {
    const ways: readonly (readonly [how: string, packets: readonly Buffer[], answers: number])[] = [
      ['Query', [send.query(READ)], 1],
      ['Query in a transaction', [send.query('BEGIN'), send.query(READ)], 2],
      [
        'Query behind harmless ones',
        [send.query('BEGIN; SELECT 1'), send.query('SELECT 2'), send.query(READ)],
        3,
      ],
      ['unnamed statement', [...extended('', READ), send.sync()], 1],
      ['named statement', [...extended('s', READ), send.sync()], 1],
      ['in a transaction', [...extended('', 'BEGIN'), send.sync(), ...extended('', READ), send.sync()], 2],
      ['in one batch', [...extended('', 'BEGIN'), ...extended('', READ), send.sync()], 1],
      ['Query within a batch', [...extended('', 'SELECT 1'), send.query(READ), send.sync()], 2],
      ['lastval', [send.query('BEGIN'), ...extended('', 'SELECT lastval()'), send.sync()], 2],
    ];
    for (const [how, packets, answers] of ways) {
      test(how, async () => {
        const client = await second();
        client.send(...packets);
        const all = [];
        for (let i = 0; i < answers; i++) all.push(...(await client.untilReady()));
        assert.equal(firstError(all).code, '55000');
        await client.query('ROLLBACK');
        // From now on the session is its own.
        const next = await client.query("SELECT nextval('numbers')");
        assert.equal(singleValue(await client.query(READ)), singleValue(next));
        await client.close();
      });
    }
  });

  describe('what the client has got itself', () => {
    const ways: readonly (readonly [how: string, sql: readonly string[]])[] = [
      ['nextval', ["SELECT nextval('numbers')", READ]],
      ['nextval in a transaction', ['BEGIN', "SELECT nextval('numbers')", READ]],
      ['a default', ['BEGIN', 'INSERT INTO rows (j) VALUES (1)', READ]],
      ['one text', [`SELECT nextval('numbers'), ${READ.slice(7)}`]],
    ];
    for (const [how, sql] of ways) {
      test(`${how}: Query`, async () => {
        const client = await second();
        let last = await client.query(sql[0]!);
        for (const text of sql.slice(1)) last = await client.query(text);
        assert.doesNotMatch(typesOf(last), /E/);
        await client.query('ROLLBACK');
        await client.close();
      });
      test(`${how}: extended, in a pipeline`, async () => {
        const client = await second();
        client.send(...sql.flatMap((text) => [...extended('', text), send.sync()]));
        for (const text of sql) assert.doesNotMatch(typesOf(await client.untilReady()), /E/, text);
        await client.query('ROLLBACK');
        await client.close();
      });
    }
  });

  test('nothing is forgotten by a batch that fails before', async () => {
    const client = await second();
    client.send(...extended('', 'SELECT 1/0'), ...extended('', READ), send.sync());
    assert.equal(firstError(await client.untilReady()).code, '22012');
    client.send(...extended('', READ), send.sync());
    assert.equal(firstError(await client.untilReady()).code, '55000');
    client.send(send.query('BEGIN'), send.query('SELECT 1/0'), send.query(READ), send.query('ROLLBACK'));
    for (const code of [null, '22012', '25P02', null]) {
      const answer = await client.untilReady();
      if (code !== null) assert.equal(firstError(answer).code, code);
    }
    await client.close();
  });
});
