/** A client of a database with standbys: what becomes of its requests when a standby can't carry them out. */
import type { ErrorFields } from '../../wire/error-fields.js';
import type { Owed } from '../link.js';
import * as Request from '../server/request-queue.js';
import type { ServerConnection } from '../server/server-connection.js';
import { undoAllFor } from '../server/server-statements.js';
import { ListeningSession } from './listening-session.js';
import type { ReadRouting } from './read-routing.js';
import type { RoutedClient } from './routed-client.js';

export abstract class RoutedSession<Self extends RoutedClient> extends ListeningSession {
  /** Null: all that it sends goes to the servers of its pool. */
  routing: ReadRouting<Self> | null = null;
  abstract awaitsAnswer: boolean;

  /** See `ClientEnd.moves`. */
  moves(error: ErrorFields): boolean {
    return this.routing?.moves(error) === true;
  }

  /** It has sent more than has been passed on, or a part of it. */
  get hasMore(): boolean {
    return this.isBlocked || this.heldBytes > 0 || this.routing?.hasNext === true;
  }

  get survivesLoss(): boolean {
    return this.link !== null && this.routing?.survivesLossOf(this.link.exchange) === true;
  }

  /** What it stands in front of. */
  get keptUnit(): Uint8Array {
    return this.kept as Uint8Array;
  }

  /** The unit of so many bytes in front of which it stands has been answered: it goes on behind that. */
  unitAnswered(length: number): void {
    this.skip(length);
    this.wasUnserved = false;
    this.idleSince = this.context.io.now();
    const { farewell } = this.context;
    if (farewell !== null && this.heldBytes === 0) this.fail(farewell);
    else this.linked();
  }

  /** Where what it has sent runs; null: nothing of it does. */
  get runsOn(): ServerConnection | null {
    return this.link ?? this.routing?.pipelined?.pipeline?.server ?? null;
  }

  /** A server has the floor: nothing else may be said to the client. */
  protected get isBeingAnswered(): boolean {
    return this.link?.hasFloor === true || this.routing?.pipelined?.hasFloor === true;
  }

  unlink(): ServerConnection {
    const server = this.link as ServerConnection;
    this.link = null;
    server.unbind();
    return server;
  }

  takeBack(bytes: Uint8Array, length: number): void {
    undoAllFor(this, (this.link as ServerConnection).exchange);
    this.unlink();
    this.repeat(bytes, length);
  }

  repeat(bytes: Uint8Array, length: number): void {
    this.awaitsAnswer = false;
    this.dropBody();
    this.putBack(bytes, length);
    this.linked();
  }

  /** A standby that is gone, or can't be given the session, has nothing of it: the primary is asked. */
  protected goesElsewhere(owed: Owed, isNodes: boolean): boolean {
    const { routing } = this;
    if (routing === null) return false;
    if (routing.canRepeat) undoAll(owed);
    return routing.lost(owed.exchange, isNodes);
  }

  protected override losesBlock(): boolean {
    return this.routing?.losesBlock() === true;
  }

  override unserved(refusal: ErrorFields, owed: Owed | null, mayStay: boolean): void {
    this.link = null;
    // Where nothing is owed nothing has been sent: it waited until its session would be there.
    const goesElsewhere = owed === null ? this.routing?.refused() === true : this.goesElsewhere(owed, false);
    if (!goesElsewhere) super.unserved(refusal, owed, mayStay);
  }
}

/** What was asked has not happened. */
function undoAll({ exchange, undo }: Owed): void {
  while (exchange.outstanding > 0) {
    const { firstKind } = exchange;
    const isWhole =
      firstKind === Request.QUERY || firstKind === Request.FUNCTION_CALL || firstKind === Request.SYNC;
    if (isWhole) exchange.complete();
    else for (const skipped of exchange.failed()) undo(skipped);
  }
}
