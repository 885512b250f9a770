/**
 * PostgreSQL's raw parse tree as libpg_query writes it in JSON: a node is an object whose only key is its type's name
 * (`{ "SelectStmt": { ... } }`); where PostgreSQL's own structures fix a field's type, its fields stand there without it.
 */

/** A node, the fields of one, or anything below. */
export type Tree = Readonly<Record<string, unknown>>;

/** The statements of a text, each a node in `stmt`. */
export interface ParseTree {
  readonly stmts?: readonly { readonly stmt?: Tree }[];
}

/** Why there is no tree. */
export interface ParseFailure {
  /** PostgreSQL's own message for a syntax error, ours else. */
  readonly failure: string;
  /**
   * It is PostgreSQL's verdict, and the same for every text that differs in its constants alone; or the parser has failed, and
   * must not do so again.
   */
  readonly final?: true;
}

/** PostgreSQL's parser. It never throws, whatever the text. */
export interface SqlParser {
  /** Parses the text `bytes[start, end)`, without its zero byte; literals are read with standard_conforming_strings. */
  parse(bytes: Uint8Array, start: number, end: number): ParseTree | ParseFailure;
}

/** True for a node or a set of fields. */
export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The type's name and the fields of a node; null if it is none. */
export function nodeOf(value: unknown): { readonly tag: string; readonly fields: Tree } | null {
  if (!isTree(value)) return null;
  const tag = Object.keys(value)[0];
  if (tag === undefined || !isTag(tag)) return null;
  const fields = value[tag];
  return isTree(fields) ? { tag, fields } : null;
}

/** Names of node types begin with a capital, names of fields don't. */
export function isTag(key: string): boolean {
  return key >= 'A' && key < '[';
}

/** A list of `String` nodes as strings: a qualified name. What is no string (a star, an index) is left out. */
export function namesOf(value: unknown): string[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((item) => {
    const node = nodeOf(item);
    return node?.tag === 'String' ? [stringOf(node.fields.sval)] : [];
  });
}

/** The string, or '': an empty one is not written in the JSON. */
export function stringOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The list, or an empty one. */
export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
