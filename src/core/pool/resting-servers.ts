/** The free server connections of a pool. The one used last is taken first, so that the others can grow old and be closed. */
import type { ServerConnection } from '../server/server-connection.js';

export class RestingServers {
  private readonly idle: ServerConnection[] = [];

  get length(): number {
    return this.idle.length;
  }

  /** @param now time in ms */
  add(server: ServerConnection, now: number): void {
    if (server.isResting) throw new Error('invariant: a server connection is free once');
    server.idleSince = now;
    server.isResting = true;
    this.idle.push(server);
  }

  /** One that can serve at once; undefined: there is none. */
  take(): ServerConnection | undefined {
    return this.idle.pop();
  }

  /** It is gone. */
  remove(server: ServerConnection): void {
    const at = this.idle.indexOf(server);
    if (at >= 0) this.idle.splice(at, 1);
  }
}
