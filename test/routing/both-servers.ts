/** Runs a statement on a primary and on its standby, and compares what they say. */
import pg from 'pg';
import type { PostgresServer } from '../harness/postgres-server.js';

/** What a statement gave. */
export interface Answer {
  /** Null: it succeeded. */
  readonly sqlstate: string | null;
  /** The error's message, or the rows as JSON, in the order of their texts. */
  readonly text: string;
}

/** How the answers of the two servers compare. */
export type Outcome =
  | 'same'
  /** Both refused it, in the same way. */
  | 'same-error'
  /** The primary itself says something else each time. */
  | 'unsteady'
  | 'different';

/** What came of one statement. */
export interface Comparison {
  readonly outcome: Outcome;
  readonly primary: Answer;
  readonly standby: Answer;
}

/** One session on each of the two. */
export class BothServers {
  readonly #primary: Asker;
  readonly #standby: Asker;

  constructor(primary: PostgresServer, standby: PostgresServer, database: string) {
    this.#primary = new Asker(primary.url(undefined, database));
    this.#standby = new Asker(standby.url(undefined, database));
  }

  async compare(sql: string): Promise<Comparison> {
    const [primary, standby] = await Promise.all([this.#primary.ask(sql), this.#standby.ask(sql)]);
    if (primary.sqlstate === standby.sqlstate && primary.text === standby.text) {
      return { outcome: primary.sqlstate === null ? 'same' : 'same-error', primary, standby };
    }
    const again = await this.#primary.ask(sql);
    const unsteady = again.text !== primary.text && standby.sqlstate === primary.sqlstate;
    return { outcome: unsteady ? 'unsteady' : 'different', primary, standby };
  }

  /** The same for a statement that may write: what it did on the primary is undone. */
  async compareInVain(sql: string): Promise<Comparison> {
    const standby = await this.#standby.ask(sql);
    // A text of several statements may end the transaction itself.
    const primary = standby.sqlstate === null ? await this.#primary.askInVain(sql) : standby;
    if (standby.sqlstate !== null) return { outcome: 'different', primary, standby };
    return { outcome: primary.text === standby.text ? 'same' : 'different', primary, standby };
  }

  async end(): Promise<void> {
    await Promise.all([this.#primary.end(), this.#standby.end()]);
  }
}

/** A session that is made again when a statement has ended it. */
class Asker {
  readonly #url: string;
  #client: pg.Client | null = null;

  constructor(url: string) {
    this.#url = url;
  }

  async ask(sql: string): Promise<Answer> {
    try {
      const client = await this.#connected();
      const query = { text: sql, rowMode: 'array' as const, types: { getTypeParser: () => String } };
      const answer = (await client.query(query as pg.QueryArrayConfig)) as
        | pg.QueryArrayResult
        | pg.QueryArrayResult[];
      const results = Array.isArray(answer) ? answer : [answer];
      const rows = results.map((result) => result.rows.map((row) => JSON.stringify(row)).sort());
      return { sqlstate: null, text: JSON.stringify(rows) };
    } catch (error) {
      const { code, message } = error as pg.DatabaseError;
      return { sqlstate: code ?? 'none', text: message };
    }
  }

  async askInVain(sql: string): Promise<Answer> {
    await this.ask('BEGIN');
    const answer = await this.ask(sql);
    await this.ask('ROLLBACK');
    return answer;
  }

  async end(): Promise<void> {
    await this.#client?.end().catch(() => undefined);
    this.#client = null;
  }

  async #connected(): Promise<pg.Client> {
    if (this.#client !== null) return this.#client;
    const options =
      '-c statement_timeout=20s -c timezone=PST8PDT -c datestyle=postgres,mdy -c intervalstyle=postgres_verbose';
    const client = new pg.Client({ connectionString: this.#url, options });
    client.on('error', () => {
      this.#client = null;
    });
    await client.connect();
    this.#client = client;
    return client;
  }
}
