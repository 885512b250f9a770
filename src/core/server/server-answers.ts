/**
 * A server's answers: each is matched with the request that it answers, passed on if it is the linked client's, and
 * dropped if it answers one of the gateway's own.
 */
import * as Backend from '../../wire/backend.js';
import { latin1 } from '../../wire/bytes.js';
import { buildErrorResponse, type ErrorFields, readErrorFields } from '../../wire/error-fields.js';
import { END, FORWARD, HEADER_BYTES, SWALLOW, type Verdict, WHOLE } from '../../wire/framing.js';
import { SqlState } from '../../wire/sqlstate.js';
import { CRASHED, RESET_FAILED } from '../close-reasons.js';
import type { GatewayContext } from '../context.js';
import type { ReportSubject } from '../io.js';
import { recordProbeFailure } from '../journal.js';
import { ERROR_BYTES_READ_MAX, OWN_ROW_BYTES_MAX, STATE_ROW_BYTES_MAX } from '../limits.js';
import type { ClientEnd } from '../link.js';
import { channelOf } from '../listening/notification.js';
import { IN_RECOVERY, type ParameterSet } from '../parameters.js';
import { type FoundState, TOO_LARGE } from '../session-state.js';
import {
  definitionChange,
  mayBeTelling,
  rowsOfTag,
  TAG_MESSAGE_BYTES_MAX,
  type TellingTag,
  tellingTag,
} from './command-tags.js';
import { type Alignment, destroysUnnamed, Exchange, type OwnQuery, syntheticAnswer } from './exchange.js';
import { HeldAnswers } from './held-answers.js';
import { HeldBatch } from './held-batch.js';
import { isCommittedLocally, NOT_REPLICATED } from './local-commit.js';
import { LossFacts } from './loss-facts.js';
import { type OwnQuestion, takeRow } from './own-question.js';
import { releasePolicy } from './release.js';
import * as Request from './request-queue.js';
import {
  connectionFailure,
  isTransactionStatus,
  protocolFailure,
  readReported,
  refusedInClientsWords,
} from './server-errors.js';
import type { ServerOwner } from './server-owner.js';
import type { ServerStatements } from './server-statements.js';
import { isStalePlan, repeatRefusedBatch } from './stale-plans.js';
import { readProbeRow } from './state-probe.js';
import type { Timing } from './timing.js';
import { UnpreparedStatements } from './unprepared-statements.js';

export abstract class ServerAnswers extends HeldAnswers {
  protected readonly context: GatewayContext;
  /** The prepared statements that it has. */
  readonly statements: ServerStatements;
  /** What was sent, and what is owed an answer. */
  readonly exchange = new Exchange();
  readonly timing: Timing;
  /** The batch that may have to be repeated. */
  readonly held = new HeldBatch();
  readonly unprepared = new UnpreparedStatements();
  parameters: ParameterSet;
  /** What its clients have set and it does not report. */
  settings: ParameterSet;
  /** Statements that its client has prepared by SQL: their texts, by their names. */
  prepared: ParameterSet;
  /** What has been sent may have changed the session's state, of which the server has not been asked since. */
  isSuspect = false;
  readonly lossFacts = new LossFacts();
  /** `currval()` and `lastval()` may tell of other clients. */
  hasOthersSequences = false;
  /** ... and of its client: that has done what may use a sequence. */
  hasOwnSequences = false;
  /** Its client may have made settings that PostgreSQL doesn't show: by code that no text tells of, or before it took a role. */
  ranOpaque = false;
  /** Such settings of another client may be there. */
  mayHoldOthersSettings = false;
  /** It has been asked, and its client waits for the answer if it wants more of it. */
  isProbing = false;
  /** It holds something of its client's that no other server connection can be given. */
  isPinned = false;
  link: ClientEnd | null = null;
  /** Where the rows are counted that it answers its client with; null: nowhere. */
  rowCount: { rows: number } | null = null;
  /** Whether the link ends with each transaction (pool_mode transaction and statement). */
  linkEndsWhenIdle = false;
  /** A client has left something on it that only the reset query removes. */
  needsReset = false;
  /** Non-null: to be closed when its link ends, and why. */
  closeReason: string | null = null;
  /** The linked client has got the server's FATAL. */
  protected toldFatal = false;
  protected lastError: ErrorFields | null = null;
  /** A query of the gateway's own has failed in the client's transaction, and the client has not been told. */
  private asideError: ErrorFields | null = null;

