/** A primary and two standbys that stream from it, with what the workloads need. */
import { PostgresServer } from '../harness/postgres-server.js';
import { ListNumbers } from './list-numbers.js';

/** How many registers there are: few, so that sessions meet. */
export const REGISTERS = 20;
/** What a node is called in histories; standbys are `standby 1` and `standby 2`. */
export const PRIMARY = 'primary';

const SETTINGS = {
  // Acknowledged means written out, as applications know it; one writer has it off for itself.
  synchronous_commit: 'on',
  max_connections: 200,
  wal_receiver_status_interval: '1s',
  // The primary is restarted for the second standby; the first need not wait long for it.
  wal_retrieve_retry_interval: '100ms',
  // A standby whose replay was paused must not end the reads that have waited in front of it.
  max_standby_streaming_delay: '60s',
};

/**
 * `served_by` is called stable, so that it may run on a standby, and tells where it ran: the port is the node's own, and no
 * router sees it in the function's text. In the view `shown` not even the function is seen: reads of that may share pipelines.
 */
const SCHEMA = `
  CREATE TABLE registers (key int PRIMARY KEY, value bigint NOT NULL) WITH (fillfactor = 50);
  INSERT INTO registers SELECT n, 0 FROM generate_series(0, ${REGISTERS - 1}) AS n;
  CREATE TABLE lists (key int PRIMARY KEY, elements int[] NOT NULL) WITH (fillfactor = 50);
  CREATE TABLE ballast (n int, filler text);
  CREATE FUNCTION served_by() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN current_setting('port'); END $$;
  CREATE VIEW shown AS SELECT key, value, served_by() AS node FROM registers;
  CREATE FUNCTION bump(int) RETURNS bigint LANGUAGE sql
    AS 'UPDATE registers SET value = value + 1 WHERE key = $1 RETURNING value';`;

export class Cluster {
  readonly primary: PostgresServer;
  readonly standbys: readonly PostgresServer[];
  readonly listNumbers = new ListNumbers();
  readonly #names: ReadonlyMap<string, string>;

  private constructor(primary: PostgresServer, standbys: readonly PostgresServer[]) {
    this.primary = primary;
    this.standbys = standbys;
    this.#names = new Map([
      [String(primary.port), PRIMARY],
      ...standbys.map(({ port }, index) => [String(port), `standby ${index + 1}`] as const),
    ]);
  }

  static async start(): Promise<Cluster> {
    const primary = await PostgresServer.start({ settings: SETTINGS });
    const standbys: PostgresServer[] = [];
    try {
      await primary.query(SCHEMA);
      for (let count = 0; count < 2; count++) standbys.push(await primary.startStandby());
      for (const standby of standbys) await primary.replayedBy(standby);
      return new Cluster(primary, standbys);
    } catch (error) {
      for (const server of [...standbys, primary]) await server.discard();
      throw error;
    }
  }

  get nodes(): readonly PostgresServer[] {
    return [this.primary, ...this.standbys];
  }

  /** The node that says of itself that it listens on a port. */
  nameOf(port: string): string {
    return this.#names.get(port) ?? `a stranger on port ${port}`;
  }

  /** The registers as they are now. */
  async registers(): Promise<Map<number, number>> {
    const rows = await this.primary.query('SELECT key, value FROM registers');
    return new Map(rows.map(({ key, value }) => [key, Number(value)]));
  }

  /** All lists as they are now. */
  async lists(): Promise<Map<number, readonly number[]>> {
    const rows = await this.primary.query('SELECT key, elements FROM lists');
    return new Map(rows.map(({ key, elements }) => [key, elements]));
  }

  async discard(): Promise<void> {
    for (const server of [...this.standbys, this.primary]) await server.discard();
  }
}
