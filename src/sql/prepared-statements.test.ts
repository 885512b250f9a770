import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readPreparedStatementCommand } from './prepared-statements.js';

/** The command in short: verb, name, and the name's place as it is written. */
function read(sql: string): string | null {
  const bytes = Buffer.from(`;${sql} `);
  const command = readPreparedStatementCommand(bytes, 1, bytes.length - 1);
  if (command === null) return null;
  const { verb, name, bodyStart, doubtful } = command;
  const parts: string[] = [verb];
  if (name !== null) parts.push(`<${name.text}>`, bytes.toString('utf8', name.start, name.end));
  if (bodyStart >= 0) parts.push(`: ${bytes.toString('utf8', bodyStart, bytes.length - 1)}`);
  if (doubtful) parts.push('?');
  return parts.join(' ');
}

function assertRead(cases: Readonly<Record<string, string | null>>): void {
  for (const [sql, expected] of Object.entries(cases)) assert.equal(read(sql), expected, sql);
}

describe('commands about prepared statements', () => {
  test('PREPARE', () => {
    assertRead({
      'PREPARE a AS SELECT 1': 'prepare <a> a : SELECT 1',
      '/* x */ prepare "A ""b""" (int, numeric(10, 2)) as -- y\n INSERT INTO t VALUES ($1);':
        'prepare <A "b"> "A ""b""" : INSERT INTO t VALUES ($1);',
      'PREPARE Transaction AS SELECT 1': 'prepare <transaction> Transaction : SELECT 1',
      "PREPARE TRANSACTION 'a'": null,
      'PREPARE a': null,
      'PREPARE "" AS SELECT 1': null,
    });
  });

  test('EXECUTE, alone, explained, and as the source of a table', () => {
    assertRead({
      'EXECUTE a': 'execute <a> a',
      ";; Execute aBc ('x;y', $$;$$, f(2)) ;;": 'execute <abc> aBc',
      'EXPLAIN EXECUTE a': 'execute <a> a',
      'EXPLAIN ANALYZE VERBOSE EXECUTE "a" (1)': 'execute <a> "a"',
      'EXPLAIN (ANALYZE, FORMAT json) EXECUTE a': 'execute <a> a',
      'CREATE TABLE t AS EXECUTE a (1) WITH NO DATA': 'execute <a> a',
      'CREATE LOCAL TEMP TABLE IF NOT EXISTS s.as (x, y) WITH (fillfactor = 10) ON COMMIT DROP AS EXECUTE a':
        'execute <a> a',
      'EXPLAIN ANALYZE CREATE UNLOGGED TABLE "as" AS EXECUTE a': 'execute <a> a',
      'EXPLAIN SELECT 1': null,
      'CREATE TABLE t AS SELECT 1 AS execute': null,
      'CREATE VIEW v AS SELECT 1': null,
      'CREATE FUNCTION execute() RETURNS int': null,
    });
  });

  test('DEALLOCATE and DISCARD', () => {
    assertRead({
      'DEALLOCATE a': 'deallocate <a> a',
      'DEALLOCATE PREPARE a;': 'deallocate <a> a',
      'DEALLOCATE prepare': 'deallocate <prepare> prepare',
      'DEALLOCATE PREPARE Prepare': 'deallocate <prepare> Prepare',
      'DEALLOCATE ALL': 'deallocate all',
      'DEALLOCATE PREPARE ALL': 'deallocate all',
      'DEALLOCATE "all"': 'deallocate <all> "all"',
      'DEALLOCATE a b': null,
      'DISCARD ALL': 'discard all',
      'discard plans;': 'discard plans',
      'DISCARD TEMP': 'discard temp',
      'DISCARD TEMPORARY': 'discard temp',
      'DISCARD SEQUENCES': 'discard sequences',
      'DISCARD constructor': null,
      'DISCARD ALL PLANS': null,
    });
  });

  test('what is not one statement, or not certain', () => {
    assertRead({
      '': null,
      ';': null,
      'SELECT 1': null,
      'EXECUTE a; EXECUTE b': null,
      'SELECT 1; EXECUTE a': null,
      'EXECUTE U&"\\0061"': null,
      "EXECUTE a ('open": null,
      'EXECUTE ä': null,
      'EXECUTE "ä"': 'execute <ä> "ä"',
      "EXECUTE a ('\\')": 'execute <a> a ?',
    });
  });

  test('names are cut as PostgreSQL cuts them', () => {
    const long = 'x'.repeat(70);
    assertRead({
      [`EXECUTE ${long}`]: `execute <${long.slice(0, 63)}> ${long}`,
      [`EXECUTE "${long}"`]: `execute <${long.slice(0, 63)}> "${long}"`,
      [`EXECUTE "${'ä'.repeat(40)}"`]: null,
    });
  });

  test('a name in another encoding than UTF-8', () => {
    const latin1 = (sql: string) => readPreparedStatementCommand(Buffer.from(sql, 'latin1'), 0, sql.length);
    assert.equal(latin1('EXECUTE \u00e4'), null);
    assert.equal(latin1('EXECUTE "\u00e4"')?.name?.text, '\udce4');
  });

  test('any bytes: an answer, and a name lies in the text', () => {
    const word = fc.constantFrom(
      ...'PREPARE|EXECUTE|DEALLOCATE|DISCARD|ALL|EXPLAIN|(|)|AS|CREATE|TABLE|;|a|"b"|.|\'|U&"|/*|$$'.split(
        '|',
      ),
    );
    const texts = fc.array(word).map((words) => Buffer.from(words.join(' ')));
    fc.assert(
      fc.property(fc.oneof(texts, fc.uint8Array()), (bytes) => {
        const command = readPreparedStatementCommand(bytes, 0, bytes.length);
        if (command?.name)
          assert.ok(command.name.start < command.name.end && command.name.end <= bytes.length);
      }),
      { numRuns: 5000 },
    );
  });
});
