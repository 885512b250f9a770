/** How long a server connection's requests and transactions take, and how many they are. */
import * as Backend from '../../wire/backend.js';
import type { Database, Latencies, Totals } from '../databases.js';

export class Timing {
  /** When the oldest unanswered request began, in ms; only meaningful while one is outstanding. */
  requestedAt = 0;
  /** When the client last sent a part of a COPY FROM STDIN, in ms. */
  copiedAt = 0;
  /** When the transaction began, in ms; only meaningful within one. */
  transactionAt = 0;
  /** The client has begun something, and the server has not said since then that no transaction is open. */
  inTransaction = false;
  readonly totals: Totals;
  private readonly latencies: Latencies;

  constructor({ totals, latencies }: Pick<Database, 'totals' | 'latencies'>) {
    this.totals = totals;
    this.latencies = latencies;
  }

  /** Since when the server has been busy with the oldest request, or the client silent in its COPY; in ms. */
  get askedSince(): number {
    return Math.max(this.requestedAt, this.copiedAt);
  }

  /** A client's request is sent. */
  asked(now: number, isFirst: boolean): void {
    if (isFirst) {
      this.requestedAt = now;
      if (!this.inTransaction) this.transactionAt = now;
      this.inTransaction = true;
    }
  }

  /** ReadyForQuery for a client's request. */
  answered(status: number, now: number): void {
    const { totals, latencies } = this;
    const queryMs = now - this.requestedAt;
    totals.queries += 1;
    totals.queryMs += queryMs;
    latencies.query.add(queryMs);
    this.requestedAt = now;
    if (status !== Backend.Idle) return;
    totals.transactions += 1;
    const transactionMs = now - this.transactionAt;
    totals.transactionMs += transactionMs;
    latencies.transaction.add(transactionMs);
    this.inTransaction = false;
  }
}
