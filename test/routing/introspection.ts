/** Questions to the catalogue of the kind that psql, drivers and object-relational mappers ask. One a line. */
export const INTROSPECTION = `
SELECT n.nspname, c.relname, CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' END, pg_catalog.pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r','p','v','m','S','f','') AND n.nspname <> 'pg_catalog' AND n.nspname !~ '^pg_toast' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1, 2
SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relname OPERATOR(pg_catalog.~) '^(accounts)$' COLLATE pg_catalog.default AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 2, 3
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef), a.attnotnull, (SELECT c.collname FROM pg_catalog.pg_collation c, pg_catalog.pg_type t WHERE c.oid = a.attcollation AND t.oid = a.atttypid AND a.attcollation <> t.typcollation) AS attcollation FROM pg_catalog.pg_attribute a WHERE a.attrelid = 'accounts'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
SELECT c2.relname, i.indisprimary, i.indisunique, pg_catalog.pg_get_indexdef(i.indexrelid, 0, true), pg_catalog.pg_get_constraintdef(con.oid, true) FROM pg_catalog.pg_class c, pg_catalog.pg_class c2, pg_catalog.pg_index i LEFT JOIN pg_catalog.pg_constraint con ON (conrelid = i.indrelid AND conindid = i.indexrelid AND contype IN ('p','u','x')) WHERE c.oid = 'accounts'::regclass AND c.oid = i.indrelid AND i.indexrelid = c2.oid ORDER BY i.indisprimary DESC, c2.relname
SELECT pol.polname, pol.polpermissive, pg_catalog.pg_get_expr(pol.polqual, pol.polrelid), pg_catalog.pg_get_expr(pol.polwithcheck, pol.polrelid) FROM pg_catalog.pg_policy pol WHERE pol.polrelid = 'tenants'::regclass ORDER BY 1
SELECT c.oid::pg_catalog.regclass, pg_catalog.pg_get_expr(c.relpartbound, c.oid) FROM pg_catalog.pg_class c, pg_catalog.pg_inherits i WHERE c.oid = i.inhrelid AND i.inhparent = 'parts'::regclass ORDER BY 2
SELECT n.nspname, p.proname, pg_catalog.pg_get_function_result(p.oid), pg_catalog.pg_get_function_arguments(p.oid), CASE p.prokind WHEN 'a' THEN 'agg' WHEN 'p' THEN 'proc' ELSE 'func' END FROM pg_catalog.pg_proc p LEFT JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE pg_catalog.pg_function_is_visible(p.oid) AND n.nspname = 'public' ORDER BY 1, 2, 4
SELECT pg_catalog.pg_get_functiondef('doubled'::regproc), pg_catalog.pg_get_viewdef('rich'::regclass, true)
SELECT r.rolname, r.rolsuper, ARRAY(SELECT b.rolname FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles b ON (m.roleid = b.oid) WHERE m.member = r.oid ORDER BY 1) AS memberof FROM pg_catalog.pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1
SELECT d.datname, pg_catalog.pg_get_userbyid(d.datdba), pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, pg_catalog.array_to_string(d.datacl, E'\\n') FROM pg_catalog.pg_database d ORDER BY 1
SELECT e.extname, e.extversion, n.nspname, c.description FROM pg_catalog.pg_extension e LEFT JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace LEFT JOIN pg_catalog.pg_description c ON c.objoid = e.oid ORDER BY 1
SELECT t.typname, pg_catalog.format_type(t.oid, NULL), pg_catalog.obj_description(t.oid, 'pg_type') FROM pg_catalog.pg_type t WHERE (t.typrelid = 0 OR (SELECT c.relkind = 'c' FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid)) AND pg_catalog.pg_type_is_visible(t.oid) ORDER BY 1, 2
SELECT pg_catalog.quote_ident(c.relname) FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'S', 'v', 'm', 'f', 'p') AND substring(pg_catalog.quote_ident(c.relname), 1, 3) = 'acc' AND pg_catalog.pg_table_is_visible(c.oid) AND c.relnamespace <> (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = 'pg_catalog') LIMIT 1000
SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, c.relname AS TABLE_NAME, d.description AS REMARKS FROM pg_catalog.pg_namespace n, pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_description d ON (c.oid = d.objoid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass) WHERE c.relnamespace = n.oid AND c.relkind = 'r' AND n.nspname = 'public' ORDER BY 3
SELECT * FROM (SELECT n.nspname, c.relname, a.attname, a.atttypid, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS attnotnull, a.atttypmod, a.attlen, row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS attnum, nullif(a.attidentity, '') AS attidentity, pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS adsrc, dsc.description, t.typbasetype FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON (c.relnamespace = n.oid) JOIN pg_catalog.pg_attribute a ON (a.attrelid = c.oid) JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid) LEFT JOIN pg_catalog.pg_attrdef def ON (a.attrelid = def.adrelid AND a.attnum = def.adnum) LEFT JOIN pg_catalog.pg_description dsc ON (c.oid = dsc.objoid AND a.attnum = dsc.objsubid) WHERE c.relkind IN ('r','p','v','f','m') AND a.attnum > 0 AND NOT a.attisdropped) c WHERE nspname = 'public' ORDER BY nspname, relname, attnum
SELECT result.nspname, result.relname, result.attname, result.seq FROM (SELECT n.nspname, ct.relname, a.attname, (information_schema._pg_expandarray(i.indkey)).n AS seq, information_schema._pg_expandarray(i.indkey) AS keys, a.attnum FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid) JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid) JOIN pg_catalog.pg_index i ON (a.attrelid = i.indrelid) WHERE i.indisprimary AND ct.relname = 'accounts') result WHERE result.attnum = (result.keys).x ORDER BY 2, 4
SELECT t.oid, t.typname, t.typelem, t.typdelim, t.typinput, r.rngsubtype, t.typtype, t.typbasetype FROM pg_type AS t LEFT JOIN pg_range AS r ON oid = rngtypid WHERE t.typname IN ('int2', 'int4', 'text', 'jsonb') ORDER BY 1
SELECT a.attname FROM (SELECT indrelid, indkey, generate_subscripts(indkey, 1) idx FROM pg_index WHERE indrelid = '"accounts"'::regclass AND indisprimary) i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[i.idx] ORDER BY i.idx
SELECT attr.attname, nsp.nspname, seq.relname FROM pg_class seq, pg_attribute attr, pg_depend dep, pg_namespace nsp, pg_constraint cons WHERE seq.oid = dep.objid AND seq.relnamespace = nsp.oid AND attr.attrelid = dep.refobjid AND attr.attnum = dep.refobjsubid AND attr.attrelid = cons.conrelid AND attr.attnum = cons.conkey[1] AND seq.relkind = 'S' AND cons.contype = 'p' AND dep.classid = 'pg_class'::regclass AND dep.refobjid = '"accounts"'::regclass
SELECT EXISTS (SELECT * FROM information_schema.tables WHERE table_schema = 'public' AND table_name = 'accounts')
SELECT table_name, column_name, is_nullable, data_type, column_default FROM information_schema.columns WHERE table_schema = current_schema() ORDER BY 1, ordinal_position
SELECT tc.constraint_name, kcu.column_name, ccu.table_name FROM information_schema.table_constraints AS tc JOIN information_schema.key_column_usage AS kcu ON tc.constraint_name = kcu.constraint_name JOIN information_schema.constraint_column_usage AS ccu ON ccu.constraint_name = tc.constraint_name ORDER BY 1, 2, 3
SELECT grantee, table_name, privilege_type FROM information_schema.table_privileges WHERE table_schema = 'public' ORDER BY 1, 2, 3
SELECT routine_name, data_type FROM information_schema.routines WHERE routine_schema = 'public' ORDER BY 1
SELECT table_name, view_definition FROM information_schema.views WHERE table_schema = 'public' ORDER BY 1
SELECT sequence_name, start_value FROM information_schema.sequences ORDER BY 1
SELECT schema_name FROM information_schema.schemata ORDER BY 1
SELECT * FROM information_schema.triggers
SELECT * FROM information_schema.referential_constraints
SELECT * FROM information_schema.element_types ORDER BY 1, 2, 3, 4, 5
SELECT * FROM information_schema.applicable_roles ORDER BY 1, 2
SELECT con.conname, con.contype, con.confupdtype, array_agg(att.attname ORDER BY att.attnum) FROM pg_constraint con CROSS JOIN LATERAL unnest(con.conkey) k (n) JOIN pg_attribute att ON att.attrelid = con.conrelid AND att.attnum = k.n GROUP BY con.oid, con.conname, con.contype, con.confupdtype ORDER BY 1
SELECT relname, reltuples >= -1, pg_relation_filenode(oid) > 0 FROM pg_class WHERE relname = 'accounts'
SELECT schemaname, matviewname, ispopulated FROM pg_matviews ORDER BY 1, 2
SELECT viewname FROM pg_views WHERE schemaname = 'public' ORDER BY 1
SELECT rulename FROM pg_rules ORDER BY 1
SELECT amname, amtype FROM pg_am ORDER BY 1
SELECT oprname, oprleft::regtype, oprright::regtype FROM pg_operator WHERE oprname = '&&' ORDER BY 2, 3
SELECT lanname, lanpltrusted FROM pg_language ORDER BY 1
SELECT cfgname FROM pg_ts_config ORDER BY 1
SELECT collname FROM pg_collation WHERE collname IN ('C', 'POSIX') ORDER BY 1
SELECT opcname FROM pg_opclass WHERE opcdefault AND opcintype = 'int4'::regtype ORDER BY 1
SELECT spcname FROM pg_tablespace ORDER BY 1
SELECT classid::regclass, objid > 0, deptype FROM pg_depend WHERE refobjid = 'accounts'::regclass ORDER BY 1, 2, 3 LIMIT 3
SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = 'accounts'::regclass
SELECT enumlabel FROM pg_enum ORDER BY enumsortorder
SELECT pg_identify_object('pg_class'::regclass, 'accounts'::regclass, 0), pg_describe_object('pg_class'::regclass, 'accounts'::regclass, 0)
SELECT has_schema_privilege('public', 'usage'), has_column_privilege('accounts', 'aid', 'select'), has_function_privilege('doubled(int)', 'execute')
SELECT to_regclass('accounts'), to_regtype('int4'), to_regproc('doubled'), to_regnamespace('app')
SELECT pg_get_serial_sequence('accounts', 'aid'), pg_get_partkeydef('parts'::regclass), pg_get_statisticsobjdef(0)`
  .trim()
  .split('\n');
