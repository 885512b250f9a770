/**
 * The catalogue of named prepared statements: one entry for each text with its parameter types, shared by all
 * clients and server connections of a gateway. On servers a statement has our name for it.
 */

import { latin1, zeroByte } from '../wire/bytes.js';
import { dropsAll } from './drop-all.js';
import { statementEffects } from './statement-effects.js';

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
  /** What it may leave in its session ({@link statementEffects}). */
  readonly effects: number;
  /** It is DEALLOCATE ALL or DISCARD ALL. */
  readonly dropsAll: boolean;
}

/** Names that begin so are ours; a client's statement can't be reached under such a name by another client. */
export const SERVER_NAME_PREFIX = 'sluice_';

export class StatementCatalogue {
  private readonly byKey = new Map<string, Statement>();
  private lastId = 0;
  /** Grows whenever statements become suspect; 0: none has ever been. */
  clock = 0;

  get size(): number {
    return this.byKey.size;
  }

  /** The statement with this definition, if it is known. */
  find(bytes: Uint8Array, start: number, end: number): Statement | undefined {
    return this.byKey.get(latin1(bytes, start, end));
  }

  /** The statement with this definition; copies `bytes[start, end)` for a new one. The caller must {@link hold} it. */
  define(bytes: Uint8Array, start: number, end: number): Statement {
    const key = latin1(bytes, start, end);
    const known = this.byKey.get(key);
    if (known !== undefined) return known;
    this.lastId += 1;
    const textEnd = zeroByte(bytes, start, end);
    const statement: Statement = {
      serverName: Buffer.from(`${SERVER_NAME_PREFIX}${this.lastId}\0`),
      definition: Buffer.from(key, 'latin1'),
      key,
      acceptedIn: new Set(),
      references: 0,
      suspectSince: 0,
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
