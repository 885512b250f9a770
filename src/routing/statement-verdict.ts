/**
 * What a text of SQL is to a router, by its parse tree alone: its kind, and what it names. Whether it may run on a
 * standby is decided with the catalogue's help in `standby-decision.ts`.
 */
import {
  isTree,
  listOf,
  nodeOf,
  type ParseFailure,
  type ParseTree,
  stringOf,
  type Tree,
} from './parse-tree.js';
import { type KindOfStatement, kindOfStatement, type StatementKind } from './statement-kinds.js';
import { SELECT_INTO, type Uses, usesOf } from './statement-uses.js';
import { type TransactionControl, transactionControl } from './transaction-control.js';

/** What a text of one or more statements is to a router. */
export interface StatementVerdict {
  /** That of all its statements; `unknown` if they are of several kinds. */
  readonly kind: StatementKind;
  /** Why it isn't a plain read, as a whole sentence without its stop; null if it is one. */
  readonly reason: string | null;
  readonly statementCount: number;
  /** What its queries name; null where nothing was looked into, because it can't run on a standby anyway. */
  readonly uses: Uses | null;
  /** Of a single BEGIN, COMMIT, SET TRANSACTION and the like. */
  readonly transaction: TransactionControl | null;
  /** The setting that a single SET, RESET or SHOW names, in lower case. */
  readonly setting: string | null;
  /** The prepared statement that a single PREPARE, EXECUTE or DEALLOCATE names. */
  readonly prepared: string | null;
  /** A single DECLARE; `uses` is of its query. */
  readonly declaresCursor: boolean;
  /** One of its statements makes, changes or drops objects, or may do so. */
  readonly changesObjects: boolean;
  /** Of a single COPY. */
  readonly copy: 'in' | 'out' | null;
}

/** One statement's part of it. */
type Part = Omit<StatementVerdict, 'statementCount'>;

const NOTHING: Part = {
  kind: 'unknown',
  reason: null,
  uses: null,
  transaction: null,
  setting: null,
  prepared: null,
  declaresCursor: false,
  changesObjects: false,
  copy: null,
};

/** Beside the utilities. */
const CHANGES_OBJECTS = new Set(['CreateTableAsStmt', 'CallStmt', 'DoStmt']);

/** Judges what the parser said of a text. */
export function judgeStatement(parsed: ParseTree | ParseFailure): StatementVerdict {
  if ('failure' in parsed) {
    return { ...NOTHING, reason: `it was not parsed: ${parsed.failure}`, statementCount: 0 };
  }
  const parts = listOf(parsed.stmts).map((item) => judge(isTree(item) ? item.stmt : null));
  const [first] = parts;
  if (first === undefined) return { ...NOTHING, reason: 'it is empty', statementCount: 0 };
  if (parts.length === 1) return { ...first, statementCount: 1 };
  return { ...together(parts), statementCount: parts.length };
}

/** Statements in one text share a transaction, so they stay together. */
function together(parts: readonly Part[]): Part {
  const kinds = new Set(parts.map(({ kind }) => kind));
  const kind = kinds.size === 1 ? parts[0]!.kind : 'unknown';
  const reason = parts.find((part) => part.reason !== null)?.reason ?? null;
  const changesObjects = parts.some((part) => part.changesObjects);
  if (kind !== 'read')
    return { ...NOTHING, kind, changesObjects, reason: reason ?? 'it holds several statements' };
  return { ...NOTHING, kind, reason, uses: merged(parts.flatMap(({ uses }) => uses ?? [])) };
}

function merged(all: readonly Uses[]): Uses {
  return {
    relations: all.flatMap(({ relations }) => relations),
    functions: all.flatMap(({ functions }) => functions),
    operators: new Set(all.flatMap(({ operators }) => [...operators])),
    types: new Set(all.flatMap(({ types }) => [...types])),
    attributes: new Set(all.flatMap(({ attributes }) => [...attributes])),
    locksRows: all.some(({ locksRows }) => locksRows),
    writes: all.find(({ writes }) => writes !== null)?.writes ?? null,
    unknown: all.find(({ unknown }) => unknown !== null)?.unknown ?? null,
  };
}

/** @param subject what the reason speaks of: the statement, or the one in it */
function judge(statement: unknown, subject = 'it'): Part {
  const node = nodeOf(statement);
  if (node === null) return { ...NOTHING, reason: `${subject} is empty` };
  const { tag, fields } = node;
  const kind = kindOfStatement(tag);
  switch (tag) {
    case 'SelectStmt':
      return query(statement, subject);
    case 'ExplainStmt':
      return explain(fields);
    case 'CopyStmt':
      return copy(fields);
    case 'DeclareCursorStmt':
      return { ...plain(kind, subject), uses: usesOf(fields.query), declaresCursor: true };
    case 'TransactionStmt':
    case 'VariableSetStmt':
      return setting(tag, fields, plain(kind, subject));
    case 'VariableShowStmt':
      return { ...plain(kind, subject), setting: stringOf(fields.name).toLowerCase() };
    case 'PrepareStmt':
    case 'ExecuteStmt':
    case 'DeallocateStmt':
      return { ...plain(kind, subject), prepared: stringOf(fields.name) };
    default:
      return {
        ...plain(kind, subject),
        changesObjects: kind.kind === 'utility' || CHANGES_OBJECTS.has(tag),
      };
  }
}

function plain({ kind, name }: KindOfStatement, subject: string): Part {
  return { ...NOTHING, kind, reason: `${subject} is ${name}` };
}

function setting(tag: string, fields: Tree, part: Part): Part {
  const transaction = transactionControl(tag, fields);
  if (transaction === null) return { ...part, setting: stringOf(fields.name).toLowerCase() };
  return { ...part, kind: 'transaction', reason: `it is ${transaction.name}`, transaction };
}

function query(statement: unknown, subject: string): Part {
  const uses = usesOf(statement);
  if (uses.writes !== null)
    return {
      ...NOTHING,
      kind: 'write',
      reason: `${subject} has ${uses.writes}`,
      uses,
      changesObjects: uses.writes === SELECT_INTO,
    };
  if (uses.locksRows) return { ...NOTHING, kind: 'write', reason: `${subject} locks rows`, uses };
  if (uses.unknown !== null) {
    return { ...NOTHING, reason: `${subject} has a part that is not known here (${uses.unknown})`, uses };
  }
  return { ...NOTHING, kind: 'read', uses };
}

/** Plans are wanted of the server where the statement runs, and ANALYZE runs it. */
function explain(fields: Tree): Part {
  const { kind, reason, uses, changesObjects } = judge(fields.query, 'what it explains');
  const known = kind === 'read' || kind === 'write' ? kind : 'unknown';
  return { ...NOTHING, kind: known, reason, uses, changesObjects };
}

/** To the client alone a COPY reads: files and programs are the server's. */
function copy(fields: Tree): Part {
  if (fields.is_from === true) return { ...NOTHING, kind: 'write', reason: 'it is a COPY FROM', copy: 'in' };
  if (fields.filename !== undefined) {
    return { ...NOTHING, kind: 'write', reason: 'it is a COPY to a file or program of the server' };
  }
  if (fields.query === undefined) {
    return { ...NOTHING, kind: 'read', uses: usesOf({ RangeVar: fields.relation }), copy: 'out' };
  }
  const { kind, reason, uses } = judge(fields.query, 'what it copies');
  return { ...NOTHING, kind, reason, uses, copy: 'out' };
}
