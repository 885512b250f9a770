/**
 * Keeps what the control plane knows of a database's catalogue up to date. A digest tells whether anything has changed; only
 * then is all of it read.
 */
import { CATALOGUE_DIGEST_QUERY, CATALOGUE_QUERY, pinned } from '../../routing/catalogue-queries.js';
import type { GatewayContext } from '../context.js';
import { LookSchedule } from './look-schedule.js';

/** Rows as text; null: the query has failed. */
export type QueryTaker = (rows: readonly (readonly (string | null)[])[] | null) => void;

/** The primary, on a connection of our own. */
export interface CatalogueSource {
  /** Runs the statements of a simple Query, and calls back once, later or at once, with the rows of all of them. */
  query(sql: string, done: QueryTaker): void;
}

const DIGEST = pinned(CATALOGUE_DIGEST_QUERY);
const FACTS = pinned(CATALOGUE_QUERY);
/** After so many failures in a row operators are told. */
const FAILURES_TOLD = 10;

export class CatalogueReading {
  /** How often it was read, and how often looked at. */
  reads = 0;
  looks = 0;
  private readonly context: Pick<GatewayContext, 'io' | 'slow'>;
  private readonly database: string;
  private source: CatalogueSource;
  private readonly loaded: (version: number) => void;
  private digest: string | null = null;
  private isLooking = false;
  private readonly schedule = new LookSchedule();
  /** In ms. */
  private startedAt = 0;
  private tookMs = 0;
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
    this.schedule.suspected(this.context.io.now());
  }

  /** The control plane has forgotten it. */
  forgotten(): void {
    this.digest = null;
    this.suspect();
  }

  /** A primary can be asked now. */
  retry(): void {
    if (this.schedule.succeededAt === null) this.schedule.dueAt = 0;
    else this.suspect();
  }

  /** Looks if it is time to, and returns when to call it again, in ms. */
  advance(now: number): number {
    if (this.isLooking) return Number.POSITIVE_INFINITY;
    const { dueAt } = this.schedule;
    if (now < dueAt) return dueAt;
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
    this.tookMs = this.context.io.now() - this.startedAt;
    if (digest === this.digest) this.succeed(false);
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
        this.succeed(true);
        this.loaded(answer.version);
      });
    });
  }

  private succeed(hasChanged: boolean): void {
    this.isLooking = false;
    this.failures = 0;
    this.schedule.succeeded(this.context.io.now(), this.tookMs, hasChanged);
  }

  private fail(): void {
    this.isLooking = false;
    this.failures += 1;
    if (this.failures === FAILURES_TOLD) {
      const message = `database ${this.database}: its catalogue can't be read, so that what is known of it grows old`;
      this.context.io.report({ level: 'warn', message });
    }
    this.schedule.failed(this.context.io.now());
  }
}
