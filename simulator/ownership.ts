/**
 * Whose a server connection is, judged at the moment at which the gateway sends: a request of one client may only
 * follow another client's when everything of the other one is over and done with.
 */
import * as Frontend from '../src/wire/frontend.js';
import type { Ledger } from './ledger.js';
import { Framer, type Packet, readCstring } from './packets.js';
import { messageTokens } from './postgres-session.js';
import { tokenOwners } from './sql.js';

export class Ownership {
  /** The client that the last request came from; null when that is over, or was the gateway's own. */
  owner: number | null = null;
  /** Pooling by session: the client whose traces the reset query has not removed. */
  lastClient: number | null = null;
  /** Messages that the gateway has sent, but for copy data: a server that isn't in copy-in mode ignores these. */
  requestsSent = 0;
  /** The last of them is the gateway's own Sync behind a client that will send no more (`END_OF_INPUT`). */
  endsByItself = false;
  private copyFailed = false;
  private readonly ledger: Ledger;
  private readonly sessionPooling: boolean;
  private readonly label: string;
  private readonly framer: Framer;
  /** Nothing was under way when the message at hand began. */
  private quiet = true;

  constructor(ledger: Ledger, sessionPooling: boolean, label: string) {
    this.ledger = ledger;
    this.sessionPooling = sessionPooling;
    this.label = label;
    this.framer = new Framer(
      true,
      (message) => this.sent(message),
      (why) => ledger.fail(`the gateway sent ${label} a broken message: ${why}`),
    );
  }

  /** A message has been sent in part. */
  get midMessage(): boolean {
    return this.framer.rest > 0;
  }

  /** @param quiet whether nothing is under way on the connection before these bytes. */
  announced(bytes: Buffer, quiet: boolean): void {
    if (this.framer.rest === 0) this.quiet = quiet;
    this.framer.receive(bytes);
  }

  private sent(message: Packet): void {
    if (isSslRequest(message)) return this.framer.takeUntyped();
    if (!isCopyData(message)) {
      this.requestsSent += 1;
      this.endsByItself = this.copyFailed && message.type === Frontend.Sync;
    }
    this.copyFailed = message.type === Frontend.CopyFail && message.bytes.includes('the client has ended');
    const { quiet } = this;
    // What follows in the same piece follows on this message.
    this.quiet = false;
    if (quiet) this.owner = null;
    const isReset = message.type === Frontend.Query && readCstring(message.bytes, 5)[0] === 'DISCARD ALL';
    if (isReset) this.lastClient = null;
    const tokens = messageTokens(message);
    for (const client of tokenOwners(tokens.join(' '))) this.claim(client);
    // A Parse may be repeated on another server connection, a PREPARE too, and data repeat their statement's token.
    if (message.type === Frontend.Parse || message.type === Frontend.CopyData) return;
    if (message.type === Frontend.Query && readCstring(message.bytes, 5)[0].startsWith('PREPARE ')) return;
    for (const token of tokens) this.ledger.requested(token);
  }

  private claim(client: number): void {
    if (this.owner !== null && this.owner !== client) {
      this.ledger.fail(`${this.label} got a request of client ${client} while it was client ${this.owner}'s`);
    }
    this.owner = client;
    if (!this.sessionPooling) return;
    if (this.lastClient !== null && this.lastClient !== client) {
      this.ledger.fail(
        `${this.label} went from client ${this.lastClient} to client ${client} without a reset`,
      );
    }
    this.lastClient = client;
  }
}

/** CopyData, CopyDone and CopyFail. */
export function isCopyData({ type }: Packet): boolean {
  return type === Frontend.CopyData || type === Frontend.CopyDone || type === Frontend.CopyFail;
}

/** What stands before a session, and is none of its messages. */
export function isSslRequest({ type, bytes }: Packet): boolean {
  return type === 0 && bytes.readInt32BE(4) === Frontend.SSLRequestCode;
}
