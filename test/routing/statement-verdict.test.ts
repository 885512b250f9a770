/** What statements of every kind are to a router, by their text alone. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { PostgresParser } from '../../src/grammar/postgres-parser.js';
import { NO_CATALOGUE } from '../../src/routing/catalogue.js';
import { nodeOf } from '../../src/routing/parse-tree.js';
import { decideStandby } from '../../src/routing/standby-decision.js';
import { knownStatements, type StatementKind } from '../../src/routing/statement-kinds.js';
import { judgeStatement } from '../../src/routing/statement-verdict.js';

let parser: PostgresParser;
before(async () => {
  parser = await PostgresParser.open();
});

function parse(sql: string) {
  const bytes = Buffer.from(sql);
  return parser.parse(bytes, 0, bytes.length);
}

function verdictOf(sql: string) {
  return judgeStatement(parse(sql));
}

function decide(sql: string) {
  return decideStandby(verdictOf(sql), NO_CATALOGUE, null);
}

/** At least one statement of every kind that the grammar has. */
const KINDS: Readonly<Record<Exclude<StatementKind, 'read'>, readonly string[]>> = {
  write: [
    'INSERT INTO t VALUES (1)',
    'UPDATE t SET a = 1',
    'DELETE FROM t',
    'MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE',
    'TRUNCATE t',
    'CREATE TABLE t AS SELECT 1',
    'CREATE MATERIALIZED VIEW m AS SELECT 1',
    'SELECT 1 INTO t',
    'SELECT 1 INTO TEMP t',
    'WITH w AS (SELECT 1) SELECT * INTO t FROM w',
    'REFRESH MATERIALIZED VIEW m',
    'LOCK t',
    'NOTIFY n',
    'CALL p()',
    'DO $$ BEGIN END $$',
    'COPY t FROM STDIN',
    "COPY t FROM '/file'",
    "COPY t TO '/file'",
    "COPY (SELECT 1) TO PROGRAM 'cat'",
    'COPY (DELETE FROM t RETURNING *) TO STDOUT',
    'SELECT * FROM t FOR UPDATE',
    'SELECT * FROM t FOR NO KEY UPDATE NOWAIT',
    'SELECT * FROM t FOR SHARE SKIP LOCKED',
    'SELECT * FROM (SELECT * FROM t FOR KEY SHARE OF t) u',
    'SELECT (SELECT a FROM t FOR UPDATE)',
    'SELECT 1 UNION (SELECT a FROM t FOR UPDATE)',
    'WITH w AS (SELECT * FROM t FOR UPDATE) SELECT * FROM w',
    'WITH w AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM w',
    'WITH w AS (UPDATE t SET a = 1 RETURNING *) SELECT 1',
    'WITH w AS (DELETE FROM t RETURNING *) SELECT 1',
    'WITH w AS (MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE RETURNING 1) SELECT 1',
    'SELECT (WITH w AS (SELECT 1) SELECT 1), 2 UNION SELECT 1, 2 FROM (SELECT 1 FOR UPDATE) x',
    'EXPLAIN INSERT INTO t VALUES (1)',
    'EXPLAIN ANALYZE DELETE FROM t',
    "EXPLAIN (ANALYZE 'on') UPDATE t SET a = 1",
    'EXPLAIN (ANALYZE, FORMAT json) CREATE TABLE t AS SELECT 1',
    'EXPLAIN ANALYZE SELECT * FROM t FOR UPDATE',
    'INSERT INTO t VALUES (1); DELETE FROM t',
  ],
  session: [
    'SET a = 1',
    'SET LOCAL a = 1',
    'SET ROLE x',
    'SET SESSION AUTHORIZATION x',
    'RESET ALL',
    'SHOW a',
    'DISCARD ALL',
    'LISTEN c',
    'UNLISTEN *',
    "LOAD 'x'",
    'PREPARE p AS SELECT 1',
    'EXECUTE p',
    'DEALLOCATE p',
    'DECLARE c CURSOR FOR SELECT 1',
    'FETCH c',
    'MOVE c',
    'CLOSE c',
  ],
  transaction: [
    'BEGIN',
    'START TRANSACTION READ ONLY',
    'COMMIT AND CHAIN',
    'ROLLBACK',
    'SAVEPOINT s',
    'RELEASE s',
    'ROLLBACK TO s',
    "PREPARE TRANSACTION 'x'",
    "COMMIT PREPARED 'x'",
    "ROLLBACK PREPARED 'x'",
    'SET TRANSACTION READ ONLY',
    'SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE',
    'SET CONSTRAINTS ALL DEFERRED',
  ],
  utility: [
    'ALTER COLLATION c REFRESH VERSION',
    'ALTER DATABASE d REFRESH COLLATION VERSION',
    'ALTER DATABASE d SET a = 1',
    'ALTER DATABASE d CONNECTION LIMIT 1',
    'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO x',
    'ALTER DOMAIN d SET NOT NULL',
    "ALTER TYPE e ADD VALUE 'x'",
    'ALTER EVENT TRIGGER e DISABLE',
    'ALTER EXTENSION e ADD TABLE t',
    'ALTER EXTENSION e UPDATE',
    'ALTER FOREIGN DATA WRAPPER f NO HANDLER',
    "ALTER SERVER s VERSION '1'",
    'ALTER FUNCTION f() STABLE',
    'ALTER FUNCTION f() DEPENDS ON EXTENSION e',
    'ALTER TABLE t SET SCHEMA s',
    'ALTER OPERATOR FAMILY f USING btree DROP OPERATOR 1 (int, int)',
    'ALTER OPERATOR + (int, int) SET (RESTRICT = NONE)',
    'ALTER TABLE t OWNER TO x',
    'ALTER SCHEMA s OWNER TO x',
    'ALTER POLICY p ON t USING (true)',
    'ALTER PUBLICATION p ADD TABLE t',
    'ALTER ROLE x SET a = 1',
    'ALTER ROLE x NOLOGIN',
    'ALTER SEQUENCE s RESTART',
    'ALTER STATISTICS s SET STATISTICS 1',
    'ALTER SUBSCRIPTION s ENABLE',
    'ALTER SYSTEM SET a = 1',
    'ALTER TEXT SEARCH CONFIGURATION c DROP MAPPING FOR word',
    "ALTER TEXT SEARCH DICTIONARY d (a = 'b')",
    'ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b',
    'ALTER TABLESPACE s SET (seq_page_cost = 1)',
    'ALTER TABLE t ADD a int',
    'ALTER TYPE t SET (RECEIVE = f)',
    "ALTER USER MAPPING FOR x SERVER s OPTIONS (a 'b')",
    'CHECKPOINT',
    'CLUSTER t',
    "COMMENT ON TABLE t IS 'x'",
    'CREATE TYPE c AS (a int)',
    'CREATE ACCESS METHOD a TYPE TABLE HANDLER h',
    'CREATE CAST (a AS b) WITHOUT FUNCTION',
    "CREATE CONVERSION c FOR 'a' TO 'b' FROM f",
    'CREATE DOMAIN d AS int',
    "CREATE TYPE e AS ENUM ('a')",
    'CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()',
    'CREATE EXTENSION e',
    'CREATE FOREIGN DATA WRAPPER f',
    'CREATE SERVER s FOREIGN DATA WRAPPER f',
    'CREATE FOREIGN TABLE t (a int) SERVER s',
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    'CREATE OPERATOR CLASS c FOR TYPE int USING btree AS OPERATOR 1 <',
    'CREATE OPERATOR FAMILY f USING btree',
    'CREATE LANGUAGE l HANDLER h',
    'CREATE POLICY p ON t',
    'CREATE PUBLICATION p',
    'CREATE TYPE r AS RANGE (SUBTYPE = int)',
    'CREATE ROLE x',
    'CREATE SCHEMA s',
    'CREATE SEQUENCE s',
    'CREATE STATISTICS s ON a, b FROM t',
    'CREATE TABLE t (a int)',
    'CREATE TEMP TABLE t (a int)',
    "CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p",
    "CREATE TABLESPACE s LOCATION '/x'",
    'CREATE TRANSFORM FOR a LANGUAGE l (FROM SQL WITH FUNCTION f(int))',
    'CREATE TRIGGER g BEFORE INSERT ON t EXECUTE FUNCTION f()',
    'CREATE USER MAPPING FOR x SERVER s',
    'CREATE DATABASE d',
    'CREATE AGGREGATE a (int) (SFUNC = f, STYPE = int)',
    'DROP OWNED BY x',
    'DROP ROLE x',
    'DROP TABLE t',
    'DROP SUBSCRIPTION s',
    'DROP TABLESPACE s',
    'DROP USER MAPPING FOR x SERVER s',
    'DROP DATABASE d',
    'GRANT x TO y',
    'GRANT SELECT ON t TO x',
    'IMPORT FOREIGN SCHEMA s FROM SERVER f INTO t',
    'CREATE INDEX ON t (a)',
    'REASSIGN OWNED BY x TO y',
    'REINDEX TABLE t',
    'ALTER TABLE t RENAME TO u',
    'CREATE RULE r AS ON INSERT TO t DO NOTHING',
    "SECURITY LABEL ON TABLE t IS 'x'",
    'VACUUM t',
    'ANALYZE t',
    'CREATE VIEW v AS SELECT 1',
  ],
  unknown: [
    '',
    ';',
    '-- nothing',
    'SELEC 1',
    'SELECT 1; SELEC 1',
    "SELECT 'unfinished",
    'SELECT 1; INSERT INTO t VALUES (1)',
    'INSERT INTO t VALUES (1); SELECT 1',
    'BEGIN; SELECT 1; COMMIT',
    'EXPLAIN EXECUTE p',
    'EXPLAIN ANALYZE DECLARE c CURSOR FOR SELECT 1',
  ],
};

