/**
 * A CancelRequest on its way to a server, or to another process (protocol chapter, "Canceling Requests in Progress").
 * The other side closes the connection when it has acted; until then the server connection that is being cancelled
 * serves nobody else, so that the cancel can't hit another client's query.
 */
import type { GatewayContext } from './context.js';
import type { ConnectionId, ServerAddress, TlsFacts } from './io.js';
import type { ServerConnection } from './server/server-connection.js';
import { type EncryptionOwner, ServerEncryption } from './server/server-encryption.js';
import type { TlsMode } from './settings.js';

export interface CancelOrder {
  /** Whose query is cancelled; null: another process knows. */
  readonly server: ServerConnection | null;
  readonly address: ServerAddress;
  readonly tlsMode: TlsMode;
  /** The packet, asked for once the other side can be reached; null: the query has ended meanwhile. */
  packet(): Uint8Array | null;
  /** The other side has acted, or can't be reached; called once. `reason` is for the log. */
  finished(reason: string): void;
}

/** Of which a cancel request is one. */
export interface CancelRequestOwner {
  requestEnded(request: CancelRequest): void;
}

export class CancelRequest implements EncryptionOwner {
  readonly connection: ConnectionId;
  readonly order: CancelOrder;
  private readonly context: GatewayContext;
  private readonly owner: CancelRequestOwner;
  private readonly encryption: ServerEncryption;
  /** The packet has been sent. */
  private isAsked = false;
  private readonly startedAt: number;
  private done = false;

  constructor(context: GatewayContext, owner: CancelRequestOwner, order: CancelOrder) {
    this.context = context;
    this.owner = owner;
    this.order = order;
    this.startedAt = context.io.now();
    if (order.server !== null) order.server.cancelsInFlight += 1;
    this.encryption = new ServerEncryption(context.io, order.tlsMode, order.address);
    this.connection = context.io.connect(order.address);
  }

  /** It waits for the other side to be reached. */
  get isConnecting(): boolean {
    return !this.isAsked;
  }

  connected(): void {
    this.encryption.begin(this);
  }

  secured(facts: TlsFacts): void {
    this.encryption.secured(this, facts);
  }

  opened(): void {
    const packet = this.order.packet();
    if (packet === null) {
      this.context.io.finish(this.connection);
      return this.end(NO_LONGER_RUNNING);
    }
    this.isAsked = true;
    this.context.io.send(this.connection, packet, 0, packet.length);
  }

  encryptionFailed(reason: string): void {
    this.context.io.report({ level: 'warn', message: `cancel request failed: ${reason}` });
    this.context.io.reset(this.connection);
    this.end(reason);
  }

  /** The other side says nothing here but what concerns encryption. */
  receive(bytes: Uint8Array, start: number, end: number): void {
    if (!this.isAsked && !this.done) this.encryption.receive(this, bytes, start, end);
  }

  drained(): void {}

  /** The other side has closed: it has acted. */
  ended(): void {
    this.context.io.finish(this.connection);
    this.end(SENT);
  }

  closed(reason: string | null): void {
    this.end(this.isAsked ? SENT : (reason ?? 'failed to send cancel request'));
  }

  /** Gives up after `cancel_wait_timeout`; returns when that is due, in ms. */
  advance(now: number): number {
    const timeout = this.context.settings.cancelWaitTimeoutMs;
    if (timeout === 0 || this.done) return Number.POSITIVE_INFINITY;
    const due = this.startedAt + timeout;
    if (now < due) return due;
    // It may still arrive: the server connection is not to be used by anybody else.
    if (this.order.server !== null) this.order.server.closeReason = TIMED_OUT;
    this.context.io.reset(this.connection);
    this.end(TIMED_OUT);
    return now;
  }

  private end(reason: string): void {
    if (this.done) return;
    this.done = true;
    const { server } = this.order;
    if (server !== null) server.cancelsInFlight -= 1;
    this.order.finished(reason);
    if (server?.cancelsInFlight === 0) server.cancelEnded();
    this.owner.requestEnded(this);
  }
}

const SENT = 'successfully sent cancel request';
export const NO_LONGER_RUNNING = 'not sending cancel request for client that is now idle';
export const TIMED_OUT = 'cancel_wait_timeout';
