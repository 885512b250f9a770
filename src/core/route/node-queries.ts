/**
 * Queries of ours on the primary, one after the other, over a connection of their own: nobody who asks for a position waits
 * behind them. It is opened when there is something to be asked, and closed when nothing has been for a while.
 */

import { buildQuery } from '../../wire/client-messages.js';
import type { ErrorFields } from '../../wire/error-fields.js';
import { OWN_ANSWER_BYTES_MAX, OWN_CONNECTION_IDLE_MS, OWN_QUERY_MS_MAX } from '../limits.js';
import type { OwnQuestion } from '../server/own-question.js';
import * as Request from '../server/request-queue.js';
import { connectionFailure } from '../server/server-errors.js';
import { readTexts } from './evidence.js';
import { NodeConnection, type NodeConnections, type NodeConnectionUser } from './node-connection.js';
import type { RouteNode } from './route-node.js';

/** Columns in PostgreSQL's text form. */
export type QueryRows = readonly (readonly (string | null)[])[];

/** Its name among the server's sessions. */
export const QUERYING = 'sluice: catalogue';

interface Waiting {
  readonly sql: string;
  readonly done: (rows: QueryRows | null) => void;
}

const NEVER = Number.POSITIVE_INFINITY;
const IDLE = 'nothing more to ask';
const LATE = 'a query of ours has taken too long';
const TOO_MUCH = connectionFailure('the answer is too long');

export class NodeQueries implements NodeConnectionUser, OwnQuestion {
  readonly what = 'question';
  error: ErrorFields | null = null;
  private readonly shared: NodeConnections;
  private readonly primary: () => RouteNode | null;
  private connection: NodeConnection | null = null;
  /** Where it leads. */
  private node: RouteNode | null = null;
  private waiting: Waiting[] = [];
  private running: Waiting | null = null;
  private rows: (string | null)[][] = [];
  private bytes = 0;
  /** Since when the newest query runs, or has been over; in ms. */
  private since = 0;

  constructor(shared: NodeConnections, primary: () => RouteNode | null) {
    this.shared = shared;
    this.primary = primary;
  }

  /** Nothing is asked. */
  get isIdle(): boolean {
    return this.running === null && this.waiting.length === 0;
  }

  /** Calls back later, once. */
  run(sql: string, done: (rows: QueryRows | null) => void): void {
    this.waiting.push({ sql, done });
  }

  /** Does what is due, and returns the time in ms at which more will be. */
  advance(now: number): number {
    const primary = this.primary();
    if (this.node !== null && this.node !== primary) this.end('another node is the primary');
    if (this.waiting.length > 0) {
      if (primary === null) this.failAll();
      else this.proceed(primary, now);
    }
    if (this.connection === null) return NEVER;
    const next = this.connection.advance(now);
    const isRunning = this.running !== null;
    const due = this.since + (isRunning ? OWN_QUERY_MS_MAX : OWN_CONNECTION_IDLE_MS);
    if (now >= due && (isRunning || this.waiting.length === 0)) this.end(isRunning ? LATE : IDLE);
    return Math.min(next, due > now ? due : NEVER);
  }

  private proceed(primary: RouteNode, now: number): void {
    if (this.connection === null) {
      this.node = primary;
      this.since = now;
      this.connection = new NodeConnection(this.shared, primary.settings, QUERYING, this);
    }
    const { server } = this.connection;
    if (server === null || this.running !== null) return;
    this.running = this.waiting.shift()!;
    this.rows = [];
    this.bytes = 0;
    this.since = now;
    server.ask(this, buildQuery(this.running.sql), Request.QUERY);
  }

  row(bytes: Uint8Array, start: number, end: number): void {
    this.bytes += end - start;
    const texts = this.bytes > OWN_ANSWER_BYTES_MAX ? null : readTexts(bytes, start, end);
    if (texts === null) this.error ??= TOO_MUCH;
    else this.rows.push(texts);
  }

  answered(): void {
    const { running, rows, error } = this;
    this.running = null;
    this.rows = [];
    this.since = this.shared.context.io.now();
    if (error !== null) this.report(error);
    running?.done(error === null ? rows : null);
    const primary = this.primary();
    if (primary !== null && this.waiting.length > 0) this.proceed(primary, this.since);
  }

  private report({ message, code }: ErrorFields): void {
    const facts = { database: this.shared.database.name, sqlstate: code };
    this.shared.context.io.report({
      level: 'warn',
      message: `a query of ours has failed: ${message}`,
      facts,
    });
  }

  ready(): void {
    const primary = this.primary();
    if (primary !== null && primary === this.node && this.waiting.length > 0) {
      this.proceed(primary, this.shared.context.io.now());
    }
  }

  lost(error: ErrorFields): void {
    if (this.running !== null || this.waiting.length > 0) this.report(error);
    this.failAll();
  }

  private failAll(): void {
    const failed = this.running === null ? this.waiting : [this.running, ...this.waiting];
    this.running = null;
    this.waiting = [];
    for (const { done } of failed) done(null);
  }

  /** Closes the connection; the next query opens another one. */
  end(reason: string): void {
    const { connection } = this;
    this.connection = null;
    this.node = null;
    connection?.end(reason);
  }
}
