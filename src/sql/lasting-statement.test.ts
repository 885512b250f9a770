import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lastingStatement } from './lasting-statement.js';

function found(sql: string): string | null {
  const bytes = Buffer.from(`(${sql})`);
  const mayBeSet = (name: string) => name === 'timezone' || name === 'client_encoding';
  const statement = lastingStatement(bytes, 1, bytes.length - 1, { standardStrings: false, mayBeSet });
  return statement === null ? null : `${statement.kind}: ${statement.command}`;
}

const LASTING: readonly (readonly [sql: string, statement: string])[] = [
  ['SET work_mem = 1', 'setting: SET work_mem'],
  ['/* why */ set Session "Work_Mem" to 1', 'setting: SET work_mem'],
  ["SET app.tenant = 'x'", 'setting: SET app.tenant'],
  ["SET local.x = 'y'", 'setting: SET local.x'],
  ["SET session.x = 'y'", 'setting: SET session.x'],
  ["SET SCHEMA 'mine'", 'setting: SET search_path'],
  ['SET XML OPTION DOCUMENT', 'setting: SET xmloption'],
  ['SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY', 'setting: SET SESSION CHARACTERISTICS'],
  ['SET seed = 0.5', 'unseen: SET seed'],
  ['SET ROLE reader', 'identity: SET ROLE'],
  ["SET role = 'reader'", 'identity: SET ROLE'],
  ['SET SESSION AUTHORIZATION reader', 'identity: SET SESSION AUTHORIZATION'],
  ['SELECT 1; SET "söhne.x" = 1', 'setting: SET'],
  ["SELECT set_config('work_mem', '1MB', false)", "setting: set_config('work_mem', ..., false)"],
  ["SELECT set_config('role', 'reader', 'f')", "identity: set_config('role', ..., false)"],
  ['SELECT pg_catalog.set_config($1, $2, false)', 'setting: set_config(..., false)'],
  ['LISTEN news', 'listening: LISTEN'],
  ["LOAD 'library'", 'library: LOAD'],
  ['PREPARE p AS SELECT 1', 'prepared statement: PREPARE'],
  ['PREPARE transaction AS SELECT 1', 'prepared statement: PREPARE'],
  ['CREATE TEMP TABLE t (i int)', 'temporary object: CREATE TEMPORARY TABLE'],
  ['CREATE LOCAL TEMPORARY TABLE t AS SELECT 1', 'temporary object: CREATE TEMPORARY TABLE'],
  ['CREATE TEMP TABLE t (i int) ON COMMIT DELETE ROWS', 'temporary object: CREATE TEMPORARY TABLE'],
  ['CREATE OR REPLACE TEMP VIEW v AS SELECT 1', 'temporary object: CREATE TEMPORARY VIEW'],
  ['CREATE TEMP RECURSIVE VIEW v (n) AS SELECT 1', 'temporary object: CREATE TEMPORARY VIEW'],
  ['CREATE TEMP SEQUENCE s', 'temporary object: CREATE TEMPORARY SEQUENCE'],
  ['CREATE TABLE IF NOT EXISTS pg_temp.t (i int)', 'temporary object: CREATE TEMPORARY TABLE'],
  [
    "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS '1'",
    'temporary object: CREATE TEMPORARY FUNCTION',
  ],
  ['EXPLAIN ANALYZE CREATE TEMP TABLE t AS SELECT 1', 'temporary object: CREATE TEMPORARY TABLE'],
  ['SELECT 1 INTO TEMP t', 'temporary object: SELECT INTO TEMPORARY TABLE'],
  [
    'WITH q AS (SELECT 1) SELECT * INTO LOCAL TEMP TABLE t FROM q',
    'temporary object: SELECT INTO TEMPORARY TABLE',
  ],
  ['SELECT pg_advisory_lock(1)', 'lock: pg_advisory_lock()'],
  ['(SELECT PG_Try_Advisory_Lock_Shared(1, 2))', 'lock: pg_try_advisory_lock_shared()'],
  ['EXPLAIN (ANALYZE, COSTS off) SELECT pg_catalog.pg_advisory_lock(1)', 'lock: pg_advisory_lock()'],
  ['DECLARE c CURSOR WITH HOLD FOR SELECT 1', 'cursor: DECLARE ... WITH HOLD'],
  ["SELECT currval('s')", 'sequence: currval()'],
  ['INSERT INTO t VALUES (lastval())', 'sequence: lastval()'],
  ['SELECT setseed(0.5)', 'unseen: setseed()'],
  ['BEGIN; SELECT 1; LISTEN news; COMMIT', 'listening: LISTEN'],
];

const PASSING: readonly string[] = [
  'SET LOCAL work_mem = 1',
  'SET TRANSACTION READ ONLY',
  'SET CONSTRAINTS ALL DEFERRED',
  "SET TimeZone = 'UTC'; SET SESSION TIME ZONE 'UTC'; SET NAMES 'utf8'",
  'SET work_mem TO DEFAULT; SET app.x = DEFAULT; RESET ALL; RESET work_mem',
  "SET ROLE NONE; SET ROLE 'none'; RESET ROLE; SET SESSION AUTHORIZATION DEFAULT",
  "SELECT set_config('work_mem', '1MB', true), set_config('timezone', 'UTC', false), set_config('a.b', NULL, false)",
  'SELECT set_config($1, $2, $3)',
  "SELECT set_config('role', 'none', false)",
  'SELECT mine.set_config($1, $2, false), mine.pg_advisory_lock(1)',
  'UNLISTEN *; DEALLOCATE ALL; DISCARD ALL; CLOSE ALL; SELECT pg_advisory_unlock_all()',
  "PREPARE TRANSACTION 'id'",
  'CREATE TABLE t (i int); CREATE TABLE temp (i int); CREATE INDEX ON t (i)',
  'CREATE TEMP TABLE t (i int) ON COMMIT DROP',
  'CREATE TEMP TABLE t ON COMMIT DROP AS SELECT 1',
  'SELECT 1 INTO temp FROM t; INSERT INTO temp VALUES (1)',
  'DECLARE c CURSOR FOR SELECT 1; DECLARE d CURSOR WITHOUT HOLD FOR SELECT 1',
  'SELECT pg_advisory_xact_lock(1); SELECT nextval($1), setval($1, 2)',
  'DO $$ BEGIN PERFORM pg_advisory_lock(1); END $$; CALL p(); SELECT mine()',
  "SELECT 'LISTEN news', $$SET a = 1$$ -- SET a = 1",
  'CREATE FUNCTION f() RETURNS void BEGIN ATOMIC SELECT pg_advisory_lock(1); SELECT 1; END',
  'UPDATE t SET work_mem = 1; DELETE FROM listen',
  "SET a = 'open",
];

test('what outlasts its transaction', () => {
  for (const [sql, statement] of LASTING) assert.equal(found(sql), statement, sql);
});

test('what does not, takes back, or cannot be read', () => {
  for (const sql of PASSING) assert.equal(found(sql), null, sql);
});
