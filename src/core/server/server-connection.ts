/**
 * A connection of ours to a PostgreSQL server. It reads the server's answers, matches them with the requests that
 * were sent, passes on what belongs to the linked client, and drops what answers the gateway's own requests.
 */
import * as Backend from '../../wire/backend.js';
import { buildQuery } from '../../wire/client-messages.js';
import type { ErrorFields } from '../../wire/error-fields.js';
import { HEADER_BYTES, type Verdict } from '../../wire/framing.js';
import { SqlState } from '../../wire/sqlstate.js';
import { CRASHED, DIRTY, UNFIT } from '../close-reasons.js';
import type { GatewayContext } from '../context.js';
import type { ConnectionId, ReportSubject, ServerAddress, TlsFacts } from '../io.js';
import { type Recorded, recordClosing, recordNewServer, recordRefusedSession } from '../journal.js';
import { SERVER_LOGIN_MESSAGE_BYTES_MAX } from '../limits.js';
import type { ClientEnd, Owed } from '../link.js';
import type { PoolMode } from '../settings.js';
import type { GuardState } from './error-guard.js';
import {
  type Alignment,
  type AsideAnswered,
  type ClientRequest,
  type OwnQuery,
  type StatementRequest,
  syntheticAnswer,
} from './exchange.js';
import { silenced } from './local-commit.js';
import { EMPTY_QUERY, END_OF_INPUT, TERMINATE } from './own-messages.js';
import { PoolPlace } from './pool-place.js';
import { releasePolicy } from './release.js';
import { ServerAnswers } from './server-answers.js';
import type { ServerEncryption } from './server-encryption.js';
import { alignmentRefusal, connectionFailure, openingReason } from './server-errors.js';
import type { LoginDialogue, LoginProgress } from './server-login.js';
import { type OpeningConnection, ServerOpening } from './server-opening.js';
import type { ServerOwner } from './server-owner.js';
import { ServerStatements } from './server-statements.js';
import { buildProbe } from './state-probe.js';
import { Timing } from './timing.js';

type Phase = 'connecting' | 'login' | 'ready' | 'closed';

export class ServerConnection extends ServerAnswers implements OpeningConnection, Recorded {
  readonly id: number;
  readonly connection: ConnectionId;
  readonly address: ServerAddress;
  readonly encryption: ServerEncryption;
  readonly createdAt: number;
  /** When its login was over, in ms; its lifetime counts from there. */
  readyAt = 0;
  phase: Phase = 'connecting';
  /** Transaction blocks are refused (pool_mode statement). */
  private singleStatements = false;
  processId = 0;
  secret: Uint8Array = new Uint8Array(0);
  /** Cancel requests for this connection that have not ended; it serves nobody else meanwhile. */
  cancelsInFlight = 0;
  /** It has been logged in. */
  wasReady = false;
  /** The `id` of the client that it serves or has served last; 0: none yet. */
  lastClient = 0;
  /** How many clients it has served, counting those that came back. */
  turns = 0;
  readonly place = new PoolPlace();
  protected readonly owner: ServerOwner<ServerConnection>;
  /** Null when it is over. */
  private opening: ServerOpening | null;
  /** Non-null: judges its messages, as long as it is being opened, or if it is a replication connection. */
  special: { message: ServerOpening['message'] } | null;
  /** Bytes go through in both directions, unread. */
  isPipe = false;
  /** Its client has got it at its login, and has sent nothing over it since. */
  private untouched = false;
  /** When something came for a client that will send no more, in ms. */
  lastAnswerAt = 0;
  /** Its client has gone, and what it asked for is still being answered. */
  finishing = false;
  guard: GuardState = 'untried';
  /** Why it can't be given its client's session. */
  private refusal: ErrorFields | null = null;

  constructor(
    context: GatewayContext,
    owner: ServerOwner<ServerConnection>,
    connection: ConnectionId,
    login: LoginDialogue,
    encryption: ServerEncryption,
  ) {
    super(context, new ServerStatements(context.catalogue, owner), new Timing(owner.database));
    this.owner = owner;
    this.id = context.newId();
    this.connection = connection;
    this.encryption = encryption;
    this.address = encryption.address;
    this.opening = new ServerOpening(context, this, encryption, login);
    this.special = this.opening;
    this.createdAt = context.io.now();
  }

