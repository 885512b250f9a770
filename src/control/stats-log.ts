/** A line of averages in the log, every `stats_period` (PgBouncer's `log_stats`). */
import type { DatabaseTotals } from '../core/snapshot.js';
import type { RunningGateway } from './gateway-process.js';
import type { Logger } from './logging.js';

/** The sums that the line is made of. */
type Totals = Omit<DatabaseTotals, 'database' | 'clientLogins'>;

const NOTHING: Totals = Object.freeze({
  serverAssignments: 0,
  transactions: 0,
  queries: 0,
  bytesReceived: 0,
  bytesSent: 0,
  transactionUs: 0,
  queryUs: 0,
  waitUs: 0,
  clientParses: 0,
  serverParses: 0,
  binds: 0,
});
const NAMES = Object.keys(NOTHING) as (keyof Totals)[];

/** Logs averages until it is stopped. Follows `log_stats` and `stats_period` as they change. */
export class StatsLog {
  readonly #gateway: RunningGateway;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | null = null;
  #before = NOTHING;
  #since = performance.now();

  constructor(gateway: RunningGateway, logger: Logger) {
    this.#gateway = gateway;
    this.#logger = logger;
    this.#wait();
  }

  stop(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #wait(): void {
    const { stats_period } = this.#gateway.config.values;
    this.#timer = setTimeout(() => void this.#write(), stats_period * 1000);
    this.#timer.unref();
  }

  async #write(): Promise<void> {
    try {
      const { totals } = await this.#gateway.snapshot();
      const now = performance.now();
      const after = sum(totals);
      const line = formatStats(this.#before, after, now - this.#since);
      if (this.#gateway.config.values.log_stats) this.#logger.info(line);
      this.#before = after;
      this.#since = now;
    } catch {
      // The reactor has ended, and its own promise tells.
      return;
    }
    if (this.#timer) this.#wait();
  }
}

function sum(totals: readonly DatabaseTotals[]): Totals {
  const all = { ...NOTHING };
  for (const database of totals) for (const name of NAMES) all[name] += database[name];
  return all;
}

/** `stats: 12 xacts/s, ... wait 40 us`: counts for each second, times for each transaction, query and assignment. */
export function formatStats(before: Totals, after: Totals, elapsedMs: number): string {
  // The totals of a database that is gone are gone, too.
  const grown = (name: keyof Totals): number => Math.max(0, after[name] - before[name]);
  const rate = (name: keyof Totals): number => Math.floor((grown(name) * 1000) / Math.max(1, elapsedMs));
  const mean = (name: keyof Totals, count: keyof Totals): number =>
    Math.floor(grown(name) / Math.max(1, grown(count)));
  return (
    `stats: ${rate('transactions')} xacts/s, ${rate('queries')} queries/s, ` +
    `${rate('clientParses')} client parses/s, ${rate('serverParses')} server parses/s, ${rate('binds')} binds/s, ` +
    `in ${rate('bytesReceived')} B/s, out ${rate('bytesSent')} B/s, ` +
    `xact ${mean('transactionUs', 'transactions')} us, query ${mean('queryUs', 'queries')} us, ` +
    `wait ${mean('waitUs', 'serverAssignments')} us`
  );
}
