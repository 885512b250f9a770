/** What a real database's catalogue says, and what follows from it for statements. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type DatabaseFacts, readCatalogue } from '../../src/control/routing/read-catalogue.js';
import { PostgresParser } from '../../src/grammar/postgres-parser.js';
import type { SearchPath } from '../../src/routing/catalogue.js';
import { CATALOGUE_DIGEST_QUERY, pinned } from '../../src/routing/catalogue-queries.js';
import { decideStandby } from '../../src/routing/standby-decision.js';
import { judgeStatement } from '../../src/routing/statement-verdict.js';
import { PostgresServer } from '../harness/postgres-server.js';

const SETUP = `
  CREATE SCHEMA app; CREATE SCHEMA other;
  CREATE TABLE plain (a int, b text); CREATE TABLE app.t (a int); CREATE UNLOGGED TABLE other.t (a int);
  CREATE UNLOGGED TABLE fleeting (a int); CREATE SEQUENCE numbers; CREATE TABLE "Quoted" (a int);
  CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w;
  CREATE FOREIGN TABLE far_table (a int) SERVER far;
  CREATE TABLE parts (a int) PARTITION BY RANGE (a);
  CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM (1) TO (2);
  CREATE TABLE mixed (a int) PARTITION BY RANGE (a);
  CREATE FOREIGN TABLE mixed_1 PARTITION OF mixed FOR VALUES FROM (1) TO (2) SERVER far;
  CREATE TABLE parent (a int); CREATE UNLOGGED TABLE child () INHERITS (parent);

  CREATE FUNCTION steady(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT $1';
  CREATE FUNCTION writes(int, int DEFAULT 1) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT $1';
  CREATE FUNCTION by_count(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT $1';
  CREATE FUNCTION by_count(int, int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT $1';
  CREATE FUNCTION many(VARIADIC int[]) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
  CREATE FUNCTION app.placed(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT $1';
  CREATE FUNCTION other.placed(int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT $1';
  CREATE FUNCTION other.lower(plain) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT $1.b';
  CREATE FUNCTION full_name(plain) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT $1.b';
  CREATE FUNCTION a(int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 1';
  CREATE FUNCTION any_row(record) RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN 1; END';
  CREATE FUNCTION step(int, int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT $1 + $2';
  CREATE AGGREGATE steps(int) (SFUNC = step, STYPE = int);
  CREATE AGGREGATE fine_sum(int) (SFUNC = int4pl, STYPE = int);

  CREATE VIEW calm AS SELECT a, now() AS at, steady(a) FROM plain;
  CREATE VIEW drawing AS SELECT nextval('numbers');
  CREATE VIEW rolling AS SELECT random() AS r, gen_random_uuid() AS u;
  CREATE VIEW of_drawing AS SELECT * FROM drawing;
  CREATE VIEW of_far AS SELECT * FROM plain WHERE EXISTS (SELECT FROM far_table);
  CREATE VIEW of_activity AS SELECT * FROM pg_stat_activity;
  CREATE VIEW of_session AS SELECT pg_backend_pid();
  CREATE VIEW of_own_setting AS SELECT current_setting('app.tenant') AS tenant;
  CREATE VIEW of_setting AS SELECT current_setting('in_hot_standby', true) AS standby;
  CREATE VIEW of_setting_by_name AS SELECT current_setting(b, true) FROM plain;
  CREATE VIEW locking AS SELECT a FROM (SELECT a FROM plain FOR UPDATE) AS p;
  CREATE MATERIALIZED VIEW stored AS SELECT random() AS r;

  CREATE TABLE secured (a int); ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
  CREATE POLICY p ON secured USING (a = current_setting('app.tenant')::int);
  CREATE TABLE counted (a int); ALTER TABLE counted ENABLE ROW LEVEL SECURITY;
  CREATE POLICY p ON counted FOR SELECT USING (writes(a) > 0);
  CREATE TABLE guarded (a int); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
  CREATE POLICY p ON guarded FOR INSERT WITH CHECK (writes(a) > 0);
  CREATE POLICY q ON guarded FOR SELECT USING (true);
  CREATE TABLE switched_off (a int); CREATE POLICY p ON switched_off USING (writes(a) > 0);

  CREATE FUNCTION spaceship(int, int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT $1';
  CREATE OPERATOR <=> (LEFTARG = int, RIGHTARG = int, FUNCTION = spaceship);
  CREATE VIEW of_operator AS SELECT a <=> 1 FROM plain;
  CREATE DOMAIN checked AS int CHECK (writes(VALUE) > 0); CREATE DOMAIN fine AS int CHECK (VALUE > 0);`;

/** Statements, and the reason for the primary; null: they may run on a standby. */
const CASES: readonly (readonly [string, RegExp | null])[] = [
  ['SELECT * FROM plain', null],
  ['SELECT * FROM "Quoted"', null],
  ['SELECT * FROM quoted', /^quoted is not known here$/],
  ['SELECT * FROM public.plain, app.t', null],
  ['SELECT * FROM other.t', /^other\.t is unlogged, and empty on a standby$/],
  ['SELECT * FROM fleeting', /is unlogged/],
  ['SELECT last_value FROM numbers', /is a sequence/],
  ['SELECT * FROM far_table', /^far_table is a foreign table$/],
  ['SELECT * FROM parts', null],
  ['SELECT * FROM mixed', /^mixed reads public\.mixed_1, which is a foreign table$/],
  ['SELECT * FROM parent', /^parent reads public\.child, which is unlogged/],
  ['SELECT steady(1)', null],
  ['SELECT steady(1, 2)', /steady\(\), which is not known here/],
  ['SELECT writes(1)', /writes\(\), which is volatile in the schema public/],
  ['SELECT writes(1, 2)', /volatile/],
  ['SELECT public.writes(1)', /public\.writes\(\), which is volatile$/],
  ['SELECT by_count(1)', null],
  ['SELECT by_count(1, 2)', /volatile/],
  ['SELECT many(1, 2, 3)', /volatile/],
  ['SELECT app.placed(1)', null],
  ['SELECT other.placed(1)', /volatile/],
  ['SELECT steps(a) FROM plain', /volatile/],
  ['SELECT fine_sum(a) FROM plain', null],
  ['SELECT p.full_name FROM plain p', /\.full_name, which may be a call of a volatile function/],
  ['SELECT (p).full_name FROM plain p', /full_name/],
  ['SELECT p.any_row FROM plain p', /any_row/],
  ['SELECT p.a FROM plain p', null],
  ['SELECT * FROM calm', null],
  ['SELECT * FROM rolling', null],
  ['SELECT * FROM stored', null],
  ['SELECT * FROM drawing', /^drawing calls pg_catalog\.nextval\(\), which is volatile$/],
  ['SELECT * FROM of_drawing', /^of_drawing reads public\.drawing, which calls pg_catalog\.nextval\(\)/],
  ['SELECT * FROM locking', /^locking locks rows$/],
  ['SELECT * FROM of_far', /^of_far reads public\.far_table, which is a foreign table$/],
  ['SELECT * FROM of_activity', /which tells of the server$/],
  ['SELECT * FROM of_session', /pg_backend_pid\(\), which tells of the server$/],
  ['SELECT * FROM of_own_setting', null],
  ['SELECT * FROM of_setting', /one of the server's own settings/],
  ['SELECT * FROM of_setting_by_name', /one of the server's own settings/],
  ['SELECT * FROM of_operator', /spaceship/],
  ['SELECT * FROM secured', null],
  ['SELECT * FROM counted', /^counted calls public\.writes\(\)/],
  ['SELECT * FROM guarded', null],
  ['SELECT * FROM switched_off', null],
  ['SELECT 1 <=> 2', /operator <=>, which calls public\.spaceship\(\), which is volatile/],
  ['SELECT 1 <= 2', null],
  ["SELECT '1'::checked", /uses the type checked, which calls public\.writes/],
  ["SELECT '1'::fine", null],
  ['SELECT relname FROM pg_class, pg_catalog.pg_namespace, pg_tables, information_schema.columns', null],
  ['SELECT * FROM pg_stat_activity', /pg_stat_get_activity/],
  ['SELECT * FROM pg_settings', /pg_show_all_settings/],
  ['SELECT * FROM pg_locks', /volatile/],
  ['SELECT * FROM pg_prepared_statements', /tells of the server/],
  ['SELECT * FROM pg_stat_user_tables', /reads|calls/],
  [
    'SELECT * FROM pg_roles, pg_user, pg_indexes, pg_views, pg_policies, pg_stats, pg_matviews, pg_rules',
    null,
  ],
  ['COPY plain TO STDOUT', null],
  ['COPY fleeting TO STDOUT', /unlogged/],
];

describe("a database's catalogue", () => {
  let server: PostgresServer;
  let facts: DatabaseFacts;
  let parser: PostgresParser;
  before(async () => {
    server = await PostgresServer.start();
    await server.query(SETUP);
    parser = await PostgresParser.open();
    facts = await readCatalogue(server.url(), 30_000);
  });
  after(() => server.discard());

  function reasonFor(sql: string, path: SearchPath): string | null {
    const text = Buffer.from(sql);
    const verdict = judgeStatement(parser.parse(text, 0, text.length));
    const { mayRunOnStandby, reason } = decideStandby(verdict, facts.catalogue, path);
    return mayRunOnStandby ? null : reason;
  }

  test('what is known of functions, relations, operators, types and policies', () => {
    assert.deepEqual(facts.searchPath, ['public']);
    for (const [sql, expected] of CASES) {
      const reason = reasonFor(sql, facts.searchPath);
      if (expected === null) assert.deepEqual([sql, reason], [sql, null]);
      else assert.match(reason ?? '(standby)', expected, sql);
    }
  });

  test('the search_path decides; without it the worst counts', () => {
    assert.equal(reasonFor('SELECT * FROM t', ['app', 'other']), null);
    assert.match(reasonFor('SELECT * FROM t', ['other', 'app']) ?? '', /unlogged/);
    assert.match(reasonFor('SELECT * FROM t', ['public']) ?? '', /not known here/);
    assert.match(reasonFor('SELECT * FROM t', null) ?? '', /unlogged/);
    assert.equal(reasonFor('SELECT placed(1)', ['app']), null);
    assert.match(reasonFor('SELECT placed(1)', ['app', 'other']) ?? '', /volatile in the schema other/);
    assert.match(reasonFor('SELECT placed(1)', null) ?? '', /volatile/);
    assert.equal(reasonFor("SELECT lower('A')", ['public']), null);
    assert.match(reasonFor("SELECT lower('A')", ['public', 'other']) ?? '', /volatile in the schema other/);
    assert.equal(reasonFor('TABLE pg_class', ['public']), null);
    assert.equal(reasonFor('SELECT * FROM tables', ['information_schema']), null);
  });

  test('a cast that no text shows is minded where its type may come up', async () => {
    await server.query(
      `
      CREATE TYPE odd AS (a int); CREATE TABLE odds (o odd);
      CREATE FUNCTION to_odd(int) RETURNS odd LANGUAGE sql VOLATILE AS 'SELECT ROW($1)::odd';
      CREATE FUNCTION of_odd(odd) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
      CREATE FUNCTION of_two(int, odd) RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
      CREATE OPERATOR ### (LEFTARG = int, RIGHTARG = odd, FUNCTION = of_two);
      CREATE CAST (int AS odd) WITH FUNCTION to_odd(int) AS IMPLICIT;
      CREATE TYPE kept AS (a int);
      CREATE FUNCTION to_kept(int) RETURNS kept LANGUAGE sql VOLATILE AS 'SELECT ROW($1)::kept';
      CREATE CAST (int AS kept) WITH FUNCTION to_kept(int) AS ASSIGNMENT`,
    );
    const before = facts;
    facts = await readCatalogue(server.url(), 30_000);
    const unseen = /may be given a value by a cast that calls public\.to_odd\(\), which is volatile/;
    assert.match(reasonFor('SELECT of_odd(1)', null) ?? '', unseen);
    assert.match(reasonFor('SELECT 1 ### 2', null) ?? '', unseen);
    assert.match(reasonFor('SELECT COALESCE(o, 1) FROM odds', null) ?? '', unseen);
    assert.match(reasonFor('SELECT 1::odd', null) ?? '', /type odd, which calls public\.to_odd/);
    assert.match(reasonFor('SELECT 1::kept', null) ?? '', /type kept, which calls public\.to_kept/);
    assert.equal(reasonFor('SELECT 1 + 2, lower(b) FROM plain', ['public']), null);
    facts = before;
  });

  test('a digest tells whether anything has changed', async () => {
    const digest = async () => {
      const rows = await server.query(pinned(CATALOGUE_DIGEST_QUERY));
      return String(rows.at(-1)?.digest);
    };
    const first = await digest();
    assert.match(first, /\d+ -?\d+/);
    await server.query('CREATE TEMPORARY TABLE passing (a int); DROP TABLE passing');
    assert.equal(await digest(), first);
    const changes = [
      'CREATE TABLE another (a int)',
      'ALTER FUNCTION steady(int) VOLATILE',
      'ALTER TABLE another SET UNLOGGED',
      'CREATE OR REPLACE VIEW calm AS SELECT a, now() AS at, writes(a) AS steady FROM plain',
      'ALTER FUNCTION steady(int) STABLE',
      'DROP TABLE another',
    ];
    const seen = new Set([first]);
    for (const change of changes) {
      await server.query(change);
      seen.add(await digest());
    }
    assert.equal(seen.size, changes.length + 1);
  });

  test("nobody's objects stand before PostgreSQL's own in the questions", async () => {
    await server.query(`
      CREATE ROLE trap LOGIN; CREATE SCHEMA trap; ALTER ROLE trap SET search_path = trap, pg_catalog;
      CREATE FUNCTION trap.never(oid, oid) RETURNS bool LANGUAGE sql AS 'SELECT 1/0 = 1';
      CREATE OPERATOR trap.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = trap.never);
      CREATE TABLE trap.pg_class (oid int); CREATE FUNCTION trap.bool_or(bool) RETURNS bool LANGUAGE sql AS 'SELECT 1/0 = 1';
      GRANT USAGE ON SCHEMA trap TO trap`);
    const { catalogue, searchPath } = await readCatalogue(server.url('trap'), 30_000);
    assert.deepEqual(searchPath, ['trap', 'pg_catalog']);
    assert.equal(catalogue.relations('plain').length, 1);
    assert.equal(catalogue.relations('pg_class').length, 2);
  });
});