  /** To be closed when its link ends. */
  get closeNeeded(): boolean {
    return this.closeReason !== null;
  }

  /** As whom it has logged in. */
  get loginUser(): string {
    return this.owner.userName;
  }

  get subject(): ReportSubject {
    const { database, userName } = this.owner;
    const address = this.context.io.peerAddress(this.connection);
    return { side: 'server', id: this.id, database: database.name, user: userName, address };
  }

  connected(): void {
    recordNewServer(this.context, this, this.connection);
    this.opening?.connected();
  }

  secured(facts: TlsFacts): void {
    this.opening?.secured(facts);
  }

  startSession(): void {
    this.phase = 'login';
    this.send(this.owner.startupPacket(this));
  }

  /** The server has closed its side: it will not answer any more. */
  ended(): void {
    recordClosing(this.context, this, this.opening?.farewell ?? CRASHED);
    this.context.io.reset(this.connection);
    this.lost('server closed the connection unexpectedly');
  }

  override receive(bytes: Uint8Array, start: number, end: number): void {
    if (this.phase === 'connecting') return this.opening?.receive(bytes, start, end);
    super.receive(bytes, start, end);
    if (this.isBlocked) return this.boundHeldAnswers();
    if (this.link?.inputEnded === true) this.lastAnswerAt = this.context.io.now();
    if (this.link?.awaitsAnswer === true) this.link.answersCame();
    this.releaseIfIdle();
    if (this.exchange.outstanding > 0 || !this.atBoundary) return;
    if (this.link === null) this.finish();
    else if (this.link.inputEnded) this.link.lastAnswerPassed();
    else if (this.singleStatements && this.exchange.status !== Backend.Idle) this.link.transactionRefused();
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
    const { link, isSuspect, isPinned } = this;
    if (link === null || !(this.linkEndsWhenIdle || isSuspect || isPinned) || !this.isQuiet) return;
    if (this.exchange.doubtful) this.sendBarrier();
    // Whoever has ended takes nothing along; what is left is removed.
    else if (!link.inputEnded && (isSuspect || (isPinned && this.place.mayBeUnpinned(this.context.io.now()))))
      this.probe(link);
    else if (this.linkEndsWhenIdle && link.listener?.keepsLink !== true) this.owner.linkIdle(this);
  }

  private sendBarrier(): void {
    this.statements.unnamed = null;
    this.exchange.startBarrier();
    this.send(EMPTY_QUERY);
  }

  /** Asks for the state of the session; {@link ClientEnd.stateFound} tells the end. */
  private probe({ customSettings }: ClientEnd): void {
    this.isSuspect = false;
    this.isProbing = true;
    this.statements.unnamed = null;
    this.place.ownWorkAt = this.context.io.now();
    this.exchange.expectProbe();
    this.send(buildProbe(customSettings));
  }

  /** Whether the link outlasts its transactions, for what its client has left on the server. */
  pin(isPinned: boolean): void {
    this.isPinned = isPinned;
    // A gateway that is being drained waits for the end of transactions alone.
    this.linkEndsWhenIdle = !isPinned || this.context.farewell !== null;
  }

  /** Nothing is unanswered and no transaction is open. */
  private get isQuiet(): boolean {
    return this.phase === 'ready' && this.atBoundary && releasePolicy.isReleasable(this);
  }

  /** It can be handed on or reset. */
  get isClean(): boolean {
    return this.isQuiet && !this.exchange.doubtful;
  }

  /** Its client has done nothing on it yet: queries of ours, at most, are under way. */
  get isFresh(): boolean {
    return this.isClean || this.exchange.owesOwnAlone;
  }

  get status(): number {
    return this.exchange.status;
  }

  /** Something runs that can be cancelled. */
  get isBusy(): boolean {
    return this.exchange.outstanding > 0 || this.isPipe;
  }

  /** It serves a replication client from now on. */
  becomePipe(): void {
    this.isPipe = true;
    this.special = { message: (...message) => this.piped(...message) };
  }

