/**
 * The state of the conversation with a server: what was sent, in which batch, and what is owed an answer. Pure
 * bookkeeping by the rules of the protocol chapter ("Extended Query", "Pipelining", "COPY Operations").
 */
import * as Backend from '../../wire/backend.js';
import type { ErrorFields } from '../../wire/error-fields.js';
import { buildCloseComplete, buildParseComplete } from '../../wire/server-messages.js';
import type { ParameterSet } from '../parameters.js';
import type { FoundState } from '../session-state.js';
import type { Statement } from '../statements.js';
import type { OwnQuestion } from './own-question.js';
import { NO_BATCH, type PreparedEntry } from './prepared.js';
import * as Request from './request-queue.js';

/** A request about a named statement, to be undone if the server skips it. */
export interface StatementRequest {
  /**
   * `parse`: undone by forgetting it; `close`: undone by restoring it; `duplicate`: a Parse under a name that is taken,
   * which the server is to refuse.
   */
  readonly what: 'parse' | 'close' | 'duplicate';
  readonly statement: Statement;
  /** What the server connection recorded, if the request went to the server. */
  readonly entry: PreparedEntry | null;
  /** The client's name for it, if the request came from the client. */
  readonly clientName: string | null;
  /** The batch in which it is sent. */
  readonly batch: number;
}

/** What a query of the gateway's own gives its server connection: a client's session, as far as that differs. */
export interface Alignment {
  /** What the server connection then has of settings that it does not report. */
  readonly settings: ParameterSet;
  /** What it then has of statements that were prepared by SQL, together with those that are to be prepared behind it. */
  readonly prepared: ParameterSet;
  /** Those that are to be prepared behind it: their texts, by their names. */
  readonly statements: ReadonlyMap<string, string>;
  /** What is changed, for people. */
  readonly names: readonly string[];
  /** An error ends the server process (error-guard.ts). */
  readonly isGuarded: boolean;
  /** The client's messages are held back until it is done. */
  readonly isAwaited: boolean;
}

/** A query of the gateway's own: the link's preparation, the reset query, a ROLLBACK. */
export interface OwnQuery {
  readonly what: 'own';
  readonly alignment: Alignment | null;
  /** The name of the statement that it prepares for its client; null: it does something else. */
  readonly statement: string | null;
  error: ErrorFields | null;
  /** The last row that came while the server connection served nobody, as it was sent; null: there was none, or a long one. */
  row: string | null;
}

/** The gateway's question what the session holds. */
export interface StateProbe {
  readonly what: 'probe';
  /** What its row says; null: nothing that can be used. */
  found: FoundState | null;
}

/** A query of the gateway's own that nobody waits for. */
export interface Aside {
  readonly what: 'aside';
  /** If it fails, the server connection is not handed on. */
  readonly isVital: boolean;
  /** It begins a transaction block of the client's. */
  readonly begins: boolean;
  /** Non-null: somebody does wait, for its error or its success (null). */
  readonly answered: AsideAnswered | null;
  error: ErrorFields | null;
}

export type AsideAnswered = (error: ErrorFields | null) => void;

/** An empty query of the gateway's own: ReadyForQuery messages that come before its answer are the client's. */
interface Barrier {
  readonly what: 'barrier';
  reached: boolean;
}

/** A simple Query within a batch: it destroys the unnamed statement, unless it is skipped. */
export const QUERY_IN_BATCH = Object.freeze({ what: 'query' });

/** A client's statement in whose place one was sent that fails (session/strict-mode.ts). */
export interface RefusedStatement {
  readonly what: 'refused';
  /** What the client is told then. */
  readonly answer: Uint8Array;
  /** As {@link QUERY_IN_BATCH}. */
  readonly inBatch: boolean;
}

/** Makes a server connection forget what others have got from sequences (session/sequence-reads.ts), unless it is skipped. */
export const FORGETTING = Object.freeze({ what: 'forgetting sequences' });

/** The Sync of a batch that is repeated: its answer has been given with the repetition. */
const REPEATED = Object.freeze({ what: 'repeated' });

export type RequestDetail =
  | StatementRequest
  | OwnQuery
  | StateProbe
  | OwnQuestion
  | Aside
  | Barrier
  | RefusedStatement
  | typeof FORGETTING
  | typeof QUERY_IN_BATCH
  | typeof REPEATED;

/** What may be known of a client's request. */
export type ClientRequest = StatementRequest | RefusedStatement | typeof FORGETTING | typeof QUERY_IN_BATCH;

/** A request that the server has refused (the first) or skipped. */
export interface SkippedRequest {
  readonly request: number;
  readonly detail: RequestDetail | null;
  readonly refused: boolean;
}

