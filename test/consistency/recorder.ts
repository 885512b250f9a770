/** Takes down what the sessions of a round do and see. */
import type { ListTransaction, RegisterOperation } from './history.js';

/** Everything of one round. */
export class Recorder {
  readonly operations: RegisterOperation[] = [];
  readonly transactions: ListTransaction[] = [];
  /** Requests that failed, a line each. */
  readonly failures: string[] = [];
  /** Transactions that PostgreSQL had to abort (SQLSTATE class 40): part of their trade. */
  conflicts = 0;
  /** Reads by the node that answered. */
  readonly reads = new Map<string, number>();
  /** Reads by the way they were asked, and the node that answered. */
  readonly forms = new Map<string, Map<string, number>>();
  readonly #begin = performance.now();

  /** In ms since the round began. */
  now(): number {
    return performance.now() - this.#begin;
  }

  servedBy(node: string, form: string): void {
    this.reads.set(node, (this.reads.get(node) ?? 0) + 1);
    const byNode = this.forms.get(form) ?? new Map<string, number>();
    byNode.set(node, (byNode.get(node) ?? 0) + 1);
    this.forms.set(form, byNode);
  }
}
