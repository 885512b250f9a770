import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { SessionEffect } from './session-effect.js';
import { sessionEffects } from './session-effects.js';
import { ShapeReader } from './shape.js';

const SEED: readonly [number, number] = [0x1234567, -0x7654321];
const reader = new ShapeReader(SEED);

function shapeOf(text: string, standardStrings = true): string | null {
  const bytes = Buffer.from(text);
  if (!reader.read(bytes, 0, bytes.length, standardStrings)) return null;
  return `${reader.low}:${reader.high}`;
}

function same(...texts: string[]): void {
  for (const text of texts) assert.equal(shapeOf(text), shapeOf(texts[0]!), `${texts[0]} | ${text}`);
}

function different(...texts: string[]): void {
  const shapes = new Map<string | null, string>();
  for (const text of texts) {
    const shape = shapeOf(text);
    assert.notEqual(shape, null, text);
    assert.equal(shapes.get(shape), undefined, `${text} has the shape of ${shapes.get(shape)}`);
    shapes.set(shape, text);
  }
}

describe('the shape of a statement', () => {
  test('comments, spaces, case and constants do not count', () => {
    same(
      'SELECT abalance FROM pgbench_accounts WHERE aid = 12345',
      'select abalance\n\tfrom PGBENCH_accounts -- why\nwhere aid=7',
      '/* a /* nested */ one */ SELECT abalance FROM pgbench_accounts WHERE aid = $1',
      'SELECT abalance FROM pgbench_accounts WHERE aid =/**/1.5e3',
    );
    same("SELECT 'a'", "SELECT 'it''s'", 'SELECT $$b$$', "SELECT E'\\n'");
  });

  test('a list of IN counts as one constant', () => {
    same(
      'SELECT * FROM t WHERE a IN (1)',
      'SELECT * FROM t WHERE a IN (1, 2, 3)',
      'select * from t where a in ($1,$2)',
    );
    same("SELECT * FROM t WHERE a NOT IN ('x') AND b", "SELECT * FROM t WHERE a NOT IN ('x','y') AND b");
    different(
      'SELECT * FROM t WHERE a IN (1)',
      'SELECT * FROM t WHERE a IN (1,)',
      'SELECT * FROM t WHERE a IN (1, b)',
      'SELECT * FROM t WHERE a IN (b, 1)',
      'SELECT * FROM t WHERE a IN (f(1, 2))',
      'SELECT * FROM t WHERE a IN (f(1))',
    );
  });

  test('rows of constants count as one', () => {
    same(
      'INSERT INTO t VALUES (1, 2)',
      "insert into t values (1, 'a'), (NULL, 3)",
      'INSERT INTO t VALUES ($1, $2), ($3, $4), ($5, $6)',
    );
    same(
      'INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING',
      'INSERT INTO t VALUES (1), (2) ON CONFLICT DO NOTHING',
    );
    same('VALUES (1)', 'VALUES (1), (2)');
    same('SELECT * FROM (VALUES (1, 2), (3, 4)) AS v (a, b)', 'SELECT * FROM (VALUES (1, 2)) AS v (a, b)');
    different(
      'INSERT INTO t VALUES (1, 2)',
      'INSERT INTO t VALUES (1), (2)',
      'INSERT INTO t VALUES (1), (2, 3)',
      'INSERT INTO t VALUES (1, 2), (3)',
      'INSERT INTO t VALUES (1, f(2))',
      'INSERT INTO t VALUES (1, 2), (1, f(2))',
      'INSERT INTO t VALUES (1, 2), (f(1, 2))',
      'INSERT INTO t VALUES (1, g(2))',
      'INSERT INTO t VALUES (1, a), (2, b)',
      'INSERT INTO t VALUES (1, 2), (3, 4) RETURNING a',
      'INSERT INTO t VALUES (1, 2), 3',
      'INSERT INTO t VALUES (1, -2)',
      'INSERT INTO t VALUES (1, 2), (3, -2)',
      'INSERT INTO t VALUES (1, (2))',
      'INSERT INTO t VALUES ()',
      'INSERT INTO t DEFAULT VALUES',
    );
    // Parentheses may be open where a statement ends, in the body of a rule.
    different('VALUES (1, 2)', 'CREATE RULE r AS ON INSERT TO t DO (DELETE FROM a; DELETE FROM b)');
    different(
      'CREATE RULE r AS ON INSERT TO t DO (DELETE FROM a; DELETE FROM b)',
      'VALUES (1, 2), (f(3), 4)',
    );
    different("SET x TO 'a'; VALUES (1)", "SET x TO 'b'; VALUES (1)");
    different('CREATE TABLE t AS VALUES (1)', 'CREATE TABLE t AS VALUES (1), (1)');
  });

  test('arguments of functions count, for their number chooses the function', () => {
    different('SELECT f()', 'SELECT f(1)', 'SELECT f(1, 2)', 'SELECT f(1, 2, 3)', "SELECT f('1', 2)");
  });

  test('what changes the meaning changes the shape', () => {
    different(
      'SELECT a',
      'SELECT "a"',
      'SELECT "A"',
      'SELECT a b',
      'SELECT ab',
      'SELECT a.b',
      'SELECT a, b',
      'SELECT a FOR UPDATE',
      'SELECT a INTO b',
      'SELECT a; SELECT b',
      'SELECT a + - 1',
      'SELECT a +- 1',
      'SELECT a - 1',
      'SELECT a::b',
      'SELECT (a)',
      'SELECT a[1]',
      "SELECT x'1f'",
      "SELECT x '1f'",
      "SELECT y '1f'",
    );
  });

  test('literals count where they decide', () => {
    different("SET x TO 'on'", "SET x TO 'off'");
    different('SET x = 0', 'SET x = 1');
    different(
      "EXPLAIN (ANALYZE 'on') INSERT INTO t VALUES (1)",
      "EXPLAIN (ANALYZE 'off') INSERT INTO t VALUES (1)",
    );
    different('EXPLAIN (ANALYZE 1) TABLE t', 'EXPLAIN (ANALYZE 0) TABLE t');
    different("SELECT current_setting('a.b')", "SELECT current_setting('in_hot_standby')");
    different(`SELECT "current_setting"('a.b')`, `SELECT "current_setting"('in_hot_standby')`);
    different("SELECT 1; SET x TO 'on'", "SELECT 1; SET x TO 'off'");
    same("SET x TO 'on'; SELECT 1", "SET x TO 'on'; SELECT 2");
    different("COPY t TO '/a'", "COPY t TO '/b'");
  });

  test('a text without an end has no shape, nor has one whose quotes depend on a setting', () => {
    for (const text of ["SELECT 'a", 'SELECT "a', 'SELECT /* a', 'SELECT $a$b', 'SELECT U&"a"']) {
      assert.equal(shapeOf(text), null, text);
    }
    assert.equal(shapeOf("SELECT '\\'", false), null);
    assert.notEqual(shapeOf("SELECT '\\'", true), null);
  });

  test('the seed decides', () => {
    const bytes = Buffer.from('SELECT a');
    const other = new ShapeReader([SEED[0], SEED[1] + 1]);
    other.read(bytes, 0, bytes.length, true);
    assert.notEqual(`${other.low}:${other.high}`, shapeOf('SELECT a'));
  });
});

