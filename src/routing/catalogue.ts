/**
 * What a router must know of a database's objects, and the way from names to objects. A name without a schema is looked for
 * along the session's search_path; where that isn't known, the worst of all objects by this name counts.
 */
import { builtinFunctionTrouble } from './node-functions.js';
import type { FunctionUse, NameUse } from './statement-uses.js';

/** A function outside of pg_catalog, or functions by one name with arguments in numbers that don't differ. */
export interface FunctionFact {
  readonly schema: string;
  /** How many arguments a call may have. */
  readonly argumentsMin: number;
  readonly argumentsMax: number;
  /** Of an aggregate: whether one of the functions is of which it consists. */
  readonly volatile: boolean;
  /** It is volatile, and its first argument may be a row: `row.name` may be a call of it. */
  readonly volatileOfRow: boolean;
}

/** A table, view, sequence or the like. */
export interface RelationFact {
  readonly schema: string;
  /** Why it can't be read on a standby, in words behind its name: `is a foreign table`. Null if it can. */
  readonly trouble: string | null;
}

/** The facts about one database. */
export interface Catalogue {
  /** False: there are no facts, and what would need one is assumed to be ordinary, and told to be. */
  readonly loaded: boolean;
  functions(name: string): readonly FunctionFact[];
  relations(name: string): readonly RelationFact[];
  /**
   * Why what has this name must not be used on a standby because of functions that no text shows: those of operators, of
   * types, and of casts that PostgreSQL adds by itself. In words behind the name; null if it may.
   */
  hiddenTrouble(what: HiddenCaller, name: string): string | null;
}

/** What may call functions that a statement doesn't name. */
export type HiddenCaller = 'operator' | 'type' | 'function' | 'relation';

/** What is known without a database. */
export const NO_CATALOGUE: Catalogue = {
  loaded: false,
  functions: () => [],
  relations: () => [],
  hiddenTrouble: () => null,
};

/** The schemas along which names are looked for, as `current_schemas(false)` gives them; null if that isn't known. */
export type SearchPath = readonly string[] | null;

/** Answers in words behind the object's name; null: there is no trouble. */
type Trouble = string | null;

const UNKNOWN = 'which is not known here';
const PG_CATALOG = 'pg_catalog';

/** Why the call must not run on a standby, in words behind its name, or null. */
export function functionTrouble(use: FunctionUse, catalogue: Catalogue, path: SearchPath): Trouble {
  const { schema, name, argumentCount } = use;
  const builtin = schema === null || schema === PG_CATALOG ? builtinFunctionTrouble(name) : undefined;
  if (builtin != null) return builtin;
  const candidates = catalogue
    .functions(name)
    .filter(
      (fact) =>
        fact.argumentsMin <= argumentCount &&
        argumentCount <= fact.argumentsMax &&
        (schema === null
          ? path === null || path.includes(fact.schema) || fact.schema === PG_CATALOG
          : fact.schema === schema),
    );
  const volatile = candidates.find((fact) => fact.volatile);
  if (volatile !== undefined)
    return `which is volatile${schema === null ? ` in the schema ${volatile.schema}` : ''}`;
  return builtin === undefined && candidates.length === 0 ? UNKNOWN : null;
}

/** Why the relation can't be read on a standby, in words behind its name; null if it can; undefined if it isn't known. */
export function relationTrouble(use: NameUse, catalogue: Catalogue, path: SearchPath): Trouble | undefined {
  const { schema, name } = use;
  if (schema?.startsWith('pg_temp')) return 'is temporary';
  const facts = catalogue.relations(name);
  if (schema !== null) return facts.find((fact) => fact.schema === schema)?.trouble;
  const candidates = path === null ? facts.filter(isInUsualPath) : firstAlong(path, facts);
  if (candidates.length === 0) return undefined;
  return candidates.find(({ trouble }) => trouble !== null)?.trouble ?? null;
}

/** Nobody has the schema of the standard's views in a path that we don't know of. */
function isInUsualPath({ schema }: RelationFact): boolean {
  return schema !== 'information_schema';
}

/** PostgreSQL looks in pg_catalog first, unless the path names it. */
function firstAlong(path: readonly string[], facts: readonly RelationFact[]): readonly RelationFact[] {
  const whole = path.includes(PG_CATALOG) ? path : [PG_CATALOG, ...path];
  for (const schema of whole) {
    const fact = facts.find((candidate) => candidate.schema === schema);
    if (fact !== undefined) return [fact];
  }
  return [];
}

/** Why `row.name` must not be read on a standby, if it is a call of a function in the notation of a column. */
export function attributeTrouble(name: string, catalogue: Catalogue): Trouble {
  const isVolatile = (fact: FunctionFact): boolean => fact.volatileOfRow && fact.argumentsMin <= 1;
  return catalogue.functions(name).some(isVolatile) ? 'which may be a call of a volatile function' : null;
}
