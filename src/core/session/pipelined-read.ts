/** A client's read in a pipeline of several (read-pipeline.ts), from when it is sent until its end or until it leaves. */
import { buildErrorResponse, type ErrorFields } from '../../wire/error-fields.js';
import type { ServerLoss } from '../link.js';
import type { ParameterSet } from '../parameters.js';
import type { KnownShape } from '../statements.js';
import { AnswerPrelude } from './answer-prelude.js';
import { READY_IDLE } from './fixed-answers.js';
import { parsesUnnamed, settleUnit, type TravellingClient } from './pipelined-unit.js';
import type { ReadPipeline } from './read-pipeline.js';
import { CANCELED, outcomeUnknown, serverLossError } from './session-errors.js';
import { isItsOwn } from './standby-refusals.js';

/** The client, which stands in front of the unit. */
export interface PipelinedClient extends TravellingClient {
  parameters: ParameterSet;
  /** Since when it waits for a server connection, in ms; 0: it hasn't to. */
  waitingSince: number;
  /** What it stands in front of: the unit lies at its beginning. */
  readonly keptUnit: Uint8Array;
  /** Passes a part of an answer on; true: it can't take more for now. */
  pass(bytes: Uint8Array, start: number, end: number): boolean;
  send(message: Uint8Array): void;
  /** The unit of so many bytes in front of which it stands has been answered: it goes on behind that. */
  unitAnswered(length: number): void;
  outlives(end: ErrorFields): boolean;
  /** The end of its server connection is not its own. */
  readonly staysWithoutServer: boolean;
  fail(error: ErrorFields): void;
  close(reason: string): void;
}

/** Its routing. */
export interface PipelinedReader {
  /** It is over; the server has been at it for so long, in ms. Null: since it was sent, for all that is known. */
  travelled(ownMs: number | null): void;
  /** It is sent once more, by itself, where it was to go. */
  sendAlone(): void;
  /** It is sent once more, to the primary. `refusal`: what the standby has said to it. */
  repeatElsewhere(refusal: ErrorFields | null): void;
  /** The node may be gone. */
  nodeFailed(): void;
}

export class PipelinedRead {
  readonly client: PipelinedClient;
  /** Null: it is in none. */
  pipeline: ReadPipeline | null = null;
  /** Something of its answer has reached the client. */
  isTold = false;
  /** Of its shape. */
  statistics: KnownShape['statistics'] | null = null;
  /** Bytes of the unit. */
  private length = 0;
  private readonly reader: PipelinedReader;
  private readonly prelude = new AnswerPrelude();

  constructor(client: PipelinedClient, reader: PipelinedReader) {
    this.client = client;
    this.reader = reader;
  }

  /** It has been sent. */
  begin(pipeline: ReadPipeline, length: number, statistics: KnownShape['statistics']): void {
    this.pipeline = pipeline;
    this.length = length;
    this.statistics = statistics;
    this.isTold = false;
  }

  /** Its client is gone. */
  leave(): void {
    const { pipeline } = this;
    this.end();
    pipeline?.remove(this);
  }

  private end(): void {
    this.pipeline = null;
    this.prelude.drop();
  }

  /** A cancel request has come. True: that is done; false: the server has to be asked, which is at nothing else then. */
  cancel(): boolean {
    const { pipeline } = this;
    if (pipeline === null) return false;
    if (this.isTold) {
      pipeline.disperse();
      return false;
    }
    this.leave();
    this.client.send(CANCELED);
    this.client.send(READY_IDLE);
    this.finish(null);
    return true;
  }

  /** Its client is in the middle of a message of its answer. */
  get hasFloor(): boolean {
    return this.isTold && this.pipeline?.server?.hasFloor === true;
  }

  /** The client can take more. */
  drained(): void {
    if (this.isTold) this.pipeline?.server?.resumeReading();
  }

  // --- As its pipeline sees it --------------------------------------------------------------------------------

  parametersChanged(parameters: ParameterSet): void {
    this.client.parameters = parameters;
  }

  /** A part of its answer has come. True: the client can't take more for now. */
  answer(bytes: Uint8Array, start: number, end: number): boolean {
    if (!this.isTold) {
      if (this.prelude.holds(bytes, start, end)) return false;
      this.isTold = true;
      this.prelude.letGo(this.client);
    }
    return this.client.pass(bytes, start, end);
  }

  /** It has got all of its answer. */
  answered(ownMs: number | null): void {
    this.end();
    this.finish(ownMs);
  }

  private finish(ownMs: number | null): void {
    const { client, length } = this;
    settleUnit(client, client.keptUnit);
    this.reader.travelled(ownMs);
    client.unitAnswered(length);
  }

  /** The server refuses it. True: it is sent to another one, and what is still to come of its answer is nobody's. */
  moves(error: ErrorFields): boolean {
    // What a refused Parse leaves behind is found out where it is the client's own.
    const isFinal = isItsOwn(error.code) && !parsesUnnamed(this.client.keptUnit);
    if (this.isTold || isFinal) return false;
    this.end();
    this.reader.repeatElsewhere(error);
    return true;
  }

  sendAlone(): void {
    this.end();
    this.reader.sendAlone();
  }

  lost(loss: ServerLoss): void {
    const { client } = this;
    this.end();
    this.reader.nodeFailed();
    if (!this.isTold) return this.reader.repeatElsewhere(null);
    if (loss.told || loss.midMessage) return client.close(loss.reason);
    if (!client.staysWithoutServer) return client.fail(serverLossError(loss));
    client.send(buildErrorResponse(outcomeUnknown(loss.reason)));
    client.send(READY_IDLE);
    this.finish(null);
  }
}
