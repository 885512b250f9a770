/** The simple query protocol. Table `notes` has the rows 1, 2 and 3 when a script begins. */
import { query } from '../../harness/frontend-message.js';
import { type Script, script } from '../script.js';

export const SIMPLE: readonly Script[] = [
  script('one value', query('SELECT 1'), 'Z'),
  script('two columns, a null, no rows', query("SELECT 1 AS a, NULL AS b WHERE 'x' = 'y'"), 'Z'),
  script('an empty query', query(''), 'Z'),
  script('only a comment', query('-- nothing'), 'Z'),
  script('several statements', query("SELECT 1; SELECT 'two'; SELECT 3 WHERE false"), 'Z'),
  script('several statements, the second fails', query('SELECT 1; SELECT 1/0; SELECT 3'), 'Z'),
  script('a syntax error with a position', query('SELEC 1'), 'Z'),
  script('an error with detail', query("INSERT INTO notes VALUES (1, 'again')"), 'Z'),
  script('an error with a hint', query('SELECT bodi FROM notes'), 'Z'),
  script(
    'insert, update, delete',
    query("INSERT INTO notes VALUES (9, 'nine')"),
    'Z',
    query('DELETE FROM notes'),
    'Z',
  ),
  script(
    'queries one after the other without waiting',
    query('SELECT 1'),
    query('SELECT 2'),
    query('SELECT 3'),
    'ZZZ',
  ),
  script(
    'a failing query among others without waiting',
    query('SELECT 1'),
    query('x'),
    query('SELECT 3'),
    'ZZZ',
  ),
  script('a notice', query("DO $$ BEGIN RAISE NOTICE 'hello'; END $$"), 'Z'),
  script(
    'a warning with detail and hint before a result',
    query(
      "DO $$ BEGIN RAISE WARNING 'w' USING DETAIL = 'd', HINT = 'h', ERRCODE = '01234'; END $$; SELECT 1",
    ),
    'Z',
  ),
  script(
    'a thousand notices',
    query("DO $$ BEGIN FOR i IN 1..1000 LOOP RAISE NOTICE '%', i; END LOOP; END $$"),
    'Z',
  ),
  script('twenty thousand rows', query('SELECT i, md5(i::text) FROM generate_series(1, 20000) i'), 'Z'),
  script('a row of 3 MB', query("SELECT repeat('abc', 1000000)"), 'Z'),
  script('a query of 1 MB', query(`SELECT length('${'x'.repeat(1_000_000)}')`), 'Z'),
  script(
    'a hundred columns',
    query(`SELECT ${Array.from({ length: 100 }, (_, i) => `${i} AS c${i}`).join(', ')}`),
    'Z',
  ),
  script('text outside ASCII', query('SELECT \'žluťoučký 🐎\' AS "kůň"'), 'Z'),
  script('a query with a parameter that has no value', query('SELECT $1'), 'Z'),
];
