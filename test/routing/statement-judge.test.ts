import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PostgresParser } from '../../src/grammar/postgres-parser.js';
import { NO_CATALOGUE } from '../../src/routing/catalogue.js';
import type { SqlParser } from '../../src/routing/parse-tree.js';
import { decideStandby } from '../../src/routing/standby-decision.js';
import { JUDGED_BYTES_MAX, StatementJudge } from '../../src/routing/statement-judge.js';

const parser = await PostgresParser.open();

/** Counts how often the grammar was asked. */
class CountingParser implements SqlParser {
  calls = 0;

  parse(bytes: Uint8Array, start: number, end: number) {
    this.calls += 1;
    return parser.parse(bytes, start, end);
  }
}

function newJudge(shapesMax = 64) {
  const counting = new CountingParser();
  const judge = new StatementJudge(counting, [7, 11], shapesMax);
  const look = (sql: string, standardStrings = true) => {
    const bytes = Buffer.from(`<${sql}>`);
    return judge.judge(bytes, 1, bytes.length - 1, standardStrings);
  };
  return { counting, judge, look };
}

describe('the judge of statements', () => {
  test('asks the grammar once for a shape', () => {
    const { counting, judge, look } = newJudge();
    const first = look('SELECT abalance FROM pgbench_accounts WHERE aid = 1');
    for (let n = 2; n < 100; n += 1) {
      assert.equal(look(`select abalance from pgbench_accounts where aid = ${n} -- ${n}`), first);
    }
    assert.equal(counting.calls, 1);
    assert.equal(first.verdict.kind, 'read');
    assert.equal(
      look('SELECT abalance FROM pgbench_accounts WHERE aid = 1 FOR UPDATE').verdict.kind,
      'write',
    );
    assert.equal(judge.shapes.size, 2);
  });

  test('what one constant allows is not allowed to another', () => {
    const { look } = newJudge();
    const allowed = (sql: string) => decideStandby(look(sql).verdict, NO_CATALOGUE, null).mayRunOnStandby;
    assert.ok(allowed("SELECT current_setting('app.tenant')"));
    assert.ok(!allowed("SELECT current_setting('port')"));
    assert.ok(allowed(`SELECT "current_setting"('app.tenant')`));
    assert.ok(!allowed(`SELECT "current_setting"('port')`));
    assert.ok(allowed('SELECT f.a FROM generate_series(1, 2) f (a)'));
    assert.ok(!allowed("EXPLAIN (ANALYZE 'off') DELETE FROM t WHERE a = 'x'"));
    assert.ok(!allowed("SET a TO 'x'"));
  });

  test('long texts make it forget the others', () => {
    const { counting, judge, look } = newJudge(1024);
    look('SELECT 1');
    for (let n = 0; n < 100; n += 1) look(`SELECT a${n}, '${'x'.repeat(60_000)}'`);
    assert.ok(judge.shapes.size < 64);
    const before = counting.calls;
    look('SELECT 1');
    assert.equal(counting.calls, before + 1);
  });

  test('does not guess', () => {
    const { counting, look } = newJudge();
    for (const sql of ["SELECT 'a", 'SELECT U&"a"', `SELECT '${'x'.repeat(JUDGED_BYTES_MAX)}'`]) {
      assert.equal(look(sql).verdict.kind, 'unknown');
    }
    assert.equal(look("SELECT '\\'", false).verdict.kind, 'unknown');
    assert.equal(counting.calls, 0);
    assert.equal(look("SELECT '\\'", true).verdict.kind, 'read');
  });

  test('a syntax error is remembered, what was only too long is not', () => {
    const { counting, judge, look } = newJudge();
    look('SELECT 1 FROM');
    look('SELECT 2 FROM');
    assert.equal(counting.calls, 1);
    const long = `SELECT * FROM t WHERE a IN (${'1,'.repeat(40_000)}1)`;
    assert.match(look(long).verdict.reason ?? '', /longer than/);
    assert.equal(judge.shapes.size, 1);
    assert.equal(look('SELECT * FROM t WHERE a IN (1)').verdict.kind, 'read');
    assert.equal(look(long).verdict.kind, 'read');
    assert.equal(counting.calls, 3);
  });
});
