/**
 * The queries that fill a catalogue (PostgreSQL 13 and newer). They need no privilege. Whoever runs them pins the
 * search_path first, by {@link PIN_SEARCH_PATH}, on a connection of his own: then operators and types are PostgreSQL's,
 * whatever a database's users have made.
 */
import type { HiddenCaller } from './catalogue.js';
import { HARMLESS_VOLATILE_FUNCTIONS, NODE_DEPENDENT_FUNCTIONS } from './node-functions.js';

/**
 * Temporary objects come last, so that nobody's stands before PostgreSQL's. To compile these queries takes longer than to
 * run them.
 */
const PIN = (
  isLocal: boolean,
): string => `SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', ${isLocal}),
  pg_catalog.set_config('jit', 'off', ${isLocal})`;

/** For the session. */
export const PIN_SEARCH_PATH = PIN(false);

/** One simple Query, whose statements share a transaction; its first row is of no interest. */
export const pinned = (query: string): string => `${PIN(true)};${query}`;

/** A database with more relations or functions than this has no catalogue, and all its statements go to the primary. */
export const CATALOGUE_ROWS_MAX = 200_000;

const HARMLESS = arrayOf(HARMLESS_VOLATILE_FUNCTIONS);
const NODE_DEPENDENT = arrayOf(NODE_DEPENDENT_FUNCTIONS);

/** Names of functions as SQL. */
function arrayOf(names: Iterable<string>): string {
  return `ARRAY[${[...names].map((name) => `'${name}'`).join(', ')}]::text[]`;
}

/** An aggregate is called stable whatever the functions of which it consists. */
const IS_VOLATILE = `(p.provolatile = 'v' OR p.prokind = 'a' AND EXISTS (
  SELECT FROM pg_catalog.pg_aggregate AS a JOIN pg_catalog.pg_proc AS part
    ON part.oid IN (a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggserialfn, a.aggdeserialfn, a.aggmtransfn,
      a.aggminvtransfn, a.aggmfinalfn)
  WHERE a.aggfnoid = p.oid AND part.provolatile = 'v'))`;

/** Functions outside of pg_catalog, and those that somebody has put into it. A row: {@link FunctionRow}. */
const FUNCTIONS_QUERY = `
SELECT n.nspname AS schema, p.proname AS name, p.pronargs - p.pronargdefaults AS arguments_min,
  CASE WHEN p.provariadic <> 0 THEN 100 ELSE p.pronargs END AS arguments_max, bool_or(${IS_VOLATILE}) AS volatile,
  bool_or(${IS_VOLATILE} AND EXISTS (
    SELECT FROM pg_catalog.pg_type AS t WHERE t.oid = p.proargtypes[0] AND t.typtype IN ('c', 'd', 'p'))) AS volatile_of_row
FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE p.prokind <> 'p' AND (n.nspname <> 'pg_catalog' OR p.oid >= 16384)
GROUP BY 1, 2, 3, 4
LIMIT ${CATALOGUE_ROWS_MAX + 1}`;

/** A row of {@link FUNCTIONS_QUERY}. */
export interface FunctionRow {
  readonly schema: string;
  readonly name: string;
  readonly arguments_min: number;
  readonly arguments_max: number;
  readonly volatile: boolean;
  /** A volatile one may be called in the notation of a column: its first argument may be a row. */
  readonly volatile_of_row: boolean;
}

/** Functions that must not run on a standby, and in words why. */
const BAD_FUNCTIONS = `bad_function AS MATERIALIZED (
  SELECT p.oid, n.nspname || '.' || p.proname AS name,
    CASE WHEN n.nspname = 'pg_catalog' AND p.proname = ANY (${NODE_DEPENDENT})
      THEN 'which tells of the server' ELSE 'which is volatile' END AS why
  FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
  WHERE CASE WHEN n.nspname = 'pg_catalog' AND p.oid < 16384
    THEN p.proname = ANY (${NODE_DEPENDENT}) OR (p.provolatile = 'v' AND p.proname <> ALL (${HARMLESS}))
    ELSE ${IS_VOLATILE} END)`;

/**
 * The functions that a stored expression calls stand in it as `:funcid 1234`, whoever wrote them and however hidden, and
 * the relations that it reads as `:relid 1234`.
 */
const NAMED = `':(relid|funcid|opfuncid|hashfuncid|negfuncid|aggfnoid|winfnoid) (\\d+)'`;

