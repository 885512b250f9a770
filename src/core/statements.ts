/**
 * The catalogue of named prepared statements: one entry for each text with its parameter types, and for each search_path that
 * clients have set, shared by all clients and server connections of a gateway. On servers a statement has our name for it.
 */

import { latin1, zeroByte } from '../wire/bytes.js';
import { dropsAll } from './drop-all.js';
import { statementEffects } from './statement-effects.js';

/** What is known of a statement's shape ({@link ShapeRoute} in route/shape-route.ts). */
export interface KnownShape {
  readonly kind: 'read' | 'begin' | 'other';
  readonly mayRunOnStandby: boolean;
  /** Of a `begin`: what it says itself. */
  readonly transaction: { readonly readOnly: boolean | null; readonly isolation: string | null } | null;
  /** Why, in words. */
  readonly reason: string;
  /** False: what it names may be another thing by now. */
  readonly isValid: boolean;
  /** It leaves nothing in its session (`SessionEffect`); null: nobody has looked. Its constants don't matter to that. */
  leavesNothing: boolean | null;
  readonly statistics: {
    onPrimary: number;
    rerouted: number;
    rows: number;
    /** How long a standby is likely to be at one, in ms. */
    readonly expectedMs: number;
    ranOnStandby(ms: number, ownMs: number): void;
  };
  /** A standby has refused it, with this SQLSTATE. */
  refused(code: string): void;
}

/** Where a statement may run, as far as it was asked. */
export interface StatementRoute {
  /** Whose clients it holds for: another pool may have another user, or another search_path to begin with. */
  readonly pool: object;
  readonly shape: KnownShape;
  /** What the comments in front of it ask for (`RoutingHint`). */
  readonly hints: number;
}

export interface Statement {
  /** The name on servers, with its terminating zero byte. */
  readonly serverName: Buffer;
  /** A Parse message's body behind the name: query, zero byte, parameter types. */
  readonly definition: Buffer;
  readonly key: string;
  /** Pools in which a server has accepted it: a Parse by another client of theirs needs no server. */
  readonly acceptedIn: Set<object>;
  /** Clients and server connections that have it. At 0 the catalogue forgets it. */
  references: number;
  /** Server connections that parsed it before this {@link StatementCatalogue.clock} may have an outdated plan. */
  suspectSince: number;
  /** {@link StatementCatalogue.definitions} when it was defined. */
  readonly definedAt: number;
  /** What it may leave in its session ({@link statementEffects}). */
  readonly effects: number;
  /** Null: nobody has asked, or nothing is known. */
  route: StatementRoute | null;
  /** It is DEALLOCATE ALL or DISCARD ALL. */
  readonly dropsAll: boolean;
}

/** What a text's meaning depends on. */
export interface Scope {
  readonly database: { readonly redefinedAt: number };
  /** The client's, if it has set one; undefined: that of its server connections. */
  readonly searchPath: string | undefined;
}

/** In no text, since bytes are read as Latin-1. */
const BETWEEN = '\u0100';

/** Behind other schemas the same text may have other columns, and clients of one pool may well differ in that (tenants). */
function keyOf({ searchPath }: Scope, bytes: Uint8Array, start: number, end: number): string {
  const text = latin1(bytes, start, end);
  return searchPath === undefined ? text : `${searchPath}${BETWEEN}${text}`;
}

/** Names that begin so are ours; a client's statement can't be reached under such a name by another client. */
export const SERVER_NAME_PREFIX = 'sluice_';

export class StatementCatalogue {
  private readonly byKey = new Map<string, Statement>();
  private lastId = 0;
  /** Grows whenever statements become suspect; 0: none has ever been. */
  clock = 0;
  /** Grows whenever what statements name may have got another meaning. */
  definitions = 0;

  get size(): number {
    return this.byKey.size;
  }

  /**
   * The statement with this definition, if it is known; for a client that prepares it now. One that was defined before a DDL
   * is not for it: on a server connection of its own it would never meet columns that are no more.
   */
  find(scope: Scope, bytes: Uint8Array, start: number, end: number): Statement | undefined {
    const known = this.byKey.get(keyOf(scope, bytes, start, end));
    const { database } = scope;
    return known !== undefined && known.definedAt >= database.redefinedAt ? known : undefined;
  }

  /** The same; copies `bytes[start, end)` for a new one. The caller must {@link hold} it. */
  define(scope: Scope, bytes: Uint8Array, start: number, end: number): Statement {
    const known = this.find(scope, bytes, start, end);
    if (known !== undefined) return known;
    this.lastId += 1;
    const key = keyOf(scope, bytes, start, end);
    const textEnd = zeroByte(bytes, start, end);
    const statement: Statement = {
      serverName: Buffer.from(`${SERVER_NAME_PREFIX}${this.lastId}\0`),
      definition: Buffer.from(bytes.subarray(start, end)),
      key,
      acceptedIn: new Set(),
      references: 0,
      suspectSince: 0,
      definedAt: this.definitions,
      route: null,
      effects: statementEffects(bytes, start, textEnd < 0 ? end : textEnd),
      dropsAll: dropsAll(bytes, start, end),
    };
    this.byKey.set(key, statement);
    return statement;
  }

  /**
   * A server has refused it because its result would have other columns than before. Clients that have it keep it, since
   * they may remember the columns; one that prepares the text anew gets a new statement.
   */
  retire(statement: Statement): void {
    statement.suspectSince = ++this.clock;
    if (this.byKey.get(statement.key) === statement) this.byKey.delete(statement.key);
  }

  /** A DDL may have given another meaning to what statements of a database name. */
  redefined(database: { redefinedAt: number }): void {
    database.redefinedAt = ++this.definitions;
  }

  /** A DDL may have changed the columns of any statement of a database. */
  suspectAll(database: { suspectSince: number }): void {
    database.suspectSince = ++this.clock;
  }

  hold(statement: Statement): void {
    statement.references += 1;
  }

  release(statement: Statement): void {
    statement.references -= 1;
    if (statement.references > 0) return;
    if (this.byKey.get(statement.key) === statement) this.byKey.delete(statement.key);
  }
}
