/** What is known of each database beside its settings: whether it is held up, and what has been counted. */
import type { ServerAddress } from './io.js';
import { LatencyHistogram } from './latency-histogram.js';
import { isSettable, type ParameterSet, reportedName } from './parameters.js';

/** Sums since the start. They only grow; plain numbers, since they are added to per message. */
export class Totals {
  serverAssignments = 0;
  transactions = 0;
  queries = 0;
  bytesReceived = 0;
  bytesSent = 0;
  transactionMs = 0;
  queryMs = 0;
  waitMs = 0;
  clientParses = 0;
  serverParses = 0;
  /** Of named statements whose names are ours. */
  binds = 0;
  clientLogins = 0;
}

/** How long queries, transactions and waits for a server connection take. */
export class Latencies {
  readonly query = new LatencyHistogram();
  readonly transaction = new LatencyHistogram();
  readonly wait = new LatencyHistogram();
}

const WAITERS_MIN = 100;

/** Who waits until a database is no longer paused. */
export interface ResumeWaiter {
  /** False: it has given up. */
  readonly isOpen: boolean;
  goOn(): void;
}

/** One database as clients know it, with all its pools. */
export class Database {
  readonly name: string;
  /** New clients are refused (DISABLE). */
  disabled = false;
  /** It has no entry of its own: a client asked for it, and `*` serves any. */
  readonly isAuto: boolean;
  readonly totals = new Totals();
  /** Since when it has had no pool, in ms; null: it has one, or nobody has looked. Only of auto-databases. */
  unusedSince: number | null = null;
  readonly latencies = new Latencies();
  private isPaused = false;
  private waiting: ResumeWaiter[] = [];
  /** Those who have given up are sorted out when there are so many. */
  private sortAt = WAITERS_MIN;
  /** {@link StatementCatalogue.clock} of the last DDL that may have changed the columns of prepared statements. */
  suspectSince = 0;
  /** {@link StatementCatalogue.definitions} as of the last DDL that may have given another meaning to what statements name. */
  redefinedAt = 0;
  /** Where its clients are led, as its nodes have shown (mostly to the primary); empty: nowhere for now. Null: its entry names no nodes. */
  targetAddresses: readonly ServerAddress[] | null = null;
  /** The nodes belong to a cluster whose store says who leads. */
  isManaged = false;
  /** Since when its nodes have had none that may be written to, in ms; null: there is one, or it has no nodes. */
  heldSince: number | null = null;
  /** The node that was the primary last, as long as none else is. */
  lastPrimary: object | null = null;
  /** How often a command has passed by that may have changed what is in its catalogue. */
  definitionChanges = 0;
  /** What its servers report beyond what all servers do, by the names in lower case. */
  private readonly alsoReported = new Map<string, string>();

  constructor(name: string, isAuto: boolean) {
    this.name = name;
    this.isAuto = isAuto;
  }

  /** A client has got a server connection, for which it may have waited. @param isAssigned it is counted */
  waited(client: { waitingSince: number }, now: number, isAssigned: boolean): void {
    const waitMs = client.waitingSince > 0 ? now - client.waitingSince : 0;
    client.waitingSince = 0;
    this.totals.waitMs += waitMs;
    if (!isAssigned) return;
    this.totals.serverAssignments += 1;
    this.latencies.wait.add(waitMs);
  }

  /** No server connection is given out (PAUSE, KILL). */
  get paused(): boolean {
    return this.isPaused;
  }

  set paused(paused: boolean) {
    this.isPaused = paused;
    if (paused) return;
    const { waiting } = this;
    this.waiting = [];
    this.sortAt = WAITERS_MIN;
    for (const waiter of waiting) waiter.goOn();
  }

  /** Calls back, once, when the database is no longer paused. */
  whenResumed(waiter: ResumeWaiter): void {
    this.waiting.push(waiter);
    if (this.waiting.length < this.sortAt) return;
    this.waiting = this.waiting.filter(({ isOpen }) => isOpen);
    this.sortAt = Math.max(WAITERS_MIN, 2 * this.waiting.length);
  }

  /** A server has logged us in, and reported these parameters. */
  learn({ values }: ParameterSet): void {
    for (const name of values.keys()) {
      if (isSettable(name) && reportedName(name) === null) this.alsoReported.set(name.toLowerCase(), name);
    }
  }

  /**
   * The name under which its servers report a parameter that clients may set, so that its value can follow them; null:
   * they don't, as far as we know (newer servers report more than older ones).
   */
  reportedName(name: string): string | null {
    return reportedName(name) ?? this.alsoReported.get(name.toLowerCase()) ?? null;
  }
}

/** The databases that are or have been in use, by the names that clients ask for. */
export class Databases {
  /** Databases that come later are paused too. */
  allPaused = false;
  private readonly byName = new Map<string, Database>();

  [Symbol.iterator](): IterableIterator<Database> {
    return this.byName.values();
  }

  find(name: string): Database | undefined {
    return this.byName.get(name);
  }

  /** The database of this name, known from now on. */
  use(name: string, isAuto: boolean): Database {
    let database = this.byName.get(name);
    if (database === undefined) {
      database = new Database(name, isAuto);
      database.paused = this.allPaused;
      this.byName.set(name, database);
    }
    return database;
  }

  get hasAuto(): boolean {
    for (const database of this.byName.values()) if (database.isAuto) return true;
    return false;
  }

  /** Forgets the auto-databases that have been unused for so long, unless they are paused; returns their names. */
  forgetUnused(inUse: ReadonlySet<Database>, now: number, timeoutMs: number): string[] {
    const forgotten: string[] = [];
    for (const database of this.byName.values()) {
      if (!database.isAuto) continue;
      if (inUse.has(database)) database.unusedSince = null;
      else database.unusedSince ??= now;
      const { unusedSince, paused, name } = database;
      if (unusedSince === null || paused || now < unusedSince + timeoutMs) continue;
      this.byName.delete(name);
      forgotten.push(name);
    }
    return forgotten;
  }
}
