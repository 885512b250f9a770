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
} as const);

/** Commands other than "send this range": they stand where a send has its (non-negative) offset. */
export const COMMAND = Object.freeze({ finish: -1, reset: -2, pause: -3, resume: -4 } as const);

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
  /** Returns the port. */
  listenTcp(index: number, ip: string, port: number, backlog: number): number;
  /** `mode` -1 leaves the file's mode to the umask. */
  listenUnix(index: number, path: string, mode: number, backlog: number): number;
  closeListeners(): void;
  peerAddress(connection: number): string;
  destroy(): void;
}

export interface NativeAddon {
  create(driver: NativeDriverName, options: NativeOptions): NativeReactor;
  /** Null when the kernel has what the driver needs, otherwise why not. */
  probe(driver: NativeDriverName): string | null;
  /** An eventfd, owned by the caller. */
  createWakeDescriptor(): number;
}
