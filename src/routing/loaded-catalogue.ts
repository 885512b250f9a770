/** A catalogue from the rows of the queries in `catalogue-queries.ts`. */
import type { Catalogue, FunctionFact, HiddenCaller, RelationFact } from './catalogue.js';
import {
  CATALOGUE_ROWS_MAX,
  type CataloguePart,
  type FunctionRow,
  type HiddenCallRow,
  type RelationRow,
} from './catalogue-queries.js';

/** The rows of all three queries. */
export interface CatalogueRows {
  readonly functions: readonly FunctionRow[];
  readonly relations: readonly RelationRow[];
  readonly hiddenCalls: readonly HiddenCallRow[];
}

const NONE: readonly never[] = [];

/** What is said once is kept once: most relations of a database with many have no trouble, or the same. */
class LoadedCatalogue implements Catalogue {
  readonly loaded = true;
  readonly #functions = new Map<string, FunctionFact[]>();
  readonly #relations = new Map<string, RelationFact[]>();
  /** By what it is and its name. */
  readonly #hidden = new Map<string, string>();

  constructor({ functions, relations, hiddenCalls }: CatalogueRows) {
    for (const row of functions) {
      add(this.#functions, row.name, {
        schema: row.schema,
        argumentsMin: row.arguments_min,
        argumentsMax: row.arguments_max,
        volatile: row.volatile,
        volatileOfRow: row.volatile_of_row,
      });
    }
    const facts = new Map<string, RelationFact>();
    for (const { schema, name, trouble } of relations) {
      const key = `${schema}\0${trouble}`;
      const fact = facts.get(key) ?? { schema, trouble };
      facts.set(key, fact);
      add(this.#relations, name, fact);
    }
    for (const { what, name, trouble } of hiddenCalls) this.#hidden.set(`${what} ${name}`, trouble);
  }

  functions(name: string): readonly FunctionFact[] {
    return this.#functions.get(name) ?? NONE;
  }

  relations(name: string): readonly RelationFact[] {
    return this.#relations.get(name) ?? NONE;
  }

  hiddenTrouble(what: HiddenCaller, name: string): string | null {
    return this.#hidden.size === 0 ? null : (this.#hidden.get(`${what} ${name}`) ?? null);
  }
}

function add<Fact>(facts: Map<string, Fact[]>, name: string, fact: Fact): void {
  const known = facts.get(name);
  if (known === undefined) facts.set(name, [fact]);
  else known.push(fact);
}

/**
 * What the rows of `CATALOGUE_QUERY` say.
 * @throws if they are not that
 */
export function catalogueRows(parts: readonly CataloguePart[]): CatalogueRows {
  const rows: Record<keyof CatalogueRows, unknown[]> = { functions: [], relations: [], hiddenCalls: [] };
  for (const [what, facts] of parts) {
    for (const fact of JSON.parse(facts) as unknown[]) rows[what as keyof CatalogueRows].push(fact);
  }
  return rows as unknown as CatalogueRows;
}

/** The catalogue of a database; null if the database has more objects than {@link CATALOGUE_ROWS_MAX}. */
export function loadedCatalogue(rows: CatalogueRows): Catalogue | null {
  const tooMany = Math.max(rows.functions.length, rows.relations.length) > CATALOGUE_ROWS_MAX;
  return tooMany ? null : new LoadedCatalogue(rows);
}
