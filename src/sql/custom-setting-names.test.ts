import assert from 'node:assert/strict';
import { test } from 'node:test';
import { customSettingNames } from './custom-setting-names.js';

function namesIn(sql: string): string[] | null {
  const bytes = Buffer.from(`(${sql})`);
  return customSettingNames(bytes, 1, bytes.length - 1);
}

test('names of SET and RESET, folded as PostgreSQL folds them', () => {
  assert.deepEqual(namesIn('SET My.Setting = 1'), ['my.setting']);
  assert.deepEqual(namesIn('SET SESSION a . "B" TO 1; RESET c.d'), ['a.B', 'c.d']);
  assert.deepEqual(namesIn('SET "a.b" = 1; SET "c""d.e" = 2; SET a.b = 3'), ['a.b', 'c"d.e']);
  assert.deepEqual(namesIn('SET local.x = 1; SET LOCAL a.b = 1'), ['local.x', 'a.b']);
  assert.deepEqual(namesIn("SET search_path = a; SELECT 'SET a.b = 1'; UPDATE t SET a.b = 1"), []);
});

test('names that set_config gets as plain literals', () => {
  assert.deepEqual(
    namesIn("SELECT set_config('a.b', $1, false), pg_catalog.set_config ( 'c''.d' , 'e.f', true)"),
    ['a.b', "c'.d"],
  );
  assert.deepEqual(namesIn("SELECT set_config('role', 'a.b', false)"), []);
});

test('null where a name is not to be had from the text', () => {
  for (const sql of [
    'SELECT set_config($1, $2, false)',
    "SELECT set_config('a.' || 'b', '', false)",
    "SELECT set_config(E'a.b', '', false)",
    "SELECT set_config($$a.b$$, '', false)",
    "SELECT set_config('a.b'",
    "SET a.b = 'open",
    "SET a.b = 'c\\'; SET d.e = 'f'",
  ]) {
    assert.equal(namesIn(sql), null, sql);
  }
});

test('a backslash before a quote, where the server is known to take it for a plain character', () => {
  const bytes = Buffer.from("SET a.b = 'c\\'; SET d.e = 'f'");
  assert.deepEqual(customSettingNames(bytes, 0, bytes.length, true), ['a.b', 'd.e']);
});
