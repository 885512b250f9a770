/** What `src/sql` says of statements, against what they really leave in a session of PostgreSQL's. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { REVIEWED_VOLATILE_FUNCTIONS, STEADY_FUNCTIONS } from '../../src/sql/builtin-functions.js';
import { customSettingNames } from '../../src/sql/custom-setting-names.js';
import { SessionEffect } from '../../src/sql/session-effect.js';
import { sessionEffects } from '../../src/sql/session-effects.js';
import { DATABASE, PostgresServer, SUPERUSER } from '../harness/postgres-server.js';

const CUSTOM = ['my.setting', 'local.x'];

/** Everything that a session keeps and a query shows. A row is what is there, with the flag that must have told of it. */
const STATE_OF_SESSION = `
  SELECT 'STATE' AS flag, 'setting ' || name || '=' || setting AS what FROM pg_settings WHERE source = 'session'
    AND name NOT LIKE 'transaction\\_%' -- these say so of every transaction
  UNION ALL SELECT 'STATE', 'role ' || current_user || ' of ' || session_user WHERE current_user <> '${SUPERUSER}'
  UNION ALL SELECT 'STATE', 'lock ' || objid FROM pg_locks
    WHERE locktype = 'advisory' AND pid = pg_backend_pid()
  UNION ALL SELECT 'STATE', 'cursor ' || name FROM pg_cursors WHERE is_holdable
  UNION ALL SELECT 'STATE', 'relation ' || relname FROM pg_class WHERE relnamespace = pg_my_temp_schema()
  UNION ALL SELECT 'STATE', 'type ' || typname FROM pg_type WHERE typnamespace = pg_my_temp_schema()
  UNION ALL SELECT 'STATE', 'function ' || proname FROM pg_proc WHERE pronamespace = pg_my_temp_schema()
  UNION ALL SELECT 'PREPARED', 'statement ' || name FROM pg_prepared_statements
  UNION ALL SELECT 'LISTEN', 'channel ' || pg_listening_channels()
  UNION ALL SELECT 'CUSTOM_SETTING', name || '=' || current_setting(name, true)
    FROM unnest(ARRAY['${CUSTOM.join("','")}']) AS name WHERE current_setting(name, true) <> ''`;

const SETUP = `
  CREATE ROLE someone; CREATE SEQUENCE s; CREATE TABLE t (a int, b text); CREATE TYPE pair AS (x int, y int);
  CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT pg_advisory_lock($1)::text::int';
  CREATE FUNCTION filter(int) RETURNS bool LANGUAGE sql AS $$ SELECT set_config('work_mem', '3MB', false) = '3MB' $$;
  CREATE FUNCTION "select"(int) RETURNS text LANGUAGE sql AS $$ SELECT set_config('work_mem', '1MB', false) $$;
  CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN CREATE TEMP TABLE of_procedure (); END $$;
  CREATE FUNCTION conflict(int) RETURNS bool LANGUAGE sql AS $$ SELECT pg_try_advisory_lock($1) $$;
  CREATE FUNCTION join_up(text) RETURNS text LANGUAGE sql AS $$ SELECT set_config('work_mem', '2MB', false) $$`;

