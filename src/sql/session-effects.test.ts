import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { SessionEffect } from './session-effect.js';
import { sessionEffects } from './session-effects.js';

const {
  STATE,
  LISTEN,
  SEQUENCE_SET,
  SEQUENCE_READ,
  LOAD,
  DISCARD_ALL,
  PREPARED,
  CUSTOM_SETTING,
  INSERT,
  UNSEEN,
  NOTIFY,
  MODIFY,
  CHANNELS,
  OPAQUE,
  COMMIT,
} = SessionEffect;

function effectsOf(sql: string): number {
  // Bytes around the text must not matter.
  const bytes = Buffer.from(`'${sql}"`);
  return sessionEffects(bytes, 1, bytes.length - 1);
}

/** The flags' names, for messages that can be read. */
function named(effects: number): string {
  const names = Object.entries(SessionEffect).filter(([, bit]) => (effects & bit) !== 0);
  return names.map(([name]) => name).join(' ') || 'NONE';
}

/** Of all effects but MODIFY, OPAQUE and COMMIT, which have tests of their own. */
function assertEffects(effects: number, statements: readonly string[]): void {
  for (const sql of statements)
    assert.equal(named(effectsOf(sql) & ~(MODIFY | OPAQUE | COMMIT)), named(effects), sql);
}

const HARMLESS = [
  '',
  ' ; ; -- nothing',
  'SELECT abalance FROM pgbench_accounts WHERE aid = 12345;',
  'select 1; select 2',
  'BEGIN; SELECT lower(name) FROM t; COMMIT',
  'START TRANSACTION ISOLATION LEVEL REPEATABLE READ',
  'SELECT "u"."id" AS "u_id", count(*) AS n FROM "users" "u" WHERE ("u"."email" = $1 AND "u"."gone" IS NULL) LIMIT 1',
  'SELECT a FROM t WHERE b IN (1, 2) AND (c, d) NOT IN (SELECT 1, 2) AND e = ANY ($1) OR EXISTS (SELECT 1)',
  'SELECT * FROM a LEFT JOIN (b CROSS JOIN (c)) ON (a.x = b.x) JOIN LATERAL (SELECT 1) s USING (x)',
  'SELECT sum(x) FILTER (WHERE y) OVER (PARTITION BY (z) ORDER BY (z) ROWS BETWEEN (1) PRECEDING AND (2) FOLLOWING) FROM t',
  'SELECT row_number() OVER w FROM t WINDOW w AS (ORDER BY x)',
  'SELECT x::numeric(10, 2), CAST(y AS character varying(10)), $1::vector(3), z::timestamp(3) with time zone FROM t',
  "SELECT date_trunc('day', x) AT TIME ZONE ('utc'), EXTRACT(epoch FROM now()), trim(both (x) from y) FROM t",
  'SELECT coalesce(a, b), nullif(a, b), greatest(a, b), row(a, b), array(SELECT 1) FROM t GROUP BY (a), GROUPING SETS ((b), ())',
  'SELECT * FROM (VALUES (1, 2)) t (a, b)',
  'SELECT * FROM generate_series(1, 3) WITH ORDINALITY AS g (x, n), unnest($1::int[]) AS u(y)',
  'SELECT pg_catalog.lower(a), "lower"(b), pg_catalog . upper (c), d OPERATOR(pg_catalog.=) (e) FROM t',
  'WITH RECURSIVE t (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t), u (x) AS NOT MATERIALIZED (SELECT 1) SELECT * FROM t, u',
  'UPDATE t SET (a, b) = (1, 2) WHERE a LIKE (b) AND c ILIKE (d) RETURNING (a)',
  'DELETE FROM t USING u WHERE t.a = u.a',
  'SELECT a FROM t FOR UPDATE OF t SKIP LOCKED',
  "SELECT pg_try_advisory_xact_lock(hashtext('a')) FROM t TABLESAMPLE system (10) REPEATABLE (1)",
  'SELECT insert, "set", t.reset, t.load FROM t',
  'SAVEPOINT a; ROLLBACK TO a; RELEASE a',
  'DECLARE c CURSOR FOR SELECT 1; FETCH ALL IN c',
  'EXPLAIN (ANALYZE, FORMAT json) SELECT lower(a) FROM t',
  'EXPLAIN ANALYZE VERBOSE WITH a (x) AS (SELECT 1), b (y) AS (SELECT 2) SELECT * FROM a, b',
  'COPY (SELECT lower(a) FROM t) TO STDOUT',
  'VACUUM (ANALYZE) t (a, b)',
  'ANALYZE t (a)',
  'SET LOCAL my.setting = 1',
  'SET TRANSACTION READ ONLY',
  'SET CONSTRAINTS ALL DEFERRED',
  "SELECT set_config('role', $1, true), set_config('my.setting', 'x', TRUE)",
  'SELECT pg_advisory_xact_lock(1), pg_try_advisory_xact_lock_shared(2)',
  "PREPARE TRANSACTION 'x'; COMMIT PREPARED 'x'",
  "SELECT 'SET x = 1; LISTEN y', $$ SELECT f(1) $$, $a$ $$ f( $a$, E'\\' f(', U&'f(' /* SET /* f( */ LOAD */ -- f(",
  "SELECT 'a\\b' || 'c\\\\' || 'd''e'",
  'SELECT 1.5e-3, .5, 2., $1, x[1:2] FROM t',
];

