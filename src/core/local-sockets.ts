/**
 * Unix sockets of servers that are configured by a loopback address (`server_unix_socket`): a socket costs less than TCP.
 * One is taken only where it is proved to lead to the same server, and only for a database and user that TCP has let in:
 *
 * 1. The kernel says that the user who listens at the TCP address has made the socket (asked of the main thread), and, at
 *    each connection and before anything is sent, that a process of this user is at its other end. An impostor has neither.
 * 2. A login over TCP has succeeded, and the socket asks for the same kind of password: what `pg_hba.conf` says of `local`
 *    lets nobody in who couldn't come in by `host`, and gets to see no more of a password.
 * 3. Both connections give the same answer to a question that tells servers apart (server/identified-login.ts).
 */
import type { SocketAddress, TcpAddress } from './io.js';
import {
  LOCAL_SOCKET_PROOF_MS,
  LOCAL_SOCKET_REFUSED_MS,
  LOCAL_SOCKET_RETRY_MS,
  LOCAL_SOCKETS_MAX,
} from './limits.js';

/** What is known of one server's socket, for one database and user. Times are in ms. */
type Knowledge =
  /** The next connection goes by TCP, and finds out. */
  | { readonly kind: 'unknown' }
  /** TCP serves. */
  | { readonly kind: 'unused'; readonly until: number }
  /** `confirmed`: the socket has kept what the proof promised. */
  | {
      readonly kind: 'proved';
      readonly socket: SocketAddress;
      readonly until: number;
      readonly confirmed: boolean;
    };

const UNKNOWN = Object.freeze({ kind: 'unknown' }) as Knowledge;

/** The way to one server for one database and user. */
export class LocalWay {
  private knowledge = UNKNOWN;
  /** What was told of it last. */
  private told = '';

  /** Which way the next connection takes. */
  look(now: number): Knowledge {
    if (this.knowledge.kind !== 'unknown' && now >= this.knowledge.until) this.knowledge = UNKNOWN;
    return this.knowledge;
  }

  /** A login over TCP has succeeded, and this socket leads to the same server. */
  proved(socket: SocketAddress, now: number): void {
    this.knowledge = { kind: 'proved', socket, until: now + LOCAL_SOCKET_PROOF_MS, confirmed: false };
  }

  /** There is no socket, or the server can't be told from others. */
  nothingFound(now: number): void {
    this.knowledge = { kind: 'unused', until: now + LOCAL_SOCKET_RETRY_MS };
  }

  /** A connection over this socket has kept what was promised. */
  confirm(socket: SocketAddress): void {
    const { knowledge } = this;
    if (knowledge.kind === 'proved' && knowledge.socket === socket)
      this.knowledge = { ...knowledge, confirmed: true };
  }

  /**
   * A connection over this socket could not be had. Where it has served before, the server may have been restarted, or
   * accept this login no more: the next one over TCP shows. Otherwise TCP serves for a while, and the result is true.
   * @param isRefusal the server doesn't want it: that lasts until people change something
   */
  failed(socket: SocketAddress, now: number, isRefusal: boolean): boolean {
    const { knowledge } = this;
    // Several may have been on their way: what the first one has taught is not to be overruled.
    if (knowledge.kind !== 'proved' || knowledge.socket !== socket) return false;
    const restMs = isRefusal ? LOCAL_SOCKET_REFUSED_MS : LOCAL_SOCKET_RETRY_MS;
    this.knowledge = knowledge.confirmed ? UNKNOWN : { kind: 'unused', until: now + restMs };
    return !knowledge.confirmed;
  }

  /** Whether this is to be told to operators, who have not been told it just before. */
  isNews(what: string): boolean {
    const isNews = what !== this.told;
    this.told = what;
    return isNews;
  }
}

/** All ways, by database, user and address: pools that differ in startup parameters alone share what is known. */
export class LocalSockets {
  private readonly ways = new Map<string, LocalWay>();

  /** @param database its name on the server */
  wayTo(database: string, user: string, { host, port, name }: TcpAddress): LocalWay {
    const key = JSON.stringify([database, user, host, port, name]);
    let way = this.ways.get(key);
    if (way === undefined) {
      if (this.ways.size >= LOCAL_SOCKETS_MAX) this.ways.clear();
      way = new LocalWay();
      this.ways.set(key, way);
    }
    return way;
  }

  /** Everything is found out anew: an operator may have changed something. */
  forget(): void {
    this.ways.clear();
  }
}
