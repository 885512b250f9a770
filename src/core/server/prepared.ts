/**
 * Which named statements a server connection has. "Has" is recorded when ParseComplete arrives, not when Parse is
 * sent; until then a statement counts only within the batch (up to a Sync) in which its Parse was sent, since a
 * failure earlier in that batch makes the server skip it.
 */
import type { Statement, StatementCatalogue } from '../statements.js';

/** No batch has this number: a statement that may exist on the server or not. */
export const NO_BATCH = -1;

export interface PreparedEntry {
  readonly statement: Statement;
  confirmed: boolean;
  /** The batch in which its Parse was sent. */
  batch: number;
  /** A Close for it is under way, to make room. */
  evicted: boolean;
  /** Grows with each use: the smallest is the least recently used. */
  lastUse: number;
  /** The catalogue's clock when it was parsed. */
  readonly parsedAt: number;
}

/** What must be sent before a statement can be used on a server connection. */
export type Missing = 'nothing' | 'parse' | 'close-and-parse';

export class PreparedStatements {
  private readonly entries = new Map<Statement, PreparedEntry>();

  get count(): number {
    return this.entries.size;
  }
  private readonly catalogue: StatementCatalogue;
  private uses = 0;
  /** Statements that are not being evicted. */
  private kept = 0;

  constructor(catalogue: StatementCatalogue) {
    this.catalogue = catalogue;
  }

  /**
   * What is missing for `statement` to be used in `batch`; counts as a use. Statements of batches up to
   * `uncertainUpTo` may have been dropped by then.
   */
  missing(statement: Statement, batch: number, uncertainUpTo: number): Missing {
    const entry = this.entries.get(statement);
    if (entry === undefined) return 'parse';
    entry.lastUse = ++this.uses;
    const certain = entry.confirmed && entry.batch > uncertainUpTo;
    if (certain || entry.batch === batch) return 'nothing';
    // Sent in an earlier batch that has not been answered: it may exist or not, and Close harms in neither case.
    return 'close-and-parse';
  }

  /** Parsed before that time: its result may have other columns by now. What is under way is taken as it is. */
  isParsedBefore(statement: Statement, time: number): boolean {
    const entry = this.entries.get(statement);
    return entry?.confirmed === true && entry.parsedAt < time;
  }

  /** Before its next use it must be parsed again. */
  distrust(statement: Statement): void {
    const entry = this.entries.get(statement);
    if (entry?.confirmed === true) this.notParsed(entry);
  }

  statements(): Iterable<Statement> {
    return this.entries.keys();
  }

  /** Before their next use all must be parsed again. */
  distrustAll(): void {
    for (const statement of this.entries.keys()) this.distrust(statement);
  }

  /** A Parse for `statement` is being sent. */
  parsing(statement: Statement, batch: number): PreparedEntry {
    this.remove(statement);
    const parsedAt = this.catalogue.clock;
    const entry = { statement, confirmed: false, batch, evicted: false, lastUse: ++this.uses, parsedAt };
    this.entries.set(statement, entry);
    this.kept += 1;
    this.catalogue.hold(statement);
    return entry;
  }

  /** Its Parse was refused or skipped; the Close before it, if there was one, perhaps too: it may exist or not. */
  notParsed(entry: PreparedEntry): void {
    entry.confirmed = false;
    entry.batch = NO_BATCH;
  }

  /** A Close that {@link evict} asked for was answered. */
  closed(entry: PreparedEntry): void {
    if (entry.evicted && this.entries.get(entry.statement) === entry) this.remove(entry.statement);
  }

  /** A Close that {@link evict} asked for was skipped: the server still has the statement. */
  notClosed(entry: PreparedEntry): void {
    if (!entry.evicted || this.entries.get(entry.statement) !== entry) return;
    entry.evicted = false;
    this.kept += 1;
  }

  /**
   * The least recently used statement when there are more than `max`; the caller sends a Close for it. Until that is
   * answered the statement may exist or not.
   */
  evict(max: number): PreparedEntry | null {
    // With 0, clients that have statements go on with them: the one that has just been parsed is about to be used.
    if (this.kept <= Math.max(1, max)) return null;
    let oldest: PreparedEntry | null = null;
    for (const entry of this.entries.values()) {
      if (!entry.evicted && (oldest === null || entry.lastUse < oldest.lastUse)) oldest = entry;
    }
    if (oldest === null) return null;
    oldest.evicted = true;
    oldest.confirmed = false;
    oldest.batch = NO_BATCH;
    this.kept -= 1;
    return oldest;
  }

  /** The server has dropped all statements; those whose Parse is still `underWay` come after that, evicted or not. */
  dropped(underWay: ReadonlySet<PreparedEntry>): void {
    for (const entry of [...this.entries.values()]) if (!underWay.has(entry)) this.remove(entry.statement);
  }

  clear(): void {
    for (const statement of [...this.entries.keys()]) this.remove(statement);
  }

  private remove(statement: Statement): void {
    const entry = this.entries.get(statement);
    if (entry === undefined) return;
    this.entries.delete(statement);
    if (!entry.evicted) this.kept -= 1;
    this.catalogue.release(statement);
  }
}
