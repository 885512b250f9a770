/**
 * Reads of several clients that are released at one moment, one behind the other over one server connection, which answers
 * them in this order (protocol chapter, "Pipelining"). To the server connection they are one client that doesn't wait for its
 * answers. So they cost one message to the server, and wake one of its processes.
 *
 * Each is a whole unit that leaves nothing behind and may run twice. Its client stands still in front of it meanwhile, as one
 * that waits. So as long as nothing of its answer has been passed on, it can leave at any time, to be sent by itself: what
 * happens to one costs the others nothing but time, and of that there is a limit ({@link ReadPipeline.disperse}).
 */
import type { ErrorFields } from '../../wire/error-fields.js';
import { FAILED_READ } from '../close-reasons.js';
import type { ConnectionId } from '../io.js';
import type { LinkedClient, ListenerEnd, ServerLoss } from '../link.js';
import type { ParameterSet } from '../parameters.js';
import type { ServerConnection } from '../server/server-connection.js';
import type { Statement } from '../statements.js';
import type { PipelinedRead } from './pipelined-read.js';

/** Whose server connections are used. */
export interface PipelineOwner {
  /** All of it has been answered; the server connection is the pool's again. */
  pipelineEnded(pipeline: ReadPipeline): void;
  /** Nobody waits for it any more, and the server is at it still. It has no link. */
  pipelineAbandoned(pipeline: ReadPipeline, server: ServerConnection): void;
}

const NO_CONNECTION: ConnectionId = -1;

export class ReadPipeline implements LinkedClient, ListenerEnd {
  readonly connection = NO_CONNECTION;
  readonly id: number;
  settings: ParameterSet;
  readonly tracksState = true;
  readonly customSettings = null;
  readonly listener: ListenerEnd = this;
  readonly takesReady = true;
  readonly midMessage = false;
  readonly inputEnded = false;
  readonly inputEndedAt = 0;
  readonly awaitsAnswer = false;
  readonly hasMore = true;
  readonly phase = 'ready';
  idleSince = 0;
  /** Null between two uses. */
  server: ServerConnection | null = null;
  /** More may be sent behind what has been sent: nothing has been answered yet. */
  isOpen = false;
  /** How many have been sent since it began. */
  sent = 0;
  /** How long the server is expected to be at it, in ms. */
  expectedMs = 0;
  /** Since when it is at its first read, in ms. */
  firstSince = 0;
  private readonly owner: PipelineOwner;
  private common: ParameterSet;
  /** Those that have been sent; `first` is answered next. Null: nobody waits for it. It never gets shorter: that takes long. */
  private readonly reads: (PipelinedRead | null)[] = [];
  private first = 0;

  constructor(id: number, owner: PipelineOwner, empty: ParameterSet) {
    this.id = id;
    this.owner = owner;
    this.common = empty;
    this.settings = empty;
  }

  /**
   * It begins anew, on a free server connection that has what the sessions of its clients have.
   * @param firstSince from when on, in ms, the server is likely to be at its first read
   */
  begin(server: ServerConnection, firstSince: number): void {
    if (this.server !== null) throw new Error('invariant: a pipeline is used by one server connection');
    this.server = server;
    this.common = server.parameters;
    this.settings = server.settings;
    this.isOpen = true;
    this.sent = 0;
    this.expectedMs = 0;
    this.firstSince = firstSince;
  }

  /** A read is sent. */
  add(read: PipelinedRead, expectedMs: number): void {
    this.reads[this.sent] = read;
    this.sent += 1;
    this.expectedMs += expectedMs;
    if (this.sent === 1) this.serveFirst();
  }

  /** Whose answer comes next; null: nobody's. */
  get head(): PipelinedRead | null {
    return this.first < this.sent ? (this.reads[this.first] as PipelinedRead | null) : null;
  }

  /** Somebody waits for more than the first answer. */
  get isWaitedFor(): boolean {
    for (let i = this.first + 1; i < this.sent; i++) if (this.reads[i] !== null) return true;
    return false;
  }

