/**
 * Keeps what the control plane knows of a database's catalogue up to date. A digest tells whether anything has changed; only
 * then is all of it read.
 *
 * A DDL that has been seen may not be committed yet, so that one look behind it is not enough: there are several, each
 * after four times as long as the one before, up to the period in which what others do is noticed.
 */
import { CATALOGUE_DIGEST_QUERY, CATALOGUE_QUERY, pinned } from '../../routing/catalogue-queries.js';
import type { GatewayContext } from '../context.js';
import {
  CATALOGUE_MS_MAX,
  CATALOGUE_MS_MIN,
  CATALOGUE_REST_FACTOR,
  CATALOGUE_RETRY_MS_MAX,
} from '../limits.js';

/** Rows as text; null: the query has failed. */
export type QueryTaker = (rows: readonly (readonly (string | null)[])[] | null) => void;

/** The primary, on a connection of our own. */
export interface CatalogueSource {
  /** Runs the statements of a simple Query, and calls back once, later or at once, with the rows of all of them. */
  query(sql: string, done: QueryTaker): void;
}

const DIGEST = pinned(CATALOGUE_DIGEST_QUERY);
const FACTS = pinned(CATALOGUE_QUERY);
const GROWTH = 4;
const RETRY_MS_MIN = 100;
/** After so many failures in a row operators are told. */
const FAILURES_TOLD = 10;

export class CatalogueReading {
  /** How often it was read, and how often looked at. */
  reads = 0;
  looks = 0;
  /** When the last look ended that has succeeded, in ms; null: none has. */
  currentAt: number | null = null;
  private readonly context: Pick<GatewayContext, 'io' | 'slow'>;
  private readonly database: string;
  private source: CatalogueSource;
  private readonly loaded: (version: number) => void;
  private digest: string | null = null;
  private isLooking = false;
  /** In ms. */
  private dueAt = 0;
  private startedAt = 0;
  /** The shortest time between two looks, in ms. */
  private restMs = CATALOGUE_MS_MIN;
  /** The time until the one after the next. */
  private intervalMs = CATALOGUE_MS_MIN;
  private retryMs = RETRY_MS_MIN;
  private failures = 0;

  /**
   * @param database by the name that clients know
   * @param loaded called with the version that the control plane gives to what was read
   */
  constructor(
    context: Pick<GatewayContext, 'io' | 'slow'>,
    database: string,
    source: CatalogueSource,
    loaded: (version: number) => void,
  ) {
    this.context = context;
    this.database = database;
    this.source = source;
    this.loaded = loaded;
  }

  /** A look that is under way at another source is given up. */
  readFrom(source: CatalogueSource): void {
    if (source === this.source) return;
    this.source = source;
    this.isLooking = false;
    this.retry();
  }

  /** What is known may not be true any more: it is looked at soon, and several times. */
  suspect(): void {
    this.intervalMs = this.restMs;
    this.dueAt = Math.min(this.dueAt, (this.currentAt ?? 0) + this.restMs);
  }

  /** The control plane has forgotten it. */
  forgotten(): void {
    this.digest = null;
    this.suspect();
  }

  /** A primary can be asked now. */
  retry(): void {
    if (this.currentAt === null) this.dueAt = 0;
    else this.suspect();
  }

  /** Looks if it is time to, and returns when to call it again, in ms. */
  advance(now: number): number {
    if (this.isLooking) return Number.POSITIVE_INFINITY;
    if (now < this.dueAt) return this.dueAt;
    this.isLooking = true;
    this.startedAt = now;
    this.looks += 1;
    this.query(DIGEST, (rows) => this.compare(rows?.at(-1)?.[0] ?? null));
    return Number.POSITIVE_INFINITY;
  }

  private query(sql: string, done: QueryTaker): void {
    const { source } = this;
    source.query(sql, (rows) => {
      if (source === this.source) done(rows);
    });
  }

  private compare(digest: string | null): void {
    if (digest === null) return this.fail();
    const tookMs = this.context.io.now() - this.startedAt;
    this.restMs = Math.max(CATALOGUE_MS_MIN, tookMs * CATALOGUE_REST_FACTOR);
    if (digest === this.digest) this.rest();
    else this.read(digest);
  }

  private read(digest: string): void {
    this.query(FACTS, (rows) => {
      if (rows === null) return this.fail();
      const parts = rows.slice(1).map(([what, facts]) => [what ?? '', facts ?? '[]'] as const);
      const question = { kind: 'catalogue', database: this.database, parts } as const;
      this.context.slow.ask(question, (answer) => {
        if (answer.kind !== 'catalogue' || answer.version === 0) return this.fail();
        this.reads += 1;
        this.digest = digest;
        this.rest();
        this.loaded(answer.version);
      });
    });
  }

  private rest(): void {
    const now = this.context.io.now();
    this.isLooking = false;
    this.currentAt = now;
    this.failures = 0;
    this.retryMs = RETRY_MS_MIN;
    this.dueAt = now + Math.max(this.restMs, this.intervalMs);
    this.intervalMs = Math.min(CATALOGUE_MS_MAX, this.intervalMs * GROWTH);
  }

  private fail(): void {
    this.isLooking = false;
    this.failures += 1;
    if (this.failures === FAILURES_TOLD) {
      const message = `database ${this.database}: its catalogue can't be read, so that what is known of it grows old`;
      this.context.io.report({ level: 'warn', message });
    }
    this.dueAt = this.context.io.now() + this.retryMs;
    this.retryMs = Math.min(CATALOGUE_RETRY_MS_MAX, this.retryMs * 2);
  }
}
