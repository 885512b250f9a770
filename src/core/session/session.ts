/**
 * A client's connection: its login, then its requests, which go to the linked server connection in their order.
 * Named prepared statements are renamed on the way where links end with transactions (statement-traffic.ts).
 */
import { SessionEffect } from '../../sql/session-effect.js';
import { buildErrorResponse, type ErrorFields } from '../../wire/error-fields.js';
import { BLOCK, END, FORWARD, HEADER_BYTES, SWALLOW, type Verdict, WHOLE } from '../../wire/framing.js';
import * as Frontend from '../../wire/frontend.js';
import { MAX_MESSAGE_BYTES } from '../../wire/limits.js';
import type { CancelKey } from '../cancel-keys.js';
import type { GatewayContext } from '../context.js';
import type { ConnectionId, ReportSubject, TlsFacts } from '../io.js';
import { recordClosing, recordPoolerError } from '../journal.js';
import { AUTH_MESSAGE_BYTES_MAX, HELD_BYTES_MAX, SEARCHED_BYTES_MAX } from '../limits.js';
import type { ServerLoss } from '../link.js';
import type { ClientRequest } from '../server/exchange.js';
import * as Request from '../server/request-queue.js';
import type { ServerConnection } from '../server/server-connection.js';
import type { ClientEncryption } from './client-encryption.js';
import type { ClientLogin, LoginStep } from './client-login.js';
import type { ConsoleSession } from './console-session.js';
import { deallocate } from './deallocation.js';
import { CLOSE_COMPLETE, PARSE_COMPLETE, READY_IDLE } from './fixed-answers.js';
import { PASS, PASS_HARMLESS } from './message-handler.js';
import { BYTES_MAX_BY_TYPE, RENAMED_BYTES_MAX, renamed, SKIPPED } from './message-rules.js';
import { RoutedSession } from './routed-session.js';
import { forgetOthersSequences } from './sequence-reads.js';
import { serverLossError, TRANSACTION_REFUSED, violation } from './session-errors.js';
import { type LoginTarget, SessionLogin } from './session-login.js';
import type { ClientPool, SessionOwner } from './session-owner.js';
import type { Replication } from './startup-parameters.js';
import type { StatementClient } from './statement-client.js';
import type { StatementTraffic } from './statement-traffic.js';
import { refuseQuery } from './strict-mode.js';
import { deallocateUnprepared } from './unprepared-deallocation.js';

type Phase = 'login' | 'welcoming' | 'ready' | 'closed';

export class Session extends RoutedSession<Session> implements StatementClient, LoginTarget {
  readonly connection: ConnectionId;
  readonly id: number;
  readonly encryption: ClientEncryption;
  phase: Phase = 'login';
  pool: ClientPool | null = null;
  /** Whom its startup packet names; null before that has come. */
  asked: { readonly database: string; readonly user: string } | null = null;
  /** Non-null: a client of the admin console. */
  console: ConsoleSession | null = null;
  /** Whether it speaks the streaming replication protocol. */
  replication: Replication = 'none';
  /** The minor version of protocol 3 that it speaks. */
  protocolMinor = 0;
  /** It has brought a cancel request, and is told nothing. */
  asksCancel = false;
  /** With which its queries can be cancelled; null before its greeting. */
  cancelKey: CancelKey | null = null;
  readonly createdAt: number;
  /** Since when it waits for a server connection, in ms; 0: it does not. */
  waitingSince = 0;
  waiting = false;
  nextWaiter: this | null = null;
  previousWaiter: this | null = null;
  /** Null in pool_mode session: the server connection is the client's alone, and statements keep their names. */
  statements: StatementTraffic | null = null;
  protected readonly owner: SessionOwner;
  /** Null when it is over. */
  private login: SessionLogin | null;
  private readingPaused = false;
  /** It will send no more: half-closed, or Terminate. */
  inputEnded = false;
  /** Since when, in ms. */
  inputEndedAt = 0;
  /** See {@link waitForAnswers}. */
  awaitsAnswer = false;
  /** It sent Terminate. */
  saidGoodbye = false;

  constructor(context: GatewayContext, owner: SessionOwner, connection: ConnectionId, login: ClientLogin) {
    super(context);
    this.id = context.newId();
    this.owner = owner;
    this.connection = connection;
    this.login = new SessionLogin(context, this, login);
    this.encryption = login.encryption;
    this.createdAt = context.io.now();
  }

  get userName(): string {
    return this.asked?.user ?? '';
  }

  get subject(): ReportSubject {
    const { id, asked } = this;
    const address = this.context.io.peerAddress(this.connection);
    return { side: 'client', id, database: asked?.database ?? null, user: asked?.user ?? null, address };
  }

  // --- Events of the connection -------------------------------------------------------------------------------

