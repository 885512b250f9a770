/**
 * A connection of ours to a PostgreSQL server. It reads the server's answers, matches them with the requests that
 * were sent, passes on what belongs to the linked client, and drops what answers the gateway's own requests.
 */
import * as Backend from '../../wire/backend.js';
import { buildQuery } from '../../wire/client-messages.js';
import { type ErrorFields, readErrorFields } from '../../wire/error-fields.js';
import { END, FORWARD, FrameReader, HEADER_BYTES, SWALLOW, type Verdict, WHOLE } from '../../wire/framing.js';
import type { GatewayContext } from '../context.js';
import type { ConnectionId, TlsFacts } from '../io.js';
import { ERROR_BYTES_READ_MAX, SERVER_LOGIN_MESSAGE_BYTES_MAX } from '../limits.js';
import type { ClientEnd } from '../link.js';
import type { ParameterSet } from '../parameters.js';
import type { PoolMode } from '../settings.js';
import { mayBeTelling, tellingTag } from './command-tags.js';
import { type ClientRequest, Exchange, type StatementRequest, syntheticAnswer } from './exchange.js';
import { EMPTY_QUERY, END_OF_INPUT, TERMINATE } from './own-messages.js';
import { releasePolicy } from './release.js';
import * as Request from './request-queue.js';
import type { ServerEncryption } from './server-encryption.js';
import { connectionFailure, duplicateRefused, protocolFailure, readReported } from './server-errors.js';
import type { ServerLogin } from './server-login.js';
import { type OpeningConnection, ServerOpening } from './server-opening.js';
import type { ServerOwner } from './server-owner.js';
import { ServerStatements } from './server-statements.js';
import { Timing } from './timing.js';

type Phase = 'connecting' | 'login' | 'ready' | 'closed';

export class ServerConnection extends FrameReader implements OpeningConnection {
  readonly id: number;
  readonly connection: ConnectionId;
  readonly encryption: ServerEncryption;
  /** The prepared statements that it has. */
  readonly statements: ServerStatements;
  /** What was sent, and what is owed an answer. */
  readonly exchange = new Exchange();
  readonly timing: Timing;
  readonly createdAt: number;
  /** When its login was over, in ms; its lifetime counts from there. */
  readyAt = 0;
  phase: Phase = 'connecting';
  link: ClientEnd | null = null;
  /** Whether the link ends with each transaction (pool_mode transaction and statement). */
  linkEndsWhenIdle = false;
  /** Transaction blocks are refused (pool_mode statement). */
  private singleStatements = false;
  parameters: ParameterSet;
  processId = 0;
  secret: Uint8Array = new Uint8Array(0);
  /** A client has left something on it that only the reset query removes. */
  needsReset = false;
  /** Cancel requests for this connection that have not ended; it serves nobody else meanwhile. */
  cancelsInFlight = 0;
  /** It has been logged in. */
  wasReady = false;
  /** Which of the gateway's queries makes it fit for the next client at the moment. */
  cleaning: 'rollback' | 'reset' | null = null;
  /** To be closed when its link ends. */
  closeNeeded = false;
  /** It lies idle in the pool. */
  isResting = false;
  /** When it became idle in the pool, in ms. */
  idleSince = 0;
  private readonly context: GatewayContext;
  private readonly owner: ServerOwner<ServerConnection>;
  /** Null when it is over. */
  private opening: ServerOpening | null;
  private readingPaused = false;
  /** Its client has gone, and what it asked for is still being answered. */
  finishing = false;
  private toldFatal = false;
  private lastError: ErrorFields | null = null;

  constructor(
    context: GatewayContext,
    owner: ServerOwner<ServerConnection>,
    connection: ConnectionId,
    login: ServerLogin,
    encryption: ServerEncryption,
  ) {
    super();
    this.context = context;
    this.owner = owner;
    this.id = context.newId();
    this.timing = new Timing(owner.database.totals);
    this.connection = connection;
    this.encryption = encryption;
    this.opening = new ServerOpening(context, this, encryption, login);
    this.statements = new ServerStatements(context.catalogue, owner);
    this.parameters = context.parameterSets.empty;
    this.createdAt = context.io.now();
  }

  connected(): void {
    this.opening?.connected();
  }

  secured(facts: TlsFacts): void {
    this.opening?.secured(facts);
  }

  startSession(): void {
    this.phase = 'login';
    this.send(this.owner.startupPacket());
  }

  /** The server has closed its side: it will not answer any more. */
  ended(): void {
    this.context.io.reset(this.connection);
    this.closed('server closed the connection unexpectedly');
  }

