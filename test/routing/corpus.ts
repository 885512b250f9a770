import { INTROSPECTION } from './introspection.js';

/** Statements of all kinds over the tables of {@link CORPUS_SETUP}, to be judged and then run. */

/** What the statements need. */
export const CORPUS_SETUP = `
  CREATE SCHEMA app;
  CREATE TABLE accounts (aid int PRIMARY KEY, bid int, abalance int DEFAULT 0, filler text, at timestamptz DEFAULT now());
  INSERT INTO accounts SELECT n, n % 10, n * 7 % 100, 'f' || n FROM generate_series(1, 200) AS n;
  CREATE TABLE branches (bid int PRIMARY KEY, name text, tags text[], doc jsonb, span int4range);
  INSERT INTO branches SELECT n, 'Branch ' || n, ARRAY['a', 'b' || n], jsonb_build_object('n', n, 'list', ARRAY[n, n + 1]),
    int4range(n, n + 5) FROM generate_series(0, 9) AS n;
  CREATE TABLE app.notes (id int, body text, words tsvector); INSERT INTO app.notes VALUES (1, 'a cat', to_tsvector('a cat'));
  CREATE TABLE parts (id int, v text) PARTITION BY RANGE (id);
  CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100); INSERT INTO parts SELECT n, 'v' FROM generate_series(1, 9) n;
  CREATE UNLOGGED TABLE fleeting (a int); INSERT INTO fleeting VALUES (1);
  CREATE SEQUENCE numbers; SELECT nextval('numbers');
  CREATE VIEW rich AS SELECT * FROM accounts WHERE abalance > 50;
  CREATE VIEW numbered AS SELECT nextval('numbers') AS n;
  CREATE VIEW sessions AS SELECT pid, usename FROM pg_stat_activity;
  CREATE MATERIALIZED VIEW totals AS SELECT bid, sum(abalance) AS total FROM accounts GROUP BY bid;
  CREATE FUNCTION doubled(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';
  CREATE FUNCTION balance(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT abalance FROM accounts WHERE aid = $1';
  CREATE FUNCTION deposit(int, int) RETURNS int LANGUAGE sql
    AS 'UPDATE accounts SET abalance = abalance + $2 WHERE aid = $1 RETURNING abalance';
  CREATE PROCEDURE nothing() LANGUAGE sql AS 'SELECT 1';
  CREATE TABLE tenants (id int, tenant text); INSERT INTO tenants VALUES (1, 'x');
  ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
  CREATE POLICY p ON tenants USING (tenant = current_setting('app.tenant', true));
  CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;`;

/** What applications and tools send. */
export const CORPUS: readonly string[] = [...statements(), ...INTROSPECTION];