  override receive(bytes: Uint8Array, start: number, end: number): void {
    let position = start;
    while (position < end && this.login?.awaitsStartup === true) {
      position = this.login.receiveStartup(bytes, position, end);
    }
    if (this.phase === 'closed') return;
    if (position < end) super.receive(bytes, position, end);
    if (this.isBlocked && this.heldBytes > HELD_BYTES_MAX) this.pauseReading();
    this.link?.releaseIfIdle();
  }

  /** The client has closed its sending side; answers that are under way still reach it. */
  ended(): void {
    if (this.inputEnded) return;
    this.inputEnded = true;
    this.inputEndedAt = this.context.io.now();
    if (!this.awaitsLastAnswer) this.close(this.farewell);
    else if (!this.isBlocked) this.link?.endInput();
  }

  /** Why it goes, if it goes by itself. */
  private get farewell(): string {
    return this.saidGoodbye ? 'client close request' : 'client unexpected eof';
  }

  /** True while answers to what was sent before the end of input are still to come. */
  private get awaitsLastAnswer(): boolean {
    if (!this.inputEnded || this.midMessage) return false;
    if (this.isBlocked) return true;
    return this.link !== null && this.link.outstandingRequests > 0 && !this.link.needsClient;
  }

  lastAnswerPassed(): void {
    if (this.listener?.isReadyHeld === true) this.listener.settle();
    else if (!this.isBlocked) this.close(this.farewell);
  }

  /** The client can take more. */
  drained(): void {
    this.listener?.drained();
    this.link?.resumeReading();
    this.routing?.pipelined?.drained();
  }

  serverDrained(): void {
    if (!this.isBlocked) this.resumeReading();
  }

  secured(facts: TlsFacts): void {
    const refusal = this.encryption.secured(facts);
    if (refusal === null) return;
    this.context.counters.loginFailures += 1;
    this.fail(refusal);
  }

  /** The connection is gone, by the peer or the system. */
  closed(reason: string | null): void {
    if (this.encryption.isHandshaking && reason !== null) {
      this.context.counters.loginFailures += 1;
      const { subject } = this;
      this.context.io.report({ level: 'warn', message: `TLS handshake error: ${reason}`, subject });
    }
    this.end(this.farewell);
  }

  /** Closes the connection once everything sent has reached the client. `reason` is for the log. */
  close(reason: string): void {
    if (this.phase === 'closed') return;
    recordClosing(this.context, this, reason);
    this.context.io.finish(this.connection);
    this.end(null);
  }

  /** Tells the client why, and closes. */
  fail(error: ErrorFields): void {
    if (this.phase === 'closed') return;
    if (!this.isBeingAnswered && !this.asksCancel)
      this.send(buildErrorResponse({ ...error, severity: 'FATAL' }));
    recordPoolerError(this.context, this, error);
    this.close(error.message);
  }

  /** Non-null: the log has not been told yet why. */
  private end(reason: string | null): void {
    if (this.phase === 'closed') return;
    if (reason !== null) recordClosing(this.context, this, reason);
    // Before it leaves: that may close a server connection, and with it what somebody waits for.
    this.phase = 'closed';
    this.routing?.leave();
    this.pool?.leave(this);
    this.endReading();
    this.login = null;
    this.statements?.clear();
    this.listener?.leave();
    this.owner.sessionEnded(this);
  }

  // --- Login --------------------------------------------------------------------------------------------------

  /** Takes one untyped packet, or a part of it; returns where the next one begins. */
  hold(): void {
    this.block();
  }

  goOn(): void {
    this.resume();
    this.afterResume();
  }

  cancelRequested(step: Extract<LoginStep, { kind: 'cancel' }>): void {
    this.owner.cancelRequested(this, step);
  }

  refusal(step: Extract<LoginStep, { kind: 'authenticated' }>): ErrorFields | null {
    return this.owner.refusal(step);
  }

  admitted(step: Extract<LoginStep, { kind: 'authenticated' }>): void {
    this.login = null;
    this.phase = 'welcoming';
    this.block();
    this.owner.authenticated(this, step);
  }

  /** Login is complete: `greeting` ends with ReadyForQuery. */
  welcome(greeting: Uint8Array): void {
    this.send(greeting);
    this.phase = 'ready';
    this.resume();
    this.afterResume();
  }

  /** The link that it waited for is there: what it sent meanwhile goes on. */
  linked(): void {
    if (this.listener?.isReadyHeld === true) return this.listener.settle();
    this.resume();
    this.afterResume();
  }

  private afterResume(): void {
    if (this.phase === 'closed') return;
    if (!this.isBlocked) this.resumeReading();
    if (!this.inputEnded) this.link?.releaseIfIdle();
    else if (!this.awaitsLastAnswer) this.close(this.farewell);
    else if (!this.isBlocked) this.link?.endInput();
  }

