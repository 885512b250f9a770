/** The load of one machine of clients: sessions that add unique numbers to a set, each in its own manner. */
import { setMaxListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { type ClientKind, monotonic, type Operation, type Outcome } from './history.js';

/** A gateway's address, as clients see it. */
export interface Target {
  readonly host: string;
  readonly port: number;
}

export interface LoadOrder {
  /** Makes the names and numbers of several machines of clients differ. */
  readonly machine: number;
  /** Each client begins with another of them, and goes on to the next when it is refused. */
  readonly targets: readonly Target[];
  readonly database: string;
  readonly user: string;
  /** How many clients of each kind. */
  readonly clients: Readonly<Record<ClientKind, number>>;
  /** What `autocommit` and `transaction` rest between writes, in ms. */
  readonly paceMs: number;
}

/** The set. Its numbers are unique only if nobody's write is done twice. */
export const SET_SQL = 'CREATE TABLE IF NOT EXISTS chaos_set (number bigint NOT NULL, client text NOT NULL)';
export const READ_SQL = 'SELECT number FROM chaos_set';

const WRITE_SQL = `INSERT INTO chaos_set VALUES ($1, $2)
  RETURNING coalesce(host(inet_server_addr()), 'local') || ':' || current_setting('port') AS server,
    ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int AS timeline`;

const NUMBERS_OF_A_MACHINE = 1e9;
/** `idle` rests so long between two writes, in ms: from the first number up to the sum of both. */
const IDLE_REST_MS = [1_000, 2_000] as const;
const OPEN_REST_MS = 400;
const RECONNECT_MS = 50;
const CONNECT_LIMIT_MS = 120_000;

/** Classes of SQLSTATE after which nothing can have been committed, whatever was sent. */
const CERTAIN = /^(?:25|40|28|3D|42|53|55|08P01|08001|08004|57P03)/;

type Row = { server: string; timeline: number };

class Failure extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

function asFailure(error: unknown): Failure {
  const { code, message } = error as { code?: string; message?: string };
  return new Failure(code ?? 'lost', message ?? String(error));
}

/** One client. It connects again whenever its connection is lost. */
class Client {
  readonly #order: LoadOrder;
  readonly #name: string;
  readonly #kind: ClientKind;
  /** Which target it is at, and how many in a row have refused it. */
  #turn: number;
  #refusals = 0;
  readonly #record: (operation: Operation) => void;
  readonly #next: () => number;
  #connection: pg.Client | null = null;
  #lost = true;

  constructor(
    order: LoadOrder,
    kind: ClientKind,
    index: number,
    next: () => number,
    record: (operation: Operation) => void,
  ) {
    this.#order = order;
    this.#kind = kind;
    this.#name = `${order.machine}.${kind}.${index}`;
    this.#turn = index;
    this.#next = next;
    this.#record = record;
  }

  async run(stop: AbortSignal): Promise<void> {
    const [least, span] = IDLE_REST_MS;
    const isIdle = this.#kind === 'idle';
    // Spread, so that clients don't march in step.
    await rest(Math.random() * (isIdle ? least + span : this.#order.paceMs), stop);
    while (!stop.aborted) {
      if (this.#lost && !(await this.#connect())) await rest(RECONNECT_MS, stop);
      else {
        await this.#write();
        await rest(isIdle ? least + Math.random() * span : this.#order.paceMs, stop);
      }
    }
    await this.#connection?.end().catch(() => {});
  }

  async #connect(): Promise<boolean> {
    this.#connection?.end().catch(() => {});
    const invoked = monotonic();
    const { database, user, targets } = this.#order;
    const connection = new pg.Client({
      ...targets[this.#turn % targets.length]!,
      database,
      user,
      connectionTimeoutMillis: CONNECT_LIMIT_MS,
      keepAlive: true,
    });
    connection.on('error', () => {
      if (this.#connection === connection) this.#lost = true;
    });
    connection.on('end', () => {
      if (this.#connection === connection) this.#lost = true;
    });
    this.#connection = connection;
    try {
      await connection.connect();
      this.#lost = false;
      this.#refusals = 0;
      return true;
    } catch (error) {
      // As libpq does it with several hosts: the next one is tried, and it is a failure when none is left.
      this.#turn++;
      if (++this.#refusals < targets.length) return this.#connect();
      this.#refusals = 0;
      const { code, message } = asFailure(error);
      this.#note('connect', [], { invoked, sent: invoked, inside: false }, 'failed', {
        code,
        message,
        row: null,
      });
      return false;
    }
  }

  async #write(): Promise<void> {
    const numbers =
      this.#kind === 'transaction' || this.#kind === 'open' ? [this.#next(), this.#next()] : [this.#next()];
    const invoked = monotonic();
    let sent = invoked;
    let committing = numbers.length === 1;
    let inside = false;
    const send = async (sql: string, values: unknown[] = []): Promise<Row | undefined> => {
      sent = monotonic();
      return (await this.#connection!.query(sql, values)).rows[0];
    };
    try {
      if (committing) {
        const row = await send(WRITE_SQL, [numbers[0], this.#name]);
        this.#note('write', numbers, { invoked, sent, inside }, 'ok', { code: null, message: null, row });
        return;
      }
      await send('BEGIN');
      inside = true;
      await send(WRITE_SQL, [numbers[0], this.#name]);
      if (this.#kind === 'open') await pause(OPEN_REST_MS);
      const row = await send(WRITE_SQL, [numbers[1], this.#name]);
      committing = true;
      const { command } = await this.#connection!.query('COMMIT');
      // A transaction that had failed is rolled back by COMMIT, without an error.
      const outcome = command === 'COMMIT' ? 'ok' : 'failed';
      this.#note('write', numbers, { invoked, sent, inside }, outcome, { code: null, message: command, row });
    } catch (error) {
      const { code, message } = asFailure(error);
      // The connection is over, even if its end has not arrived yet.
      if ((error as { severity?: string }).severity === 'FATAL') this.#lost = true;
      const outcome = committing && !CERTAIN.test(code) ? 'unknown' : 'failed';
      this.#note('write', numbers, { invoked, sent, inside }, outcome, { code, message, row: null });
      if (!committing && !this.#lost) await this.#connection!.query('ROLLBACK').catch(() => {});
    }
  }

  #note(
    what: Operation['what'],
    numbers: readonly number[],
    begin: { invoked: number; sent: number; inside: boolean },
    outcome: Outcome,
    end: { code: string | null; message: string | null; row: Row | null | undefined },
  ): void {
    this.#record({
      client: this.#name,
      kind: this.#kind,
      what,
      numbers,
      ...begin,
      ended: monotonic(),
      outcome,
      code: end.code,
      message: end.message,
      server: end.row?.server ?? null,
      timeline: end.row?.timeline ?? null,
      dropped: outcome !== 'ok' && this.#lost,
    });
  }
}

async function rest(ms: number, stop: AbortSignal): Promise<void> {
  await pause(ms, undefined, { signal: stop }).catch(() => {});
}

/** Runs until `stop` is aborted, then lets each client end what it is at. */
export async function runLoad(
  order: LoadOrder,
  stop: AbortSignal,
  record: (operation: Operation) => void,
): Promise<void> {
  setMaxListeners(0, stop);
  let number = order.machine * NUMBERS_OF_A_MACHINE;
  const next = () => ++number;
  const clients = (Object.keys(order.clients) as ClientKind[]).flatMap((kind) =>
    Array.from({ length: order.clients[kind] }, (_, index) => new Client(order, kind, index, next, record)),
  );
  await Promise.all(clients.map((client) => client.run(stop)));
}
