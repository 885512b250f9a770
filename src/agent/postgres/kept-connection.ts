/**
 * The one connection that an agent keeps to its PostgreSQL, for short statements of everybody. They are sent one after the other:
 * `pg` says that it will take no second one while another is under way.
 */
import type pg from 'pg';
import { closeOwn, STATEMENT_MS } from './own-connection.js';

/** The statements of one connection's life. */
interface Row {
  readonly client: Promise<pg.Client>;
  /** Resolves when the last statement has its answer. */
  last: Promise<void>;
  isEnded: boolean;
}

/** What the types of `pg` leave out. */
type TimedQuery = pg.QueryConfig & { readonly query_timeout: number };

/** Connects when it is first asked, and again after a failure. */
export class KeptConnection {
  readonly #connect: () => Promise<pg.Client>;
  readonly #patienceMs: number;
  #row: Row | null = null;

  /** @param patienceMs from when a statement is asked for until it counts as failed, its turn included */
  constructor(connect: () => Promise<pg.Client>, patienceMs = STATEMENT_MS) {
    this.#connect = connect;
    this.#patienceMs = patienceMs;
  }

  /** The rows of one statement. A failure, whosesoever, ends the connection, and so those that wait for their turn. */
  query<T extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<T[]> {
    this.#row ??= { client: this.#connect(), last: Promise.resolve(), isEnded: false };
    const row = this.#row;
    const deadline = performance.now() + this.#patienceMs;
    const answer = row.last.then(async () => {
      try {
        const client = await row.client;
        const left = deadline - performance.now();
        if (row.isEnded) throw new Error('the connection was closed');
        if (left <= 0) throw new Error('the statement waited too long for its turn');
        const query: TimedQuery = { text, values: [...values], query_timeout: left };
        return (await client.query<T>(query)).rows;
      } catch (error) {
        this.#end(row);
        throw error;
      }
    });
    row.last = answer.then(
      () => {},
      () => {},
    );
    return answer;
  }

  /** Breaks off what is under way. A statement that is asked for from now on waits for none of before. */
  forget(): void {
    if (this.#row !== null) this.#end(this.#row);
  }

  #end(row: Row): void {
    if (this.#row === row) this.#row = null;
    if (row.isEnded) return;
    row.isEnded = true;
    row.client.then(closeOwn, () => {});
  }
}
