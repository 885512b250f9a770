/** The prepared statements of one server connection, kept in step with what it has answered. */
import type { Database } from '../databases.js';
import type { ClientEnd } from '../link.js';
import type { Statement, StatementCatalogue } from '../statements.js';
import { destroysUnnamed, type Exchange, type SkippedRequest } from './exchange.js';
import { type Missing, type PreparedEntry, PreparedStatements } from './prepared.js';
import * as Request from './request-queue.js';

/** A client, as far as its statements' names concern it. */
type NamingClient = Pick<ClientEnd, 'unnamedAnswered' | 'forgetStatement' | 'restoreStatement'>;

export class ServerStatements {
  readonly named: PreparedStatements;
  /** The unnamed statement, by its client's copy of the definition; 'unknown' when it can't be told; null: none. */
  unnamed: object | 'unknown' | null = null;
  /** The named statement that was used last, by a Bind or a Describe. */
  latest: Statement | null = null;
  private readonly catalogue: StatementCatalogue;
  /** The identity of the pool: what one of its servers has accepted, others will. */
  private readonly pool: { readonly database: Database };

  constructor(catalogue: StatementCatalogue, pool: { readonly database: Database }) {
    this.named = new PreparedStatements(catalogue);
    this.catalogue = catalogue;
    this.pool = pool;
  }

  /** Whether its result may have got other columns since the server parsed it. */
  isSuspect(statement: Statement): boolean {
    const since = Math.max(statement.suspectSince, this.pool.database.suspectSince);
    return this.named.isParsedBefore(statement, since);
  }

  /** A DDL has been carried out here. */
  definitionsChanged(how: 'altered' | 'dropped' | 'created'): void {
    const { database } = this.pool;
    database.definitionChanges += 1;
    if (how === 'created') return;
    this.catalogue.redefined(database);
    if (how === 'altered') this.catalogue.suspectAll(database);
  }

  /**
   * The server has refused a plan whose columns have changed: whoever prepares the text from now on gets a new one. The
   * statement is the one used last, if no more than one was in use; else it can be any.
   * @param isOne it is known that no other was
   */
  planRefused(exchange: Exchange, isOne: boolean): void {
    let used = 0;
    for (const [request] of exchange.requests()) {
      if (request === Request.BIND || request === Request.DESCRIBE) used += 1;
    }
    const isDescribedBind = used === 2 && exchange.firstKind === Request.BIND;
    if (this.latest !== null && (isOne || used === 1 || isDescribedBind)) {
      this.catalogue.retire(this.latest);
      this.named.distrust(this.latest);
    } else {
      for (const statement of this.named.statements()) this.catalogue.retire(statement);
      this.named.distrustAll();
    }
  }

  /** What must be sent before a statement can be used in the current batch; counts as a use. */
  missing(statement: Statement, exchange: Exchange): Missing {
    return this.named.missing(statement, exchange.batch, exchange.uncertainUpTo);
  }

  clear(): void {
    this.named.clear();
    this.unnamed = null;
    this.latest = null;
  }

  /** ParseComplete; false when it answers nothing that was asked. The request is still the exchange's first. */
  parsed(exchange: Exchange, link: ClientEnd | null): boolean {
    if (exchange.firstKind === Request.PARSE_UNNAMED) {
      if ((exchange.first & Request.SWALLOWED) === 0) link?.unnamedAnswered('parsed');
      return true;
    }
    if (exchange.firstKind !== Request.PARSE) return false;
    const detail = exchange.firstDetail;
    if (detail?.what === 'duplicate') return false;
    if (detail?.what === 'parse' && detail.entry !== null) {
      detail.entry.confirmed = true;
      detail.statement.acceptedIn.add(this.pool);
    }
    return true;
  }

  /** CloseComplete. The request is still the exchange's first. */
  closed(exchange: Exchange): void {
    const detail = exchange.firstDetail;
    if (detail?.what === 'close' && detail.entry !== null) this.named.closed(detail.entry);
  }

  /** The client had all statements dropped; what is still owed an answer comes after that. */
  dropped(exchange: Exchange, link: ClientEnd | null): void {
    const definedSince = new Set<string>();
    const underWay = new Set<PreparedEntry>();
    let unnamed = false;
    for (const [request, detail] of exchange.requests()) {
      if ((request & Request.KIND_MASK) === Request.PARSE_UNNAMED) unnamed = true;
      if (detail?.what !== 'parse') continue;
      if (detail.clientName !== null) definedSince.add(detail.clientName);
      if (detail.entry !== null) underWay.add(detail.entry);
    }
    this.named.dropped(underWay);
    if (!unnamed) this.unnamed = null;
    link?.statementsDropped(definedSince);
  }

  /** A request did not take effect. */
  undo({ request, detail, refused }: SkippedRequest, link: ClientEnd | null): void {
    const kind = request & Request.KIND_MASK;
    // Each of these would have replaced or destroyed the unnamed statement (a Close, if it was for that one).
    const concernsUnnamed =
      kind === Request.PARSE_UNNAMED || kind === Request.QUERY || (kind === Request.CLOSE && detail === null);
    if (concernsUnnamed) this.unnamed = 'unknown';
    if (detail?.what === 'parse' && detail.entry !== null) this.named.notParsed(detail.entry);
    else if (detail?.what === 'close' && detail.entry !== null) this.named.notClosed(detail.entry);
    if (link !== null) undoFor(link, { request, detail, refused });
  }
}

/** The client's part of {@link ServerStatements.undo}. */
function undoFor(link: NamingClient, { request, detail, refused }: SkippedRequest): void {
  if (request === Request.PARSE_UNNAMED) link.unnamedAnswered(refused ? 'refused' : 'skipped');
  if (destroysUnnamed(detail)) link.unnamedAnswered('skipped');
  else if (detail?.what === 'parse' && detail.clientName !== null) {
    link.forgetStatement(detail.clientName, detail.statement);
  } else if (detail?.what === 'close' && detail.clientName !== null) {
    link.restoreStatement(detail.clientName, detail.statement);
  }
}

/** All that a client has sent is to be sent again, elsewhere; the server answers it to nobody. */
export function undoAllFor(link: NamingClient, exchange: Exchange): void {
  const requests = [...exchange.requests()].reverse();
  for (const [request, detail] of requests) undoFor(link, { request, detail, refused: false });
}