  /** Its client has got it at its login, before it has asked for anything. */
  leaveUntouched(): void {
    this.untouched = true;
  }

  /** Its client has not used it since its login, and could do without it. */
  get isUntouched(): boolean {
    return this.link !== null && this.untouched && this.isClean && !this.isPipe;
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
    this.lastError = connectionFailure(message);
    this.close('connect timeout');
  }

  drained(): void {
    this.link?.serverDrained();
  }

  keyDerived(key: Uint8Array | null): void {
    if (this.phase === 'login') this.opening?.keyDerived(key);
  }

  /** Something that its login had asked for has come. */
  loginGoesOn(step: () => LoginProgress): void {
    if (this.phase === 'login') this.opening?.progress(step());
  }

  /** The connection is gone, by the peer or the system. */
  closed(reason: string | null): void {
    if (this.phase === 'closed') return;
    const text = reason ?? 'connection closed';
    const why = this.phase === 'connecting' ? openingReason(text) : CRASHED;
    recordClosing(this.context, this, this.opening?.farewell ?? why);
    this.lost(text);
  }

  private lost(reason: string): void {
    if (this.phase === 'closed') return;
    this.end();
    this.depart(this.lastError ?? connectionFailure(reason), reason);
  }

  /** Closes from our side: politely when the server is not in the middle of anything. `reason` is for the log. */
  close(reason: string): void {
    if (this.phase === 'closed') return;
    recordClosing(this.context, this, reason);
    const polite = this.isClean && this.cancelsInFlight === 0;
    this.end();
    if (polite) this.send(TERMINATE);
    if (polite) this.context.io.finish(this.connection);
    else this.context.io.reset(this.connection);
    this.depart(this.lastError, 'connection closed');
  }

  /** Tells the pool, then the client. */
  private depart(error: ErrorFields | null, reason: string): void {
    const { link, midMessage, toldFatal: told, refusal } = this;
    this.link = null;
    this.owner.serverGone(this, error);
    if (refusal !== null) link?.unserved(refusal, this.lossOf(link, reason).owed, !this.isPinned);
    else link?.serverLost({ told, isOutlived: false, midMessage, ...this.lossOf(link, reason) });
  }

  private lossOf(link: ClientEnd, reason: string) {
    const { exchange, statements } = this;
    const owed: Owed = { exchange, undo: (skipped) => statements.undo(skipped, link) };
    return { ...this.lossFacts.of(this, this.timing.transactionAt), reason, owed };
  }

  protected leaveClient(reason: string): void {
    const link = this.link as ClientEnd;
    this.link = null;
    link.serverLost({ told: false, isOutlived: true, midMessage: false, ...this.lossOf(link, reason) });
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
    if (this.lastClient !== client.id) {
      this.hasOthersSequences = this.lastClient !== 0;
      this.hasOwnSequences = false;
      this.mayHoldOthersSettings ||= this.ranOpaque;
      this.ranOpaque = false;
      this.lastClient = client.id;
      this.turns += 1;
    }
    this.lossFacts.bound();
    this.linkEndsWhenIdle = mode !== 'session';
    this.singleStatements = mode === 'statement';
  }

  unbind(): void {
    // What was left on it, or may have been, is nobody else's.
    if (this.isSuspect || this.isPinned || this.isProbing) this.needsReset = true;
    this.isSuspect = false;
    this.isProbing = false;
    this.isPinned = false;
    this.unprepared.clear();
    this.link = null;
    this.rowCount = null;
    this.untouched = false;
    if (this.isBlocked) this.letAnswersGo();
    else this.resumeReading();
  }

  resumeReading(): void {
    if (!this.readingPaused) return;
    this.readingPaused = false;
    this.context.io.resumeReading(this.connection);
  }

  /** Passes on what its client sent; true when the server can't take more for now. */
  fromClient(bytes: Uint8Array, start: number, end: number): boolean {
    this.untouched = false;
    this.timing.totals.bytesReceived += end - start;
    if (this.exchange.copyInOpen) this.timing.copiedAt = this.context.io.now();
    if (this.held.isOpen) this.held.keep(bytes, start, end, this.exchange.batchOpen);
    return this.context.io.send(this.connection, bytes, start, end);
  }

