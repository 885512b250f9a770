/** Who listens to what in one database, and how it reaches them: over one shared connection. */
import type { ErrorFields } from '../../wire/error-fields.js';
import type { GatewayContext } from '../context.js';
import type { ServerConnection } from '../server/server-connection.js';
import { Listener, type ListeningClient } from './listener.js';
import { NOT_TRACKED } from './listening-messages.js';
import type { ListeningPool } from './listening-users.js';
import { copyNotification } from './notification.js';
import type { SharedConnection } from './shared-connection.js';

/** The client that has sent something last over a server connection. */
interface Notifier {
  readonly server: ServerConnection;
  readonly processId: number;
}

/** How many of those are looked through, at times, for server connections that are gone. */
const NOTIFIERS_MIN = 100;

export class Channels {
  private readonly context: GatewayContext;
  private readonly connection: SharedConnection;
  private readonly byName = new Map<string, Set<Listener>>();
  /** By those who listen, or may do so soon: the pools of their clients. */
  private readonly pools = new Map<Listener, ListeningPool>();
  /** By the process id of the server connection. */
  private readonly notifiers = new Map<number, Notifier>();
  private sortAt = NOTIFIERS_MIN;

  constructor(context: GatewayContext, connection: SharedConnection) {
    this.context = context;
    this.connection = connection;
  }

  get isEmpty(): boolean {
    return this.pools.size === 0;
  }

  join(client: ListeningClient, pool: ListeningPool): Listener {
    const listener = new Listener(client, this);
    this.pools.set(listener, pool);
    this.connection.users.join(pool);
    return listener;
  }

  left(listener: Listener): void {
    const pool = this.pools.get(listener);
    if (pool === undefined) return;
    this.pools.delete(listener);
    this.connection.users.leave(pool);
  }

  /** One connection can't hear for those who listen any more. */
  endAll(error: ErrorFields): void {
    for (const listener of [...this.pools.keys()]) listener.end(error);
  }

  /** Those whose sessions follow them no more (`session_state = classic`) would listen over their own server connections. */
  endUntracked(): void {
    for (const listener of [...this.pools.keys()])
      if (!listener.client.tracksState) listener.end(NOT_TRACKED);
  }

  add(name: string, listener: Listener): void {
    let listeners = this.byName.get(name);
    if (listeners === undefined) {
      listeners = new Set();
      this.byName.set(name, listeners);
      this.connection.want(name);
    }
    listeners.add(listener);
  }

  remove(name: string, listener: Listener): void {
    const listeners = this.byName.get(name);
    if (listeners?.delete(listener) !== true || listeners.size > 0) return;
    this.byName.delete(name);
    this.connection.forgo(name);
  }

  isListening(name: string): boolean {
    return this.connection.isListening(name);
  }

  /** Calls back when everything has come that was committed before now, or can't come. */
  roundTrip(done: () => void): void {
    this.connection.roundTrip(done);
  }

  newMark(): string {
    return String(this.context.newId());
  }

  /** A client has been ended for what it did not take. */
  overrun(): void {
    this.context.counters.notificationsOverrun += 1;
  }

  // --- What comes ---------------------------------------------------------------------------------------------

  /** The client with this process id sends a statement over the server connection that notifies others. */
  notifies(server: ServerConnection, processId: number): void {
    this.notifiers.set(server.processId, { server, processId });
    if (this.notifiers.size < this.sortAt) return;
    for (const [id, notifier] of this.notifiers) {
      if (notifier.server.phase === 'closed') this.notifiers.delete(id);
    }
    this.sortAt = Math.max(NOTIFIERS_MIN, 2 * this.notifiers.size);
  }

  /** The whole NotificationResponse at `position` has come over the shared connection. */
  notified(bytes: Uint8Array, position: number, total: number): void {
    const copy = copyNotification(bytes, position, total);
    const listeners = copy === null ? undefined : this.byName.get(copy.channel);
    if (copy === null || listeners === undefined) return;
    const processId = this.processIdOf(copy.serverProcessId);
    const notification = { ...copy, processId };
    for (const listener of [...listeners]) listener.notified(notification);
  }

  private processIdOf(serverProcessId: number): number {
    const notifier = this.notifiers.get(serverProcessId);
    return notifier === undefined || notifier.server.phase === 'closed'
      ? serverProcessId
      : notifier.processId;
  }

  /** The shared connection was lost, and listens to everything again. */
  cameBack(): void {
    for (const listener of [...this.pools.keys()]) listener.missed();
  }
}