  private serveFirst(): void {
    (this.server as ServerConnection).rowCount = this.head?.statistics ?? null;
  }

  /** Its answer is nobody's from now on. */
  remove(read: PipelinedRead): void {
    const at = this.reads.indexOf(read, this.first);
    if (at < 0) throw new Error('invariant: a read is in its pipeline');
    this.reads[at] = null;
    const { server } = this;
    if (server === null) return;
    if (at === this.first) {
      server.rowCount = null;
      server.resumeReading();
    }
    if (this.reads.every((each) => each === null)) this.abandon(server);
  }

  /** The first read takes long: those behind it are sent by themselves. */
  disperse(): void {
    const { reads } = this;
    this.isOpen = false;
    const behind = reads.slice(this.first + 1, this.sent);
    reads.fill(null, this.first + 1);
    for (const read of behind) read?.sendAlone();
    // Who it belongs to may have gone before.
    if (this.head === null && this.server !== null) this.abandon(this.server);
  }

  private abandon(server: ServerConnection): void {
    this.end();
    server.unbind();
    this.owner.pipelineAbandoned(this, server);
  }

  private end(): void {
    this.server = null;
    this.isOpen = false;
    this.reads.fill(null);
    this.sent = 0;
    this.first = 0;
  }

  // --- As the client of its server connection -----------------------------------------------------------------

  get parameters(): ParameterSet {
    return this.common;
  }

  /** The server has told a change, and whose answer it is at with it. */
  set parameters(parameters: ParameterSet) {
    this.common = parameters;
    this.head?.parametersChanged(parameters);
  }

  fromServer(bytes: Uint8Array, start: number, end: number): boolean {
    this.isOpen = false;
    return this.head?.answer(bytes, start, end) === true;
  }

  /** The first one has its answer. */
  beforeReady(): boolean {
    const { reads, head } = this;
    const server = this.server as ServerConnection;
    const now = server.timing.requestedAt;
    // What the first one has waited for the server's process is not its own.
    const ownMs = this.first === 0 ? null : now - this.firstSince;
    this.isOpen = false;
    this.firstSince = now;
    reads[this.first] = null;
    this.first += 1;
    this.serveFirst();
    // The next answer is another client's, who may well be able to take it.
    server.resumeReading();
    head?.answered(ownMs);
    return false;
  }

  get keepsLink(): boolean {
    return this.first < this.sent;
  }

  released(): void {
    this.end();
    this.owner.pipelineEnded(this);
  }

  moves(error: ErrorFields): boolean {
    const { head } = this;
    if (head === null) return true;
    if (!head.moves(error)) return false;
    this.reads[this.first] = null;
    return true;
  }

  get survivesLoss(): boolean {
    return this.head?.isTold !== true;
  }

  outlives(end: ErrorFields): boolean {
    return this.head?.client.outlives(end) === true;
  }

  /** By a timeout: it concerns the first one alone. */
  fail(error: ErrorFields): void {
    const { head, server } = this;
    head?.client.fail(error);
    server?.close(FAILED_READ);
  }

  serverLost(loss: ServerLoss): void {
    const reads = this.reads.slice(this.first, this.sent);
    this.end();
    this.owner.pipelineEnded(this);
    for (const read of reads) read?.lost(loss);
  }

  transactionRefused(): void {
    this.server?.close(FAILED_READ);
  }

  // What a read that leaves nothing behind gives no reason for.

  unserved(): void {
    throw new Error('invariant: a pipeline begins where nothing has to be set');
  }

  serves(): boolean {
    return false;
  }

  linkIsFree(): void {}
  discarded(): void {}
  stateFound(): void {}
  lastAnswerPassed(): void {}
  serverDrained(): void {}
  answersCame(): void {}
  forgetStatement(_name: string, _statement: Statement): void {}
  restoreStatement(_name: string, _statement: Statement): void {}
  statementsDropped(): void {}
  unnamedAnswered(): void {}
}