/** Statements that may run on a standby. */
const READS = [
  'SELECT 1',
  'SELECT 1;',
  'SELECT 1; SELECT 2',
  '(SELECT 1)',
  'TABLE t',
  'VALUES (1), (2)',
  'SELECT a, count(*) FROM t JOIN u USING (a) WHERE b IN (1, 2) GROUP BY a HAVING sum(c) > 1 ORDER BY 1 USING < LIMIT 3',
  'WITH w AS (SELECT 1), x AS MATERIALIZED (TABLE w) SELECT * FROM w, x',
  'WITH RECURSIVE w AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM w) SEARCH DEPTH FIRST BY n SET o SELECT * FROM w',
  'SELECT rank() OVER w, lag(a, 1) OVER (PARTITION BY b ORDER BY c ROWS 1 PRECEDING) FROM t WINDOW w AS (ORDER BY a)',
  'SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a), array_agg(b ORDER BY c) FILTER (WHERE d) FROM t',
  'SELECT a FROM t GROUP BY GROUPING SETS ((a), ROLLUP (a)) UNION ALL SELECT 1 EXCEPT SELECT 2 INTERSECT SELECT 3',
  'SELECT CASE WHEN a THEN 1 ELSE 2 END, COALESCE(a, b), NULLIF(a, b), GREATEST(a, b), a IS NULL, b IS NOT TRUE FROM t',
  "SELECT extract(year FROM a), substring(b FROM 1), a AT TIME ZONE 'UTC', b LIKE 'x' ESCAPE 'y', b SIMILAR TO 'z' FROM t",
  'SELECT ARRAY[1, 2], ROW(1, 2), a[1], (a).b, a[1:2], EXISTS (SELECT 1), a = ANY (ARRAY(SELECT 1)), NOT a FROM t',
  "SELECT DATE '2020-01-01', '1'::int, CAST(a AS text), b COLLATE \"C\", current_timestamp, CURRENT_USER FROM t",
  "SELECT JSON_OBJECT('a': 1), JSON_VALUE(j, '$.a'), JSON_ARRAYAGG(a), j IS JSON FROM t",
  "SELECT * FROM JSON_TABLE('[]', '$[*]' COLUMNS (a int PATH '$')) j",
  "SELECT * FROM XMLTABLE('/a' PASSING x COLUMNS b int) y",
  'SELECT XMLELEMENT(NAME a, XMLATTRIBUTES(1 AS b)), XMLSERIALIZE(CONTENT x AS text) FROM t',
  'SELECT * FROM generate_series(1, 3) WITH ORDINALITY AS g (a, b), LATERAL (SELECT a) l',
  'SELECT * FROM ROWS FROM (generate_series(1, 3), unnest(ARRAY[1])) AS r (a, b)',
  'SELECT DISTINCT ON (a) a FROM ONLY t ORDER BY a FETCH FIRST 3 ROWS WITH TIES',
  'SELECT random(), gen_random_uuid(), clock_timestamp(), pg_sleep(0), uuidv7()',
  'SELECT now(), current_database(), current_schemas(false)',
  "SELECT current_setting('app.user', true)",
  'EXPLAIN SELECT 1',
  'EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM t',
  'COPY t TO STDOUT',
  'COPY (SELECT 1) TO STDOUT (FORMAT csv)',
  'SELECT $1::int',
];