  constructor(context: GatewayContext, statements: ServerStatements, timing: Timing) {
    super();
    this.context = context;
    this.statements = statements;
    this.timing = timing;
    this.parameters = context.parameterSets.empty;
    this.settings = context.parameterSets.empty;
    this.prepared = context.parameterSets.empty;
  }

  protected abstract readonly owner: Pick<ServerOwner<unknown>, 'leftRecovery'>;
  abstract get subject(): ReportSubject;
  abstract get outstandingRequests(): number;
  abstract get clientMidMessage(): boolean;
  abstract readonly isPipe: boolean;
  abstract get status(): number;
  /** Sends something of ours; true when the server can't take more for now. */
  abstract send(message: Uint8Array): boolean;
  /** Closes the connection; `reason` is for the log. */
  abstract close(reason: string): void;
  /** Its client has got an error, and what the server says up to the next ReadyForQuery is for nobody. */
  protected abstract silence(): void;
  /** The linked client goes on without it, as if it were gone. */
  protected abstract leaveClient(reason: string): void;
  /** Somebody has been notified, and it serves no client. The message is whole. */
  protected abstract notified(bytes: Uint8Array, position: number, total: number): void;
  /** A query of the gateway's own is over. */
  protected abstract ownQueryDone(query: OwnQuery): void;
  /** The server ends instead of being given its client's session; the connection is closed behind it. */
  protected abstract alignmentFailed(error: ErrorFields, alignment: Alignment): void;

  /**
   * Nobody else may say anything to the linked client: in the middle of an answer it would be read as a part of that, and
   * behind a FATAL nothing is expected.
   */
  get hasFloor(): boolean {
    return this.midMessage || this.toldFatal;
  }

  protected invalidLength(type: number, length: number): void {
    this.violation(`invalid length ${length} of message type 0x${type.toString(16)}`);
  }

  /** Judges one message of a server that is logged in. */
  protected message(type: number, total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    switch (type) {
      case Backend.DataRow:
        if ((this.exchange.first & Request.SWALLOWED) !== 0) return this.ownRow(total, bytes, position, end);
        return this.exchange.outstanding === 0 ? this.unexpected(type) : FORWARD;
      case Backend.CopyData:
      case Backend.CopyDone:
      case Backend.CopyOutResponse:
        return this.exchange.outstanding === 0 ? this.unexpected(type) : this.ours();
      case Backend.FunctionCallResponse:
        if ((this.exchange.first & Request.SWALLOWED) !== 0) return this.ownRow(total, bytes, position, end);
        return this.exchange.outstanding === 0 ? this.unexpected(type) : this.ours();
      case Backend.ParameterDescription:
        return this.parameterDescription(total, bytes, position, end);
      case Backend.RowDescription:
      case Backend.NoData:
        this.passKeptParameters(bytes, position);
        return this.answers(Request.DESCRIBE, type);
      case Backend.CommandComplete:
        return this.commandComplete(total, bytes, position, end);
      case Backend.EmptyQueryResponse:
        this.exchange.emptyQueryAnswered();
        return this.answers(Request.EXECUTE, type);
      case Backend.PortalSuspended:
        return this.answers(Request.EXECUTE, type);
      case Backend.ReadyForQuery:
        return end - position < total ? WHOLE : this.readyForQuery(total, bytes, position);
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
        return this.notice(total, bytes, position, end);
      case Backend.NotificationResponse:
        return end - position < total ? WHOLE : this.notification(total, bytes, position);
      default:
        return this.unexpected(type);
    }
  }

