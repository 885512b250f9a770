/**
 * The free server connections of a pool: those that may be used at once, and those that must be tested before. One that has
 * a client's settings goes to others last, since it is fit for its client without a query, and for others it isn't.
 */
import type { ServerConnection } from '../server/server-connection.js';
import type { Session } from '../session/session.js';

export class RestingServers {
  /** PgBouncer's `server_round_robin`: the one that has rested longest is used next, not the one used last. */
  isRoundRobin = false;
  /** Those that have rested longest come first, here and below. */
  private readonly idle: ServerConnection[] = [];
  /** They have what a client has set. */
  private readonly kept: ServerConnection[] = [];
  /** Not used without a test. */
  private readonly untested: ServerConnection[] = [];

  /** How many may be used at once. */
  get length(): number {
    return this.idle.length + this.kept.length;
  }

  /** How many must be tested before. */
  get untestedLength(): number {
    return this.untested.length;
  }

  /** @param now time in ms */
  add(server: ServerConnection, now: number): void {
    this.rest(server, now);
    server.place.isKept = server.settings.values.size > 0;
    if (server.place.isKept) this.kept.push(server);
    else this.idle.push(server);
  }

  /** The same for one that is to be tested before it is used. */
  addUntested(server: ServerConnection, now: number): void {
    this.rest(server, now);
    server.place.needsTest = true;
    this.untested.push(server);
  }

  private rest({ place }: ServerConnection, now: number): void {
    if (place.isResting) throw new Error('invariant: a server connection is free once');
    place.isResting = true;
    place.idleSince = now;
  }

  /** One that can serve at once; undefined: there is none. */
  take(): ServerConnection | undefined {
    // The client whose server connection has rested longest is the next to come back.
    const server = (this.isRoundRobin ? this.idle.shift() : this.idle.pop()) ?? this.kept.pop();
    if (server !== undefined) server.place.isResting = false;
    return server;
  }

  /** The one that would be taken, which stays. */
  get next(): ServerConnection | undefined {
    return (this.isRoundRobin ? this.idle[0] : this.idle.at(-1)) ?? this.kept.at(-1);
  }

  /** The one that served this client last, if it has served nobody since: it needs no preparation. */
  takePrevious({ id, virtual }: Session): ServerConnection | undefined {
    const server = virtual?.server;
    if (server === undefined || server === null || server.lastClient !== id) return undefined;
    if (!server.place.isResting || server.place.needsTest) return undefined;
    // It may belong to a pool of other servers.
    if (!this.listOf(server).includes(server)) return undefined;
    this.remove(server);
    return server;
  }

  /** One that is to be tested now; undefined: there is none. */
  takeUntested(): ServerConnection | undefined {
    const server = this.untested.shift();
    if (server !== undefined) {
      server.place.isResting = false;
      server.place.needsTest = false;
    }
    return server;
  }

  /** The one that has rested longest. */
  get idlest(): ServerConnection | undefined {
    return this.untested[0] ?? this.idlestTested;
  }

  private get idlestTested(): ServerConnection | undefined {
    const [idle, kept] = [this.idle[0], this.kept[0]];
    if (idle === undefined || kept === undefined) return idle ?? kept;
    return kept.place.idleSince < idle.place.idleSince ? kept : idle;
  }

  /**
   * Those that have rested for so long are to be tested before they are used. Returns when the next one will have; all
   * in ms.
   */
  distrust(now: number, delayMs: number): number {
    for (;;) {
      const server = this.idlestTested;
      if (server === undefined) return Number.POSITIVE_INFINITY;
      const due = server.place.idleSince + delayMs;
      if (now < due) return due;
      this.listOf(server).shift();
      server.place.needsTest = true;
      this.untested.push(server);
    }
  }

  /** It is gone, or taken. */
  remove(server: ServerConnection): void {
    if (!server.place.isResting) return;
    const list = this.listOf(server);
    const at = list.indexOf(server);
    if (at >= 0) list.splice(at, 1);
    server.place.isResting = false;
    server.place.needsTest = false;
  }

  private listOf({ place }: ServerConnection): ServerConnection[] {
    if (place.needsTest) return this.untested;
    return place.isKept ? this.kept : this.idle;
  }
}