function statements(): readonly string[] {
  return lines(`
SELECT abalance FROM accounts WHERE aid = 7
SELECT * FROM accounts ORDER BY aid LIMIT 5 OFFSET 3
SELECT count(*), sum(abalance), avg(abalance), min(aid), max(aid), stddev(abalance) FROM accounts
SELECT bid, count(*) FROM accounts GROUP BY bid HAVING count(*) > 3 ORDER BY bid
SELECT a.aid, b.name FROM accounts a JOIN branches b USING (bid) WHERE a.abalance BETWEEN 10 AND 20 ORDER BY 1
SELECT a.aid FROM accounts a LEFT JOIN branches b ON a.bid = b.bid WHERE b.bid IS NULL
SELECT * FROM accounts a, LATERAL (SELECT name FROM branches b WHERE b.bid = a.bid) l ORDER BY aid FETCH FIRST 3 ROWS ONLY
SELECT aid FROM accounts WHERE bid IN (1, 2, 3) AND filler LIKE 'f1%' ORDER BY aid
SELECT aid FROM accounts WHERE aid = ANY (ARRAY[1, 2]) OR EXISTS (SELECT FROM branches WHERE bid = -1)
SELECT DISTINCT ON (bid) bid, aid FROM accounts ORDER BY bid, aid DESC
SELECT aid FROM accounts WHERE aid < 3 UNION ALL SELECT bid FROM branches EXCEPT SELECT 1 INTERSECT SELECT 1
WITH w AS (SELECT bid, sum(abalance) AS s FROM accounts GROUP BY bid) SELECT * FROM w WHERE s > (SELECT avg(s) FROM w)
WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) FROM r
WITH accounts AS (SELECT 1 AS only) SELECT * FROM accounts
SELECT aid, rank() OVER (PARTITION BY bid ORDER BY abalance DESC, aid) FROM accounts WHERE aid < 20 ORDER BY 1
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY abalance), mode() WITHIN GROUP (ORDER BY bid) FROM accounts
SELECT string_agg(name, ',' ORDER BY bid) FILTER (WHERE bid > 3), array_agg(bid ORDER BY bid) FROM branches
SELECT bid, abalance > 50, count(*) FROM accounts GROUP BY GROUPING SETS ((bid), (abalance > 50), ()) ORDER BY 1, 2
SELECT doc->>'n', doc #> '{list,0}', doc @> '{"n": 1}', jsonb_path_query_first(doc, '$.list[*] ? (@ > 3)') FROM branches ORDER BY bid
SELECT jsonb_agg(b ORDER BY bid), json_build_object('a', 1), row_to_json(row(1, 2)) FROM branches b
SELECT * FROM branches, jsonb_array_elements_text(doc->'list') WITH ORDINALITY e (v, i) ORDER BY bid, i
SELECT * FROM jsonb_to_record('{"a": 1, "b": "x"}') AS r (a int, b text)
SELECT bid FROM branches WHERE tags && ARRAY['b3'] OR 'b4' = ANY (tags) ORDER BY bid
SELECT span * int4range(2, 4), lower(span), upper_inc(span) FROM branches ORDER BY bid
SELECT unnest(tags), generate_subscripts(tags, 1) FROM branches ORDER BY bid, 1
SELECT * FROM app.notes WHERE words @@ to_tsquery('english', 'cat')
SELECT ts_headline('a cat', plainto_tsquery('cat')), ts_rank(words, 'cat') FROM app.notes
SELECT * FROM parts WHERE id = 3
SELECT tableoid::regclass, ctid, xmin, * FROM parts ORDER BY id
SELECT * FROM parts TABLESAMPLE system (100) REPEATABLE (1) ORDER BY id
SELECT * FROM rich ORDER BY aid
SELECT * FROM totals ORDER BY bid
SELECT doubled(21), balance(3)
SELECT doubled(balance(aid)) FROM accounts WHERE aid < 5 ORDER BY aid
SELECT * FROM tenants
TABLE branches
VALUES (1, 'a'), (2, 'b')
SELECT 1; SELECT 2
(SELECT 1)
SELECT
SELECT NULL::int, TRUE AND NOT FALSE, 1 + 2 * 3 % 4 ^ 2, 'a' || 'b', 5 BETWEEN 1 AND 9, 1 IS DISTINCT FROM NULL
SELECT CASE WHEN abalance > 50 THEN 'rich' ELSE 'poor' END, COALESCE(filler, '-'), NULLIF(bid, 3), GREATEST(aid, bid) FROM accounts ORDER BY aid
SELECT upper(filler), length(filler), substr(filler, 2), lpad(filler, 9, '0'), md5(filler), translate(filler, 'f', 'g') FROM accounts ORDER BY aid
SELECT substring('abc' FROM 2 FOR 1), position('b' IN 'abc'), trim(BOTH 'x' FROM 'xax'), overlay('abc' PLACING 'z' FROM 2)
SELECT 'abc' ~ 'b', regexp_replace('abc', 'b', 'x'), regexp_matches('a1b2', '[0-9]', 'g'), 'a' SIMILAR TO 'a|b'
SELECT format('%s-%I', 1, 'x'), concat_ws(',', 1, 2), to_char(1234.5, '9999.9'), to_number('12', '99'), quote_literal('x')
SELECT date '2024-02-29' + interval '1 year', extract(dow FROM date '2024-02-29'), date_trunc('month', timestamp '2024-02-29 10:00')
SELECT age(timestamp '2024-01-01', timestamp '2023-01-01'), to_timestamp(0) AT TIME ZONE 'UTC', make_date(2024, 1, 1)
SELECT * FROM generate_series(timestamp '2024-01-01', timestamp '2024-01-03', interval '1 day')
SELECT now() > timestamp '2020-01-01', current_date > date '2020-01-01', current_timestamp IS NULL, localtime IS NULL
SELECT clock_timestamp() > now() - interval '1 hour', statement_timestamp() IS NULL, timeofday() IS NULL
SELECT random() < 2, gen_random_uuid() IS NULL
SELECT aid FROM accounts WHERE aid < 0 ORDER BY random()
SELECT current_user, session_user, current_database(), current_schema, current_schemas(true), current_catalog
SELECT has_table_privilege('accounts', 'select'), pg_has_role('pg_monitor', 'member'), row_security_active('tenants')
SELECT 'accounts'::regclass, 'accounts'::regclass::oid, to_regclass('nope'), 'int4'::regtype, format_type(23, NULL)
SELECT pg_typeof(1), pg_column_size('abc'::text), pg_get_viewdef('rich'), obj_description('accounts'::regclass)
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'accounts'::regclass
SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'accounts'::regclass ORDER BY attnum
SELECT * FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, ordinal_position
SELECT * FROM information_schema.tables WHERE table_schema = 'public' ORDER BY table_name
SELECT * FROM information_schema.table_constraints WHERE table_schema = 'public' ORDER BY constraint_name
SELECT * FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename
SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1
SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1
SELECT rolname FROM pg_roles ORDER BY 1
SELECT datname, encoding FROM pg_database ORDER BY 1
SELECT typname, typcategory FROM pg_type WHERE typnamespace = 'public'::regnamespace ORDER BY 1
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1
SELECT * FROM pg_partition_tree('parts')
SELECT * FROM pg_stats WHERE tablename = 'accounts' ORDER BY attname
SELECT * FROM pg_policies
SELECT current_setting('app.tenant', true)
SELECT inet '10.0.0.1' << inet '10.0.0.0/8', network(inet '10.1.2.3/16'), point(1, 2) <-> point(3, 4), circle '((0,0),1)' @> point '(0,0)'
SELECT B'101' & B'110', X'1F', '\\x00ff'::bytea, encode('abc', 'hex'), sha256('abc')
SELECT xmlelement(name a, 1) IS NULL, xml '<a/>' IS DOCUMENT
SELECT (ROW(1, 2)).f1, (b).name, (b.tags)[1] FROM branches b ORDER BY bid
SELECT b FROM branches b WHERE b.bid = 1
SELECT bool_and(abalance >= 0), every(aid > 0), bit_or(aid), corr(aid, abalance), var_pop(abalance) FROM accounts
SELECT ntile(3) OVER w, lag(aid) OVER w, first_value(aid) OVER w FROM accounts WHERE aid < 9 WINDOW w AS (ORDER BY aid)
SELECT aid FROM accounts WHERE (aid, bid) IN (SELECT aid, bid FROM accounts WHERE aid < 5) ORDER BY 1
SELECT ARRAY(SELECT aid FROM accounts WHERE aid < 5 ORDER BY 1), ARRAY[[1, 2], [3, 4]][2][1]
SELECT * FROM ROWS FROM (generate_series(1, 3), generate_series(5, 6)) AS r (a, b)
EXPLAIN (COSTS off) SELECT * FROM accounts WHERE aid = 1
EXPLAIN (ANALYZE, BUFFERS off, COSTS off, TIMING off, SUMMARY off) SELECT * FROM accounts WHERE aid = 1
SELECT /* a comment */ 1 -- another
SELECT $$dollar$$, E'\\n', U&'\\0061', 1e3, .5, 1_0
SELECT 1/0
SELECT aid, abalance FROM accounts WHERE abalance > $$10$$::int AND filler IS NOT NULL ORDER BY abalance DESC NULLS LAST, aid LIMIT 10
SELECT a.* FROM accounts AS a WHERE a.bid = (SELECT max(bid) FROM branches) ORDER BY a.aid
SELECT "a"."aid", "a"."bid" FROM "public"."accounts" AS "a" WHERE "a"."aid" IN (1, 2, 3) ORDER BY "a"."aid" ASC
SELECT COUNT(*) AS "__count" FROM "accounts" INNER JOIN "branches" ON ("accounts"."bid" = "branches"."bid") WHERE UPPER("branches"."name"::text) LIKE UPPER('%branch%')
SELECT (1) AS "a" FROM "accounts" WHERE "accounts"."aid" = 5 LIMIT 1
SELECT t0.aid AS c0, t0.bid AS c1 FROM public.accounts t0 LEFT OUTER JOIN public.branches t1 ON t0.bid = t1.bid WHERE (t1.name ILIKE '%1%' AND 1=1) ORDER BY t0.aid OFFSET 0
SELECT date_trunc('day', at) IS NOT NULL AS day, count(*) FROM accounts GROUP BY 1 ORDER BY 1
SELECT bid, sum(abalance) OVER (ORDER BY aid ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM accounts WHERE aid < 10 ORDER BY aid
SELECT bid, sum(abalance) OVER (PARTITION BY bid ORDER BY aid RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM accounts WHERE aid < 10 ORDER BY aid
SELECT bid, count(*) FROM accounts GROUP BY CUBE (bid, abalance % 2) ORDER BY 1, 2
SELECT GROUPING(bid), bid, sum(abalance) FROM accounts GROUP BY ROLLUP (bid) ORDER BY 1, 2
SELECT * FROM accounts a FULL JOIN branches b ON a.bid = b.bid AND a.aid < 3 WHERE a.aid IS NULL OR a.aid < 5 ORDER BY a.aid, b.bid
SELECT * FROM accounts NATURAL JOIN branches WHERE aid < 4 ORDER BY aid
SELECT * FROM branches CROSS JOIN (VALUES (1), (2)) AS v (n) WHERE bid < 2 ORDER BY bid, n
SELECT b.bid, l.total FROM branches b LEFT JOIN LATERAL (SELECT sum(abalance) AS total FROM accounts a WHERE a.bid = b.bid) l ON true ORDER BY 1
SELECT aid FROM accounts WHERE NOT EXISTS (SELECT 1 FROM branches WHERE branches.bid = accounts.bid) ORDER BY aid
SELECT aid FROM accounts WHERE bid = ALL (SELECT 3) OR bid > SOME (SELECT 8) ORDER BY aid
SELECT aid FROM accounts WHERE (bid, aid) < (1, 50) ORDER BY aid
(SELECT aid FROM accounts ORDER BY aid LIMIT 2) UNION ALL (SELECT aid FROM accounts ORDER BY aid DESC LIMIT 2)
WITH a AS MATERIALIZED (SELECT * FROM accounts WHERE aid < 5), b AS NOT MATERIALIZED (SELECT bid FROM a) SELECT * FROM a JOIN b USING (bid) ORDER BY aid, bid
WITH RECURSIVE tree AS (SELECT 1 AS id, ARRAY[1] AS path UNION ALL SELECT id + 1, path || (id + 1) FROM tree WHERE id < 4) SELECT * FROM tree
WITH RECURSIVE g (a, b) AS (VALUES (1, 2), (2, 1)), w (a) AS (SELECT 1 UNION SELECT g.b FROM g JOIN w USING (a)) SELECT * FROM w ORDER BY 1
WITH t (x) AS (VALUES (1)) SELECT x, (WITH t (x) AS (VALUES (2)) SELECT x FROM t) FROM t
SELECT regexp_split_to_table('a,b,c', ','), string_to_array('1,2', ','), array_to_string(ARRAY[1, 2], '-')
SELECT array_append(ARRAY[1], 2), array_position(ARRAY['a', 'b'], 'b'), cardinality(ARRAY[1, 2]), ARRAY[1, 2] @> ARRAY[1], ARRAY[1, 2] || 3
SELECT array_length(tags, 1), array_remove(tags, 'a'), tags[1:1], array_dims(tags) FROM branches ORDER BY bid
SELECT int4range(1, 5) && int4range(4, 9), numrange(1, 2) @> 1.5, daterange('2024-01-01', '2024-02-01') - daterange('2024-01-10', '2024-02-01')
SELECT range_agg(span), range_intersect_agg(span) FROM branches
SELECT jsonb_set('{"a": 1}', '{a}', '2'), '{"a": 1}'::jsonb || '{"b": 2}', '{"a": 1}'::jsonb - 'a', jsonb_typeof('[]'), jsonb_pretty('{"a": 1}')
SELECT key, value FROM jsonb_each('{"a": 1, "b": [2]}') ORDER BY key
SELECT jsonb_object_agg(bid, name), json_agg(doc ORDER BY bid) FROM branches
SELECT doc['n'], doc['list'][0] FROM branches ORDER BY bid
SELECT jsonb_path_exists(doc, '$.list[*] ? (@ > 5)'), doc ? 'n', doc ?| ARRAY['x', 'n'] FROM branches ORDER BY bid
SELECT ltrim('  a'), rtrim('a  '), initcap('a b'), repeat('a', 3), reverse('abc'), split_part('a-b', '-', 2), strpos('abc', 'c'), ascii('a'), chr(97)
SELECT left('abc', 2), right('abc', 2), starts_with('abc', 'ab'), quote_ident('A b'), quote_nullable(NULL), to_hex(255), md5('a')
SELECT abs(-1), ceil(1.2), floor(1.8), round(1.234, 2), trunc(1.9), mod(7, 3), power(2, 3), sqrt(4), ln(1), exp(0), sign(-2), div(7, 2), gcd(4, 6)
SELECT width_bucket(5, 0, 10, 5), greatest(1, 2), least(1, 2), num_nulls(1, NULL), 7 / 2, 7 % 2, 2 ^ 3, |/ 4, @ -1, 5 & 3, 5 | 2, 5 # 1, ~ 1, 1 << 2
SELECT extract(epoch FROM interval '1 day'), justify_hours(interval '25 hours'), interval '1 day' * 2, date '2024-01-01' - date '2023-01-01', time '10:00' + interval '1 hour'
SELECT timestamp '2024-01-01' AT TIME ZONE 'Europe/Vienna', timezone('UTC', timestamptz '2024-01-01 00:00+00'), date_bin('15 minutes', timestamp '2024-01-01 10:20', timestamp '2024-01-01'), make_interval(days => 3)
SELECT to_char(date '2024-02-29', 'YYYY-MM-DD Day'), to_date('2024-02', 'YYYY-MM'), to_timestamp('2024', 'YYYY') IS NOT NULL, isfinite(date 'infinity'), (date '2024-01-01', date '2024-03-01') OVERLAPS (date '2024-02-01', date '2024-04-01')
SELECT host(inet '10.0.0.1/8'), masklen(inet '10.0.0.0/8'), inet '10.0.0.1' + 5, macaddr '08:00:2b:01:02:03', family(inet '::1')
SELECT point '(1,1)' <@ box '((0,0),(2,2))', area(box '((0,0),(2,2))'), length(lseg '((0,0),(3,4))'), polygon '((0,0),(1,1),(1,0))' && polygon '((0,0),(1,1),(1,0))'
SELECT xpath('/a/text()', '<a>b</a>'), xmlforest(1 AS a), xmlagg(xmlelement(name x, bid) ORDER BY bid) IS NOT NULL FROM branches
SELECT tsvector 'a b' @@ tsquery 'a & b', to_tsvector('simple', 'x y'), websearch_to_tsquery('simple', 'x or y'), setweight(tsvector 'a', 'A'), numnode(tsquery 'a & b')
SELECT convert_from('\x61'::bytea, 'UTF8'), convert_to('a', 'UTF8'), decode('YQ==', 'base64'), get_byte('\x01'::bytea, 0), bit_length('a'), octet_length('a'), sha512('a') IS NOT NULL
SELECT 1::bit(4), B'10' || B'01', length(B'101'), 5::int2 + 3::int8, 1.5::numeric(3, 1), '1'::money IS NOT NULL, 'a'::char(3), 'b'::name, '{1,2}'::int[]
SELECT CAST('1' AS int), int '1', '2024-01-01'::date::text, 'infinity'::float8, 'NaN'::numeric, true::int, 'on'::bool
SELECT NULL IS NULL, NULL = NULL, 1 IS NOT DISTINCT FROM 1, true IS TRUE, NULL IS UNKNOWN, 'a' BETWEEN SYMMETRIC 'b' AND 'a', 1 NOT IN (2, 3), 'a' NOT LIKE 'b'
SELECT row(1, 'a') = row(1, 'a'), row(1, NULL) IS NULL, (SELECT row(1, 2)), ROW(a.*) FROM (SELECT 1 AS x) a
SELECT a.x FROM (SELECT 1 AS x, 2 AS y) AS a (x, y), unnest(ARRAY[1, 2], ARRAY['a']) AS u (n, t)
SELECT generate_series(1, 3), generate_series(1, 2)
SELECT * FROM unnest(ARRAY['x', 'y']) WITH ORDINALITY AS u (v, n)
SELECT first_value(aid) OVER (ORDER BY aid), last_value(aid) OVER (), nth_value(aid, 2) OVER (ORDER BY aid), cume_dist() OVER (ORDER BY aid), percent_rank() OVER (ORDER BY aid), dense_rank() OVER (ORDER BY bid) FROM accounts WHERE aid < 6 ORDER BY aid
SELECT covar_pop(aid, bid), regr_slope(aid, bid), stddev_samp(aid), var_samp(aid), bit_and(aid), bool_or(aid > 5) FROM accounts
SELECT percentile_disc(ARRAY[0.25, 0.75]) WITHIN GROUP (ORDER BY abalance), rank(50) WITHIN GROUP (ORDER BY abalance) FROM accounts
SELECT count(DISTINCT bid), count(*) FILTER (WHERE abalance > 50), array_agg(DISTINCT bid ORDER BY bid) FROM accounts
SELECT aid FROM accounts TABLESAMPLE bernoulli (100) REPEATABLE (7) ORDER BY aid
SELECT aid FROM ONLY accounts WHERE aid < 3 ORDER BY aid
SELECT p.* FROM parts AS p WHERE p.id BETWEEN 2 AND 4 ORDER BY id
SELECT p.id, t.bid FROM parts p, totals t WHERE p.id = t.bid ORDER BY 1
SELECT * FROM rich r JOIN totals USING (bid) ORDER BY aid
SELECT doubled(bid), count(*) FROM accounts GROUP BY doubled(bid) ORDER BY doubled(bid)
SELECT aid FROM accounts ORDER BY doubled(aid) DESC LIMIT 3
SELECT * FROM generate_series(1, doubled(2)) AS g WHERE g > balance(1) - 100 ORDER BY 1
SELECT public.doubled(1), pg_catalog.upper('a'), "public"."balance"(2)
SELECT current_date IS NOT NULL, current_time IS NOT NULL, localtimestamp IS NOT NULL, transaction_timestamp() = now()
SELECT pg_collation_for('a'), 'a' COLLATE "C" < 'B', 'a' < 'B' COLLATE "POSIX"
SELECT pg_column_size(filler), pg_column_compression(filler) FROM accounts WHERE aid = 1
SELECT txid_snapshot_xmin('10:20:10'), pg_snapshot_xmax('10:20:10'), pg_lsn '0/10' - pg_lsn '0/0', pg_wal_lsn_diff('0/10', '0/0')
SELECT pg_size_pretty(1024::bigint), pg_size_bytes('1 kB'), pg_encoding_to_char(6), pg_client_encoding(), getdatabaseencoding()
SELECT pg_input_is_valid('1', 'int4')
COPY accounts TO STDOUT WITH (FORMAT csv, HEADER)
COPY (SELECT aid FROM accounts ORDER BY 1) TO STDOUT
EXPLAIN SELECT count(*) FROM parts
EXPLAIN (VERBOSE, FORMAT json, COSTS off) SELECT * FROM rich
EXPLAIN (COSTS off) WITH w AS (SELECT 1) TABLE w
TABLE parts
TABLE app.notes
VALUES (1), (2) ORDER BY 1 DESC LIMIT 1
VALUES (doubled(4), now() IS NULL)
SELECT aid FROM accounts WHERE aid = 1; SELECT bid FROM branches WHERE bid = 2
SELECT bid, name FROM branches WHERE name LIKE 'Branch\\_%' ESCAPE '\\' OR name ~* '^BRANCH [0-4]$' ORDER BY bid
SELECT b.name, (SELECT count(*) FROM accounts a WHERE a.bid = b.bid) AS n FROM branches b ORDER BY n DESC, b.name
SELECT aid / 10 AS tens, array_agg(aid ORDER BY aid) FROM accounts WHERE aid < 30 GROUP BY tens HAVING min(aid) > 0 ORDER BY tens
SELECT * FROM (SELECT aid, row_number() OVER (PARTITION BY bid ORDER BY abalance DESC, aid) AS n FROM accounts) s WHERE n = 1 ORDER BY aid
SELECT a.aid, b.aid FROM accounts a JOIN accounts b ON a.aid = b.aid + 1 WHERE a.aid < 5 ORDER BY 1
SELECT count(*) FROM accounts WHERE at <= now() AND at > now() - interval '10 years'
SELECT s.n, t.tag FROM generate_series(0, 2) AS s (n) JOIN branches b ON b.bid = s.n, unnest(b.tags) AS t (tag) ORDER BY 1, 2
SELECT max(aid) FROM accounts WHERE bid = (SELECT bid FROM branches WHERE name = 'Branch 3')
SELECT aid FROM accounts WHERE filler IN (SELECT 'f' || n FROM generate_series(1, 3) n) ORDER BY aid
SELECT id, body FROM app.notes WHERE body ILIKE '%CAT%' OR id = ANY ('{1,2}'::int[])
SELECT DISTINCT bid % 3 AS m FROM accounts ORDER BY m
SELECT bid FROM branches WHERE doc @? '$.list[*] ? (@ == 4)' ORDER BY bid
SELECT 'it''s', "aid" FROM accounts WHERE filler = E'f\x31'
SELECT /* one /* nested */ two */ aid -- three
SELECT nope FROM accounts
INSERT INTO branches VALUES (100)
INSERT INTO branches SELECT * FROM branches WHERE false
INSERT INTO branches VALUES (1) ON CONFLICT DO NOTHING RETURNING bid
UPDATE accounts SET abalance = 0 WHERE aid = 1
DELETE FROM accounts WHERE aid = 1 RETURNING *
MERGE INTO branches b USING accounts a ON b.bid = a.aid WHEN MATCHED THEN DO NOTHING
WITH w AS (DELETE FROM accounts WHERE aid = 1 RETURNING aid) SELECT * FROM w
WITH w AS (INSERT INTO branches VALUES (101) RETURNING bid) SELECT * FROM w
SELECT * INTO copied FROM accounts
CREATE TABLE copied AS SELECT * FROM accounts
CREATE TEMP TABLE mine (a int)
SELECT * FROM accounts WHERE aid = 1 FOR UPDATE
SELECT * FROM accounts WHERE aid = 1 FOR SHARE NOWAIT
SELECT * FROM (SELECT * FROM accounts WHERE aid = 1 FOR NO KEY UPDATE) s
SELECT deposit(1, 10)
SELECT deposit(aid, 1) FROM accounts WHERE aid = 1
SELECT * FROM deposit(1, 1)
SELECT (SELECT deposit(1, 1))
SELECT aid FROM accounts ORDER BY deposit(aid, 0) LIMIT 1
SELECT sum(deposit(aid, 0)) FROM accounts WHERE aid < 3
SELECT CASE WHEN deposit(1, 1) > 0 THEN 1 END
WITH w AS MATERIALIZED (SELECT deposit(1, 1) AS d) SELECT d FROM w
SELECT 1 FROM accounts WHERE aid = 1 UNION ALL SELECT deposit(1, 1)
VALUES (deposit(1, 1))
COPY (SELECT deposit(1, 1)) TO STDOUT
COPY (DELETE FROM accounts WHERE aid = 1 RETURNING aid) TO STDOUT
COPY accounts TO PROGRAM 'cat > /dev/null'
EXPLAIN ANALYZE SELECT deposit(1, 1)
EXPLAIN ANALYZE SELECT * FROM accounts WHERE aid = 1 FOR UPDATE
EXPLAIN ANALYZE WITH w AS (DELETE FROM accounts WHERE aid = 1 RETURNING 1) TABLE w
EXPLAIN ANALYZE CREATE TABLE copied AS SELECT 1
SELECT * FROM accounts, branches WHERE aid = 1 FOR UPDATE OF branches SKIP LOCKED
SELECT * FROM rich WHERE aid = 8 FOR SHARE
WITH w AS (SELECT * FROM accounts WHERE aid = 1 FOR UPDATE) SELECT * FROM w
SELECT 1 WHERE EXISTS (SELECT 1 FROM accounts WHERE aid = 1 FOR KEY SHARE)
WITH w AS (UPDATE accounts SET abalance = 1 WHERE aid = 1 RETURNING aid), x AS (SELECT * FROM w) SELECT * FROM x
SELECT * INTO TEMP copied FROM accounts
SELECT 1 AS a INTO UNLOGGED copied
CREATE TABLE made (a int)
CREATE UNLOGGED TABLE made (a int)
CREATE VIEW made AS SELECT 1
CREATE MATERIALIZED VIEW made AS SELECT 1
CREATE SEQUENCE made
CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 1'
CREATE TYPE made AS ENUM ('a')
CREATE DOMAIN made AS int
CREATE SCHEMA made
CREATE ROLE made
CREATE EXTENSION made
CREATE TRIGGER made BEFORE INSERT ON accounts EXECUTE FUNCTION suppress_redundant_updates_trigger()
CREATE POLICY made ON accounts
CREATE RULE made AS ON INSERT TO branches DO NOTHING
CREATE STATISTICS made ON aid, bid FROM accounts
ALTER TABLE accounts RENAME TO renamed
ALTER SEQUENCE numbers RESTART
ALTER ROLE reader NOLOGIN
ALTER DATABASE app SET work_mem = '1MB'
ALTER SYSTEM SET work_mem = '1MB'
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader
DROP VIEW rich
DROP FUNCTION doubled(int)
REVOKE SELECT ON accounts FROM reader
REASSIGN OWNED BY reader TO postgres
CLUSTER accounts USING accounts_pkey
PREPARE TRANSACTION 'x'
COMMIT PREPARED 'x'
UPDATE accounts SET abalance = abalance WHERE aid = 1 RETURNING abalance
INSERT INTO accounts SELECT 1000 + n, 1 FROM generate_series(1, 2) n
INSERT INTO branches VALUES (1) ON CONFLICT (bid) DO UPDATE SET name = 'x'
DELETE FROM accounts USING branches WHERE accounts.bid = branches.bid AND aid = 1
TRUNCATE fleeting
SELECT gen_random_uuid(), nextval('numbers')
SELECT coalesce(nextval('numbers'), 1)
SELECT last_value FROM numbers
SELECT * FROM numbers
SELECT * FROM pg_sequences
SELECT pg_sequence_last_value('numbers')
SELECT f.a, b.bid FROM fleeting f JOIN branches b ON true
WITH w AS (TABLE fleeting) SELECT * FROM w
SELECT txid_current_snapshot() IS NULL, pg_current_snapshot()
SELECT txid_current_if_assigned(), txid_current()
SELECT pg_is_wal_replay_paused()
SELECT pg_current_wal_insert_lsn()
SELECT pg_walfile_name('0/1000000')
SELECT pg_last_wal_receive_lsn()
SELECT pg_control_checkpoint()
SELECT pg_control_recovery()
SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()
SELECT * FROM pg_stat_ssl
SELECT * FROM pg_stat_archiver
SELECT * FROM pg_stat_database WHERE datname = 'app'
SELECT checkpoints_timed FROM pg_stat_bgwriter
SELECT * FROM pg_settings WHERE name = 'port'
SELECT name, setting FROM pg_settings WHERE name LIKE 'primary%'
SELECT * FROM pg_file_settings
SELECT * FROM pg_replication_slots
SELECT current_setting('primary_conninfo')
SELECT current_setting('hot_standby_feedback')
SELECT set_config('app.tenant', 'x', false)
SELECT pg_advisory_xact_lock(2)
SELECT pg_try_advisory_lock(3)
SELECT lo_from_bytea(0, 'a')
SELECT pg_logical_emit_message(true, 'a', 'b')
SELECT pg_stat_reset()
SHOW port
SHOW in_hot_standby
SHOW ALL
LISTEN x
UNLISTEN *
SELECT count(*) FROM accounts WHERE deposit(1, 1) > 0
SELECT nextval('numbers')
SELECT setval('numbers', 5)
SELECT * FROM numbered
SELECT lastval()
SELECT currval('numbers')
SELECT * FROM fleeting
SELECT count(*) FROM fleeting
SELECT txid_current()
SELECT pg_current_xact_id()
SELECT pg_is_in_recovery()
SELECT pg_current_wal_lsn()
SELECT pg_last_wal_replay_lsn()
SELECT pg_last_xact_replay_timestamp()
SELECT pg_backend_pid()
SELECT pg_postmaster_start_time()
SELECT pg_conf_load_time()
SELECT inet_server_port()
SELECT current_setting('port')
SELECT current_setting('transaction_read_only')
SELECT current_setting('in_hot_standby')
SELECT setting FROM pg_settings WHERE name = 'transaction_read_only'
SHOW transaction_read_only
SELECT * FROM sessions
SELECT pid, state FROM pg_stat_activity
SELECT * FROM pg_stat_replication
SELECT * FROM pg_stat_wal_receiver
SELECT seq_scan, n_tup_ins FROM pg_stat_user_tables WHERE relname = 'accounts'
SELECT pg_stat_get_numscans('accounts'::regclass)
SELECT pg_advisory_lock(1)
SELECT pg_try_advisory_xact_lock(1)
SELECT pid FROM pg_locks
SELECT pg_notify('c', 'x')
NOTIFY c
LISTEN c
SELECT pg_export_snapshot()
SELECT lo_create(0)
SELECT pg_switch_wal()
SELECT pg_create_restore_point('x')
SELECT query_to_xml('DELETE FROM accounts', true, true, '')
LOCK accounts IN EXCLUSIVE MODE
TRUNCATE accounts
CREATE INDEX ON accounts (bid)
ALTER TABLE accounts ADD extra int
DROP TABLE accounts
GRANT SELECT ON accounts TO reader
COMMENT ON TABLE accounts IS 'x'
REFRESH MATERIALIZED VIEW totals
ANALYZE accounts
VACUUM accounts
REINDEX TABLE accounts
CALL nothing()
DO $$ BEGIN DELETE FROM accounts; END $$
EXPLAIN ANALYZE DELETE FROM accounts WHERE aid = 1
EXPLAIN (ANALYZE 'on') UPDATE accounts SET abalance = 1 WHERE aid = 1
BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1; COMMIT
SELECT 1; INSERT INTO branches VALUES (102)
INSERT INTO branches VALUES (103); SELECT 1`);
}

function lines(text: string): readonly string[] {
  return text.trim().split('\n');
}
