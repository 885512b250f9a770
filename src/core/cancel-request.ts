/**
 * A client's CancelRequest on its way to the server (protocol chapter, "Canceling Requests in Progress"). The server
 * closes the connection when it has acted; until then the server connection that is being cancelled serves nobody
 * else, so that the cancel can't hit another client's query.
 */
import { buildCancelRequest } from '../wire/startup.js';
import type { GatewayContext } from './context.js';
import type { ConnectionId, ServerAddress } from './io.js';
import type { ServerConnection } from './server/server-connection.js';
import type { Session } from './session/session.js';

export class CancelRequest {
  readonly connection: ConnectionId;
  private readonly context: GatewayContext;
  private readonly target: Session;
  private readonly server: ServerConnection;
  /** The connection on which the client asked; it is closed when the request has been carried out. */
  private readonly asker: Session;
  private readonly startedAt: number;
  private done = false;

  constructor(
    context: GatewayContext,
    request: { target: Session; server: ServerConnection; asker: Session; address: ServerAddress },
  ) {
    this.context = context;
    this.target = request.target;
    this.server = request.server;
    this.asker = request.asker;
    this.startedAt = context.io.now();
    this.server.cancelsInFlight += 1;
    this.connection = context.io.connect(request.address);
  }

  connected(): void {
    // The query may have ended meanwhile.
    if (this.target.link !== this.server || this.server.outstandingRequests === 0) {
      this.context.io.finish(this.connection);
      return this.end();
    }
    const packet = buildCancelRequest(this.server.processId, this.server.secret);
    this.context.io.send(this.connection, packet, 0, packet.length);
  }

  receive(): void {}

  drained(): void {}

  keyDerived(): void {}

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
    if (timeout === 0) return Number.POSITIVE_INFINITY;
    const due = this.startedAt + timeout;
    if (now < due) return due;
    // It may still arrive: the server connection is not to be used by anybody else.
    this.server.closeNeeded = true;
    this.context.io.reset(this.connection);
    this.end();
    return now;
  }

  get hasEnded(): boolean {
    return this.done;
  }

  private end(): void {
    if (this.done) return;
    this.done = true;
    this.server.cancelsInFlight -= 1;
    this.asker.close();
    if (this.server.cancelsInFlight === 0) this.server.cancelEnded();
  }
}
