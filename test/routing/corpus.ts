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

/** One a line. */
export const CORPUS = lines(`
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

function lines(text: string): readonly string[] {
  return text.trim().split('\n');
}
