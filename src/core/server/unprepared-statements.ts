/**
 * Statements that the linked client has prepared by SQL on another server connection, and that could not be prepared again
 * on this one: a table has been dropped. On a direct connection they would be there, and each EXECUTE tell the same error.
 */
import { buildErrorResponse, type ErrorFields } from '../../wire/error-fields.js';
import { SqlState } from '../../wire/sqlstate.js';

export class UnpreparedStatements {
  /** Why, by their names. */
  private errors: Map<string, ErrorFields> | null = null;

  note(name: string, error: ErrorFields): void {
    this.errors ??= new Map();
    this.errors.set(name, error);
  }

  has(name: string): boolean {
    return this.errors?.has(name) === true;
  }

  get isEmpty(): boolean {
    return this.errors === null;
  }

  forget(name: string): void {
    this.errors?.delete(name);
    if (this.errors?.size === 0) this.errors = null;
  }

  clear(): void {
    this.errors = null;
  }

  /** What the client is told where the server says that one of them does not exist: an ErrorResponse; null: something else. */
  inPlaceOf(error: ErrorFields | null): Uint8Array | null {
    if (this.errors === null || error?.code !== SqlState.invalid_sql_statement_name) return null;
    for (const [name, { position: _, ...why }] of this.errors) {
      if (error.message.includes(`"${name}"`)) return buildErrorResponse(why);
    }
    return null;
  }
}