/** Statements that may leave something, many of them disguised. */
const STATEMENTS = [
  'SET work_mem = 100',
  "/* harmless */ sEt/**/SESSION work_mem TO '1MB'",
  'SET LOCAL work_mem = 100',
  'BEGIN; SET LOCAL work_mem = 100; SET LOCAL my.setting = 1; COMMIT',
  'BEGIN; SET TRANSACTION READ ONLY; SET CONSTRAINTS ALL DEFERRED; COMMIT',
  'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY',
  'SET my.setting = 1',
  'SET "my.setting" = 1',
  'SET local.x = 1',
  'SET TIME ZONE 1',
  'SET ROLE someone',
  'SET SESSION AUTHORIZATION someone',
  "SELECT set_config('work_mem', '1MB', false)",
  "SELECT set_config('my.setting', 'x', false)",
  "SELECT set_config('my.' || 'setting', 'x', false)",
  "SELECT set_config(E'my.setting', 'x', false)",
  "SELECT set_config('my.setting', 'x', true), 1 AS true",
  `SELECT "set_config"('work_mem', '1MB', false AND true)`,
  "SELECT 1 WHERE pg_catalog.set_config('work_mem', '1MB', NOT true) IS NULL",
  'CREATE TEMP TABLE x ()',
  'CREATE TABLE pg_temp.x ()',
  'CREATE TABLE "pg_temp".x ()',
  'CREATE TABLE U&"pg\\005ftemp".x ()',
  'SELECT 1 AS a INTO TEMP x',
  'SELECT 1 AS a INTO pg_temp.x',
  'SELECT (1) insert INTO TEMP x',
  'SELECT t.a AS insert INTO LOCAL TEMPORARY TABLE x FROM t',
  'CREATE TYPE pg_temp.y AS (a int)',
  "CREATE FUNCTION pg_temp.g() RETURNS int LANGUAGE sql AS 'SELECT 1'",
  'DECLARE c CURSOR WITH HOLD FOR SELECT 1',
  'DECLARE c BINARY INSENSITIVE NO SCROLL CURSOR WITH/**/HOLD FOR SELECT 1',
  'BEGIN; DECLARE c CURSOR FOR SELECT 1; COMMIT',
  'BEGIN; DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1; COMMIT',
  'SELECT pg_advisory_lock(1)',
  'SELECT pg_advisory_xact_lock(1)',
  'SELECT 1 FROM t RIGHT JOIN (SELECT pg_try_advisory_lock_shared(1, 2)) u ON true',
  'SELECT f(1)',
  'SELECT "f"(1)',
  'SELECT public.f(1)',
  'SELECT f/* ( */(1)',
  'SELECT DISTINCT ON (1) f(1)',
  'SELECT 1 AS from FROM f(1)',
  'WITH a AS (SELECT 1) (SELECT 1 AS x) UNION SELECT f(2) ORDER BY x',
  'WITH a AS (SELECT 1), b AS (SELECT 2) (SELECT 1 AS x ORDER BY x, f(1))',
  'WITH a AS (SELECT 1) (VALUES (1)) OFFSET f(1)',
  'VALUES (1, f(1))',
  'TABLE t; SELECT f(1)',
  'SELECT 1 WHERE filter(1)',
  'SELECT true AND filter(1)',
  "SELECT 'a' LIKE join_up('x')",
  'SELECT "select"(1)',
  'SELECT 1 FROM t RIGHT JOIN (VALUES (1)) u ON conflict(1)',
  'INSERT INTO t SELECT f(1)',
  'INSERT INTO t (a) VALUES (f(1)) RETURNING f(2)',
  'UPDATE t SET (a, b) = (f(1), f(2))',
  'COPY (SELECT f(1)) TO STDOUT',
  'EXPLAIN (ANALYZE) SELECT f(1)',
  'EXPLAIN (ANALYZE, COSTS off) (SELECT f(1))',
  'EXPLAIN ANALYZE WITH a (x) AS (SELECT 1), b (y) AS (SELECT 2) SELECT f(1)',
  'EXPLAIN ANALYZE CREATE TEMP TABLE x AS SELECT 1',
  'PREPARE q AS SELECT 1',
  'PREPARE transaction AS SELECT 1',
  'PREPARE q AS SELECT f($1); EXECUTE q (1)',
  'PREPARE q (int) AS SELECT 1; CREATE TEMP TABLE x AS EXECUTE q (1)',
  'PREPARE q AS SELECT 1; DEALLOCATE q',
  'DO $$ BEGIN PERFORM pg_advisory_lock(1); END $$',
  'CALL p()',
  'LISTEN a',
  'SELECT 1; /* ; */ LISTEN "b"',
  'LISTEN a; UNLISTEN *',
  "SELECT '\\'; SET work_mem = 100; --'",
  "SELECT E'\\''; SET work_mem = 100; --'",
  'SELECT $a$ $$ $b$ $a$; SET work_mem = 100; -- $a$',
  'SELECT 1 /* /* */ -- */ */; SET work_mem = 100',
  'SELECT 1 -- /*\n; SET work_mem = 100 -- */',
  "SELECT U&'\\0027'; SET work_mem = 100",
  "SELECT N'\\', B'1', X'2'; SET work_mem = 100; -- '",
  'SELECT 1 AS "; --"; SET work_mem = 100',
  'SELECT 1 AS """; SET work_mem = 100; --"',
];

interface Left {
  readonly flag: keyof typeof SessionEffect;
  readonly what: string;
}

let server: PostgresServer;
before(async () => {
  server = await PostgresServer.start();
  await server.query(SETUP);
});
after(() => server?.discard());

async function inSession<T>(use: (session: pg.Client) => Promise<T>, options = ''): Promise<T> {
  const session = new pg.Client({ connectionString: server.url(SUPERUSER, DATABASE), options });
  // A function may end the session by its arguments; the next query says so.
  session.on('error', () => {});
  await session.connect();
  try {
    return await use(session);
  } finally {
    await session.end();
  }
}

function effectsOf(sql: string): number {
  const bytes = Buffer.from(sql);
  return sessionEffects(bytes, 0, bytes.length) & ~(SessionEffect.MODIFY | SessionEffect.OPAQUE);
}

