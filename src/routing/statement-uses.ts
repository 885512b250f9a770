/**
 * What a query names: relations, functions, operators, types; and whether it does more than read. One walk over the
 * parse tree, with a stack of its own, since a hostile statement nests as deep as it likes.
 */
import { isTag, isTree, listOf, namesOf, nodeOf, stringOf, type Tree } from './parse-tree.js';

/** A name as it is written: without a schema it is looked for along the search_path. */
export interface NameUse {
  readonly schema: string | null;
  readonly name: string;
}

/** A name as it is shown to people. */
export function nameText({ schema, name }: NameUse): string {
  return schema === null ? name : `${schema}.${name}`;
}

/** What a query names, as it is shown to people: `app.total/2` is a call with two arguments. */
export function usesText(uses: Uses | null): { readonly functions: string; readonly relations: string } {
  return {
    functions: (uses?.functions ?? []).map((use) => `${nameText(use)}/${use.argumentCount}`).join(', '),
    relations: (uses?.relations ?? []).map(nameText).join(', '),
  };
}

/** A call. */
export interface FunctionUse extends NameUse {
  readonly argumentCount: number;
  /** The first argument, if it is a literal string. */
  readonly literal: string | null;
}

/** What a query names. Nothing is resolved: a relation may turn out to be a view, an operator somebody's own. */
export interface Uses {
  readonly relations: NameUse[];
  readonly functions: FunctionUse[];
  readonly operators: Set<string>;
  readonly types: Set<string>;
  /** Names behind a dot: of columns, or of functions whose only argument stands in front of it. */
  readonly attributes: Set<string>;
  /** FOR UPDATE, FOR SHARE and their like. */
  locksRows: boolean;
  /** What it does but read, in words: `an INSERT in WITH`. */
  writes: string | null;
  /** A node that this walk doesn't know. */
  unknown: string | null;
}

/** The names of the queries of WITH that can be seen where a node stands. */
interface Scope {
  readonly names: ReadonlySet<string>;
  readonly outer: Scope | null;
}

/** Nodes that name nothing by themselves; what stands in them is walked over. */
const PLAIN_NODES = new Set(
  `A_ArrayExpr A_Const A_Expr A_Indices A_Indirection A_Star Alias BitString BoolExpr Boolean BooleanTest CTECycleClause
  CTESearchClause CaseExpr CaseWhen CoalesceExpr CollateClause ColumnDef ColumnRef CommonTableExpr DefElem Float FuncCall
  GroupingFunc GroupingSet Integer JoinExpr JsonAggConstructor JsonArgument JsonArrayAgg JsonArrayConstructor
  JsonArrayQueryConstructor JsonBehavior JsonFormat JsonFuncExpr JsonIsPredicate JsonKeyValue JsonObjectAgg
  JsonObjectConstructor JsonOutput JsonParseExpr JsonReturning JsonScalarExpr JsonSerializeExpr JsonTable JsonTableColumn
  JsonTablePathSpec JsonValueExpr List MinMaxExpr NamedArgExpr NullTest ParamRef RangeFunction RangeSubselect
  RangeTableFunc RangeTableFuncCol RangeTableSample RangeVar ResTarget RowExpr SQLValueFunction SelectStmt SortBy String
  SubLink TypeCast TypeName WindowDef WithClause XmlExpr XmlSerialize`.split(/\s+/),
);

const SAMPLING_METHODS = new Set(['bernoulli', 'system']);

/** Statements that may stand in WITH. */
const WRITES_IN_WITH: Readonly<Record<string, string>> = {
  InsertStmt: 'an INSERT in WITH',
  UpdateStmt: 'an UPDATE in WITH',
  DeleteStmt: 'a DELETE in WITH',
  MergeStmt: 'a MERGE in WITH',
};

/** What {@link Uses.writes} says of a query that makes a table. */
export const SELECT_INTO = 'a SELECT INTO';

/** The field whose value is a `TypeName` without saying so, wherever it stands. */
const TYPE_FIELD = 'typeName';

/** Walks over one query. */
class UseWalk {
  readonly uses: Uses = {
    relations: [],
    functions: [],
    operators: new Set(),
    types: new Set(),
    attributes: new Set(),
    locksRows: false,
    writes: null,
    unknown: null,
  };
  /** What is still to be walked over, and the scope of each. */
  readonly #values: unknown[] = [];
  readonly #scopes: (Scope | null)[] = [];

  run(query: unknown): Uses {
    this.#push(query, null);
    while (this.#values.length > 0) {
      const scope = this.#scopes.pop() ?? null;
      const value = this.#values.pop();
      if (Array.isArray(value)) for (const item of value) this.#push(item, scope);
      else if (isTree(value)) this.#fields(value, scope);
    }
    return this.uses;
  }

