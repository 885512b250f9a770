/** Random statements that change what a session has set, of every kind that PostgreSQL knows, right ones and wrong ones. */
import type { Random } from '../../simulator/random.js';

/** Functions and roles that the statements use. */
export const GROUND = `
  CREATE ROLE r1; CREATE ROLE r2; CREATE ROLE r3 SUPERUSER; GRANT r1 TO r2;
  CREATE FUNCTION sets(name text, value text, is_local bool) RETURNS text LANGUAGE plpgsql
    AS $$ BEGIN RETURN set_config(name, value, is_local); END $$;
  CREATE FUNCTION fails_behind(name text, value text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN
    BEGIN PERFORM set_config(name, value, false); RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END;
    RETURN current_setting(name); END $$;
  CREATE FUNCTION has_clause(path text) RETURNS text LANGUAGE plpgsql SET work_mem = '333kB' AS $$ BEGIN
    PERFORM set_config('search_path', path, false); RETURN current_setting('work_mem'); END $$;
  CREATE FUNCTION has_path_clause(path text) RETURNS text LANGUAGE plpgsql SET search_path = 'pg_catalog' AS $$ BEGIN
    PERFORM set_config('search_path', path, false); RETURN current_setting('search_path'); END $$`;

/** All that a session shows of itself. Libraries are those of the process, and have settings of their own. */
export const STATE = `
  SELECT (SELECT pg_catalog.string_agg(name || '=' || setting, E'\\n' ORDER BY name) FROM pg_catalog.pg_settings
      WHERE source <> 'override' AND name NOT LIKE 'plpgsql.%' AND name NOT LIKE 'transaction_%'),
    pg_catalog.current_setting('role'), session_user::text, current_user::text,
    coalesce(pg_catalog.current_setting('app.a', true), ''), coalesce(pg_catalog.current_setting('app.b', true), '')`;

const PATHS = ['public', 'r1, public', '"$user"', '', 'pg_temp, public', '"A b", c'];
const SETTINGS: Readonly<Record<string, readonly string[]>> = {
  search_path: PATHS,
  work_mem: ['64kB', '128kB', '1MB'],
  statement_timeout: ['0', '77s', '78s'],
  lock_timeout: ['5s', '0'],
  TimeZone: ['UTC', 'Asia/Tokyo', '-3'],
  DateStyle: ['German', 'ISO, DMY', 'SQL', 'wrong'],
  IntervalStyle: ['iso_8601', 'postgres'],
  bytea_output: ['escape', 'hex'],
  extra_float_digits: ['0', '3'],
  application_name: ['x', "it's", 'zoë'],
  client_encoding: ['UTF8', 'LATIN1', 'SQL_ASCII'],
  standard_conforming_strings: ['on', 'off'],
  backslash_quote: ['off', 'on'],
  default_transaction_isolation: ['serializable', 'read committed'],
  default_transaction_read_only: ['on', 'off'],
  temp_buffers: ['800kB', '1600kB'],
  row_security: ['off', 'on'],
  log_min_messages: ['warning', 'error'],
  session_replication_role: ['replica', 'origin'],
  geqo_seed: ['0.5', '1'],
  no_such_setting: ['1'],
};
/** No list shows these, so that functions are not let at them. */
const CUSTOM: Readonly<Record<string, readonly string[]>> = { 'app.a': ['1', "q'u\\o", ''], 'app.b': ['2'] };
const ALL = { ...SETTINGS, ...CUSTOM };

/** A literal that means the same whatever standard_conforming_strings is. */
function literal(text: string): string {
  const quoted = text.replaceAll("'", "''");
  return text.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}

/** One statement. @param place where its client stands; outside of a block it may begin one where `mayBegin` */
export function sessionStatement(
  random: Random,
  place: { readonly inBlock: boolean; readonly mayBegin: boolean },
): string {
  const { inBlock, mayBegin } = place;
  const idle = inBlock ? 0 : 1;
  return random.weighted<() => string>([
    [12, () => setting(random)],
    [5, () => identity(random)],
    [5, () => throughFunction(random)],
    [2, () => special(random)],
    [0.5, () => 'SELECT 1/0'],
    [idle * 0.7, () => 'DISCARD ALL'],
    [idle, () => `${setting(random)}; SET LOCAL work_mem = '512kB'; SELECT 1`],
    [idle * 0.5, () => `${setting(random)}; SELECT 1/0`],
    [mayBegin ? 0.5 : 0, () => `BEGIN; ${setting(random)}; ROLLBACK; SET work_mem = '256kB'`],
    [mayBegin ? 4 : 0, () => 'BEGIN'],
    [inBlock ? 8 : 0, () => block(random)],
  ])();
}

function setting(random: Random): string {
  const name = random.pick(Object.keys(ALL));
  const value = literal(random.pick(ALL[name]!));
  const isLocal = random.chance(0.3);
  return random.weighted([
    [6, `SET ${isLocal ? 'LOCAL ' : random.pick(['', 'SESSION '])}${name} = ${value}`],
    [2, `SET ${name} TO DEFAULT`],
    [3, `RESET ${name}`],
    [0.5, 'RESET ALL'],
    [2, `SELECT set_config('${name}', ${value}, ${isLocal})`],
  ]);
}

function identity(random: Random): string {
  const scope = random.chance(0.3) ? 'LOCAL ' : '';
  return random.weighted([
    [2, `SET ${scope}ROLE ${random.pick(['r1', 'r2', 'none', 'r3'])}`],
    [1, 'RESET ROLE'],
    [1.5, `SET ${scope}SESSION AUTHORIZATION ${random.pick(['r1', 'r2', 'r3', 'default'])}`],
    [1, 'RESET SESSION AUTHORIZATION'],
  ]);
}

function throughFunction(random: Random): string {
  const name = random.pick(Object.keys(SETTINGS));
  const value = literal(random.pick(SETTINGS[name]!));
  const isLocal = random.chance(0.3);
  const path = literal(random.pick(PATHS));
  return random.pick([
    `SELECT sets('${name}', ${value}, ${isLocal})`,
    `SELECT fails_behind('${name}', ${value})`,
    `SELECT has_clause(${path})`,
    `SELECT has_path_clause(${path})`,
    `DO $$ BEGIN PERFORM pg_catalog.set_config('${name}', ${value}, ${isLocal}); END $$`,
  ]);
}

function special(random: Random): string {
  const scope = random.chance(0.3) ? 'LOCAL ' : '';
  return random.pick([
    `SET ${scope}TIME ZONE ${random.pick(["'Europe/Paris'", 'DEFAULT', "INTERVAL '+02:00' HOUR TO MINUTE", '5'])}`,
    `SET NAMES ${random.pick(["'UTF8'", "'LATIN1'", 'DEFAULT'])}`,
    "SET SCHEMA 'r2'",
    `SET SESSION CHARACTERISTICS AS TRANSACTION ${random.pick(['READ ONLY', 'READ WRITE', 'ISOLATION LEVEL REPEATABLE READ'])}`,
  ]);
}

function block(random: Random): string {
  return random.weighted([
    [2, 'COMMIT'],
    [2, 'ROLLBACK'],
    [1.5, 'SAVEPOINT a'],
    [1.5, 'ROLLBACK TO a'],
    [0.7, 'RELEASE a'],
    [0.3, 'COMMIT AND CHAIN'],
    [0.3, 'ROLLBACK AND CHAIN'],
  ]);
}
