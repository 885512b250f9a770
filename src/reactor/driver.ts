import type { SocketSettings } from '../config/socket-settings.js';
import type { TlsConfiguration } from '../config/tls.js';
import type { Io, IoEvents } from '../core/io.js';
import type { ResolvedHost } from './slow-work.js';

/** The drivers, fastest first. */
export type DriverName = 'uring' | 'epoll' | 'node';

interface AnyListener {
  /** What `IoEvents.accepted` tells. */
  readonly index: number;
  /** How many clients may wait to be accepted; the kernel lowers it to net.core.somaxconn. */
  readonly backlog?: number;
}

/** A place to listen, without host names. */
export type Listener =
  /** `reusePort`: other processes may listen there, too (SO_REUSEPORT). */
  | (AnyListener & { readonly ip: string; readonly port: number; readonly reusePort?: boolean })
  /** `mode`: permission bits of the socket file; null leaves them to the umask. */
  | (AnyListener & { readonly socketPath: string; readonly mode: number | null })
  | (AnyListener & InheritedListener);

/** A listening socket that another process has opened. */
export interface InheritedListener {
  /** The driver's own from now on. */
  readonly descriptor: number;
  /** Its file; null: TCP. */
  readonly socketPath: string | null;
  /** True: others go on with the socket when this process closes it (socket activation), and its file stays. */
  readonly shared: boolean;
}

/** Which listeners are closed, and how. */
export type ListenersEnd = 'all' | 'handedOver' | 'tcp';

/** What {@link Driver.listen} has opened. */
export interface OpenListener {
  /** 0 for a socket file. */
  readonly port: number;
  /** Open until {@link Driver.closeListeners}; -1 where Node.js hides it. */
  readonly descriptor: number;
}

/** What the worker does between the turns of a driver's loop. */
export interface LoopHooks {
  /** Another thread has something to say. */
  woken(): void;
  /** Called once per turn; false ends the loop. */
  keepRunning(): boolean;
}

/** An `Io` with its loop. One per thread. */
export interface Driver extends Io {
  /**
   * Opens a listening socket. A socket file on which nobody listens any more is replaced.
   * @throws {SystemError}
   */
  listen(listener: Listener): Promise<OpenListener>;
  /** For TCP connections that are accepted or made from now on. What the driver can't do, it reports. */
  configureSockets(settings: SocketSettings): void;
  /**
   * Replaces what connections that begin TLS from now on use; those that speak it already keep theirs.
   * @throws when OpenSSL refuses it, or when this driver has no TLS; what was there before stays
   */
  configureTls(configuration: TlsConfiguration): void;
  /**
   * Stops accepting, and removes socket files. `handedOver`: other processes go on with both. `tcp`: unix sockets stay
   * open. @default 'all'
   */
  closeListeners(which?: ListenersEnd): void;
  /** The answer to `SlowWork.resolveHost`. */
  hostResolved(id: number, answer: ResolvedHost): void;
  /** Delivers events until the hooks say stop. May block the thread meanwhile. */
  run(core: IoEvents, hooks: LoopHooks): Promise<void>;
  /** Closes everything that is left. */
  destroy(): void;
}

/** Unsent bytes above which a connection is congested, and below which it is drained again. */
export const HIGH_WATER_BYTES = 256 * 1024;
/** Below so many unsent bytes a congested connection is drained again. */
export const LOW_WATER_BYTES = 64 * 1024;

/** A listener's `backlog` where it is not said. */
export const LISTEN_BACKLOG = 4096;
