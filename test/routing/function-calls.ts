/** Calls of PostgreSQL's own functions, with arguments of no special meaning, for whoever wants to know what they answer. */
import type { PostgresServer } from '../harness/postgres-server.js';

/** A value of each type, as SQL. Functions that want others are left out. */
const SAMPLES: Readonly<Record<string, string>> = {
  any: '1',
  anyarray: 'ARRAY[1, 2]',
  anycompatible: '1',
  anycompatiblearray: 'ARRAY[1, 2]',
  anyelement: '1',
  anynonarray: '1',
  anyrange: 'int4range(1, 5)',
  bit: "B'101'",
  bool: 'true',
  bpchar: "'a'::bpchar",
  bytea: "'\\x01'::bytea",
  char: `'a'::"char"`,
  cidr: "'10.0.0.0/8'::cidr",
  date: "'2024-02-29'::date",
  float4: '1.5::float4',
  float8: '1.5::float8',
  inet: "'10.0.0.1'::inet",
  int2: '1::int2',
  int4: '1',
  int4range: 'int4range(1, 5)',
  int8: '1::int8',
  interval: "'1 day'::interval",
  json: `'{"a": [1]}'::json`,
  jsonb: `'{"a": [1]}'::jsonb`,
  jsonpath: "'$.a'::jsonpath",
  name: "'accounts'::name",
  numeric: '1.5::numeric',
  oid: "'accounts'::regclass::oid",
  oidvector: "'23 25'::oidvector",
  pg_lsn: "'0/1000000'::pg_lsn",
  pg_node_tree: 'NULL::pg_node_tree',
  pg_snapshot: "'10:20:10,14'::pg_snapshot",
  record: 'ROW(1, 2)',
  regclass: "'accounts'::regclass",
  regconfig: "'english'::regconfig",
  regdictionary: "'simple'::regdictionary",
  regnamespace: "'public'::regnamespace",
  regproc: "'now'::regproc",
  regtype: "'int4'::regtype",
  text: "'accounts'::text",
  time: "'10:00'::time",
  timestamp: "'2024-02-29 10:00'::timestamp",
  timestamptz: "'2024-02-29 10:00+00'::timestamptz",
  timetz: "'10:00+00'::timetz",
  tsquery: "'a'::tsquery",
  tsvector: "'a b'::tsvector",
  txid_snapshot: "'10:20:10,14'::txid_snapshot",
  uuid: "'00000000-0000-0000-0000-000000000001'::uuid",
  varbit: "B'101'::varbit",
  varchar: "'a'::varchar",
  xid: "'700'::xid",
  xid8: "'700'::xid8",
  xml: "'<a/>'::xml",
  _int4: 'ARRAY[1, 2]',
  _oid: 'ARRAY[23::oid]',
  _text: "ARRAY['a', 'b']",
};

/** A call of one of pg_catalog's functions. */
export interface FunctionCall {
  readonly name: string;
  readonly sql: string;
}

/** Calls of all functions of pg_catalog that can be called so; of aggregates, over one row. */
export async function functionCalls(server: PostgresServer): Promise<FunctionCall[]> {
  const rows = await server.query(`
    SELECT p.proname AS name, array_to_json(ARRAY(SELECT t.typname::text FROM unnest(p.proargtypes) WITH ORDINALITY AS a (type, n)
      JOIN pg_type t ON t.oid = a.type ORDER BY a.n)) AS types
    FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f'
      AND NOT p.prorettype = ANY ('{internal,trigger,event_trigger,language_handler,index_am_handler,tsm_handler,
        table_am_handler,fdw_handler,cstring}'::regtype[])
    ORDER BY 1, p.oid`);
  return rows.flatMap(({ name, types }) => {
    const known = (types as string[]).every((type) => type in SAMPLES);
    if (!known) return [];
    const values = (types as string[]).map((type) => SAMPLES[type]);
    return [{ name, sql: `SELECT * FROM pg_catalog."${name}"(${values.join(', ')}) AS answer` }];
  });
}
