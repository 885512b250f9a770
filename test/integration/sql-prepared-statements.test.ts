/** Commands about prepared statements as `src/sql` reads them, against PostgreSQL, and with other names put into them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { readPreparedStatementCommand } from '../../src/sql/prepared-statements.js';
import { PostgresServer } from '../harness/postgres-server.js';

const NAMES = [
  'a',
  'Folded_Name$1',
  '"Quoted "" name"',
  '"with spaces; and (parentheses) AS x"',
  'transaction',
  'prepare',
  'x'.repeat(80),
  `"${'Y'.repeat(80)}"`,
  '"äöü"',
  '/* comment */ b -- and one more\n',
];
const RENAMED = '"renamed ""by"" the gateway"';

let server: PostgresServer;
before(async () => {
  server = await PostgresServer.start();
});
after(() => server?.discard());

/** The command with another name in the name's place. */
function rename(sql: string, name: string): string {
  const bytes = Buffer.from(sql);
  const command = readPreparedStatementCommand(bytes, 0, bytes.length);
  assert.ok(command?.name, sql);
  return `${bytes.subarray(0, command.name.start)}${name}${bytes.subarray(command.name.end)}`;
}

function nameIn(sql: string): string | undefined {
  const bytes = Buffer.from(sql);
  return readPreparedStatementCommand(bytes, 0, bytes.length)?.name?.text;
}

async function inSession(use: (session: pg.Client) => Promise<void>): Promise<void> {
  const session = new pg.Client({ connectionString: server.url() });
  await session.connect();
  await use(session).finally(() => session.end());
}

async function preparedNames(session: pg.Client): Promise<string[]> {
  return (await session.query('SELECT name FROM pg_prepared_statements')).rows.map(({ name }) => name);
}

test('names are those that PostgreSQL makes of them', async () => {
  for (const name of NAMES) {
    await inSession(async (session) => {
      const sql = `PREPARE ${name} (int) AS SELECT $1`;
      await session.query(sql);
      assert.deepEqual(await preparedNames(session), [nameIn(sql)]);
    });
  }
});

test('a command with another name does the same to another statement', async () => {
  for (const name of NAMES) {
    await inSession(async (session) => {
      const run = async (sql: string) => (await session.query(rename(sql, RENAMED))).rows;
      await run(`PREPARE ${name} (int, text) AS SELECT $1 AS x;`);
      assert.deepEqual(await preparedNames(session), ['renamed "by" the gateway']);
      assert.deepEqual(await run(`EXECUTE ${name} (7, 'EXECUTE ${name}')`), [{ x: 7 }]);
      assert.equal((await run(`EXPLAIN (COSTS off) EXECUTE ${name} (7, NULL)`))[0]?.['QUERY PLAN'], 'Result');
      await run(
        `CREATE TEMP TABLE t (y) WITH (fillfactor = 50) ON COMMIT PRESERVE ROWS AS EXECUTE ${name} (8, '')`,
      );
      assert.deepEqual((await session.query('SELECT * FROM t')).rows, [{ y: 8 }]);
      await run(`DEALLOCATE PREPARE ${name}`);
      assert.deepEqual(await preparedNames(session), []);
    });
  }
});