export class Exchange {
  /** ReadyForQuery's status byte, as of the last one. */
  status: number = Backend.Idle;
  /** Grows at each Sync and Query: requests of one batch are skipped together after an error. */
  batch = 0;
  /** Extended-protocol messages were sent, and not yet the Sync that ends them. */
  batchOpen = false;
  /** An extended-protocol request failed, and the Sync that ends the skipping was not sent yet. */
  skipping = false;
  /** COPY FROM STDIN is running, and the client has not ended it. */
  copyInOpen = false;
  /** CopyInResponse has come, and not yet the command's end. */
  private copyInRuns = false;
  /** How many ReadyForQuery will come is not certain: see {@link startBarrier}. */
  doubtful = false;
  /** Outstanding queries of the gateway's own that begin a transaction block. */
  private blocksBegun = 0;
  /** Outstanding requests that end with ReadyForQuery: batches that are not answered. */
  private batchesOwed = 0;
  /** Outstanding requests that give a client's name a meaning, or take it; a {@link droppingBatch} counts as one. */
  private namings = 0;
  private readonly queue = new Request.RequestQueue<RequestDetail>();
  /** Syncs that the server ignores because they lie within COPY FROM STDIN. */
  private ignoredSyncs = 0;
  /** The client's simple queries that are unanswered, and the batch of the newest: they may be DISCARD ALL. */
  private clientQueries = 0;
  private lastQueryBatch = 0;
  /** The newest batch with a statement that drops all prepared ones; NO_BATCH: all that there were have been answered. */
  private droppingBatch = NO_BATCH;

  /** As {@link status}, but for a block that is about to begin: what is sent now belongs to it. */
  get statusOfNext(): number {
    return this.blocksBegun > 0 && this.status === Backend.Idle ? Backend.InTransaction : this.status;
  }

  /** Requests that are owed an answer. */
  get outstanding(): number {
    return this.queue.length;
  }

  /** Kind and flags of the oldest request; 0 when nothing is owed. */
  get first(): number {
    return this.queue.first;
  }

  get firstKind(): number {
    return this.queue.first & Request.KIND_MASK;
  }

  get firstDetail(): RequestDetail | null {
    return this.queue.firstDetail;
  }

  /** A query of the gateway's own is next to be answered. */
  get runsOwnQuery(): boolean {
    const what = this.queue.firstDetail?.what;
    return (
      what === 'own' || what === 'probe' || what === 'aside' || what === 'barrier' || what === 'question'
    );
  }

  /** The newest request is the first that is owed to a client. */
  get owesClientOne(): boolean {
    return this.queue.length === 1 || (this.queue.length === 2 && this.runsOwnQuery);
  }

  /** Something is owed, and nothing to a client. */
  get owesOwnAlone(): boolean {
    for (const [, detail] of this.queue.entries()) if (detail?.what !== 'own') return false;
    return this.queue.length > 0;
  }

  /** The server is being given its client's session, and the client waits for that. */
  get isAligning(): boolean {
    const detail = this.queue.firstDetail;
    return detail?.what === 'own' && detail.alignment?.isAwaited === true;
  }

  /** The client is between two transactions, and nothing of it is unanswered. */
  get isAtRest(): boolean {
    const isOwn = this.outstanding === 0 || this.runsOwnQuery;
    return isOwn && this.status === Backend.Idle && !this.batchOpen;
  }

  /** Statements of batches up to this one may have been dropped by something that is unanswered. */
  get uncertainUpTo(): number {
    return Math.max(this.clientQueries > 0 ? this.lastQueryBatch : NO_BATCH, this.droppingBatch);
  }

  /** What is sent in the current batch may drop all prepared statements. */
  dropsAll(): void {
    if (this.droppingBatch === NO_BATCH) this.namings += 1;
    this.droppingBatch = this.batch;
  }

  /** All statements may have been dropped in the current batch, and a Flush will tell. */
  get mayHaveDropped(): boolean {
    return this.droppingBatch === this.batch && this.queue.length > 0 && !this.copyInOpen;
  }

  /** The oldest batch that is not answered, by the count of {@link batch}. */
  get oldestBatch(): number {
    return this.batch - this.batchesOwed;
  }

  /** COPY FROM STDIN runs, or how many ReadyForQuery will come is not certain. */
  get isCopying(): boolean {
    return this.copyInRuns || this.copyInOpen || this.doubtful || this.ignoredSyncs > 0;
  }

  /** A batch before the current one is not answered, so that its outcome is not known. */
  get earlierBatchOpen(): boolean {
    return this.batchesOwed > 0;
  }

  /** Cheap to ask: false means that no name is unsettled. */
  get mayBeUnsettled(): boolean {
    return this.namings > 0 || this.clientQueries > 0;
  }