/** A token with the texts that it may have, all of one shape; and what it is, so that different ones can be told. */
interface Piece {
  readonly is: string;
  readonly texts: readonly string[];
}

const word = fc
  .stringMatching(/^[a-z_][a-z0-9_$]{0,9}$/)
  .filter((text) => !['in', 'current_setting', 'e', 'u', 'b', 'x', 'n'].includes(text))
  .map((text): Piece => ({ is: `w:${text}`, texts: [text, text.toUpperCase()] }));
const quoted = fc
  .stringMatching(/^[a-zA-Z ]{1,8}$/)
  .map((text): Piece => ({ is: `q:${text}`, texts: [`"${text}"`] }));
const number = fc.nat().map((n): Piece => ({ is: 'n', texts: [`${n}`, `$${(n % 99) + 1}`, `${n}.5`] }));
const literal = fc
  .stringMatching(/^[a-z ]{0,6}$/)
  .map((text): Piece => ({ is: 'l', texts: [`'${text}'`, `$q$${text}$q$`] }));
const mark = fc
  .constantFrom(',', '(', ')', '.', '::', ';', '=', '<', '[', ']')
  .map((text): Piece => ({ is: text, texts: [text] }));
const statement = fc.array(fc.oneof({ weight: 3, arbitrary: word }, quoted, number, literal, mark), {
  maxLength: 25,
});
const gap = fc.constantFrom(' ', '\n', '  \t', ' /* x \' " */ ', ' -- y\n');

