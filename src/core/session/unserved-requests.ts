/**
 * What a client has asked of a server connection that could not be given its session: nothing of it has run. Everything
 * that it had sent by then is answered as PostgreSQL would answer what fails at once: one ErrorResponse and one
 * ReadyForQuery for each Query and FunctionCall, and for what goes with each Sync.
 */
import { HEADER_BYTES, MORE, SWALLOW, type Verdict } from '../../wire/framing.js';
import * as Frontend from '../../wire/frontend.js';
import type { Owed } from '../link.js';
import * as Request from '../server/request-queue.js';
import { READY_IDLE } from './fixed-answers.js';
import type { MessageHandler, PASS } from './message-handler.js';
import { SKIPPED } from './message-rules.js';

/** The client, as this sees it. */
export interface UnservedClient {
  /** Non-null: takes its messages. */
  bypass: MessageHandler | null;
  send(message: Uint8Array): void;
  /** A Parse of the unnamed statement has been refused. */
  unnamedAnswered(how: 'refused'): void;
  protocolViolation(message: string): Verdict;
}

/** Takes the client's messages until it is done: see {@link UnservedRequests.finish}. */
export class UnservedRequests implements MessageHandler {
  protected readonly client: UnservedClient;
  protected error: Uint8Array;
  /** The error is sent, and the Sync has not come. */
  protected isSkipping: boolean;
  private hasAnswered = false;
  /** It ends with the next answer that is complete. */
  private isLast = false;

  /** @param error the ErrorResponse @param isSkipping the client has got an error already, and what comes up to its Sync is skipped */
  constructor(client: UnservedClient, error: Uint8Array, isSkipping = false) {
    this.client = client;
    this.error = error;
    this.isSkipping = isSkipping;
    client.bypass = this;
  }

  /** Answers what was sent to the server. Nothing is owed behind it. */
  answer({ exchange, undo }: Owed): void {
    while (exchange.outstanding > 0) {
      const { first, firstKind } = exchange;
      const isOurs = (first & Request.SWALLOWED) !== 0;
      if (firstKind === Request.QUERY || firstKind === Request.FUNCTION_CALL) {
        if (!isOurs) this.whole();
        exchange.complete();
      } else if (firstKind === Request.SYNC) {
        // PostgreSQL commits at the Sync: what has been answered before it is nothing to rely on.
        if (!isOurs && !this.isSkipping) this.refuse();
        if (!isOurs) this.sync();
        exchange.complete();
      } else {
        this.part();
        const skipped = exchange.failed();
        if (skipped.length === 0) throw new Error('invariant: a refused request is still owed');
        for (const one of skipped) undo(one);
      }
    }
  }

  message(
    type: number,
    _total: number,
    bytes: Uint8Array,
    position: number,
    end: number,
  ): Verdict | typeof PASS {
    const name = position + HEADER_BYTES;
    if (type === Frontend.Parse && name >= end) return MORE;
    // As it does where they fail at once.
    const destroysUnnamed = type === Frontend.Query || (type === Frontend.Parse && bytes[name] === 0);
    if (destroysUnnamed && !this.isSkipping) this.client.unnamedAnswered('refused');
    if (type === Frontend.Sync) this.sync();
    else if (!SKIPPED.has(type)) {
      return this.client.protocolViolation(`invalid frontend message type ${type}`);
    } else if (!this.isSkipping) {
      if (type === Frontend.Query || type === Frontend.FunctionCall) this.whole();
      else if (PARTS.has(type)) this.part();
    }
    return SWALLOW;
  }

  /** All that the client has sent by now has been judged. What is not answered yet will be, and that is all. */
  finish(): void {
    this.isLast = true;
    if (this.hasAnswered && !this.isSkipping) this.client.bypass = null;
  }

  protected refuse(): void {
    this.client.send(this.error);
  }

  private whole(): void {
    this.refuse();
    this.ready();
  }

  private part(): void {
    this.refuse();
    this.isSkipping = true;
  }

  private sync(): void {
    this.isSkipping = false;
    this.ready();
  }

  protected ready(): void {
    this.client.send(READY_IDLE);
    this.hasAnswered = true;
    if (this.isLast) this.client.bypass = null;
  }
}

/** What is answered together, at a Sync. */
const PARTS: ReadonlySet<number> = new Set([
  Frontend.Parse,
  Frontend.Bind,
  Frontend.Describe,
  Frontend.Close,
  Frontend.Execute,
]);