/**
 * All relations but indexes and temporary ones, with what keeps them from being read on a standby: their own kind, or what
 * lies below them (partitions, the relations and functions of a view, of a row security policy). A row:
 * {@link RelationRow}.
 *
 * current_setting() in a view or policy reads one of the application's own settings if its name is a literal with a dot.
 */
const RELATIONS_QUERY = `
WITH RECURSIVE ${BAD_FUNCTIONS},
expression AS (
  SELECT v.oid AS relation, r.ev_action::text AS tree, 'view' AS place
  FROM pg_catalog.pg_class AS v JOIN pg_catalog.pg_rewrite AS r ON r.ev_class = v.oid AND r.ev_type = '1'
  WHERE v.relkind = 'v'
  UNION ALL
  SELECT t.oid, p.polqual::text, 'policy'
  FROM pg_catalog.pg_class AS t JOIN pg_catalog.pg_policy AS p ON p.polrelid = t.oid
  WHERE t.relrowsecurity AND p.polcmd IN ('*', 'r') AND p.polqual IS NOT NULL),
named AS MATERIALIZED (
  SELECT DISTINCT e.relation, m.part[1] = 'relid' AS is_relation, m.part[2]::oid AS object
  FROM expression AS e CROSS JOIN LATERAL regexp_matches(e.tree, ${NAMED}, 'g') AS m (part)),
called AS (SELECT DISTINCT relation, object AS function FROM named WHERE NOT is_relation),
edge AS (
  SELECT relation, object AS below FROM named WHERE is_relation
  UNION SELECT inhparent, inhrelid FROM pg_catalog.pg_inherits),
reads_setting AS (
  SELECT DISTINCT c.relation FROM called AS c JOIN pg_catalog.pg_proc AS p ON p.oid = c.function
  WHERE p.proname = 'current_setting' AND p.pronamespace = 'pg_catalog'::regnamespace),
definition AS (
  SELECT s.relation, pg_get_viewdef(s.relation) AS words
  FROM reads_setting AS s JOIN pg_catalog.pg_class AS c ON c.oid = s.relation WHERE c.relkind = 'v'
  UNION ALL
  SELECT s.relation, pg_get_expr(p.polqual, p.polrelid)
  FROM reads_setting AS s JOIN pg_catalog.pg_policy AS p ON p.polrelid = s.relation WHERE p.polqual IS NOT NULL),
root AS (
  SELECT c.oid AS relation, CASE WHEN c.relkind = 'f' THEN 'is a foreign table'
    WHEN c.relkind = 'S' THEN 'is a sequence, whose last value runs ahead on a standby'
    ELSE 'is unlogged, and empty on a standby' END AS trouble
  FROM pg_catalog.pg_class AS c WHERE c.relkind IN ('f', 'S') OR (c.relpersistence = 'u' AND c.relkind IN ('r', 'p', 'm'))
  UNION
  SELECT c.relation, 'calls ' || b.name || '(), ' || b.why
  FROM called AS c JOIN bad_function AS b ON b.oid = c.function
  UNION
  SELECT relation, 'locks rows' FROM expression WHERE tree LIKE '%{ROWMARKCLAUSE %'
  UNION
  SELECT d.relation, 'calls current_setting(), which may read one of the server''s own settings'
  FROM definition AS d WHERE d.words ~ 'current_setting\\((?!''[A-Za-z_0-9]+\\.[A-Za-z_0-9.]+''::text)'),
troubled AS (
  SELECT relation, relation AS root, trouble FROM root
  UNION
  SELECT e.relation, t.root, t.trouble FROM troubled AS t JOIN edge AS e ON e.below = t.relation),
worst AS (
  SELECT DISTINCT ON (t.relation) t.relation,
    CASE WHEN t.root = t.relation THEN t.trouble
      ELSE 'reads ' || n.nspname || '.' || c.relname || ', which ' || t.trouble END AS trouble
  FROM troubled AS t JOIN pg_catalog.pg_class AS c ON c.oid = t.root
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  ORDER BY t.relation, t.root <> t.relation, t.trouble)
SELECT n.nspname AS schema, c.relname AS name, w.trouble
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN worst AS w ON w.relation = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
LIMIT ${CATALOGUE_ROWS_MAX + 1}`;

/** A row of {@link RELATIONS_QUERY}. */
export interface RelationRow {
  readonly schema: string;
  readonly name: string;
  readonly trouble: string | null;
}

