/** SQL's DEALLOCATE of statements that the protocol has prepared, as psycopg gives them back: as on a direct connection. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeMessage } from '../harness/backend-message.js';
import * as send from '../harness/frontend-message.js';
import { RawClient } from '../harness/raw-client.js';
import { onEveryDriver } from '../harness/stage.js';

type Step = readonly Uint8Array[];

const PREPARED: Step = [send.parse('p', 'SELECT 1'), send.parse('Q "x"', 'SELECT 2'), send.sync()];
const use = (name: string): Step => [send.bind('', name), send.execute(''), send.sync()];
const query = (sql: string): Step => [send.query(sql)];
const extended = (sql: string): Step => [send.extended(sql)];

const SCRIPTS: Readonly<Record<string, readonly Step[]>> = {
  'by a simple query': [PREPARED, query('DEALLOCATE p'), use('p'), query('deallocate p'), PREPARED],
  'by the extended protocol': [PREPARED, extended('DEALLOCATE p'), use('p'), extended('deallocate p')],
  'by a name in quotes, with a word more': [
    PREPARED,
    query('DEALLOCATE PREPARE "Q ""x""" ;'),
    use('Q "x"'),
    use('p'),
  ],
  'within a transaction, which does not bring it back': [
    PREPARED,
    query('BEGIN'),
    query('DEALLOCATE p'),
    use('p'),
    query('ROLLBACK'),
    use('p'),
    use('Q "x"'),
  ],
  'not in a transaction that has failed': [
    PREPARED,
    query('BEGIN'),
    query('SELECT 1/0'),
    query('DEALLOCATE p'),
    extended('DEALLOCATE p'),
    query('ROLLBACK'),
    use('p'),
  ],
  'not behind an error in its batch': [
    PREPARED,
    [
      send.parse('', 'SELECT wrong'),
      send.parse('', 'DEALLOCATE p'),
      send.bind('', ''),
      send.execute(''),
      send.sync(),
    ],
    use('p'),
  ],
  'between uses of other statements in one batch': [
    PREPARED,
    [
      ...use('p').slice(0, 2),
      send.parse('', 'DEALLOCATE p'),
      send.bind('', ''),
      send.execute(''),
      ...use('Q "x"'),
    ],
    use('p'),
  ],
  'and the name is free again': [
    PREPARED,
    query('DEALLOCATE p'),
    [send.parse('p', 'SELECT 3'), ...use('p')],
    [send.parse('p', 'SELECT 4'), send.sync()],
  ],
};

onEveryDriver("SQL's DEALLOCATE of the protocol's statements", {}, (stage) => {
  async function transcript(at: { host: string; port: number }, steps: readonly Step[]): Promise<string[][]> {
    const client = await RawClient.login(at);
    const answers = [];
    for (const step of steps) {
      client.send(...step);
      const answer = await client.untilReady();
      answers.push(answer.map(describeMessage));
    }
    await client.close();
    return answers;
  }

  for (const [what, steps] of Object.entries(SCRIPTS)) {
    test(what, async () => {
      assert.deepEqual(await transcript(stage.gateway, steps), await transcript(stage.server, steps));
    });
  }
});
