/**
 * The one interface through which the core touches the outside world.
 *
 * The core (sessions, server connections, pools) is synchronous and does no I/O: a driver calls
 * {@link IoEvents}, and the core answers by calling {@link Io}. Drivers: io_uring and epoll through the native
 * addon, `node:net`, and the simulator. Everything happens on one thread, inside one call of an event.
 */
import type { AuthorityAnswer, AuthorityQuestion } from './authority.js';
import type { ConsoleAnswer, ConsoleQuestion } from './console.js';

/**
 * A connection as its driver knows it: a small non-negative integer, usable as an array index. It may be given
 * to another connection only after {@link IoEvents.closed} was delivered for it.
 */
export type ConnectionId = number;

/** Where a PostgreSQL server listens. */
export type ServerAddress = TcpAddress | SocketAddress;

export interface TcpAddress {
  readonly host: string;
  readonly port: number;
  /** What the host was called before its address was looked up; TLS checks it. */
  readonly name?: string;
}

export interface SocketAddress {
  /** The socket file itself, e.g. `/run/postgresql/.s.PGSQL.5432`. */
  readonly socketPath: string;
  /** Set where the gateway takes the socket by itself, instead of the address that is configured. */
  readonly shortcut?: Shortcut;
}

/** What must hold of a unix socket that is taken instead of a TCP address, as a login over TCP has shown it. */
export interface Shortcut {
  readonly insteadOf: TcpAddress;
  /** Whose process must be at its other end, before anything is sent. */
  readonly ownerUid: number;
  /** Code of the server's first AuthenticationXXX message: what kind of password it asks for, if any. */
  readonly authentication: number;
  /** Tells the server from all others, and from itself before a restart. */
  readonly server: string;
}

/** Work that is too slow for a reactor: PBKDF2 of a password (RFC 5802, `SaltedPassword`). */
export interface KeyRequest {
  /** Chosen by the core; comes back with {@link IoEvents.keyDerived}. */
  readonly id: number;
  readonly password: string;
  readonly salt: Uint8Array;
  readonly iterations: number;
}

/** Something an operator may want to know. Secrets never appear in it. */
export interface Report {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** One sentence, without a full stop. */
  readonly message: string;
  /** Facts that belong to it, e.g. `{ database: 'app', user: 'alice' }`. */
  readonly facts?: Readonly<Record<string, string | number | boolean>>;
  /** The connection that it is about; lines of PgBouncer's log begin with it. */
  readonly subject?: ReportSubject;
  /** Non-null: it belongs to the history of a database's nodes, as what (`SHOW EVENTS`). */
  readonly event?: NodeEvent;
}

/** What the gateway sees happen to a cluster and does about it. */
export type NodeEvent = 'role' | 'epoch' | 'store' | 'hold' | 'release' | 'cut' | 'refused' | 'nodes';

/** A connection in a log line, as PgBouncer writes it: `C-0x1a: app/alice@10.0.0.7:51234`. */
export interface ReportSubject {
  readonly side: 'client' | 'server';
  /** Unique among the connections of the process for its life. */
  readonly id: number;
  /** Null before it is known. */
  readonly database: string | null;
  readonly user: string | null;
  /** `10.0.0.7:51234`, or `unix:6432`. */
  readonly address: string;
}

/**
 * Which end of the gateway TLS is spoken at: towards clients (we are TLS's server, by the `client_tls_*` settings) or
 * towards servers (we are TLS's client, by `server_tls_*`). The driver holds one configuration for each.
 */
export type TlsSide = 'client' | 'server';

/** What a TLS handshake has settled. */
export interface TlsFacts {
  /** Protocol and cipher as PgBouncer shows them: `TLSv1.3/TLS_AES_256_GCM_SHA384`. */
  readonly description: string;
  /** The application protocol that both agreed on (ALPN), e.g. `postgresql`; null: none. */
  readonly applicationProtocol: string | null;
  /** The peer's certificate, **verified** against the CA; null: it has shown none, or it was not verified. */
  readonly peer: TlsPeer | null;
  /**
   * Hash of the server's certificate of this connection (ours towards a client, the server's towards a server) for
   * SCRAM's channel binding `tls-server-end-point` (RFC 5929); null where the certificate's signature defines no hash.
   */
  readonly serverEndPoint: Uint8Array | null;
}

/** A verified certificate. */
export interface TlsPeer {
  /** Its subject's last common name; null: none. */
  readonly commonName: string | null;
  /** DNS names and IP addresses among its subject alternative names. */
  readonly alternativeNames: readonly string[];
}

/** The process at the other end of a unix socket, as the kernel knows it (SO_PEERCRED). */
export interface PeerCredentials {
  readonly uid: number;
  readonly pid: number;
}

