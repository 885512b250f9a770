/**
 * What belongs to a client's session and not to the server connection that serves it: its parameters, and what it has set.
 * See virtual-session.ts.
 */
import { SessionEffect } from '../../sql/session-effect.js';
import * as Backend from '../../wire/backend.js';
import { zeroByte } from '../../wire/bytes.js';
import { buildErrorResponse, type ErrorFields } from '../../wire/error-fields.js';
import { FrameReader, type Verdict } from '../../wire/framing.js';
import { buildParameterStatus } from '../../wire/server-messages.js';
import type { GatewayContext } from '../context.js';
import type { Database } from '../databases.js';
import type { ReportSubject } from '../io.js';
import { SEARCHED_BYTES_MAX } from '../limits.js';
import type { Owed, ServerLoss } from '../link.js';
import type { Listener } from '../listening/listener.js';
import type { ParameterSet } from '../parameters.js';
import type { ServerConnection } from '../server/server-connection.js';
import type { FoundState } from '../session-state.js';
import type { OnPin, SessionStateMode } from '../settings.js';
import { mayStay, mayUseSequences, statementEffects, UNREAD } from '../statement-effects.js';
import type { Statement } from '../statements.js';
import { LostBlock } from './lost-block.js';
import type { MessageHandler } from './message-handler.js';
import { forgetOthersSequences } from './sequence-reads.js';
import { ABORTED, blockLost, ENDS_OF_SERVERS, outcomeUnknown, sessionInDoubt } from './session-errors.js';
import { takenName } from './sql-statements.js';
import { strictRefusal } from './strict-mode.js';
import { textRules } from './text-rules.js';
import { UnservedRequests } from './unserved-requests.js';
import { UntoldLoss } from './untold-loss.js';
import { type TrackedClient, VirtualSession } from './virtual-session.js';

/** The client's prepared statements, as far as servers' answers concern them. */
interface PreparedTraffic {
  forget(name: string, statement: Statement): void;
  restore(name: string, statement: Statement): void;
  dropped(definedSince: ReadonlySet<string>): void;
  unnamedAnswered(how: 'parsed' | 'refused' | 'skipped'): void;
}

export abstract class StatefulClient extends FrameReader implements TrackedClient {
  link: ServerConnection | null = null;
  /** The database that it asked for; null until it has logged in. */
  database: Database | null = null;
  parameters: ParameterSet;
  settings: ParameterSet;
  /** Statements that it has prepared by SQL, which follow it: their texts, by their names. */
  prepared: ParameterSet;
  /** Its session follows it from one server connection to another (`session_state`). */
  tracksState = false;
  /** What would outlast its transaction is refused (`session_state = strict`). */
  isStrict = false;
  /** What it meets when its session keeps the server connection. */
  onPin: OnPin = 'allow';
  /** Null until it has sent something that may have changed its session. */
  virtual: VirtualSession | null = null;
  /** Non-null: takes its messages instead of the link, once it is logged in. */
  bypass: MessageHandler | null = null;
  /** Since when it has needed no server connection, in ms; only meaningful while it has none. */
  idleSince = 0;
  /** The server connection that it met last could not be given its session, and it has been served by none since. */
  protected wasUnserved = false;
  /** Null until it listens to something over the database's shared connection. */
  listener: Listener | null = null;
  /** The reported parameters that its startup packet named, as it spelled the values. */
  startupParameters: ParameterSet;
  /** The same in the server's spelling: what RESET has to give it. */
  startupValues: ParameterSet;
  protected readonly context: GatewayContext;

  constructor(context: GatewayContext) {
    super();
    this.context = context;
    const { empty } = context.parameterSets;
    this.parameters = empty;
    this.settings = empty;
    this.prepared = empty;
    this.startupParameters = empty;
    this.startupValues = empty;
  }

  /** Non-null: its server connections are shared. */
  abstract readonly statements: PreparedTraffic | null;
  abstract get subject(): ReportSubject;
  abstract send(message: Uint8Array): void;
  /** Sends something of ours to the server, behind what the client sent before `position`. */
  abstract insert(bytes: Uint8Array, position: number, message: Uint8Array): void;
  abstract fail(error: ErrorFields): void;
  abstract readonly phase: string;
  abstract protocolViolation(message: string): Verdict;
  abstract answersCame(): void;
  /** Gives the linked server connection what the session has, where that differs. */
  protected abstract alignServer(server: ServerConnection): boolean;
  abstract linked(): void;