  override receive(bytes: Uint8Array, start: number, end: number): void {
    if (this.phase === 'connecting') return this.opening?.receive(bytes, start, end);
    super.receive(bytes, start, end);
    if (this.link?.awaitsAnswer === true) this.link.answersCame();
    this.releaseIfIdle();
    if (this.exchange.outstanding > 0 || !this.atBoundary) return;
    if (this.link === null) this.finish();
    else if (this.link.inputEnded) this.link.lastAnswerPassed();
    else if (this.singleStatements && this.exchange.status !== Backend.Idle) this.link.transactionRefused();
  }

  /** Its client has gone: it is made clean when everything asked for has been answered. */
  finishAlone(): void {
    this.finishing = true;
    this.endInput();
  }

  /**
   * The client will send no more. If the server is in a COPY FROM STDIN that nobody ends, this ends it; where it isn't,
   * it ignores CopyFail (protocol chapter, "COPY Operations").
   */
  endInput(): void {
    if (this.exchange.outstanding === 0) return;
    this.exchange.expectLastSync();
    this.send(END_OF_INPUT);
  }

  private finish(): void {
    const isDone = this.exchange.outstanding === 0 && this.atBoundary && this.cancelsInFlight === 0;
    if (!this.finishing || !isDone) return;
    this.finishing = false;
    if (this.phase === 'ready' && this.link === null) this.owner.finishedAlone(this);
  }

  /** It can't get on without more from its client: the rest of a message, of a batch, or of a COPY. */
  get needsClient(): boolean {
    return this.clientMidMessage || this.exchange.batchOpen || this.exchange.copyInOpen;
  }

  /** Ends the link if nothing is outstanding. Called when something may have become complete. */
  releaseIfIdle(): void {
    if (this.link === null || !this.linkEndsWhenIdle || !this.isQuiet) return;
    if (!this.exchange.doubtful) return this.owner.linkIdle(this);
    this.statements.unnamed = null;
    this.exchange.startBarrier();
    this.send(EMPTY_QUERY);
  }

  /** Nothing is unanswered and no transaction is open. */
  private get isQuiet(): boolean {
    return this.phase === 'ready' && this.atBoundary && releasePolicy.isReleasable(this);
  }

  /** It can be handed on or reset. */
  get isClean(): boolean {
    return this.isQuiet && !this.exchange.doubtful;
  }

  get status(): number {
    return this.exchange.status;
  }

  get outstandingRequests(): number {
    return this.exchange.outstanding;
  }

  get clientMidMessage(): boolean {
    return this.link?.midMessage === true;
  }

  /** A transaction is open and nothing else is in the way of ending it. */
  get canRollBack(): boolean {
    const { status, outstanding, batchOpen, doubtful } = this.exchange;
    const open = status === Backend.InTransaction || status === Backend.InFailedTransaction;
    return this.phase === 'ready' && open && this.atBoundary && outstanding === 0 && !batchOpen && !doubtful;
  }

  /** The last cancel request for it has ended. */
  cancelEnded(): void {
    if (this.phase === 'closed') return;
    if (this.finishing) this.finish();
    else this.owner.cancelEnded(this);
  }

  /** The login took too long. */
  abandon(message: string): void {
    this.openingFailed(connectionFailure(message));
  }

  drained(): void {
    this.link?.serverDrained();
  }

  keyDerived(key: Uint8Array | null): void {
    if (this.phase === 'login') this.opening?.keyDerived(key);
  }

  /** The connection is gone, by the peer or the system. */
  closed(reason: string | null): void {
    if (this.phase === 'closed') return;
    const text = reason ?? 'connection closed';
    this.end();
    this.depart(this.lastError ?? connectionFailure(text), text);
  }

  /** Closes from our side: politely when the server is not in the middle of anything. */
  close(): void {
    if (this.phase === 'closed') return;
    const polite = this.isClean && this.cancelsInFlight === 0;
    this.end();
    if (polite) this.send(TERMINATE);
    if (polite) this.context.io.finish(this.connection);
    else this.context.io.reset(this.connection);
    this.depart(this.lastError, 'connection closed');
  }

  /** Tells the pool, then the client. */
  private depart(error: ErrorFields | null, reason: string): void {
    const { link, midMessage, toldFatal: told } = this;
    this.link = null;
    this.owner.serverGone(this, error);
    link?.serverLost({ told, midMessage, requestInFlight: this.exchange.outstanding > 0, reason });
  }

  private end(): void {
    this.phase = 'closed';
    this.opening = null;
    this.endReading();
    this.statements.clear();
  }

  bind(client: ClientEnd, mode: PoolMode): void {
    if (this.link !== null) throw new Error('invariant: server connection is linked already');
    this.link = client;
    this.isResting = false;
    this.cleaning = null;
    this.linkEndsWhenIdle = mode !== 'session';
    this.singleStatements = mode === 'statement';
  }

  unbind(): void {
    this.link = null;
    if (this.readingPaused) this.resumeReading();
  }