  /** Sends bytes of ours. */
  send(message: Uint8Array): boolean {
    return this.context.io.send(this.connection, message, 0, message.length);
  }

  /** Notes a request that is being sent. */
  expect(request: number, detail: ClientRequest | null = null): void {
    this.timing.asked(this.context.io.now(), this.exchange.outstanding === 0);
    this.exchange.expect(request, detail);
  }

  /** Runs a query of the gateway's own; {@link ServerOwner.ownQueryDone} tells the end. */
  runOwnQuery(sql: string, alignment: Alignment | null = null, statement: string | null = null): void {
    // Every simple Query destroys the unnamed statement (protocol chapter, "Extended Query").
    this.statements.unnamed = null;
    this.place.ownWorkAt = this.context.io.now();
    // What the client sends behind it begins now.
    if (this.link !== null && alignment?.isAwaited !== true) this.timing.asked(this.place.ownWorkAt, true);
    this.exchange.expectOwn(alignment, statement);
    this.send(buildQuery(sql));
  }

  /**
   * Runs a Query message of the gateway's own before what the client sends next. `isVital`: if it fails, the connection is given up;
   * `begins`: a transaction block, to which that belongs.
   */
  runAside(query: Uint8Array, isVital: boolean, answered: AsideAnswered | null = null, begins = false): void {
    if (begins) this.timing.asked(this.context.io.now(), this.exchange.outstanding === 0);
    this.statements.unnamed = null;
    this.exchange.expectAside(isVital, answered, begins);
    this.send(query);
  }

  /** Answers a request that is not sent, in its turn. */
  answerLocally(kind: number, detail: StatementRequest | null): void {
    // Behind a FATAL nothing is answered any more.
    if (this.toldFatal) return;
    if (this.exchange.outstanding === 0 && !this.midMessage && !this.isBlocked) {
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
    if (this.link.fromServer(bytes, start, end)) this.pauseForNow();
  }

  protected lengthMax(): number {
    return this.phase === 'ready' ? this.context.settings.maxPacketSize : SERVER_LOGIN_MESSAGE_BYTES_MAX;
  }

  protected override message(
    type: number,
    total: number,
    bytes: Uint8Array,
    position: number,
    end: number,
  ): Verdict {
    if (this.special !== null) return this.special.message(type, total, bytes, position, end);
    return super.message(type, total, bytes, position, end);
  }

  protected silence(): void {
    this.special = { message: silenced((...message) => super.message(...message), this) };
  }

  protected notified(bytes: Uint8Array, position: number, total: number): void {
    this.owner.notified?.(bytes, position, total);
  }

  /** Prepares statements that its client had prepared on another one. What fails will not be there. */
  prepareBySql(statements: ReadonlyMap<string, string>): void {
    for (const [name, text] of statements) this.runOwnQuery(text, null, name);
  }

  protected ownQueryDone(query: OwnQuery): void {
    if (query.statement === null) this.owner.ownQueryDone(this, query);
    else if (query.error !== null) this.notPrepared(query.statement, query.error);
  }

  private notPrepared(name: string, error: ErrorFields): void {
    // There is one of which nobody knows whose it is.
    if (error.code === SqlState.duplicate_prepared_statement) this.closeReason ??= DIRTY;
    this.unprepared.note(name, error);
    this.prepared = this.context.parameterSets.without(this.prepared, name);
  }

  protected alignmentFailed(error: ErrorFields, { names }: Alignment): void {
    this.refusal = alignmentRefusal(error, names);
    recordRefusedSession(this.context, this.subject, error, names);
    this.close(UNFIT);
  }

  loggedIn(login: LoginDialogue): void {
    this.phase = 'ready';
    this.wasReady = true;
    this.readyAt = this.context.io.now();
    this.opening = null;
    this.special = null;
    this.processId = login.processId;
    this.secret = login.secret;
    this.parameters = this.context.parameterSets.overlay(this.parameters, login.parameters);
    this.owner.serverReady(this);
  }

  openingFailed(error: ErrorFields): void {
    this.lastError = error;
    this.close(this.owner.openingFailure(error));
  }
}