  /** What becomes of its session, from its next statement on. */
  follow({ sessionState, onPin }: { readonly sessionState: SessionStateMode; readonly onPin: OnPin }): void {
    this.tracksState = sessionState !== 'classic' && this.statements !== null;
    this.isStrict = this.tracksState && sessionState === 'strict';
    // What strict mode couldn't read must not stay unnoticed.
    this.onPin = this.isStrict && onPin === 'allow' ? 'notice' : onPin;
  }

  /** What RESET has to give it from now on. */
  noteStartupValues(): void {
    const { values } = this.parameters;
    const named = [...this.startupParameters.values.keys()].filter((name) => values.has(name));
    if (named.length === 0) return;
    const entries = named.map((name) => [name, values.get(name) as string] as const);
    this.startupValues = this.context.parameterSets.of(new Map(entries));
  }

  protected get tracked(): VirtualSession {
    this.virtual ??= new VirtualSession(this.context, this);
    return this.virtual;
  }

  get customSettings(): ReadonlySet<string> | null {
    return this.virtual?.customSettings ?? null;
  }

  /** What the text `bytes[start, end)` may leave in the session (`SessionEffect`); 0 also where that is nobody's concern. */
  effectsOf(bytes: Uint8Array, start: number, end: number): number {
    if (!this.tracksState) return SessionEffect.NONE;
    const { isOpaque, standardStrings } = textRules(this.parameters);
    return isOpaque ? UNREAD : statementEffects(bytes, start, end, standardStrings);
  }

  /** What it is told if `bytes[start, end)`, a text with these effects, is refused; null: it is not. */
  refusalOf(effects: number, bytes: Uint8Array, start: number, end: number): Uint8Array | null {
    const namesStatement = (effects & SessionEffect.PREPARED) !== 0;
    if (!this.tracksState || !(namesStatement || (this.isStrict && mayStay(effects)))) return null;
    const { isOpaque, standardStrings } = textRules(this.parameters);
    // Of a longer one not all may have come.
    const isUnread = isOpaque || end - start > SEARCHED_BYTES_MAX;
    if (isUnread) return null;
    const taken = namesStatement ? takenName(bytes, start, end) : null;
    if (taken !== null || !this.isStrict) return taken;
    const answer = strictRefusal(bytes, start, end, standardStrings);
    if (answer !== null) this.context.counters.statementsRefused += 1;
    return answer;
  }

  parseEffects(bytes: Uint8Array, start: number, end: number): number {
    return this.effectsOf(bytes, start, zeroByte(bytes, start, end));
  }

  uses({ effects, definition }: Statement, bytes: Uint8Array, position: number): void {
    if (effects !== SessionEffect.NONE) this.executes(effects, definition, bytes, position);
    else if (textRules(this.parameters).isOpaque) {
      this.executes(UNREAD, definition, bytes, position);
    }
  }

  executes(effects: number, definition: Uint8Array, bytes: Uint8Array, position: number): void {
    if (!this.tracksState) return;
    if ((effects & SessionEffect.SEQUENCE_READ) !== 0) forgetOthersSequences(this, bytes, position, true);
    // The end of a text is looked for only where somebody reads it.
    this.noteEffects(effects, definition, 0, mayStay(effects) ? definition.indexOf(0) : 0);
  }

  /** A text with these effects, `bytes[start, end)`, is sent to the linked server connection. */
  protected noteEffects(effects: number, bytes: Uint8Array, start: number, end: number): void {
    const link = this.link as ServerConnection;
    if (mayUseSequences(effects)) link.hasOwnSequences = true;
    if ((effects & SessionEffect.OPAQUE) !== 0) link.ranOpaque = true;
    if ((effects & SessionEffect.COMMIT) !== 0) link.lossFacts.mayCommit = true;
    if (mayStay(effects)) this.tracked.sent(effects, bytes, start, end);
  }

  forgetStatement(name: string, statement: Statement): void {
    this.statements?.forget(name, statement);
  }

  restoreStatement(name: string, statement: Statement): void {
    this.statements?.restore(name, statement);
  }

  statementsDropped(definedSince: ReadonlySet<string>): void {
    this.statements?.dropped(definedSince);
  }

  unnamedAnswered(how: 'parsed' | 'refused' | 'skipped'): void {
    this.statements?.unnamedAnswered(how);
  }

