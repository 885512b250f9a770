import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schemasOfSetting } from './search-path.js';

test('a search_path is read as PostgreSQL reads it', () => {
  const schemas = (setting: string) => schemasOfSetting(setting, 'Ann');
  assert.deepEqual(schemas('"$user", public'), ['Ann', 'public']);
  assert.deepEqual(schemas('$user,App , "App" ,pg_temp'), ['Ann', 'app', 'App']);
  assert.deepEqual(schemas('"a""b,c"'), ['a"b,c']);
  assert.deepEqual(schemas(''), []);
  assert.deepEqual(schemas('pg_catalog'), ['pg_catalog']);
});

test('what is not certain is not known', () => {
  for (const setting of ['a,', ',a', 'a b', '"a', 'a"b"', '""', 'GRÖSSE', 'x'.repeat(64)]) {
    assert.equal(schemasOfSetting(setting, 'ann'), null, setting);
  }
});