  resumeReading(): void {
    if (!this.readingPaused) return;
    this.readingPaused = false;
    this.context.io.resumeReading(this.connection);
  }

  /** Sends bytes of ours. */
  send(message: Uint8Array): boolean {
    return this.context.io.send(this.connection, message, 0, message.length);
  }

  /** Notes a request that is being sent. */
  expect(request: number, detail: ClientRequest | null = null): void {
    this.timing.asked(request, this.context.io.now(), this.exchange.outstanding === 0);
    this.exchange.expect(request, detail);
  }

  /** Runs a query of the gateway's own; {@link ServerOwner.ownQueryDone} tells the end. */
  runOwnQuery(sql: string): void {
    // Every simple Query destroys the unnamed statement (protocol chapter, "Extended Query").
    this.statements.unnamed = null;
    this.exchange.expectOwn();
    this.send(buildQuery(sql));
  }

  /** Answers a request that is not sent, in its turn. */
  answerLocally(kind: number, detail: StatementRequest | null): void {
    if (this.exchange.outstanding === 0 && !this.midMessage) {
      this.link?.fromServer(syntheticAnswer(kind), 0, HEADER_BYTES);
      return;
    }
    // Something that the server says on its own (a notice) may be half passed on: the answer goes behind it.
    if (this.exchange.outstanding === 0) this.interject = true;
    this.exchange.expectSynthetic(kind, detail);
  }

  protected forward(bytes: Uint8Array, start: number, end: number): void {
    if (this.link === null) return;
    this.timing.totals.bytesSent += end - start;
    if (this.link.fromServer(bytes, start, end) && !this.readingPaused) {
      this.readingPaused = true;
      this.context.io.pauseReading(this.connection);
    }
  }

  protected lengthMax(): number {
    return this.phase === 'ready' ? this.context.settings.maxPacketSize : SERVER_LOGIN_MESSAGE_BYTES_MAX;
  }

  protected invalidLength(type: number, length: number): void {
    this.violation(`invalid length ${length} of message type 0x${type.toString(16)}`);
  }

  protected message(type: number, total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    if (this.opening !== null) return this.opening.message(type, total, bytes, position, end);
    switch (type) {
      case Backend.DataRow:
      case Backend.CopyData:
      case Backend.CopyDone:
      case Backend.CopyOutResponse:
      case Backend.ParameterDescription:
      case Backend.FunctionCallResponse:
        return this.exchange.outstanding === 0 ? this.unexpected(type) : this.ours();
      case Backend.RowDescription:
      case Backend.NoData:
        return this.answers(Request.DESCRIBE, type);
      case Backend.CommandComplete:
        return this.commandComplete(total, bytes, position, end);
      case Backend.EmptyQueryResponse:
        this.exchange.emptyQueryAnswered();
        return this.answers(Request.EXECUTE, type);
      case Backend.PortalSuspended:
        return this.answers(Request.EXECUTE, type);
      case Backend.ReadyForQuery:
        return end - position < total ? WHOLE : this.readyForQuery(total, bytes[position + HEADER_BYTES]!);
      case Backend.BindComplete:
        return this.completes(Request.BIND, type);
      case Backend.ParseComplete:
        if (!this.statements.parsed(this.exchange, this.link)) return this.unexpected(type);
        return this.complete();
      case Backend.CloseComplete:
        this.statements.closed(this.exchange);
        return this.completes(Request.CLOSE, type);
      case Backend.CopyInResponse:
        return this.copyInResponse(type);
      case Backend.ErrorResponse:
        return this.errorResponse(total, bytes, position, end);
      case Backend.ParameterStatus:
        return this.parameterStatus(total, bytes, position, end);
      case Backend.NoticeResponse:
      case Backend.NotificationResponse:
        return this.link === null ? SWALLOW : this.ours();
      default:
        return this.unexpected(type);
    }
  }

  private ours(): Verdict {
    return (this.exchange.first & Request.SWALLOWED) === 0 ? FORWARD : SWALLOW;
  }

  /** An answer that ends a request of this kind if one is at the head; in a simple Query it is just passed on. */
  private answers(kind: number, type: number): Verdict {
    const first = this.exchange.firstKind;
    if (first === kind) return this.complete();
    return first === Request.QUERY ? this.ours() : this.unexpected(type);
  }

  /** An answer that can only end a request of this kind. */
  private completes(kind: number, type: number): Verdict {
    return this.exchange.firstKind === kind ? this.complete() : this.unexpected(type);
  }

  private complete(): Verdict {
    const verdict = this.ours();
    if (this.exchange.complete()) this.interject = true;
    return verdict;
  }

  protected override betweenMessages(): void {
    while ((this.exchange.first & Request.SYNTHETIC) !== 0) {
      const kind = this.exchange.firstKind;
      this.complete();
      this.interject = false;
      this.forward(syntheticAnswer(kind), 0, HEADER_BYTES);
    }
  }

