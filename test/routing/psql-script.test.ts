import assert from 'node:assert/strict';
import { test } from 'node:test';
import { statementsOf } from './psql-script.js';

test("psql's scripts are cut into statements", () => {
  const script = `
-- a comment; with a semicolon
SELECT 1; SELECT 'a;b', "c;d",
  $$e;f$$;
\\set x 1
SELECT :x;
SELECT 3 AS y \\gset
CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);
COPY t FROM stdin;
1;2
\\.
SELECT 4
\\g
SELECT a[1:2], b::int`;
  assert.deepEqual(statementsOf(script), [
    '-- a comment; with a semicolon\nSELECT 1',
    `SELECT 'a;b', "c;d",\n  $$e;f$$`,
    'SELECT 3 AS y',
    'CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)',
    'COPY t FROM stdin',
    'SELECT 4',
    'SELECT a[1:2], b::int',
  ]);
});