/** Literals are forgotten in every statement if each begins so. */
function write(pieces: readonly Piece[], choose: (index: number) => number, gaps: readonly string[]): string {
  let text = 'SELECT';
  pieces.forEach(({ is, texts }, index) => {
    text += gaps[index % gaps.length];
    text += texts[choose(index) % texts.length];
    if (is === ';') text += ' SELECT';
  });
  return text;
}

describe('properties of shapes', () => {
  test('whatever does not count changes nothing', () => {
    fc.assert(
      fc.property(
        statement,
        fc.array(gap, { minLength: 1 }),
        fc.array(fc.nat(), { minLength: 1 }),
        (pieces, gaps, dice) => {
          const plain = write(pieces, () => 0, [' ']);
          const other = write(pieces, (index) => dice[index % dice.length]!, gaps);
          assert.equal(shapeOf(other), shapeOf(plain));
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('different structures have different shapes', () => {
    const seen = new Map<string, string>();
    fc.assert(
      fc.property(statement, (pieces) => {
        const structure = pieces.map(({ is }) => is).join(' ');
        const shape = shapeOf(write(pieces, () => 0, [' '])) ?? '';
        assert.equal(seen.get(shape) ?? structure, structure);
        seen.set(shape, structure);
      }),
      { numRuns: 5000 },
    );
  });

  test('a shape does not depend on what was read before', () => {
    const token = fc.constantFrom(
      ...'()(),,;1',
      'IN',
      'VALUES',
      'a',
      "'x'",
      'NULL',
      'SELECT',
      'SET',
      '-',
      '"q"',
    );
    const text = fc.array(token, { maxLength: 20 }).map((tokens) => tokens.join(' '));
    fc.assert(
      fc.property(text, text, (before, after) => {
        shapeOf(before);
        const shape = shapeOf(after);
        const fresh = new ShapeReader(SEED);
        const bytes = Buffer.from(after);
        fresh.read(bytes, 0, bytes.length, true);
        assert.equal(shape, `${fresh.low}:${fresh.high}`);
      }),
      { numRuns: 3000 },
    );
  });

  test('no bytes make it fail', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        reader.read(bytes, 0, bytes.length, true);
      }),
    );
  });
});

/** Parts of texts; `?` stands for a constant. */
const PARTS =
  `? ? ? ? , , ( ) ( ) ; . :: select from where values in null true as with on distinct into insert not is
 set_config( set_config(?,?,true) nextval( "nextval"( lower( mine( pg_catalog. pg_temp t "t" = - ?::text`.split(
    /\s+/,
  );
const CONSTANTS = [
  "'a'",
  "'a.b'",
  "'set_config(1)'",
  "''",
  "E'a\\n'",
  '$$true$$',
  '$x$;$x$',
  '$1',
  '1',
  '.5e3',
];

describe('what is kept with a shape', () => {
  test('whether a statement leaves something in its session does not hang on its constants', () => {
    let [alike, harmless] = [0, 0];
    const constants = fc.array(fc.constantFrom(...CONSTANTS), { minLength: 8, maxLength: 8 });
    const parts = fc.array(fc.constantFrom(...PARTS), { minLength: 1, maxLength: 14 });
    const isHarmless = (text: string) =>
      sessionEffects(Buffer.from(text), 0, Buffer.byteLength(text), true) === SessionEffect.NONE;
    const property = fc.property(parts, constants, constants, (words, some, others) => {
      const filled = (values: string[]) => {
        let next = 0;
        return `select ${words.join(' ')}`.replaceAll('?', () => values[next++ % values.length]!);
      };
      const [one, other] = [filled(some), filled(others)];
      const shape = shapeOf(one);
      if (shape === null || shape !== shapeOf(other)) return;
      alike += 1;
      harmless += Number(isHarmless(one));
      assert.equal(isHarmless(other), isHarmless(one), `${one} | ${other}`);
    });
    fc.assert(property, { numRuns: 5000 });
    assert.ok(alike > 500 && harmless > 100, `${alike} pairs of one shape, ${harmless} of them harmless`);
  });
});