/** What the core asks of its driver. No call throws, and no call delivers an event before it returns. */
export interface Io {
  /** The memory that the ranges of {@link IoEvents.received} refer to. The same object for the driver's life. */
  readonly memory: Uint8Array;

  /** Monotonic time in ms, as of the event being handled. */
  now(): number;

  /** Fills a new array with cryptographically strong random bytes (the simulator: seeded ones). */
  randomBytes(length: number): Uint8Array;

  /**
   * Queues `bytes[start, end)` for sending, behind what is queued already. Where `bytes` is {@link memory} and the
   * range lies in the range of the `received` event being handled, nothing is copied; otherwise the bytes are
   * copied before the call returns. Returns true when more than the driver's high-water mark is now unsent
   * ("congested"): the caller should stop reading from the source, and will get one {@link IoEvents.drained}.
   */
  send(connection: ConnectionId, bytes: Uint8Array, start: number, end: number): boolean;

  /** Stops delivering `received`; a few chunks that are under way may still come. Idempotent. */
  pauseReading(connection: ConnectionId): void;
  resumeReading(connection: ConnectionId): void;

  /** Begins to connect; answers with `connected`, or with `closed` and a reason. */
  connect(address: ServerAddress): ConnectionId;

  /** Closes once all queued output is sent (or the peer is gone). No event but `closed` follows. */
  finish(connection: ConnectionId): void;

  /** Drops queued output and closes at once. No event but `closed` follows. */
  reset(connection: ConnectionId): void;

  /**
   * Begins the TLS handshake of an established connection: behind what was queued for sending, and with what the peer
   * sends from now on. Answers with `secured`, after which `received` and `send` mean the bytes inside TLS, or with
   * `closed` and the reason. What is sent before `secured` is dropped. `memory[start, end)` lies in the range of the
   * `received` event being handled, and is the handshake's beginning where the peer didn't wait (direct TLS).
   * @param serverName the host that was dialled: SNI, and checked by `verify-full`; null on the client's side
   */
  startTls(
    connection: ConnectionId,
    side: TlsSide,
    serverName: string | null,
    start: number,
    end: number,
  ): void;

  /** Who is at the other end of a unix socket; null for TCP, and where the driver can't know (`node`). */
  peerCredentials(connection: ConnectionId): PeerCredentials | null;

  /** The peer's address for logs: `10.0.0.7:51234`, or `unix`. */
  peerAddress(connection: ConnectionId): string;

  /** The address of our own end, in the same form. */
  localAddress(connection: ConnectionId): string;

  /** Derives a key elsewhere; answers with {@link IoEvents.keyDerived}. */
  deriveKey(request: KeyRequest): void;

  /** Asks who a client is; answers with {@link IoEvents.authorityAnswered}, which carries the same `id`. */
  askAuthority(id: number, question: AuthorityQuestion): void;

  /** Hands a statement of the admin console over; answers with {@link IoEvents.consoleAnswered}. */
  askConsole(question: ConsoleQuestion): void;

  report(report: Report): void;
}

/** What a driver tells the core. The core answers synchronously and throws only if it is broken. */
export interface IoEvents {
  /** A client connected to the listener with this index in the list of listen addresses. */
  accepted(connection: ConnectionId, listener: number): void;

  /** A connection begun with {@link Io.connect} is established. */
  connected(connection: ConnectionId): void;

  /** The handshake begun with {@link Io.startTls} is over. */
  secured(connection: ConnectionId, facts: TlsFacts): void;

  /** `memory[start, end)` arrived. The range is valid during the call alone (sends made in it are kept alive). */
  received(connection: ConnectionId, start: number, end: number): void;

  /** The peer will send no more, but may still read (TCP half-close). At most once, after all its bytes. */
  ended(connection: ConnectionId): void;

  /** A connection for which `send` returned true has less than the low-water mark unsent again. */
  drained(connection: ConnectionId): void;

  /**
   * The connection is gone, for whatever reason; exactly once for each accepted or connecting connection.
   * `error` is a short system message (`connection refused`, `connection reset by peer`), or null for an orderly end
   * (after {@link Io.finish} or {@link Io.reset}).
   */
  closed(connection: ConnectionId, error: string | null): void;

  /** Answer to {@link Io.askConsole}. */
  consoleAnswered(id: number, answer: ConsoleAnswer): void;

  /** Answer to {@link Io.askAuthority}. */
  authorityAnswered(id: number, answer: AuthorityAnswer): void;

  /** Answer to {@link Io.deriveKey}; null when it failed. */
  keyDerived(id: number, key: Uint8Array | null): void;

  /**
   * Runs everything that is due, and returns the delay in ms until it wants to be called again (at most 1000).
   * Drivers call it before they would sleep longer than that.
   */
  advance(): number;
}
