import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { PARSED_BYTES_MAX, PostgresParser } from './postgres-parser.js';

const parser = await PostgresParser.open();

function parse(sql: string | Uint8Array, using = parser) {
  const bytes = typeof sql === 'string' ? Buffer.from(sql) : sql;
  return using.parse(bytes, 0, bytes.length);
}

function succeeds(sql: string, using = parser): boolean {
  return !('failure' in parse(sql, using));
}

describe("PostgreSQL's parser", () => {
  test('gives a tree, or its own message', () => {
    assert.equal((parse('SELECT 1; SELECT 2') as { stmts: unknown[] }).stmts.length, 2);
    assert.deepEqual(parse('SELEC 1'), { failure: 'syntax error at or near "SELEC"', final: true });
    assert.ok(succeeds("SELECT JSON_VALUE(a, '$') FROM t"));
    assert.ok(
      succeeds('MERGE INTO t USING u ON true WHEN NOT MATCHED BY SOURCE THEN DELETE RETURNING old.a, new.a'),
    );
  });

  test('takes little memory, also when it has much to do', () => {
    const program = `
      const { PostgresParser } = await import(process.argv[1]);
      const parser = await PostgresParser.open();
      const text = Buffer.from("SELECT a.x, coalesce(max(b.y), 1) FROM a JOIN b ON a.i = b.i WHERE a.z = 'z' GROUP BY 1");
      const before = process.resourceUsage().maxRSS;
      for (let i = 0; i < 40000; i++) parser.parse(text, 0, text.length);
      console.log((process.resourceUsage().maxRSS - before) / 1024);
      process.exit();`;
    const url = new URL('postgres-parser.js', import.meta.url).href;
    const args = ['--input-type=module', '--eval', program, url];
    const grownMiB = Number(execFileSync(process.execPath, args, { encoding: 'utf8' }));
    assert.ok(grownMiB < 150, `${grownMiB} MiB`);
  });

  test('reads no more than the range it is given', () => {
    const bytes = Buffer.from('xSELECT 1x');
    assert.ok(!('failure' in parser.parse(bytes, 1, bytes.length - 1)));
  });

  test('refuses what is too long, and zero bytes', () => {
    assert.ok(succeeds(`SELECT '${'x'.repeat(PARSED_BYTES_MAX - 9)}'`));
    assert.deepEqual(parse(`SELECT '${'x'.repeat(PARSED_BYTES_MAX - 8)}'`), {
      failure: `it is longer than ${PARSED_BYTES_MAX} bytes`,
    });
    assert.deepEqual(parse('SELECT 1\0; DELETE FROM t'), { failure: 'it has a zero byte' });
  });

  test('is replaced when it has failed, and works again', async () => {
    const fragile = await PostgresParser.open();
    const hostile = `SELECT ${'1+'.repeat(32_000)}1`;
    assert.deepEqual(parse(hostile, fragile), {
      failure: 'it is too much for the parser',
      final: true,
    });
    assert.equal(fragile.replaced, 1);
    assert.deepEqual(parse('SELECT 1', fragile), { failure: 'the parser is being replaced' });
    while (!succeeds('SELECT 1', fragile)) await turn();
    assert.equal(fragile.replaced, 1);
  });

  test('no text makes it throw', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => void parse(bytes)));
    const words = fc.constantFrom(
      'SELECT',
      'FROM',
      '(',
      ')',
      'a',
      ',',
      '1',
      "'x'",
      'WITH',
      'AS',
      ';',
      '[',
      '::',
      'OVER',
    );
    fc.assert(fc.property(fc.array(words, { maxLength: 30 }), (text) => void parse(text.join(' '))));
  });
});