  #push(value: unknown, scope: Scope | null): void {
    if (typeof value !== 'object' || value === null) return;
    this.#values.push(value);
    this.#scopes.push(scope);
  }

  /** A node, or the fields of one whose type is not said. */
  #fields(tree: Tree, scope: Scope | null): void {
    for (const key of Object.keys(tree)) {
      const value = tree[key];
      const tag = key === TYPE_FIELD ? 'TypeName' : isTag(key) ? key : undefined;
      if (tag !== undefined && isTree(value)) this.#node(tag, value, scope);
      else this.#push(value, scope);
    }
  }

  #node(tag: string, fields: Tree, scope: Scope | null): void {
    if (tag === 'SelectStmt') return this.#select(fields, scope);
    const { uses } = this;
    const writes = WRITES_IN_WITH[tag];
    if (writes !== undefined) uses.writes = writes;
    else if (!PLAIN_NODES.has(tag)) uses.unknown = tag;
    else this.#names(tag, fields, scope);
    this.#fields(fields, scope);
  }

  #names(tag: string, fields: Tree, scope: Scope | null): void {
    const { uses } = this;
    switch (tag) {
      case 'RangeVar':
        this.#relation(fields, scope);
        break;
      case 'FuncCall':
        this.#call(fields);
        break;
      case 'RangeTableSample':
        this.#method(namesOf(fields.method));
        break;
      case 'A_Expr':
        this.#operator(fields.name);
        break;
      case 'SubLink':
        this.#operator(fields.operName);
        break;
      case 'SortBy':
        this.#operator(fields.useOp);
        break;
      case 'TypeName':
        this.#type(namesOf(fields.names));
        break;
      case 'ColumnRef':
        for (const name of namesOf(fields.fields).slice(1)) uses.attributes.add(name);
        break;
      case 'A_Indirection':
        for (const name of namesOf(fields.indirection)) uses.attributes.add(name);
        break;
    }
  }

  #relation(fields: Tree, scope: Scope | null): void {
    const name = stringOf(fields.relname);
    const schema = fields.schemaname === undefined ? null : stringOf(fields.schemaname);
    if (schema === null) {
      for (let at = scope; at !== null; at = at.outer) if (at.names.has(name)) return;
    }
    this.uses.relations.push({ schema, name });
  }

  /** An ordered-set aggregate has its arguments in two places. */
  #call(fields: Tree): void {
    const [name = '', schema = null] = namesOf(fields.funcname).reverse();
    const given = listOf(fields.args);
    const ordered = fields.agg_within_group === true ? listOf(fields.agg_order).length : 0;
    const literal = literalOf(given[0]);
    this.uses.functions.push({ schema, name, argumentCount: given.length + ordered, literal });
  }

  /** A method of TABLESAMPLE is a function with one argument, of the type internal. PostgreSQL's own are harmless. */
  #method(names: readonly string[]): void {
    const [name = '', schema = null] = [...names].reverse();
    if ((schema ?? 'pg_catalog') === 'pg_catalog' && SAMPLING_METHODS.has(name)) return;
    this.uses.functions.push({ schema, name, argumentCount: 1, literal: null });
  }

  #operator(names: unknown): void {
    const name = namesOf(names).at(-1);
    if (name !== undefined) this.uses.operators.add(name);
  }

  #type(names: readonly string[]): void {
    const name = names.at(-1);
    if (name !== undefined) this.uses.types.add(name);
  }

  #select(fields: Tree, outer: Scope | null): void {
    const { uses } = this;
    if (fields.intoClause !== undefined) uses.writes = SELECT_INTO;
    if (fields.lockingClause !== undefined) uses.locksRows = true;
    const scope = isTree(fields.withClause) ? this.#with(fields.withClause, outer) : outer;
    for (const key of Object.keys(fields)) {
      if (key === 'intoClause' || key === 'withClause' || key === 'lockingClause') continue;
      const value = fields[key];
      // The two sides of a UNION are SELECTs that don't say so.
      this.#push(key === 'larg' || key === 'rarg' ? { SelectStmt: value } : value, scope);
    }
  }

  /** A query of WITH sees those before it, and with RECURSIVE all. What follows them sees all. */
  #with(fields: Tree, outer: Scope | null): Scope | null {
    const queries = listOf(fields.ctes);
    const names = queries.map((query) => stringOf(nodeOf(query)?.fields.ctename));
    const all: Scope = { names: new Set(names), outer };
    let before = outer;
    queries.forEach((query, index) => {
      this.#push(query, fields.recursive === true ? all : before);
      before = { names: new Set([names[index]!]), outer: before };
    });
    return before;
  }
}

function literalOf(value: unknown): string | null {
  const node = nodeOf(value);
  if (node?.tag !== 'A_Const' || !isTree(node.fields.sval)) return null;
  return stringOf(node.fields.sval.sval);
}

/** What the query, a node, names and does. */
export function usesOf(query: unknown): Uses {
  return new UseWalk().run(query);
}