  /** The link has ended in good order. */
  released(): void {
    this.link = null;
    this.wasUnserved = false;
    this.dropBody();
    this.routing?.released();
    this.listener?.linkEnded();
    if (!this.isBlocked) this.resumeReading();
    const isLast = !this.isBlocked && this.routing?.hasNext !== true;
    if (this.inputEnded && isLast) this.close(this.farewell);
  }

  serverLost(loss: ServerLoss): void {
    this.link = null;
    // The server that was to accept what it asks for at its login is shut down: it asks the next one.
    if (this.phase === 'welcoming' && loss.isOutlived) return this.pool?.welcome(this);
    if (this.routing !== null && this.goesElsewhere(loss.owed, true)) return;
    if (loss.told || loss.midMessage) return this.close(loss.reason);
    if (!this.staysBehind(loss)) this.fail(serverLossError(loss));
  }

  transactionRefused(): void {
    this.fail(TRANSACTION_REFUSED);
  }

  /** Stops in front of a message whose meaning depends on answers that have not come. */
  waitForAnswers(): Verdict {
    this.awaitsAnswer = true;
    return BLOCK;
  }

  answersCame(): void {
    this.awaitsAnswer = false;
    this.linked();
  }

  protected alignServer(server: ServerConnection): boolean {
    return (this.pool as ClientPool).alignAgain(this, server);
  }

  private acquire(): boolean {
    return this.link === null ? (this.pool as ClientPool).acquire(this) : !this.link.isProbing;
  }

