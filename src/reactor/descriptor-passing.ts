/**
 * Handing open descriptors (listening sockets) to another process of this machine, over a unix socket: unix(7),
 * SCM_RIGHTS. For the main thread; both sides need the native addon, whatever driver they use.
 *
 * The process that has them listens on a socket file of its own (mode 0600: who can connect gets the port) and answers
 * each connection with {@link sendDescriptors}; the other one calls {@link receiveDescriptors}. Over the same connection
 * they may then talk as they like: that the new one listens, that the old one has stopped.
 */
import { closeSync } from 'node:fs';
import net from 'node:net';
import type { ListenAddress } from '../config/listen-address.js';
import { loadAddon } from './load-addon.js';
import type { NativeAddon } from './native-addon.js';
import { SystemError, systemError } from './system-errors.js';

/** Bytes of the text that goes with descriptors. */
const MESSAGE_BYTES_MAX = 8000;

/** What {@link receiveDescriptors} has got. */
export interface ReceivedDescriptors {
  /** The connection over which they came. */
  readonly connection: net.Socket;
  /** Owned by the caller from now on; not inherited by programs that are started. */
  readonly descriptors: readonly number[];
  /** The text that went with them. */
  readonly message: string;
}

/**
 * Sends descriptors (at most 64) and a text (at most 8000 bytes of UTF-8) at once. They stay open here.
 * @param connection of a unix socket, on which nothing has been written yet
 * @throws {SystemError}
 */
export function sendDescriptors(
  connection: net.Socket,
  descriptors: readonly number[],
  message: string,
): void {
  if (Buffer.byteLength(message) > MESSAGE_BYTES_MAX) throw new SystemError('EMSGSIZE', 'message too long');
  const socket = descriptorOf(connection);
  if (socket < 0) throw new SystemError('ENOTCONN', 'socket is not connected');
  check(addon().sendDescriptors(socket, descriptors, message));
}

/**
 * Connects to a unix socket and takes what {@link sendDescriptors} sends there. Blocks the thread until it comes: for
 * a process that starts and has nothing else to do.
 * @throws {SystemError} e.g. `ECONNREFUSED`, `ETIMEDOUT`, `ECONNRESET` (it was closed without an answer)
 */
export function receiveDescriptors(path: string, timeoutMs: number): ReceivedDescriptors {
  const answer = addon().receiveDescriptors(path, timeoutMs);
  if (typeof answer === 'number') throw systemError(-answer);
  const [socket, message, ...descriptors] = answer;
  try {
    return {
      connection: new net.Socket({ fd: socket, readable: true, writable: true }),
      descriptors,
      message,
    };
  } catch (error) {
    for (const descriptor of [socket, ...descriptors]) closeSync(descriptor);
    throw error;
  }
}

/**
 * Where a descriptor listens: what to compare with the configuration before it is given to
 * `ReactorOptions.listen`. Null: it is no listening socket with an address.
 * @throws {SystemError} without the addon
 */
export function listeningAddress(descriptor: number): ListenAddress | null {
  return parsePlace(addon().listeningPlace(descriptor));
}

/** {@link NativeAddon.listeningPlace} as an address. */
export function parsePlace(place: string | null): ListenAddress | null {
  if (place === null) return null;
  if (place.startsWith('/')) return { socketPath: place };
  const colon = place.lastIndexOf(':');
  return { host: place.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(place.slice(colon + 1)) };
}

/** The descriptor below a socket or server of node:net; -1 where there is none, or where Node.js hides it. */
export function descriptorOf(handle: net.Socket | net.Server): number {
  return (handle as unknown as { _handle: { fd?: number } | null })._handle?.fd ?? -1;
}

/** @throws {SystemError} where the addon is missing */
function addon(): NativeAddon {
  const loaded = loadAddon();
  if ('reason' in loaded) throw new SystemError('ENOSYS', `descriptors can't be passed: ${loaded.reason}`);
  return loaded.addon;
}

function check(result: number): void {
  if (result < 0) throw systemError(-result);
}
