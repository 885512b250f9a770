/** What the C addon (native/) offers, and the numbers that both sides must agree on (native/reactor.h). */

/** Kinds of events: four int32 each: kind, connection, and two values. */
export const EVENT = Object.freeze({
  /** Value: the listener's index. */
  accepted: 1,
  connected: 2,
  /** Values: offset and length in the arena. */
  received: 3,
  ended: 4,
  drained: 5,
  /** Value: errno, or 0. */
  closed: 6,
  woken: 7,
  /** The connection field holds the listener's index; value: errno. */
  acceptPaused: 8,
  /** Value: bytes that were unsent. A `closed` follows. */
  evicted: 9,
  /** A TLS handshake is over. */
  secured: 10,
} as const);

/** Commands other than "send this range": they stand where a send has its (non-negative) offset. */
export const COMMAND = Object.freeze({ finish: -1, reset: -2, pause: -3, resume: -4 } as const);

/** Which listeners are closed, and how (`Driver.closeListeners`). */
export const LISTENERS_END = Object.freeze({ all: 0, handedOver: 1, tcp: 2 } as const);

export type NativeDriverName = 'uring' | 'epoll';

export interface NativeOptions {
  /** Address space for buffers; at most 1 GiB. Only touched pages cost memory. */
  readonly arenaBytes: number;
  readonly maxConnections: number;
  /** Above so many unsent bytes a connection is congested, below so many it is drained again. */
  readonly highWaterBytes: number;
  readonly lowWaterBytes: number;
  /** From {@link NativeAddon.createWakeDescriptor}; writing a non-zero 8-byte number to it wakes the reactor. */
  readonly wakeDescriptor: number;
}

/** What a TLS context is made of; texts are PEM or OpenSSL's words, empty where there is nothing. */
export interface NativeTlsOptions {
  /** 1: for connections that are accepted, 0: for those that we make. */
  readonly accepts: 0 | 1;
  readonly certificate: string;
  readonly key: string;
  readonly authorities: string;
  /** 0: not at all, 1: a certificate that is shown must be good, 2: one must be shown. */
  readonly verify: 0 | 1 | 2;
  /** As on the wire: 0x0303 is TLS 1.2. */
  readonly minVersion: number;
  readonly maxVersion: number;
  readonly versionOptions: number;
  readonly ciphers: string;
  readonly cipherSuites: string;
  readonly curves: string;
  /** Required of a peer that negotiates one (ALPN). */
  readonly applicationProtocol: string;
}

/** One reactor. Functions that return a number return a negative errno where they fail. */
export interface NativeReactor {
  readonly memory: ArrayBuffer;
  /** Shared by both sides: clock (one float64, 64 bytes reserved), commands, events, pending bytes per connection. */
  readonly control: ArrayBuffer;
  readonly commandCapacity: number;
  readonly eventCapacity: number;
  readonly bufferBytes: number;
  /** Takes the queued commands, waits at most so long for events, and returns their number. */
  wait(commandCount: number, timeoutMs: number): number;
  /** Takes the queued commands only, because there is no room for more. */
  flush(commandCount: number): void;
  /** The offset of an empty buffer to copy outgoing bytes into, or -1 when the arena is exhausted. */
  takeStaging(): number;
  /** A connection without an address yet, or -1 when the table is full. */
  reserve(): number;
  /** Connects a reserved connection (or again one whose `closed` is being read); port -1: `host` is a socket file. */
  dial(connection: number, host: string, port: number): number;
  /** Returns the descriptor. */
  listenTcp(index: number, ip: string, port: number, backlog: number, reusePort: 0 | 1): number;
  /** `mode` -1 leaves the file's mode to the umask. Returns the descriptor. */
  listenUnix(index: number, path: string, mode: number, backlog: number): number;
  /** Takes a listening descriptor over; `path`: its file, or empty. `shared`: both are left to others at the end. */
  listenInherited(index: number, descriptor: number, backlog: number, shared: 0 | 1, path: string): number;
  /** One of {@link LISTENERS_END}. */
  closeListeners(which: number): void;
  /** For TCP connections that are made or accepted from now on; -1: as the system has it. */
  tuneSockets(
    keepAlive: number,
    keepIdleSeconds: number,
    keepIntervalSeconds: number,
    keepCount: number,
    userTimeoutMs: number,
    sendBufferBytes: number,
    receiveBufferBytes: number,
    deferAccept: 0 | 1,
  ): void;
  localAddress(connection: number): string;
  peerAddress(connection: number): string;
  /** User and process at the other end of a unix socket. */
  peerCredentials(connection: number): readonly [uid: number, pid: number] | null;
  /** These are missing in an addon that was built without TLS. Throws OpenSSL's reason. */
  tlsContext?(options: NativeTlsOptions): number;
  /** Connections that use it keep it. */
  tlsContextFree?(context: number): void;
  /**
   * Begins a handshake. `at`: offset of the RECEIVED event that is being read; later ones of this connection are taken
   * out of the event array, for the handshake. `offset`, `length`: what belongs to it of that event.
   */
  startTls?(
    connection: number,
    context: number,
    serverName: string,
    at: number,
    offset: number,
    length: number,
  ): number;
  /** After SECURED: protocol, cipher, application protocol, and the peer's certificate in DER. */
  tlsFacts?(connection: number): readonly [string, string, string | null, ArrayBuffer | null];
  /** While CLOSED is being read: why, where OpenSSL has failed. */
  tlsError?(connection: number): string | null;
  destroy(): void;
}

export interface NativeAddon {
  create(driver: NativeDriverName, options: NativeOptions): NativeReactor;
  /** Null when the kernel has what the driver needs, otherwise why not. */
  probe(driver: NativeDriverName): string | null;
  /** False: it was built where OpenSSL's headers are missing, or was loaded by a Node.js with another OpenSSL. */
  readonly hasTls: boolean;
  /** An eventfd, owned by the caller. */
  createWakeDescriptor(): number;
  /** `ip:port`, `[ip]:port` or the path of the socket file; null: the descriptor is no listening socket. */
  listeningPlace(descriptor: number): string | null;
  /** Listens on a socket file, in place of one that nobody listens on; mode -1: as it comes. A descriptor, or a negative errno. */
  bindSocketFile(path: string, mode: number, backlog: number): number;
  /** Over a connected unix socket. 0, or a negative errno. */
  sendDescriptors(socket: number, descriptors: readonly number[], text: string): number;
  /** Blocks. The connection, the text, and the descriptors; or a negative errno. */
  receiveDescriptors(path: string, timeoutMs: number): number | readonly [number, string, ...number[]];
  /** Sends one datagram to a unix socket; returns 0, or a negative errno. */
  notify(path: string, message: string): number;
}