const STATEFUL = [
  'SET search_path = a',
  'SET SESSION search_path = a',
  'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY',
  'SET ROLE a',
  'SET SESSION AUTHORIZATION a',
  'RESET ALL',
  'DISCARD TEMP',
  'SELECT 1; RESET ROLE',
  "SELECT set_config('role', $1, false)",
  "SELECT set_config('role', $1, $2)",
  "SELECT pg_catalog.set_config('search_path', '', false)",
  'CREATE TEMP TABLE t ()',
  'CREATE TABLE t ()',
  'DROP TABLE t',
  'SELECT 1 INTO TEMP t',
  'SELECT a.insert INTO TEMP t FROM a',
  'SELECT * FROM pg_temp.t',
  'SELECT * FROM "pg_temp_3"."t"',
  'DECLARE c CURSOR WITH HOLD FOR SELECT 1',
  'CLOSE c',
  'SELECT pg_advisory_lock(1)',
  'SELECT pg_try_advisory_lock_shared(1)',
  'SELECT pg_advisory_unlock_all()',
  'DO $$ BEGIN END $$',
  'CALL p()',
  'GRANT a TO b',
  'SELECT f(1)',
  'SELECT f -- comment\n (1)',
  'SELECT public.lower(a)',
  'SELECT a.b.lower(c)',
  'SELECT pg_catalog.f(1)',
  'SELECT "Lower"(a)',
  'SELECT "select"(a)',
  'SELECT * FROM t WHERE filter(x) AND over(y)',
  'SELECT DISTINCT ON (a) f(b) FROM t',
  'SELECT 1 AS from FROM f(1)',
  'SELECT a, f (b) AS c FROM t',
  'WITH a AS (SELECT 1) (SELECT 1) ORDER BY a, f(1)',
  'WITH a AS (SELECT f(1)) SELECT 1',
  'SELECT a LIKE first(b) FROM t',
  'UPDATE t SET a = f(1)',
  'EXPLAIN ANALYZE SELECT f(1)',
  'EXPLAIN (SELECT f(1))',
  'COPY (SELECT f(1)) TO STDOUT',
  "SELECT query_to_xml('SELECT 1', true, true, '')",
  'SELECT 1 \\gexec',
  "SELECT 'a' LIKE 'b' ESCAPE '\\'",
  "SELECT 'open",
  'SELECT "open',
  'SELECT /* open',
  'SELECT $a$ open $b$',
  "SELECT E'a'\n'\\' f('",
  'SELECT U&"\\0070g_temp".t',
  'SELECT 1into temp t',
  'FROBNICATE',
  '"SELECT" 1',
];