  /** A message of a replication connection. */
  protected piped(type: number, total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    if (this.link === null) return SWALLOW;
    if (type !== Backend.ErrorResponse || total > ERROR_BYTES_READ_MAX) return FORWARD;
    if (end - position < total) return WHOLE;
    this.lastError = readErrorFields(bytes, position + HEADER_BYTES, position + total);
    if (isFatal(this.lastError)) this.toldFatal = true;
    return FORWARD;
  }

  /** That of a batch which may be repeated waits for the columns. */
  private parameterDescription(total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    if (this.exchange.outstanding === 0) return this.unexpected(Backend.ParameterDescription);
    if (!this.held.keepsParameters(total)) return this.ours();
    if (end - position < total) return WHOLE;
    this.held.keepParameters(bytes, position, position + total);
    return SWALLOW;
  }

  private passKeptParameters(bytes: Uint8Array, position: number): void {
    const kept = this.held.takeParameters();
    if (kept === null || this.link === null) return;
    this.flushRun(bytes, position);
    this.forward(kept, 0, kept.length);
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

  /** A row for the gateway itself. */
  private ownRow(total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    const detail = this.exchange.firstDetail;
    if (detail?.what === 'question') return takeRow(detail, total, bytes, position, end);
    if (detail?.what === 'own' && this.link === null && total <= OWN_ROW_BYTES_MAX) {
      if (end - position < total) return WHOLE;
      detail.row = latin1(bytes, position + HEADER_BYTES, position + total);
    }
    if (detail?.what !== 'probe') return SWALLOW;
    if (total > STATE_ROW_BYTES_MAX) {
      detail.found = TOO_LARGE;
      return SWALLOW;
    }
    if (end - position < total) return WHOLE;
    detail.found = readProbeRow(bytes, position + HEADER_BYTES, position + total);
    return SWALLOW;
  }

  /** Asks something of the gateway's own. @param kind of the message: QUERY or FUNCTION_CALL */
  ask(question: OwnQuestion, message: Uint8Array, kind: number): void {
    question.error = null;
    this.exchange.expectQuestion(kind, question);
    this.send(message);
  }

  private notice(total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    const verdict = this.link === null ? SWALLOW : this.ours();
    if (verdict === SWALLOW || total > ERROR_BYTES_READ_MAX) return verdict;
    if (end - position < total) return WHOLE;
    if (!isCommittedLocally(bytes, position + HEADER_BYTES, position + total)) return FORWARD;
    this.flushRun(bytes, position);
    this.forward(NOT_REPLICATED, 0, NOT_REPLICATED.length);
    this.silence();
    return SWALLOW;
  }

  private complete(): Verdict {
    const verdict = this.ours();
    if (this.exchange.complete()) this.interject = true;
    return verdict;
  }

  protected override betweenMessages(): void {
    // Answers are held: this one, too.
    this.interject = this.isBlocked;
    if (this.interject) return;
    while ((this.exchange.first & Request.SYNTHETIC) !== 0) {
      const kind = this.exchange.firstKind;
      this.complete();
      this.interject = false;
      this.forward(syntheticAnswer(kind), 0, HEADER_BYTES);
    }
    this.link?.listener?.linkIsFree();
  }

  /** Whether something may be said to the client by the way; else its listener is told when it may. */
  mayInterrupt(): boolean {
    if (this.midMessage) this.interject = true;
    return !this.hasFloor;
  }

  private commandComplete(total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    if (total <= TAG_MESSAGE_BYTES_MAX) {
      if (end - position < total) return WHOLE;
      const change = definitionChange(bytes, position, total);
      if (change !== null) this.statements.definitionsChanged(change);
      if (mayBeTelling(total)) this.commandTold(tellingTag(bytes, position, total));
      if (this.rowCount !== null && this.ours() === FORWARD) {
        this.rowCount.rows += rowsOfTag(bytes, position, total);
      }
    }
    this.exchange.commandCompleted();
    return this.answers(Request.EXECUTE, Backend.CommandComplete);
  }

  private commandTold(tag: TellingTag | null): void {
    if (tag === 'PREPARE') this.keepLink();
    else if (tag !== null) this.dropped();
    if (tag === 'DISCARD ALL') this.link?.listener?.discarded();
  }

  /** All prepared statements are. */
  private dropped(): void {
    this.statements.dropped(this.exchange, this.link);
    this.unprepared.clear();
  }

  /** PREPARE in SQL made a statement that another client must not meet: the link lasts until its client leaves. */
  private keepLink(): void {
    // Whose state is tracked will be asked whether the statement is still there.
    if (this.link?.tracksState === true) return;
    this.linkEndsWhenIdle = false;
    this.needsReset = true;
  }

  private copyInResponse(type: number): Verdict {
    const kind = this.exchange.firstKind;
    if (kind !== Request.EXECUTE && kind !== Request.QUERY) return this.unexpected(type);
    this.exchange.copyInBegins();
    if (this.exchange.copyInOpen && (this.link === null || this.link.inputEnded)) {
      this.lastError = connectionFailure('the client has ended in the middle of COPY');
      this.close('client disconnect while COPY was in progress');
      return END;
    }
    return this.ours();
  }

  /** It comes at any time, also before the answer to a question of ours. */
  private notification(total: number, bytes: Uint8Array, position: number): Verdict {
    const { link } = this;
    if (link === null) {
      this.notified(bytes, position, total);
      return SWALLOW;
    }
    // While it is being prepared its client has not asked it for anything, if it isn't its own.
    if (this.exchange.firstDetail?.what === 'own' && !this.isPinned) return SWALLOW;
    const channel = link.listener === null ? null : channelOf(bytes, position, total);
    // The client gets it over the shared connection.
    return channel !== null && link.listener?.serves(channel) === true ? SWALLOW : FORWARD;
  }

  private readyForQuery(total: number, bytes: Uint8Array, position: number): Verdict {
    const status = bytes[position + HEADER_BYTES]!;
    const isSound = total === HEADER_BYTES + 1 && isTransactionStatus(status);
    if (!isSound) return this.unexpected(Backend.ReadyForQuery);
    const meaning = this.exchange.ready(status);
    if (meaning !== 'answer') return meaning === 'stray' ? FORWARD : this.unexpected(Backend.ReadyForQuery);
    const detail = this.exchange.firstDetail;
    const verdict = this.complete();
    if (destroysUnnamed(detail)) this.link?.unnamedAnswered('parsed');
    if (detail?.what === 'own') this.ownQueryDone(detail);
    else if (detail?.what === 'question') detail.answered();
    else if (detail?.what === 'probe') {
      // A notification before it may wait to be passed on, and the client may be told more now.
      this.flushRun(bytes, position);
      this.probed(detail.found);
    } else if (detail?.what === 'aside') detail.answered?.(detail.error);
    else if (detail?.what !== 'repeated') {
      this.timing.answered(status, this.context.io.now());
      this.asideError = null;
    }
    const listener = this.link === null ? null : this.link.listener;
    if (listener === null || verdict !== FORWARD || status !== Backend.Idle) return verdict;
    this.flushRun(bytes, position, listener.takesReady ? total : 0);
    return listener.beforeReady(releasePolicy.isReleasable(this)) ? FORWARD : SWALLOW;
  }

  private probed(found: FoundState | null): void {
    this.isProbing = false;
    this.link?.stateFound(found);
  }

  private errorResponse(total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    if (total <= ERROR_BYTES_READ_MAX) {
      if (end - position < total) return WHOLE;
      this.lastError = readErrorFields(bytes, position + HEADER_BYTES, position + total);
      if (isFatal(this.lastError)) return this.endTold(this.lastError, bytes, position);
    }
    if (this.exchange.outstanding === 0) return this.unexpected(Backend.ErrorResponse);
    const detail = this.exchange.firstDetail;
    if (detail?.what === 'barrier') return this.unexpected(Backend.ErrorResponse);
    if (detail?.what === 'probe') {
      recordProbeFailure(this.context, this.subject, this.lastError);
      return SWALLOW;
    }
    if (detail?.what === 'aside') {
      detail.error = this.lastError;
      if (detail.isVital) this.closeReason ??= RESET_FAILED;
      if (this.exchange.status === Backend.InTransaction) this.asideError = this.lastError;
      return SWALLOW;
    }
    if (detail?.what === 'own' || detail?.what === 'question') {
      detail.error = this.lastError;
      return SWALLOW;
    }
    if (isStalePlan(this.lastError) && repeatRefusedBatch(this)) return SWALLOW;
    this.passKeptParameters(bytes, position);
    for (const skipped of this.exchange.failed()) {
      if (skipped.detail?.what === 'forgetting sequences') this.hasOthersSequences = true;
      this.statements.undo(skipped, this.link);
    }
    const isRead = total <= ERROR_BYTES_READ_MAX;
    if (isRead && this.link?.moves(this.lastError as ErrorFields) === true) return SWALLOW;
    const inClientsWords =
      (detail === null ? null : refusedInClientsWords(detail, this.lastError)) ??
      this.unprepared.inPlaceOf(this.lastError) ??
      this.asideInPlaceOf(this.lastError);
    if (inClientsWords !== null) {
      this.flushRun(bytes, position);
      this.forward(inClientsWords, 0, inClientsWords.length);
      return SWALLOW;
    }
    // Also where a Parse of ours was refused: the client's batch fails with it.
    return this.link === null ? SWALLOW : FORWARD;
  }

  /** The server ends. Whom that doesn't concern need not wait until it has: nobody is given it any more. */
  private endTold(error: ErrorFields, bytes: Uint8Array, position: number): Verdict {
    const { firstDetail, owesOwnAlone } = this.exchange;
    // A server that is shut down refuses nobody: who has sent it nothing yet is served by another one.
    const isItsEnd = owesOwnAlone && this.link?.outlives(error) === true;
    if (firstDetail?.what === 'own' && firstDetail.alignment !== null && this.link !== null && !isItsEnd) {
      this.alignmentFailed(error, firstDetail.alignment);
      return END;
    }
    this.closeReason = 'server told of its end';
    // Behind the end of a transaction it concerns nobody: its client will be served by another connection.
    const isOver = this.linkEndsWhenIdle && releasePolicy.isReleasable(this);
    if (this.link?.survivesLoss === true) this.leaveClient('the server has ended the session');
    else if (!isOver && this.lossFacts.mayBeOutlived(this) && this.link?.outlives(error) === true) {
      this.flushRun(bytes, position);
      this.leaveClient(error.message);
    }
    if (this.link === null) {
      this.close(CRASHED);
      return END;
    }
    this.toldFatal = !isOver;
    return this.toldFatal ? FORWARD : SWALLOW;
  }

  /** A cancel request of the client's has hit that: it meets its statement. */
  private asideInPlaceOf(error: ErrorFields | null): Uint8Array | null {
    if (this.asideError === null || error?.code !== SqlState.in_failed_sql_transaction) return null;
    return buildErrorResponse(this.asideError);
  }

  private parameterStatus(total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    if (total > ERROR_BYTES_READ_MAX) return this.unexpected(Backend.ParameterStatus);
    if (end - position < total) return WHOLE;
    const reported = readReported(bytes, position + HEADER_BYTES, position + total);
    if (reported === null) return this.unexpected(Backend.ParameterStatus);
    const { name, value } = reported;
    this.parameters = this.context.parameterSets.with(this.parameters, name, value);
    if (name === IN_RECOVERY && value === 'off') this.owner.leftRecovery?.();
    if (this.link === null || this.ours() === SWALLOW) return SWALLOW;
    this.lossFacts.parameterChanges(this.link.parameters, this.exchange, this.timing.transactionAt);
    this.link.parameters = this.context.parameterSets.with(this.link.parameters, name, value);
    return FORWARD;
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
      subject: this.subject,
    });
    this.close('bad packet');
    return END;
  }
}

/** The session is over with it. */
function isFatal({ severity }: ErrorFields): boolean {
  return severity === 'FATAL' || severity === 'PANIC';
}
