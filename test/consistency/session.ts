/** Sessions of the workloads: through a gateway, or straight to the nodes by a router of the checker's own. */
import pg from 'pg';
import type { SeededRandom } from '../fuzz/random.js';
import { DATABASE, SUPERUSER } from '../harness/postgres-server.js';
import type { Cluster } from './cluster.js';

/** A statement; with values it goes by the extended protocol, with a name it is prepared. */
export interface Request {
  readonly text: string;
  readonly values?: readonly unknown[];
  readonly name?: string;
}

type Row = pg.QueryResultRow;

/** One session. Its requests come one after the other. */
export interface Session {
  /** The rows of all its statements. Throws PostgreSQL's error. */
  run(request: Request): Promise<Row[]>;
  /** Its connection is gone: nothing more can come of it. */
  readonly lost: boolean;
  end(): Promise<void>;
}

/** Opens sessions. */
export type Door = () => Promise<Session>;

/** A connection to one server, or to a gateway; `options` as in the variable PGOPTIONS. */
export function connectionDoor(port: number, options?: string): Door {
  return async () => {
    const client = await connect(port, options);
    let lost = false;
    client.on('end', () => {
      lost = true;
    });
    return {
      run: (request) => ask(client, request),
      get lost() {
        return lost;
      },
      end: () => client.end(),
    };
  };
}

async function connect(port: number, options?: string): Promise<pg.Client> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port,
    user: SUPERUSER,
    database: DATABASE,
    ...(options === undefined ? {} : { options }),
  });
  // A lost connection also fails the request that is under way, and the next.
  client.on('error', () => {});
  await client.connect();
  return client;
}

async function ask(client: pg.Client, { text, values, name }: Request): Promise<Row[]> {
  const answer: pg.QueryResult | pg.QueryResult[] = await client.query({
    text,
    ...(values === undefined ? {} : { values: [...values] }),
    ...(name === undefined ? {} : { name }),
  });
  return (Array.isArray(answer) ? answer : [answer]).flatMap(({ rows }) => rows);
}

/**
 * Where the checker's own routers send reads. `primary`: never stale, and no standby works. `any`: as routers do that look at
 * nothing. `caught-up`: to a standby that has replayed what the primary had written when the read came.
 */
export const STAND_INS = ['primary', 'any', 'caught-up'] as const;
export type StandIn = (typeof STAND_INS)[number];

/** A router that knows the workloads' statements, to check the checker by. */
export function standInDoor(cluster: Cluster, policy: StandIn, random: SeededRandom): Door {
  return async () => {
    const clients = await Promise.all(cluster.nodes.map(({ port }) => connect(port)));
    return new StandInSession(clients, policy, random);
  };
}

const READ = /^(SELECT (?!bump)|(\/\*.*\*\/ )?BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY)/;
const BEGIN = /^(\/\*.*\*\/ )?BEGIN/;

class StandInSession implements Session {
  readonly #clients: readonly pg.Client[];
  readonly #policy: StandIn;
  readonly #random: SeededRandom;
  /** The nodes are the checker's own: they stay. */
  readonly lost = false;
  /** Where the open transaction lives; null: none is open. */
  #transaction: pg.Client | null = null;

  constructor(clients: readonly pg.Client[], policy: StandIn, random: SeededRandom) {
    this.#clients = clients;
    this.#policy = policy;
    this.#random = random;
  }

  async run(request: Request): Promise<Row[]> {
    const client = this.#transaction ?? (await this.#choose(request.text));
    if (BEGIN.test(request.text)) this.#transaction = client;
    if (/^(COMMIT|ROLLBACK)/.test(request.text)) this.#transaction = null;
    return ask(client, request);
  }

  async #choose(text: string): Promise<pg.Client> {
    const [primary, ...standbys] = this.#clients as [pg.Client, ...pg.Client[]];
    if (this.#policy === 'primary' || !READ.test(text)) return primary;
    if (this.#policy === 'any') return this.#random.pick(this.#clients);
    const standby = this.#random.pick(standbys);
    const [now] = await ask(primary, { text: 'SELECT pg_current_wal_insert_lsn() AS lsn' });
    const question = {
      text: 'SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS done',
      values: [now?.lsn],
      name: 'done',
    };
    const [answer] = await ask(standby, question);
    return answer?.done === true ? standby : primary;
  }

  async end(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.end()));
  }
}