/** Reads by their form that a standby must not get, and a part of the reason. */
const NOT_ON_A_STANDBY: readonly (readonly [string, RegExp])[] = [
  ["SELECT nextval('s')", /nextval\(\), which is volatile/],
  ["SELECT setval('s', 1)", /volatile/],
  ["SELECT currval('s')", /volatile/],
  ['SELECT lastval()', /volatile/],
  ["SELECT set_config('a', 'b', true)", /volatile/],
  ['SELECT pg_advisory_lock(1)', /volatile/],
  ['SELECT pg_advisory_xact_lock(1)', /volatile/],
  ['SELECT pg_is_in_recovery()', /volatile/],
  ['SELECT pg_current_wal_lsn()', /volatile/],
  ['SELECT pg_last_wal_replay_lsn()', /volatile/],
  ['SELECT pg_export_snapshot()', /volatile/],
  ["SELECT pg_notify('a', 'b')", /volatile/],
  ["SELECT query_to_xml('DELETE FROM t', true, true, '')", /volatile/],
  ["SELECT lo_import('/x')", /volatile/],
  ['SELECT txid_current()', /no identifier on a standby/],
  ['SELECT pg_current_snapshot()', /no identifier on a standby/],
  ['SELECT pg_backend_pid()', /server and its connection/],
  ['SELECT inet_server_addr()', /server and its connection/],
  ['SELECT version()', /server and its connection/],
  ['SELECT pg_listening_channels()', /session's own objects/],
  ['SELECT pg_stat_get_numscans(1)', /statistics/],
  ["SELECT current_setting('in_hot_standby')", /server's own settings/],
  ["SELECT pg_catalog.current_setting('work_mem')", /server's own settings/],
  ['SELECT current_setting($1)', /server's own settings/],
  ['SELECT 1 FROM t WHERE a = (SELECT my_function(1))', /my_function\(\), which is not known/],
  ['SELECT app.now()', /app.now\(\), which is not known/],
  ["SELECT table_to_xml('t', true, true, '')", /not known/],
  ['SELECT a FROM t TABLESAMPLE mine (1)', /mine\(\), which is not known/],
  ['SELECT * FROM pg_stat_activity', /pg_stat_activity is not known/],
  ['SELECT * FROM pg_temp.t', /pg_temp.t is temporary/],
  ['SELECT 1 ORDER BY my_function(1)', /not known/],
  ['SELECT 1 LIMIT (SELECT my_function(1))', /not known/],
  ['SELECT count(*) FILTER (WHERE my_function(1)) FROM t', /not known/],
  ['SELECT sum(a) OVER (ORDER BY my_function(1)) FROM t', /not known/],
  ['SELECT 1 FROM t JOIN LATERAL my_function(a) ON true', /not known/],
  ['SELECT 1; SELECT my_function(1)', /not known/],
  ['VALUES (my_function(1))', /not known/],
  ['COPY (SELECT my_function(1)) TO STDOUT', /not known/],
  ['EXPLAIN ANALYZE SELECT my_function(1)', /not known/],
  ['WITH w AS (SELECT my_function(1)) SELECT 1', /not known/],
  ['SELECT 1 UNION SELECT my_function(1)', /not known/],
];

describe('the kind of a statement', () => {
  for (const [kind, statements] of Object.entries(KINDS)) {
    test(`${kind}, and never to a standby`, () => {
      for (const sql of statements) {
        const verdict = verdictOf(sql);
        assert.equal(verdict.kind, kind, sql);
        assert.notEqual(verdict.reason, null, sql);
        assert.equal(decide(sql).mayRunOnStandby, false, sql);
      }
    });
  }

  test('read, and to a standby', () => {
    for (const sql of READS) {
      assert.equal(verdictOf(sql).kind, 'read', sql);
      assert.deepEqual([sql, decide(sql).reason], [sql, 'it only reads']);
      assert.ok(decide(sql).mayRunOnStandby);
    }
  });

  test('a read that a standby must not get', () => {
    for (const [sql, reason] of NOT_ON_A_STANDBY) {
      assert.equal(verdictOf(sql).kind, 'read', sql);
      const decision = decide(sql);
      assert.equal(decision.mayRunOnStandby, false, sql);
      assert.match(decision.reason, reason, sql);
    }
  });

  test('the table has every statement of the grammar, and an example here', () => {
    const seen = new Set<string>();
    for (const sql of [...Object.values(KINDS).flat(), ...READS]) {
      const tree = parse(sql);
      if ('failure' in tree) continue;
      for (const { stmt } of tree.stmts ?? []) seen.add(nodeOf(stmt)?.tag ?? '');
    }
    assert.deepEqual([...seen].sort(), knownStatements().sort());
  });

  test('what the grammar has beyond the table is never a statement of its own', () => {
    const types = new URL('../../../node_modules/@pgsql/types/types.d.ts', import.meta.url);
    const nodes = [...readFileSync(types, 'utf8').matchAll(/^export interface (\w+Stmt) /gm)].map(
      ([, name]) => name!,
    );
    assert.ok(nodes.length > 100);
    const known = new Set(knownStatements());
    assert.deepEqual(nodes.filter((name) => !known.has(name)).sort(), [
      'PLAssignStmt',
      'RawStmt',
      'ReplicaIdentityStmt',
      'ReturnStmt',
      'SetOperationStmt',
    ]);
  });
});

describe('what a statement names', () => {
  test('relations, but not the queries of WITH', () => {
    const relations = (sql: string) =>
      verdictOf(sql)
        .uses?.relations.map(({ schema, name }) => (schema === null ? name : `${schema}.${name}`))
        .sort();
    assert.deepEqual(relations('SELECT * FROM a, b.c JOIN "D" ON EXISTS (TABLE e)'), ['D', 'a', 'b.c', 'e']);
    assert.deepEqual(relations('WITH w AS (TABLE a) SELECT * FROM w, s.w, W'), ['a', 's.w']);
    assert.deepEqual(relations('WITH w AS (TABLE w) TABLE w'), ['w']);
    assert.deepEqual(relations('WITH RECURSIVE w AS (SELECT 1 UNION TABLE w) TABLE w'), []);
    assert.deepEqual(relations('WITH a AS (TABLE b), b AS (TABLE a) SELECT * FROM a, b'), ['b']);
    assert.deepEqual(relations('SELECT * FROM (WITH w AS (SELECT 1) TABLE w) x, w'), ['w']);
    assert.deepEqual(relations('WITH w AS (SELECT 1) (TABLE w UNION SELECT 1 FROM (TABLE w) x)'), []);
    assert.deepEqual(relations('TABLE A'), ['a']);
    assert.deepEqual(relations('COPY a.b TO STDOUT'), ['a.b']);
  });

  test('functions with the number of their arguments', () => {
    const functions = (sql: string) =>
      verdictOf(sql)
        .uses?.functions.map(({ schema, name, argumentCount }) => `${schema ?? ''}.${name}/${argumentCount}`)
        .sort();
    assert.deepEqual(functions('SELECT f(), s.g(1, b => 2), h(VARIADIC x), count(*), "F"(1)'), [
      '.F/1',
      '.count/0',
      '.f/0',
      '.h/1',
      's.g/2',
    ]);
    assert.deepEqual(functions('SELECT p(0.5) WITHIN GROUP (ORDER BY x), q(a ORDER BY b) FROM t'), [
      '.p/2',
      '.q/1',
    ]);
    assert.deepEqual(functions('SELECT extract(year FROM a) FROM t TABLESAMPLE mine (1)'), [
      '.mine/1',
      'pg_catalog.extract/2',
    ]);
  });

  test('operators, types and attributes', () => {
    const { uses } = verdictOf(
      'SELECT a OPERATOR(s.+) b, x::s.kind, (c).d, e.f, g @> ALL (SELECT 1) FROM t ORDER BY 1 USING ~<~',
    );
    assert.deepEqual([...uses!.operators].sort(), ['+', '@>', '~<~']);
    assert.deepEqual([...uses!.types], ['kind']);
    assert.deepEqual([...uses!.attributes].sort(), ['d', 'f']);
  });

  test('transactions and their modes', () => {
    const control = (sql: string) => verdictOf(sql).transaction;
    const none = { readOnly: null, isolation: null, deferrable: null, chain: false };
    assert.deepEqual(control('BEGIN'), { action: 'begin', name: 'a BEGIN', ...none });
    assert.deepEqual(
      control('START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY, NOT DEFERRABLE'),
      {
        action: 'begin',
        name: 'a START TRANSACTION',
        readOnly: true,
        isolation: 'repeatable read',
        deferrable: false,
        chain: false,
      },
    );
    assert.deepEqual(control('SET TRANSACTION READ WRITE'), {
      action: 'set',
      name: 'a SET TRANSACTION',
      ...none,
      readOnly: false,
    });
    assert.equal(control('SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY')?.action, 'set-session');
    assert.equal(control("SET TRANSACTION SNAPSHOT 'x'")?.action, 'set-snapshot');
    assert.equal(control('ROLLBACK AND CHAIN')?.chain, true);
    assert.equal(control('ROLLBACK TO x')?.action, 'savepoint');
    assert.equal(control("PREPARE TRANSACTION 'x'")?.action, 'two-phase');
    assert.equal(control('SET a = 1'), null);
    assert.equal(control('SET transaction_read_only = on'), null);
    assert.equal(verdictOf('SET transaction_read_only = on').setting, 'transaction_read_only');
    assert.equal(verdictOf('SHOW Work_Mem').setting, 'work_mem');
  });

  test('cursors, prepared statements and the direction of a COPY', () => {
    const cursor = verdictOf('DECLARE c CURSOR FOR SELECT f(1) FROM t');
    assert.ok(cursor.declaresCursor);
    assert.deepEqual(cursor.uses?.relations, [{ schema: null, name: 't' }]);
    assert.equal(verdictOf('EXECUTE p (1)').prepared, 'p');
    assert.equal(verdictOf('PREPARE "P" AS SELECT 1').prepared, 'P');
    assert.equal(verdictOf('COPY t FROM STDIN').copy, 'in');
    assert.equal(verdictOf('COPY t TO STDOUT').copy, 'out');
    assert.equal(verdictOf('SELECT 1; SELECT 2').statementCount, 2);
  });
});
