/**
 * A CancelRequest on its way to a server (protocol chapter, "Canceling Requests in Progress"). The server closes the
 * connection when it has acted; until then the server connection that is being cancelled serves nobody else, so
 * that the cancel can't hit another client's query.
 */
import { buildCancelRequest } from '../wire/startup.js';
import type { GatewayContext } from './context.js';
import type { ConnectionId, TlsFacts } from './io.js';
import type { ServerConnection } from './server/server-connection.js';
import { type EncryptionOwner, ServerEncryption } from './server/server-encryption.js';

export interface CancelOrder {
  readonly server: ServerConnection;
  /** Asked once the server can be reached: the query may have ended meanwhile. */
  stillWanted(): boolean;
  /** The server has acted, or can't be reached; called once. */
  finished(): void;
}

export class CancelRequest implements EncryptionOwner {
  readonly connection: ConnectionId;
  private readonly context: GatewayContext;
  private readonly order: CancelOrder;
  private readonly encryption: ServerEncryption;
  /** The packet has been sent. */
  private isAsked = false;
  private readonly startedAt: number;
  private done = false;

  constructor(context: GatewayContext, order: CancelOrder) {
    this.context = context;
    this.order = order;
    this.startedAt = context.io.now();
    order.server.cancelsInFlight += 1;
    const { mode, facts } = order.server.encryption;
    this.encryption = new ServerEncryption(
      context.io,
      facts === null ? 'disable' : mode,
      order.server.address,
    );
    this.connection = context.io.connect(order.server.address);
  }

  /** Whose query is cancelled. */
  get target(): ServerConnection {
    return this.order.server;
  }

  get hasEnded(): boolean {
    return this.done;
  }

  connected(): void {
    this.encryption.begin(this);
  }

  secured(facts: TlsFacts): void {
    this.encryption.secured(this, facts);
  }

  /** As well encrypted as the session: the key must not be seen by others. */
  opened(): void {
    const { server } = this.order;
    if (server.outstandingRequests === 0 || !this.order.stillWanted()) {
      this.context.io.finish(this.connection);
      return this.end();
    }
    this.isAsked = true;
    const packet = buildCancelRequest(server.processId, server.secret);
    this.context.io.send(this.connection, packet, 0, packet.length);
  }

  encryptionFailed(reason: string): void {
    this.context.io.report({ level: 'warn', message: `cancel request failed: ${reason}` });
    this.context.io.reset(this.connection);
    this.end();
  }

  /** A server says nothing here but what concerns encryption. */
  receive(bytes: Uint8Array, start: number, end: number): void {
    if (!this.isAsked && !this.done) this.encryption.receive(this, bytes, start, end);
  }

  drained(): void {}

  /** The server has closed its side: it has acted. */
  ended(): void {
    this.context.io.finish(this.connection);
    this.end();
  }

  closed(): void {
    this.end();
  }

  /** Gives up after `cancel_wait_timeout`; returns when that is due, in ms. */
  advance(now: number): number {
    const timeout = this.context.settings.cancelWaitTimeoutMs;
    if (timeout === 0 || this.done) return Number.POSITIVE_INFINITY;
    const due = this.startedAt + timeout;
    if (now < due) return due;
    // It may still arrive: the server connection is not to be used by anybody else.
    this.order.server.closeReason = 'cancel_wait_timeout';
    this.context.io.reset(this.connection);
    this.end();
    return now;
  }

  private end(): void {
    if (this.done) return;
    this.done = true;
    const { server } = this.order;
    server.cancelsInFlight -= 1;
    this.order.finished();
    if (server.cancelsInFlight === 0) server.cancelEnded();
  }
}
