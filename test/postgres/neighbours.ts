/**
 * Clients that are busy in the same pool as a suite, each with settings that would change results if another client saw
 * them. They look after themselves as well: each asks for what it has set.
 */
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { type PostgresServer, SUPERUSER } from '../harness/postgres-server.js';

/** A setting that is odd: no test would run with it. */
interface OddSetting {
  readonly name: string;
  readonly value: string;
  /** What SHOW then says. */
  readonly shown: string;
}

const ODD: readonly OddSetting[] = [
  { name: 'search_path', value: 'nowhere', shown: 'nowhere' },
  { name: 'TimeZone', value: "'Pacific/Chatham'", shown: 'Pacific/Chatham' },
  { name: 'DateStyle', value: "'German, YMD'", shown: 'German, YMD' },
  { name: 'role', value: 'pg_monitor', shown: 'pg_monitor' },
  { name: 'work_mem', value: "'64kB'", shown: '64kB' },
  { name: 'default_transaction_read_only', value: 'on', shown: 'on' },
  { name: 'extra_float_digits', value: '-15', shown: '-15' },
  { name: 'bytea_output', value: 'escape', shown: 'escape' },
];
/** Between two rounds of one neighbour: they are to be there, not to take the machine. */
const PACE_MS = 20;
/** After which a neighbour looks again for the suite's database, or that couldn't connect tries again. */
const RETRY_MS = 200;
const CONNECT_LIMIT_MS = 5000;

/** How often neighbours asked for their own settings, and how often they saw something else. */
export interface NeighbourCounts {
  readonly asked: number;
  readonly wrong: number;
}

export class Neighbours {
  #asked = 0;
  #wrong = 0;
  #stopping = false;
  readonly #port: number;
  readonly #database: string;
  readonly #lives: Promise<void>[];

  /**
   * Lets one for each odd setting loose, once there is the database: who asks a pooler for it before that may get the suite's
   * first client refused, which shares what the server says to any login of that moment.
   * @param server the server itself
   */
  constructor(port: number, database: string, server: PostgresServer) {
    this.#port = port;
    this.#database = database;
    const isThere = this.#appears(server);
    this.#lives = ODD.map((setting) => isThere.then(() => this.#live(setting)));
  }

  async #appears(server: PostgresServer): Promise<void> {
    const query = `SELECT FROM pg_database WHERE datname = '${this.#database}'`;
    while (!this.#stopping && (await server.query(query)).length === 0) await pause(RETRY_MS);
  }

  /** Ends them, and resolves when they have gone. */
  async stop(): Promise<NeighbourCounts> {
    this.#stopping = true;
    await Promise.all(this.#lives);
    return { asked: this.#asked, wrong: this.#wrong };
  }

  async #live(setting: OddSetting): Promise<void> {
    while (!this.#stopping) {
      const client = new pg.Client({
        host: '127.0.0.1',
        port: this.#port,
        user: SUPERUSER,
        database: this.#database,
        connectionTimeoutMillis: CONNECT_LIMIT_MS,
        query_timeout: CONNECT_LIMIT_MS,
      });
      // It will be told by the next query.
      client.on('error', () => {});
      try {
        await client.connect();
        await this.#stay(client, setting);
      } catch {
        // A test ended everybody's connections.
        await pause(RETRY_MS);
      }
      await Promise.race([client.end(), pause(RETRY_MS)]).catch(() => {});
    }
  }

  async #stay(client: pg.Client, { name, value, shown }: OddSetting): Promise<void> {
    await client.query(`SET ${name} TO ${value}`);
    for (let round = 0; !this.#stopping; round++) {
      if (round % 8 === 0) await client.query(`SET ${name} TO ${value}`);
      const { rows } = await client.query({ text: `SHOW ${name}`, rowMode: 'array' });
      this.#asked += 1;
      if (rows[0]?.[0] !== shown) this.#wrong += 1;
      await pause(PACE_MS);
    }
  }
}
