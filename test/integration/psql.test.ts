import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ask, psql } from '../harness/client-programs.js';
import { scratchFolder } from '../harness/scratch.js';
import { onEveryDriver } from '../harness/stage.js';

const SETUP = 'CREATE TABLE words (id int PRIMARY KEY, word text)';

onEveryDriver('psql', { setup: SETUP }, (stage) => {
  test('a statement, several statements, a failing one', async () => {
    assert.equal(await ask(stage.gateway, 'SELECT 40 + 2'), '42');
    assert.equal(await ask(stage.gateway, "SELECT 1; SELECT 'two'"), '1\ntwo');
    const { code, stderr } = await psql(stage.gateway, ['-c', 'SELECT 1/0']);
    assert.equal(code, 1);
    assert.match(stderr, /ERROR: {2}division by zero/);
  });

  test('goes on after an error in a script', async () => {
    const { code, stdout } = await psql(stage.gateway, ['-At'], {
      input: 'SELECT 1;\nSELECT nothing;\nBEGIN;\nSELECT 2;\nCOMMIT;\n\\dt words\n',
    });
    assert.equal(code, 0);
    assert.match(stdout, /^1\nBEGIN\n2\nCOMMIT\npublic\|words\|table\|postgres\n$/);
  });

  test('the session parameters are the server’s', async () => {
    const variables = '\\echo :SERVER_VERSION_NAME :ENCODING :USER :DBNAME';
    const [direct, through] = await Promise.all(
      [stage.server, stage.gateway].map((target) => psql(target, ['-At'], { input: variables })),
    );
    assert.equal(through?.stdout, direct?.stdout);
  });

  test('\\copy both ways gives the same bytes', async () => {
    const folder = scratchFolder('copy');
    const lines = Array.from({ length: 50_000 }, (_, i) => `${i}\t${hash(`${i}`)}\n`).join('');
    writeFileSync(join(folder, 'in'), lines);
    await ask(stage.gateway, 'TRUNCATE words');
    assert.equal(await ask(stage.gateway, `\\copy words FROM '${join(folder, 'in')}'`), 'COPY 50000');
    await ask(stage.gateway, `\\copy (SELECT * FROM words ORDER BY id) TO '${join(folder, 'out')}'`);
    assert.equal(hash(readFileSync(join(folder, 'out'))), hash(lines));
  });

  test('\\copy of bad data fails, and the session goes on', async () => {
    const { stdout, stderr } = await psql(stage.gateway, ['-At'], {
      input: '\\copy words FROM STDIN\nnot a number\tx\n\\.\nSELECT 7;\n',
    });
    assert.match(stderr, /invalid input syntax for type integer/);
    assert.match(stdout, /7\n$/);
  });

  test('a result of 30 MB arrives whole', async () => {
    const sql = 'SELECT repeat(md5(i::text), 32) FROM generate_series(1, 30000) i';
    const [direct, through] = await Promise.all([ask(stage.server, sql), ask(stage.gateway, sql)]);
    assert.ok(direct.length > 30_000_000);
    assert.equal(hash(through), hash(direct));
  });

  test('an unknown user and an unknown database are refused in the server’s words', async () => {
    const user = await psql(stage.gateway, ['-c', 'SELECT 1'], { user: 'nobody_knows' });
    assert.equal(user.code, 2);
    assert.match(user.stderr, /FATAL: {2}role "nobody_knows" does not exist/);
    const database = await psql(stage.gateway, ['-c', 'SELECT 1'], { database: 'nowhere' });
    assert.equal(database.code, 2);
    assert.match(database.stderr, /FATAL: {2}database "nowhere" does not exist/);
  });
});

function hash(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}