describe('what statements leave in their session', () => {
  test('statements that leave nothing', () => assertEffects(SessionEffect.NONE, HARMLESS));

  test('statements that may leave something, or that nobody knows', () => assertEffects(STATE, STATEFUL));

  test('LISTEN, LOAD, DISCARD, statements prepared in SQL', () => {
    assertEffects(LISTEN, ['LISTEN a', 'UNLISTEN *', 'SELECT 1; LISTEN "a"']);
    assertEffects(STATE | LOAD, ["LOAD 'auto_explain'"]);
    assertEffects(STATE | DISCARD_ALL | PREPARED, ['DISCARD ALL', 'discard/**/all;']);
    assertEffects(STATE | PREPARED, [
      'DISCARD PLANS',
      'EXECUTE a',
      'EXECUTE a (1)',
      'EXPLAIN ANALYZE EXECUTE a (1)',
    ]);
    assertEffects(STATE | PREPARED, ['CREATE TABLE t AS EXECUTE a (1)']);
    assertEffects(PREPARED, ['PREPARE a AS SELECT 1', 'PREPARE a (int) AS SELECT $1', 'DEALLOCATE ALL']);
    assertEffects(PREPARED, ['PREPARE transaction AS SELECT 1']);
  });

  test('NOTIFY', () => {
    assertEffects(NOTIFY, ['NOTIFY a', "notify a, 'b'", "SELECT pg_notify('a', b) FROM t"]);
    assertEffects(CHANNELS, ['SELECT * FROM pg_listening_channels() AS c']);
    assertEffects(NOTIFY | LISTEN, ['LISTEN a; NOTIFY a']);
  });

  test('sequences', () => {
    assertEffects(SEQUENCE_SET, [
      "SELECT nextval('s')",
      "SELECT pg_catalog.setval ('s', 1)",
      `SELECT "nextval"('s')`,
    ]);
    assertEffects(SEQUENCE_READ, ["SELECT currval('s')", 'SELECT LastVal()']);
    assertEffects(INSERT, [
      'INSERT INTO t VALUES (1)',
      'COPY t (a, b) FROM STDIN WITH (FORMAT csv, FORCE_NULL (a))',
    ]);
    assertEffects(INSERT, [
      'INSERT INTO "public"."t" ("a") VALUES ($1) ON CONFLICT ("a") DO UPDATE SET "a" = EXCLUDED."a"',
    ]);
    assertEffects(INSERT, [
      'WITH a (b) AS (INSERT INTO t AS x (c) VALUES (1) RETURNING *), d (e) AS (SELECT 1) SELECT * FROM a',
    ]);
    assertEffects(INSERT, [
      'MERGE INTO t USING u ON (t.a = u.a) WHEN NOT MATCHED THEN INSERT (a, b) VALUES (1, 2) WHEN MATCHED THEN DELETE',
    ]);
    assertEffects(INSERT | STATE, ['INSERT INTO t SELECT CASE WHEN a THEN insert(b) END']);
    assertEffects(INSERT | STATE, [
      'SELECT (1) insert INTO LOCAL TEMPORARY t',
      'INSERT INTO temp VALUES (1)',
    ]);
    assertEffects(INSERT | STATE, ['COPY t FROM STDIN WHERE f(a)', 'INSERT INTO t SELECT f(1)']);
  });

  test('code that the text does not show', () => {
    const opaque = [
      'SELECT f(1)',
      'DO $$ $$',
      'CALL p()',
      'EXECUTE p',
      'CREATE TABLE t (i int)',
      'SELECT U&"f"(1)',
    ];
    for (const sql of opaque) assert.equal(effectsOf(sql) & (STATE | OPAQUE), STATE | OPAQUE, sql);
    const plain = ['SET a = 1', 'RESET ALL', "SELECT set_config('a', $1, false)", 'SELECT now()', 'LISTEN a'];
    for (const sql of plain) assert.equal(effectsOf(sql) & OPAQUE, 0, sql);
  });

  test('rows that are changed, in whatever statement', () => {
    const changing = [
      'UPDATE t SET a = 1',
      'delete from t',
      'WITH a AS (UPDATE t SET b = 1 RETURNING *) SELECT * FROM a',
      'SELECT * FROM t FOR UPDATE',
      'MERGE INTO t USING u ON (t.a = u.a) WHEN MATCHED THEN DELETE',
    ];
    for (const sql of changing) assert.ok((effectsOf(sql) & MODIFY) !== 0, sql);
    for (const sql of ['SELECT 1', 'BEGIN', "SELECT 'update'", 'SELECT "update" FROM t', 'TRUNCATE t']) {
      assert.equal(effectsOf(sql) & MODIFY, 0, sql);
    }
  });

  test('settings that an application made up', () => {
    const effects = STATE | CUSTOM_SETTING;
    assertEffects(effects, [
      'SET my.setting = 1',
      'SET SESSION my.setting TO 1',
      'SET "my.setting" = 1',
      'RESET my.setting',
    ]);
    assertEffects(effects, ['SET local.x = 1', 'SET session.x = 1', 'SET transaction . x = 1']);
    assertEffects(effects, [
      "SELECT set_config('my.setting', $1, false)",
      'SELECT set_config($1, $2, false)',
    ]);
    assertEffects(effects, [
      "SELECT set_config('a' || 'b', 'x', false)",
      "SELECT set_config(E'a', 'x', false)",
    ]);
  });

  test('what no query finds', () => {
    assertEffects(STATE | UNSEEN, [
      'SELECT setseed(0.5)',
      'SET SESSION seed = 0.5',
      "SELECT pg_backup_start('x')",
    ]);
  });

  test('a backslash before a quote, where the server is known to take it for a plain character', () => {
    const bytes = Buffer.from("SELECT 1 WHERE a LIKE 'b' ESCAPE '\\'; LISTEN c");
    assert.equal(named(sessionEffects(bytes, 0, bytes.length, true)), 'LISTEN');
    assert.equal(named(sessionEffects(bytes, 0, bytes.length)), 'STATE LISTEN OPAQUE COMMIT');
  });

  test('several statements: all that they do together', () => {
    assertEffects(STATE | LISTEN | SEQUENCE_SET, ["SELECT nextval('s'); LISTEN a; SELECT f(1)"]);
  });
});