  /**
   * True when what a name means depends on an earlier batch that is not answered yet. `isDefined`: it means something, that
   * any query of the client's may take from it (DISCARD ALL, DEALLOCATE ALL).
   */
  isUnsettled(name: string, isDefined: boolean): boolean {
    if (isDefined && this.clientQueries > 0) return true;
    if (this.namings === 0) return false;
    if (isDefined && this.droppingBatch !== NO_BATCH && this.droppingBatch < this.batch) return true;
    for (const [, detail] of this.queue.entries()) {
      if (namesFor(detail) === name && (detail as StatementRequest).batch < this.batch) return true;
    }
    return false;
  }

  requests(): Iterable<[request: number, detail: RequestDetail | null]> {
    return this.queue.entries();
  }

  /** For reports: the oldest of what is owed. */
  get owed(): string {
    const oldest = [...this.queue.entries()].slice(0, 8).map(([request, detail]) => {
      const flags = `${(request & Request.SWALLOWED) !== 0 ? ' (ours)' : ''}${detail === null ? '' : ` ${detail.what}`}`;
      return `${Request.NAMES[request & Request.KIND_MASK]}${flags}`;
    });
    return (oldest.length === 0 ? 'nothing' : oldest.join(', ')) + (this.doubtful ? ', in doubt' : '');
  }

  /** Notes a request that is being sent. */
  expect(request: number, detail: ClientRequest | null): void {
    const kind = request & Request.KIND_MASK;
    if (kind === Request.SYNC) {
      this.batch += 1;
      this.skipping = false;
      this.batchOpen = false;
      if (this.copyInOpen) {
        this.ignoredSyncs += 1;
        return;
      }
    } else if (kind === Request.QUERY) {
      this.batch += 1;
      this.batchOpen = false;
      this.clientQueries += 1;
      this.lastQueryBatch = this.batch;
    } else if (kind === Request.COPY_END) {
      this.copyInOpen = false;
      if (this.queue.length === 0) return;
    } else if (kind !== Request.FUNCTION_CALL) {
      this.batchOpen = true;
    }
    this.push(request, detail);
  }

  /** Notes a request that is not sent, but answered by the gateway in its turn. */
  expectSynthetic(kind: number, detail: StatementRequest | null): void {
    this.push(kind | Request.SYNTHETIC, detail);
  }

  expectOwn(alignment: Alignment | null, statement: string | null): void {
    this.batch += 1;
    this.push(Request.QUERY | Request.SWALLOWED, {
      what: 'own',
      alignment,
      statement,
      error: null,
      row: null,
    });
  }

  expectAside(isVital: boolean, answered: AsideAnswered | null, begins: boolean): void {
    this.batch += 1;
    if (begins) this.blocksBegun += 1;
    this.push(Request.QUERY | Request.SWALLOWED, { what: 'aside', isVital, begins, answered, error: null });
  }

  /** @param kind QUERY or FUNCTION_CALL */
  expectQuestion(kind: number, question: OwnQuestion): void {
    this.batch += 1;
    this.push(kind | Request.SWALLOWED, question);
  }

  expectProbe(): void {
    this.batch += 1;
    this.push(Request.QUERY | Request.SWALLOWED, { what: 'probe', found: null });
  }

  /** The only batch that is outstanding has been refused, and will be sent again: its Sync is answered to nobody. */
  repeatBatch(): void {
    this.failed();
    this.shift();
    this.push(Request.SYNC | Request.SWALLOWED, REPEATED);
  }

  /** Notes a Sync of ours behind the last message of a client that will send no more. */
  expectLastSync(): void {
    this.batch += 1;
    this.batchOpen = false;
    this.skipping = false;
    this.push(Request.SYNC | Request.SWALLOWED, null);
  }

  /** Notes an empty query of ours, behind which the number of outstanding ReadyForQuery is certain again. */
  startBarrier(): void {
    this.batch += 1;
    this.push(Request.QUERY | Request.SWALLOWED, { what: 'barrier', reached: false });
  }

  /** EmptyQueryResponse: if it is the barrier's, the next ReadyForQuery is, too. */
  emptyQueryAnswered(): void {
    const detail = this.queue.firstDetail;
    if (detail?.what === 'barrier') detail.reached = true;
  }

  /** The oldest request is answered. Returns true when the next answer is the gateway's to make. */
  complete(): boolean {
    this.shift();
    this.passCopyEnds();
    return (this.queue.first & Request.SYNTHETIC) !== 0;
  }

  private push(request: number, detail: RequestDetail | null): void {
    if (namesFor(detail) !== null) this.namings += 1;
    if (endsBatch(request)) this.batchesOwed += 1;
    this.queue.push(request, detail);
  }