  fromServer(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.routing?.holdsBack(bytes, start, end) === true) return false;
    return this.pass(bytes, start, end);
  }

  /** Passes a part of an answer on. True: the client can't take more for now. */
  pass(bytes: Uint8Array, start: number, end: number): boolean {
    return this.context.io.send(this.connection, bytes, start, end);
  }

  send(message: Uint8Array): void {
    this.context.io.send(this.connection, message, 0, message.length);
  }

  pauseReading(): void {
    if (this.readingPaused) return;
    this.readingPaused = true;
    this.context.io.pauseReading(this.connection);
  }

  resumeReading(): void {
    if (!this.readingPaused || this.context.suspended) return;
    this.readingPaused = false;
    this.context.io.resumeReading(this.connection);
  }

  // --- Requests -----------------------------------------------------------------------------------------------

  protected forward(bytes: Uint8Array, start: number, end: number): void {
    if (this.link?.fromClient(bytes, start, end) === true) this.pauseReading();
  }

  flushBefore(bytes: Uint8Array, position: number): void {
    this.flushRun(bytes, position);
  }

  answerParseComplete(): void {
    this.send(PARSE_COMPLETE);
  }

  answerCloseComplete(): void {
    this.send(CLOSE_COMPLETE);
  }

  /** Sends something of ours to the linked server connection, behind what the client sent before. */
  insert(bytes: Uint8Array, position: number, message: Uint8Array): void {
    this.flushRun(bytes, position);
    if ((this.link as ServerConnection).send(message)) this.pauseReading();
  }

  /** Sends `head[0, length)` in place of a message's beginning; its rest, from `rest` on, is passed on. */
  replaceBeginning(
    bytes: Uint8Array,
    position: number,
    head: Uint8Array,
    length: number,
    rest: number,
  ): void {
    this.flushRun(bytes, position);
    this.forward(head, 0, length);
    this.forwardFrom(rest);
  }

  protected lengthMax(): number {
    if (this.phase === 'login') return AUTH_MESSAGE_BYTES_MAX;
    return Math.min(this.context.settings.maxPacketSize, MAX_MESSAGE_BYTES);
  }

  protected invalidLength(type: number, length: number): void {
    const limit = this.lengthMax();
    const setting = this.phase === 'login' ? 'the login' : 'max_packet_size';
    const above = length > limit ? ` (${setting} allows ${limit})` : '';
    this.protocolViolation(`invalid length ${length} of message type "${String.fromCharCode(type)}"${above}`);
  }

  private invalidLengthOf(type: number, total: number): Verdict {
    const what = `invalid length ${total - 1} of message type "${String.fromCharCode(type)}"`;
    return this.protocolViolation(what);
  }

  /** Ends the client for a message that no client may send. */
  protocolViolation(message: string): Verdict {
    this.context.counters.protocolViolations += 1;
    this.fail(violation(message));
    return END;
  }

  protected message(type: number, total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    if (this.phase === 'welcoming') return BLOCK;
    if (this.phase !== 'ready') return this.login?.message(type, total, bytes, position, end) ?? END;
    if (this.bypass !== null && type !== Frontend.Terminate) {
      const verdict = this.bypass.message(type, total, bytes, position, end);
      if (verdict !== PASS) return verdict;
    }
    if (total > BYTES_MAX_BY_TYPE[type]!) {
      const mayPass = this.statements?.renames === true && total <= RENAMED_BYTES_MAX;
      const verdict = mayPass ? renamed(type, total, bytes, position, end) : END;
      if (verdict === END) return this.invalidLengthOf(type, total);
      if (verdict === WHOLE) return WHOLE;
    }
    if (this.link?.exchange.skipping === true && SKIPPED.has(type)) return SWALLOW;
    if (this.routing !== null) {
      const verdict = this.routing.judge(type, total, bytes, position, end);
      if (verdict === PASS_HARMLESS) return this.plainQuery();
      if (verdict !== PASS) return verdict;
    }
    switch (type) {
      case Frontend.Query:
        return this.query(total, bytes, position, end);
      case Frontend.Sync:
        return this.sync();
      case Frontend.Parse:
        if (this.statements === null) return this.request(Request.PARSE_UNNAMED);
        return this.statements.parse(total, bytes, position, end);
      case Frontend.Bind:
        if (this.statements === null) return this.request(Request.BIND);
        return this.statements.bind(total, bytes, position, end);
      case Frontend.Describe:
        if (this.statements === null) return this.request(Request.DESCRIBE);
        return this.statements.describe(total, bytes, position, end);
      case Frontend.Close:
        if (this.statements === null) return this.request(Request.CLOSE);
        return this.statements.close(total, bytes, position, end);
      case Frontend.Execute:
        return this.request(Request.EXECUTE);
      case Frontend.FunctionCall:
        return this.functionCall();
      case Frontend.Flush:
      case Frontend.CopyData:
        return this.link === null ? SWALLOW : FORWARD;
      case Frontend.CopyDone:
      case Frontend.CopyFail:
        this.link?.expect(Request.COPY_END);
        return this.link === null ? SWALLOW : FORWARD;
      case Frontend.Terminate:
        // The server connection may go to others now: what stands before this belongs to it first.
        this.flushRun(bytes, position);
        this.saidGoodbye = true;
        this.ended();
        return END;
      default:
        return this.protocolViolation(`invalid frontend message type ${type}`);
    }
  }

  private query(total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    if (this.tracksState) {
      if (end - position < total && total <= SEARCHED_BYTES_MAX) return WHOLE;
      if (!this.acquire()) return BLOCK;
      const [from, to] = [position + HEADER_BYTES, position + total - 1];
      const effects = this.effectsOf(bytes, from, to);
      const answer = this.refusalOf(effects, bytes, from, to);
      if (answer !== null) {
        return refuseQuery(this, bytes, position, answer, this.statements?.queryComes() != null);
      }
      if ((effects & SessionEffect.PREPARED) !== 0) {
        const { parameterSets } = this.context;
        const verdict =
          deallocateUnprepared(this, parameterSets, bytes, from, to) ?? deallocate(this, bytes, from, to);
        if (verdict !== null) return verdict;
      }
      if ((effects & SessionEffect.SEQUENCE_READ) !== 0) {
        if (!forgetOthersSequences(this, bytes, position, false)) return this.waitForAnswers();
      }
      const text = { text: bytes, start: from, end: to };
      if (effects !== 0 && !this.mayBeSent(effects, text, bytes, position, false)) return BLOCK;
      if (effects !== SessionEffect.NONE) this.noteEffects(effects, bytes, from, to);
    }
    return this.plainQuery();
  }

  private plainQuery(): Verdict {
    if (!this.acquire()) return BLOCK;
    return this.request(Request.QUERY, this.statements?.queryComes() ?? null);
  }

  private functionCall(): Verdict {
    if (!this.acquire()) return BLOCK;
    const link = this.link as ServerConnection;
    link.isSuspect ||= this.tracksState;
    link.ranOpaque ||= this.tracksState;
    link.hasOwnSequences = true;
    return this.request(Request.FUNCTION_CALL);
  }

  /** A request that is passed on as it is. */
  request(kind: number, detail: ClientRequest | null = null): Verdict {
    if (!this.acquire()) return BLOCK;
    const link = this.link as ServerConnection;
    if (kind === Request.QUERY) link.statements.unnamed = null;
    link.expect(kind, detail);
    return FORWARD;
  }

  /** True when a server connection is linked; else the message must be judged again later (BLOCK). */
  ensureLink(): boolean {
    return this.acquire();
  }

  private sync(): Verdict {
    if (this.link !== null) {
      this.link.expect(Request.SYNC);
      return FORWARD;
    }
    // Nothing is outstanding and no transaction is open: the answer is known.
    this.send(READY_IDLE);
    return SWALLOW;
  }
}