  private commandComplete(total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    if (mayBeTelling(total)) {
      if (end - position < total) return WHOLE;
      const tag = tellingTag(bytes, position, total);
      if (tag === 'PREPARE') this.pin();
      else if (tag !== null) this.statements.dropped(this.exchange, this.link);
    }
    this.exchange.commandCompleted();
    return this.answers(Request.EXECUTE, Backend.CommandComplete);
  }

  /** PREPARE in SQL made a statement that another client must not meet: the link lasts until its client leaves. */
  private pin(): void {
    this.linkEndsWhenIdle = false;
    this.needsReset = true;
  }

  private copyInResponse(type: number): Verdict {
    const kind = this.exchange.firstKind;
    if (kind !== Request.EXECUTE && kind !== Request.QUERY) return this.unexpected(type);
    this.exchange.copyInBegins();
    if (this.exchange.copyInOpen && (this.link === null || this.link.inputEnded)) {
      this.lastError = connectionFailure('the client has ended in the middle of COPY');
      this.close();
      return END;
    }
    return this.ours();
  }

  private readyForQuery(total: number, status: number): Verdict {
    if (total !== HEADER_BYTES + 1) return this.unexpected(Backend.ReadyForQuery);
    const meaning = this.exchange.ready(status);
    if (meaning !== 'answer') return meaning === 'stray' ? FORWARD : this.unexpected(Backend.ReadyForQuery);
    const detail = this.exchange.firstDetail;
    const verdict = this.complete();
    if (detail?.what === 'query') this.link?.unnamedAnswered('parsed');
    if (detail?.what === 'own') this.owner.ownQueryDone(this, detail.error);
    else this.timing.answered(status, this.context.io.now());
    return verdict;
  }

  private errorResponse(total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    if (total <= ERROR_BYTES_READ_MAX) {
      if (end - position < total) return WHOLE;
      this.lastError = readErrorFields(bytes, position + HEADER_BYTES, position + total);
      if (this.lastError.severity === 'FATAL' || this.lastError.severity === 'PANIC') {
        this.closeNeeded = true;
        // Behind the end of a transaction it concerns nobody: its client will be served by another connection.
        const isOver = this.linkEndsWhenIdle && releasePolicy.isReleasable(this);
        this.toldFatal = this.link !== null && !isOver;
        return this.toldFatal ? FORWARD : SWALLOW;
      }
    }
    if (this.exchange.outstanding === 0) return this.unexpected(Backend.ErrorResponse);
    const detail = this.exchange.firstDetail;
    if (detail?.what === 'barrier') return this.unexpected(Backend.ErrorResponse);
    if (detail?.what === 'own') {
      detail.error = this.lastError;
      return SWALLOW;
    }
    for (const skipped of this.exchange.failed()) this.statements.undo(skipped, this.link);
    const inClientsWords = detail === null ? null : duplicateRefused(detail, this.lastError);
    if (inClientsWords !== null) {
      this.flushRun(bytes, position);
      this.forward(inClientsWords, 0, inClientsWords.length);
      return SWALLOW;
    }
    // Also where a Parse of ours was refused: the client's batch fails with it.
    return this.link === null ? SWALLOW : FORWARD;
  }

  private parameterStatus(total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    if (total > ERROR_BYTES_READ_MAX) return this.unexpected(Backend.ParameterStatus);
    if (end - position < total) return WHOLE;
    const reported = readReported(bytes, position + HEADER_BYTES, position + total);
    if (reported === null) return this.unexpected(Backend.ParameterStatus);
    const { name, value } = reported;
    this.parameters = this.context.parameterSets.with(this.parameters, name, value);
    if (this.link === null || this.ours() === SWALLOW) return SWALLOW;
    this.link.parameters = this.context.parameterSets.with(this.link.parameters, name, value);
    return FORWARD;
  }

  loggedIn(login: ServerLogin): void {
    this.phase = 'ready';
    this.wasReady = true;
    this.readyAt = this.context.io.now();
    this.opening = null;
    this.processId = login.processId;
    this.secret = login.secret;
    this.parameters = this.context.parameterSets.overlay(this.parameters, login.parameters);
    this.owner.serverReady(this);
  }

  openingFailed(error: ErrorFields): void {
    this.lastError = error;
    this.close();
  }

  private unexpected(type: number): Verdict {
    return this.violation(`unexpected message type 0x${type.toString(16)} (owed: ${this.exchange.owed})`);
  }

  private violation(what: string): Verdict {
    this.context.counters.protocolViolations += 1;
    this.lastError = protocolFailure(what);
    this.context.io.report({
      level: this.exchange.doubtful ? 'info' : 'error',
      message: this.lastError.message,
    });
    this.close();
    return END;
  }
}