  stateFound(found: FoundState | null): void {
    const { listener } = this;
    this.tracked.found(listener === null ? found : listener.found(found));
    const { link } = this;
    if (link === null) return;
    // It goes on with the server connection that it has; otherwise the next one will be made to fit.
    const isAligned = !(link.isPinned || this.isBlocked) || this.alignServer(link);
    listener?.leaveLinkToOthers();
    if (isAligned && this.isBlocked) this.linked();
  }

  /** Once is an error, as a cancelled query is one; a client that would meet nothing but errors is ended. */
  unserved(refusal: ErrorFields, owed: Owed | null, mayStay: boolean): void {
    this.link = null;
    const isOver = this.wasUnserved || this.phase !== 'ready' || this.context.farewell !== null;
    if (isOver || !mayStay) return this.fail(refusal);
    this.wasUnserved = true;
    this.idleSince = this.context.io.now();
    this.dropBody();
    this.listener?.linkEnded();
    const requests = this.refusing(refusal);
    if (owed !== null) requests.answer(owed);
    this.answersCame();
    requests.finish();
  }

  abstract readonly inputEnded: boolean;

  outlives({ code, severity }: ErrorFields): boolean {
    // What a client asks for at its login must not be able to end one server after the other.
    const isLoggingIn = this.phase === 'welcoming' && this.context.farewell === null;
    if (isLoggingIn) return ENDS_OF_SERVERS.has(code);
    return this.staysWithoutServer && (severity === 'PANIC' || ENDS_OF_SERVERS.has(code));
  }

  /** Its server connection may end without ending its session. */
  get staysWithoutServer(): boolean {
    const { phase, inputEnded, listener, context } = this;
    const isAwaited = listener?.isReadyHeld === true;
    return this.tracksState && phase === 'ready' && !inputEnded && !isAwaited && context.farewell === null;
  }

  /**
   * Its server connection is gone, and the link is over. True: it stays, and has been told what became of what it had asked
   * for, or is when it asks for something next.
   */
  protected staysBehind({
    mayStay,
    isDoubtful,
    requestInFlight,
    mayHaveCommitted,
    reason,
    owed,
    parametersBefore: before,
  }: ServerLoss): boolean {
    if (!mayStay || !this.staysWithoutServer) return false;
    const { exchange } = owed;
    if (isDoubtful) this.virtual?.lost();
    this.idleSince = this.context.io.now();
    this.dropBody();
    this.listener?.linkEnded();
    const isInBlock = exchange.statusOfNext !== Backend.Idle && !mayHaveCommitted;
    const isOwed = exchange.batchOpen || (requestInFlight && !exchange.owesOwnAlone);
    if (!isInBlock && !isOwed) {
      // A Sync may have been sent behind the gateway's question.
      if (isDoubtful) new UntoldLoss(this, buildErrorResponse(sessionInDoubt(reason, false))).answer(owed);
      this.answersCame();
      return true;
    }
    if (isInBlock && before !== null) this.restoreParameters(before);
    const isFailed = exchange.status === Backend.InFailedTransaction && !isOwed;
    const unknown = isDoubtful ? sessionInDoubt(reason, true) : outcomeUnknown(reason);
    const error = isFailed ? ABORTED : isInBlock ? blockLost(reason) : unknown;
    const message = buildErrorResponse(error);
    const requests = isInBlock
      ? new LostBlock(this, message, exchange.skipping, isFailed)
      : new UnservedRequests(this, message, exchange.skipping);
    requests.answer(owed);
    this.answersCame();
    requests.finish();
    return true;
  }

  /** What a transaction block had set is undone with it. */
  private restoreParameters(before: ParameterSet): void {
    const { values } = this.parameters;
    this.parameters = before;
    for (const [name, value] of before.values)
      if (values.get(name) !== value) this.reportParameter(name, value);
  }

  abstract ensureLink(): boolean;

  /** What it waits to have sent is refused, and it stays. */
  refuse(error: ErrorFields): void {
    if (this.phase !== 'ready') return this.fail(error);
    this.idleSince = this.context.io.now();
    const requests = this.refusing(error);
    this.answersCame();
    requests.finish();
  }

  private refusing(error: ErrorFields): UnservedRequests {
    const message = buildErrorResponse(error);
    return this.losesBlock()
      ? new LostBlock(this, message, false, false)
      : new UnservedRequests(this, message);
  }

  /** True: it is in a transaction block that no server connection has, and that is lost. */
  protected losesBlock(): boolean {
    return false;
  }

  isReported(name: string): boolean {
    return (this.database as Database).reportedName(name) !== null;
  }

  reportParameter(name: string, value: string): void {
    this.send(buildParameterStatus(name, value));
  }
}