/** What the statements leave; errors are PostgreSQL's to make. */
async function leftBy(sql: string, options: string): Promise<Left[]> {
  return inSession(async (session) => {
    await session.query(sql).catch(() => null);
    return (await session.query<Left>(STATE_OF_SESSION)).rows;
  }, options);
}

for (const strings of ['on', 'off']) {
  test(`whatever is left was foretold, with standard_conforming_strings ${strings}`, async () => {
    let leaving = 0;
    for (const sql of STATEMENTS) {
      const left = await leftBy(sql, `-c standard_conforming_strings=${strings}`);
      leaving += left.length > 0 ? 1 : 0;
      for (const { flag, what } of left) {
        assert.ok(
          (effectsOf(sql) & SessionEffect[flag]) !== 0,
          `${sql} leaves ${what}, and there is no ${flag}`,
        );
        if (
          flag === 'CUSTOM_SETTING' &&
          effectsOf(sql) === (SessionEffect.STATE | SessionEffect.CUSTOM_SETTING)
        ) {
          const names = customSettingNames(Buffer.from(sql), 0, Buffer.byteLength(sql));
          assert.ok(names === null || names.includes(what.split('=')[0]!), `${sql} leaves ${what}`);
        }
      }
    }
    assert.ok(leaving > STATEMENTS.length / 2, `only ${leaving} statements left anything`);
  });
}

interface BuiltIn {
  readonly name: string;
  readonly volatile: boolean;
  readonly native: boolean;
  readonly call: string | null;
}

/** Ends processes, waits, or writes where nobody looks: not called. */
const UNCALLED =
  /^pg_(terminate|cancel)_backend$|^pg_sleep|^pg_(promote|rotate_logfile|reload_conf)$|^lo_export$|^pg_wal_replay/;

/** The server's functions of pg_catalog, with a call that has a value of each argument's type, where that is possible. */
async function builtIns(): Promise<BuiltIn[]> {
  return (await server.query(`
    SELECT proname AS name, provolatile = 'v' AS volatile, lanname IN ('internal', 'sql') AS native,
      CASE WHEN prokind = 'f' AND provariadic = 0 AND NOT EXISTS (
        SELECT FROM unnest(proargtypes) a JOIN pg_type y ON y.oid = a WHERE typtype = 'p')
      THEN 'SELECT pg_catalog.' || quote_ident(proname) || '(' || coalesce((SELECT string_agg(
        CASE typcategory WHEN 'N' THEN '1' WHEN 'B' THEN 'true' WHEN 'D' THEN '''2020-01-01''' WHEN 'T' THEN '''1h'''
        WHEN 'A' THEN '''{}''' WHEN 'R' THEN '''empty''' WHEN 'S' THEN '''1''' ELSE 'NULL' END
        || '::' || format_type(a, NULL), ', ' ORDER BY n)
        FROM unnest(proargtypes) WITH ORDINALITY u (a, n) JOIN pg_type y ON y.oid = a), '') || ')' END AS call
    FROM pg_proc JOIN pg_language l ON l.oid = prolang WHERE pronamespace = 'pg_catalog'::regnamespace`)) as BuiltIn[];
}

describe('the built-in functions that are called harmless', () => {
  const steady = new Set(STEADY_FUNCTIONS.trim().split(/\s+/));
  const reviewed = new Set(REVIEWED_VOLATILE_FUNCTIONS.trim().split(/\s+/));

  test('are of pg_catalog, and volatile only if they were looked at', async () => {
    const functions = await builtIns();
    const unexpected = functions.filter(({ name, volatile, native }) => {
      const known = steady.has(name) || reviewed.has(name);
      return known && (!native || (volatile && !reviewed.has(name)));
    });
    assert.deepEqual(unexpected, []);
    const present = new Set(functions.map(({ name }) => name));
    assert.ok([...steady].filter((name) => present.has(name)).length > 600);
  });

  test('leave nothing when they are called', async () => {
    const harmless = (await builtIns()).filter(
      ({ name, call }) => (steady.has(name) || reviewed.has(name)) && call !== null && !UNCALLED.test(name),
    );
    let answered = 0;
    await inSession(async (session) => {
      const before = (await session.query(STATE_OF_SESSION)).rows;
      for (const { call } of harmless) {
        assert.equal(effectsOf(call!), SessionEffect.NONE, call!);
        answered += await session.query(call!).then(
          () => 1,
          () => 0,
        );
      }
      assert.deepEqual((await session.query(STATE_OF_SESSION)).rows, before);
    });
    assert.ok(answered > 500, `only ${answered} of ${harmless.length} calls had an answer`);
  });
});