  private shift(): void {
    const { firstDetail } = this.queue;
    if (namesFor(firstDetail) !== null) this.namings -= 1;
    if (firstDetail?.what === 'aside' && firstDetail.begins) this.blocksBegun -= 1;
    if (endsBatch(this.queue.first)) this.batchAnswered();
    this.queue.shift();
  }

  private batchAnswered(): void {
    this.batchesOwed -= 1;
    if (this.droppingBatch === NO_BATCH || this.batchesOwed > 0 || this.droppingBatch === this.batch) return;
    this.droppingBatch = NO_BATCH;
    this.namings -= 1;
  }

  private passCopyEnds(): void {
    while (this.queue.first === Request.COPY_END) this.queue.shift();
  }

  /** CopyInResponse: Syncs that were sent ahead will be read within the copy, and ignored. */
  copyInBegins(): void {
    const { dropped, ended } = this.queue.dropSyncsBeforeCopyEnd();
    this.batchesOwed -= dropped;
    this.ignoredSyncs = dropped;
    this.copyInOpen = !ended;
    this.copyInRuns = true;
  }

  /** CommandComplete: a simple Query may go on, even with another COPY. */
  commandCompleted(): void {
    if (this.copyInRuns && this.firstKind === Request.QUERY) this.queue.dropCopyEnd();
    this.copyInRuns = false;
  }

  /** ReadyForQuery. Returns whether it answers the oldest request, a Sync or Query whose answer is not certain, or nothing. */
  ready(status: number): 'answer' | 'stray' | 'unexpected' {
    this.passCopyEnds();
    const kind = this.firstKind;
    const detail = this.queue.firstDetail;
    const ends = endsBatch(this.queue.first);
    if (!ends && !this.doubtful) return 'unexpected';
    this.status = status;
    this.copyInOpen = false;
    this.ignoredSyncs = 0;
    if (!ends || (detail?.what === 'barrier' && !detail.reached)) return 'stray';
    if (detail?.what === 'barrier') this.doubtful = false;
    if (kind === Request.QUERY && isClients(detail)) this.clientQueries -= 1;
    return 'answer';
  }

  /**
   * ErrorResponse. In the extended protocol the server skips everything up to the next Sync; what is skipped is removed
   * and returned, the newest first, so that undoing it in this order gives names their first meaning back.
   */
  failed(): SkippedRequest[] {
    const kind = this.firstKind;
    this.copyInRuns = false;
    // Whether the server has read those Syncs within the copy or behind its failure can't be known.
    if (this.ignoredSyncs > 0) this.doubtful = true;
    this.copyInOpen = false;
    this.ignoredSyncs = 0;
    if (kind === Request.QUERY || kind === Request.FUNCTION_CALL) return [];
    const skipped: SkippedRequest[] = [];
    while (this.queue.length > 0 && this.firstKind !== Request.SYNC) {
      const request = this.queue.first;
      if ((request & Request.KIND_MASK) === Request.QUERY) this.clientQueries -= 1;
      skipped.push({ request, detail: this.queue.firstDetail, refused: skipped.length === 0 });
      this.shift();
    }
    this.skipping = this.queue.length === 0;
    if (this.skipping) this.batchOpen = true;
    return skipped.reverse();
  }
}

/** A request of a client's about a statement, in the current batch, that is answered here or refused there. */
export function naming(
  { batch }: Exchange,
  what: StatementRequest['what'],
  statement: Statement | undefined,
  clientName: string,
): StatementRequest | null {
  if (statement === undefined) return null;
  return { what, statement, entry: null, clientName, batch };
}

/** The client's name that a request defines or closes. */
function namesFor(detail: RequestDetail | null): string | null {
  return detail !== null && 'clientName' in detail ? detail.clientName : null;
}

/** A Query with this detail is the client's, and not one of ours. */
function isClients(detail: RequestDetail | null): boolean {
  return detail === null || detail.what === 'query' || detail.what === 'refused';
}

/** It destroys the unnamed statement unless it is skipped. */
export function destroysUnnamed(detail: RequestDetail | null): boolean {
  return detail?.what === 'query' || (detail?.what === 'refused' && detail.inBatch);
}

function endsBatch(request: number): boolean {
  const kind = request & Request.KIND_MASK;
  return kind === Request.QUERY || kind === Request.SYNC || kind === Request.FUNCTION_CALL;
}

const PARSE_COMPLETE = buildParseComplete();
const CLOSE_COMPLETE = buildCloseComplete();

/** The answer to a request that was not sent. */
export function syntheticAnswer(kind: number): Uint8Array {
  return kind === Request.PARSE ? PARSE_COMPLETE : CLOSE_COMPLETE;
}
