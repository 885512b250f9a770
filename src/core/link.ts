/**
 * What the two ends of a link may ask of each other. A link binds a client to a server connection for a while; the
 * interfaces keep `session/` and `server/` from importing each other.
 */
import type { ErrorFields } from '../wire/error-fields.js';
import type { ConnectionId } from './io.js';
import type { ParameterSet } from './parameters.js';
import type { Exchange, SkippedRequest } from './server/exchange.js';
import type { FoundState } from './session-state.js';
import type { Statement } from './statements.js';

/** How a link lost its server connection. */
export interface ServerLoss {
  /** The client has got the server's own FATAL. */
  readonly told: boolean;
  /** The server has said that it ends, and the client needn't be told ({@link ClientEnd.outlives}, `survivesLoss`). */
  readonly isOutlived: boolean;
  /** The client has got a part of a message, so that nothing more can be said. */
  readonly midMessage: boolean;
  readonly requestInFlight: boolean;
  /** All that its session is known to have on servers follows it to the next one. */
  readonly mayStay: boolean;
  /** A transaction before may have changed its session, in a way that was not found out. */
  readonly isDoubtful: boolean;
  /** A commit may be under way: a COMMIT, or something outside of a transaction block. */
  readonly mayHaveCommitted: boolean;
  /** What the client's reported parameters were before the transaction block; null: they are the same still. */
  readonly parametersBefore: ParameterSet | null;
  /** What is not answered. */
  readonly owed: Owed;
  readonly reason: string;
}

/** What is owed to a client by a server connection that is no more. */
export interface Owed {
  /** Its oldest request is the gateway's own that has failed. */
  readonly exchange: Exchange;
  /** For requests that have not taken effect. */
  undo(skipped: SkippedRequest): void;
}

/** What a client listens to, as its server connection sees it. */
export interface ListenerEnd {
  /** It gets ReadyForQuery with what precedes it, and says nothing by {@link beforeReady}. */
  readonly takesReady: boolean;
  /** ReadyForQuery is about to be passed on, and no transaction is open; false: the client gets it later. */
  beforeReady(isLast: boolean): boolean;
  /** The link must not end yet. */
  readonly keepsLink: boolean;
  /** What is sent on this channel reaches the client by another way. */
  serves(channel: string): boolean;
  /** The message has ended in which it was not to be interrupted. */
  linkIsFree(): void;
  /** DISCARD ALL has been carried out. */
  discarded(): void;
}

/** The client, as its server connection sees it. */
export interface ClientEnd {
  readonly connection: ConnectionId;
  /** Unique for the life of the process, and not 0. */
  readonly id: number;
  /** The reported parameters that this client expects. */
  parameters: ParameterSet;
  /** Other settings that it has made, which follow it. */
  settings: ParameterSet;
  /** Its state is asked for behind a transaction that may have changed it, and follows it. */
  readonly tracksState: boolean;
  /** Settings with a dot in their names that are to be asked for too, since no list shows them. */
  readonly customSettings: ReadonlySet<string> | null;
  /** Null: it has not listened to anything. */
  readonly listener: ListenerEnd | null;
  /** The answer, also if that says nothing (null). */
  stateFound(found: FoundState | null): void;
  /** True while a message is being passed on of which the rest has not come yet. */
  readonly midMessage: boolean;
  /** The client will send no more: when all answers are passed on, the link ends. */
  readonly inputEnded: boolean;
  lastAnswerPassed(): void;
  /** Passes answer bytes on. Returns true when the client can't take more for now. */
  fromServer(bytes: Uint8Array, start: number, end: number): boolean;
  /** The server can take more again. */
  serverDrained(): void;
  /**
   * The server connection could not be given this client's session, and serves it no more: nothing of what it has sent over
   * it has run. `mayStay`: all that it has on servers follows it.
   */
  unserved(refusal: ErrorFields, owed: Owed | null, mayStay: boolean): void;
  /**
   * The server has refused what it is asked. True: the client asks another server, and this one serves it no more; it has got
   * nothing of the answer.
   */
  moves(error: ErrorFields): boolean;
  /** The end of the server need not be told to it: it asks another one ({@link serverLost}). */
  readonly survivesLoss: boolean;
  /** The end of the server, which this says, is the end of its request or its transaction, and not of its session. */
  outlives(end: ErrorFields): boolean;
  /** A Parse did not happen: the name is free again. */
  forgetStatement(name: string, statement: Statement): void;
  /** A Close did not happen: the name still stands. */
  restoreStatement(name: string, statement: Statement): void;
  /** The server dropped all prepared statements at this client's wish. */
  statementsDropped(definedSince: ReadonlySet<string>): void;
  /** A Parse of the unnamed statement has been answered, or skipped after an error. */
  unnamedAnswered(how: 'parsed' | 'refused' | 'skipped'): void;
  /** It has stopped in front of a message until what it sent before is answered. */
  readonly awaitsAnswer: boolean;
  answersCame(): void;
  /** A transaction block was begun where single statements alone are allowed (pool_mode statement). */
  transactionRefused(): void;
  /** The server connection of the link is gone. */
  serverLost(loss: ServerLoss): void;
}

/** Whom a pool has bound to a server connection. */
export interface LinkedClient extends ClientEnd {
  readonly phase: string;
  /** Since when it will send no more, if it won't; in ms. */
  readonly inputEndedAt: number;
  /** Since when it has needed no server connection, in ms. */
  idleSince: number;
  /** It has sent more than has been passed on, or a part of it. */
  readonly hasMore: boolean;
  /** The link has ended in good order. */
  released(): void;
  /** Tells it why, and ends it. */
  fail(error: ErrorFields): void;
}