/**
 * Names of operators, types, functions and relations whose use may call a function that no text shows. A cast that
 * PostgreSQL adds by itself comes into question where something takes or has its type. A row: {@link HiddenCallRow}.
 */
const HIDDEN_CALLS_QUERY = `
WITH ${BAD_FUNCTIONS},
unseen_cast AS (
  SELECT k.casttarget AS type, 'may be given a value by a cast that calls ' || b.name || '(), ' || b.why AS trouble
  FROM pg_catalog.pg_cast AS k JOIN bad_function AS b ON b.oid = k.castfunc WHERE k.castcontext = 'i')
SELECT 'operator' AS what, o.oprname AS name, 'calls ' || b.name || '(), ' || b.why AS trouble
FROM pg_catalog.pg_operator AS o JOIN bad_function AS b ON b.oid = o.oprcode
UNION
SELECT 'type', t.typname, 'calls ' || b.name || '(), ' || b.why
FROM pg_catalog.pg_constraint AS c JOIN pg_catalog.pg_type AS t ON t.oid = c.contypid
  CROSS JOIN LATERAL regexp_matches(c.conbin::text, ${NAMED}, 'g') AS m (part)
  JOIN bad_function AS b ON b.oid = m.part[2]::oid
WHERE c.contypid <> 0
UNION
SELECT 'type', t.typname, 'calls ' || b.name || '(), ' || b.why
FROM pg_catalog.pg_type AS t
  CROSS JOIN LATERAL (VALUES (t.typinput::oid), (t.typoutput), (t.typreceive), (t.typsend)) AS f (function)
  JOIN bad_function AS b ON b.oid = f.function
WHERE t.typtype = 'b' AND t.typcategory <> 'A'
UNION
SELECT 'type', t.typname, 'calls ' || b.name || '(), ' || b.why
FROM pg_catalog.pg_cast AS k JOIN pg_catalog.pg_type AS t ON t.oid = k.casttarget
  JOIN bad_function AS b ON b.oid = k.castfunc
UNION
SELECT 'operator', o.oprname, u.trouble
FROM unseen_cast AS u JOIN pg_catalog.pg_operator AS o ON u.type IN (o.oprleft, o.oprright, o.oprresult)
UNION
SELECT 'function', p.proname, u.trouble
FROM unseen_cast AS u JOIN pg_catalog.pg_proc AS p ON u.type = p.prorettype OR u.type = ANY (p.proargtypes)
UNION
SELECT 'relation', c.relname, u.trouble
FROM unseen_cast AS u JOIN pg_catalog.pg_attribute AS a ON a.atttypid = u.type AND a.attnum > 0
  JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid`;

/** A row of {@link HIDDEN_CALLS_QUERY}. */
export interface HiddenCallRow {
  readonly what: HiddenCaller;
  readonly name: string;
  /** What it does, in words behind its name. */
  readonly trouble: string;
}

/** Each fact by itself, as JSON. */
const FACT = `fact AS MATERIALIZED (
  SELECT 'functions' AS what, row_to_json(f)::text AS fact FROM (${FUNCTIONS_QUERY}) AS f
  UNION ALL SELECT 'relations', row_to_json(r)::text FROM (${RELATIONS_QUERY}) AS r
  UNION ALL SELECT 'hiddenCalls', row_to_json(h)::text FROM (${HIDDEN_CALLS_QUERY}) AS h)`;

/** How many facts make a row, so that none is long. */
const FACTS_PER_ROW = 500;

/** All facts as of one moment. Rows: {@link CataloguePart}, for `catalogueRows` in loaded-catalogue.ts. */
export const CATALOGUE_QUERY = `
WITH ${FACT}, numbered AS (SELECT what, fact, row_number() OVER () / ${FACTS_PER_ROW} AS part FROM fact)
SELECT what, '[' || string_agg(fact, ',') || ']' AS facts FROM numbered GROUP BY what, part`;

/** The name of a list of `CatalogueRows`, and a part of it as JSON. */
export type CataloguePart = readonly [what: string, facts: string];

/** One row with one column: another text whenever one of the facts is another. It spares reading them all again. */
export const CATALOGUE_DIGEST_QUERY = `
WITH ${FACT} SELECT count(*) || ' ' || coalesce(sum(hashtextextended(what || fact, 0)), 0) AS digest FROM fact`;