const GAPS = [' ', '\n', '\t\f', '/**/', '/* SET /* ; */ f( */', '-- LISTEN a; f(\n', '\r\n'];
const ALL = [...HARMLESS, ...STATEFUL].filter((sql) => !/[\\]|open|1into/.test(sql));

/** Statements as pieces between which white space and comments may stand. */
function pieces(sql: string): string[] {
  return (
    sql.match(
      /\$\w*\$.*?\$\w*\$|\/\*.*\*\/|--[^\n]*\n?|E?'(?:[^']|'')*'|U&'[^']*'|"[^"]*"|::|\.?\d[\d.]*(?:e-?\d+)?|\$?[\w.]+|\s+|./gs,
    ) ?? []
  );
}

describe('what must not matter', () => {
  const statement = fc.constantFrom(...ALL);

  test('white space and comments', () => {
    fc.assert(
      fc.property(statement, fc.infiniteStream(fc.constantFrom(...GAPS)), (sql, gaps) => {
        let spread = '';
        for (const piece of pieces(sql))
          spread += piece + (piece.startsWith('--') ? '\n' : gaps.next().value);
        assert.equal(named(effectsOf(spread)), named(effectsOf(sql)), spread);
      }),
    );
  });

  test('the case of words', () => {
    fc.assert(
      fc.property(statement, fc.infiniteStream(fc.boolean()), (sql, upper) => {
        const changed = pieces(sql).map((piece) =>
          /^\w/.test(piece)
            ? [...piece].map((c) => (upper.next().value ? c.toUpperCase() : c.toLowerCase()))
            : [piece],
        );
        const text = changed.flat().join('');
        assert.equal(named(effectsOf(text)), named(effectsOf(sql)), text);
      }),
    );
  });

  test('what stands in literals, comments and quoted identifiers', () => {
    const anything = fc.oneof(fc.string(), fc.constantFrom(...ALL)).filter((text) => !text.includes('\0'));
    fc.assert(
      fc.property(anything, (text) => {
        const inQuotes = text.replaceAll('\\', '').replaceAll("'", "''");
        const inIdentifier = `x${text.replaceAll('"', '""')}`;
        const inDollars = text.replaceAll('$', '');
        const inComment = text.replaceAll('/*', '').replaceAll('*/', '').replaceAll('*', '');
        assertEffects(SessionEffect.NONE, [
          `SELECT '${inQuotes}', lower('${inQuotes}')`,
          `SELECT E'${inQuotes}' || $q$${inDollars}$q$`,
          `SELECT "${inIdentifier}" FROM t`,
          `SELECT /*${inComment.replaceAll('/', '')}*/ 1 --${text.replace(/[\r\n]/g, '')}`,
        ]);
      }),
    );
  });
});

describe('hostile text', () => {
  test('any bytes: an answer, and not a byte is read outside of the text', () => {
    const word = fc.constantFrom(
      ...'SELECT|set_config(|\'|"|$$|$a$|/*|*/|--|E\'|U&"|(|)|;|.|::|nextval|,true)|\\'.split('|'),
    );
    const soup = fc
      .array(fc.oneof(word, fc.string({ maxLength: 3 })))
      .map((parts) => Buffer.from(parts.join(' ')));
    const random = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes));
    fc.assert(
      fc.property(fc.oneof(soup, random), fc.nat(), fc.nat(), (bytes, a, b) => {
        const [start, end] = [a % (bytes.length + 1), b % (bytes.length + 1)].sort((x, y) => x - y) as [
          number,
          number,
        ];
        const guarded = new Proxy(bytes, {
          get(target, key) {
            if (typeof key === 'string' && /^\d+$/.test(key)) {
              assert.ok(Number(key) >= start && Number(key) < end, `byte ${key} of ${start} to ${end}`);
            }
            return Reflect.get(target, key, target);
          },
        });
        assert.equal(sessionEffects(guarded, start, end), sessionEffects(bytes, start, end));
      }),
      { numRuns: 2000 },
    );
  });

  test('long texts of openings take time in proportion to their length', () => {
    for (const piece of ['/*', "'", '"', '$a$ $b$ ', '(', '$aaaaaaaa', "E'\\"]) {
      const bytes = Buffer.from(piece.repeat(200_000));
      assert.ok(sessionEffects(bytes, 0, bytes.length) >= 0);
    }
  });
});
