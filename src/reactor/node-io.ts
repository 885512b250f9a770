/**
 * The `Io` interface over `node:net`: for systems without the native addon. Correct first; it copies what it receives
 * and sends, and costs about three times the CPU of the native drivers.
 */
import { randomFillSync } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { ConnectionId, Io, IoEvents, KeyRequest, Report, ServerAddress } from '../core/io.js';
import type { ListenAddress } from './listen.js';
import type { ListenFailure } from './messages.js';
import type { SlowWork } from './slow-work.js';
import { removeStaleSocket } from './stale-socket.js';
import { systemErrorMessage } from './system-errors.js';

/** Where a received chunk lies while it is handled. Node reads at most 64 KiB at once. */
const CHUNK_BYTES_MAX = 64 * 1024;
const HIGH_WATER_BYTES = 256 * 1024;
const LISTEN_BACKLOG = 1024;

interface Endpoint {
  readonly socket: Socket;
  /** After finish or reset: nothing but `closed` is delivered. */
  silenced: boolean;
  congested: boolean;
  corked: boolean;
  error: string | null;
}

export class NodeIo implements Io {
  readonly memory = new Uint8Array(CHUNK_BYTES_MAX);
  readonly #work: SlowWork;
  readonly #endpoints: (Endpoint | undefined)[] = [];
  readonly #free: ConnectionId[] = [];
  readonly #servers: Server[] = [];
  /** Endpoints with output that is sent together at the end of this turn of the event loop. */
  #corked: Endpoint[] = [];
  #core: IoEvents | null = null;
  #timer: NodeJS.Timeout | null = null;
  #keepRunning: () => boolean = () => true;

  constructor(work: SlowWork) {
    this.#work = work;
  }

  // ---- Io ----

  now(): number {
    return performance.now();
  }

  randomBytes(length: number): Uint8Array {
    return randomFillSync(new Uint8Array(length));
  }

  send(connection: ConnectionId, bytes: Uint8Array, start: number, end: number): boolean {
    const endpoint = this.#endpoints[connection];
    if (endpoint === undefined || endpoint.silenced || end <= start) return false;
    if (!endpoint.corked) this.#cork(endpoint);
    endpoint.socket.write(Buffer.from(bytes.subarray(start, end)));
    if (endpoint.socket.writableLength <= HIGH_WATER_BYTES) return false;
    endpoint.congested = true;
    return true;
  }

  pauseReading(connection: ConnectionId): void {
    this.#endpoints[connection]?.socket.pause();
  }

  resumeReading(connection: ConnectionId): void {
    this.#endpoints[connection]?.socket.resume();
  }

  connect(address: ServerAddress): ConnectionId {
    const socket = connect(
      'socketPath' in address
        ? { path: address.socketPath, allowHalfOpen: true }
        : { host: address.host, port: address.port, noDelay: true, allowHalfOpen: true },
    );
    const connection = this.#add(socket);
    socket.once('connect', () => {
      if (this.#endpoints[connection]?.silenced === false) this.#core?.connected(connection);
    });
    return connection;
  }

  finish(connection: ConnectionId): void {
    const endpoint = this.#endpoints[connection];
    if (endpoint === undefined || endpoint.silenced) return;
    endpoint.silenced = true;
    if (endpoint.socket.connecting) endpoint.socket.destroy();
    else endpoint.socket.destroySoon();
    // What still comes is read away: unread bytes would turn the close into a reset, and lose what was sent last.
    endpoint.socket.resume();
  }

  reset(connection: ConnectionId): void {
    const endpoint = this.#endpoints[connection];
    if (endpoint === undefined) return;
    endpoint.silenced = true;
    endpoint.socket.destroy();
  }

  peerAddress(connection: ConnectionId): string {
    const socket = this.#endpoints[connection]?.socket;
    return socket?.remoteAddress === undefined ? 'unix' : `${socket.remoteAddress}:${socket.remotePort}`;
  }

  deriveKey(request: KeyRequest): void {
    this.#work.deriveKey(request);
  }

  report(report: Report): void {
    this.#work.report(report);
  }

  // ---- the loop ----

  /** Listens; the addresses with their actual ports, or the first failure (and nothing listens then). */
  async listen(
    addresses: readonly ListenAddress[],
    core: IoEvents,
  ): Promise<{ addresses: ListenAddress[] } | ListenFailure> {
    this.#core = core;
    const actual: ListenAddress[] = [];
    for (const [index, address] of addresses.entries()) {
      const result = await this.#listenOn(address, index);
      if ('code' in result) {
        this.stopListening();
        return result;
      }
      actual.push(result);
    }
    return { addresses: actual };
  }

  stopListening(): void {
    for (const server of this.#servers) server.close();
  }

  /** Keeps the core's time until `keepRunning` says no. */
  run(core: IoEvents, keepRunning: () => boolean): void {
    this.#core = core;
    this.#keepRunning = keepRunning;
    this.#tick();
  }

  /** Names are resolved by `node:net` itself. */
  hostResolved(): void {}

  #tick(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#core === null) return;
    const delay = this.#core.advance();
    if (this.#keepRunning()) this.#timer = setTimeout(() => this.#tick(), Math.min(delay, 100));
  }

  async #listenOn(address: ListenAddress, index: number): Promise<ListenAddress | ListenFailure> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#core?.accepted(this.#add(socket), index);
    });
    if ('socketPath' in address) await removeStaleSocket(address.socketPath);
    return new Promise((resolve) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        const message = error.errno === undefined ? error.message : systemErrorMessage(-error.errno);
        resolve({ code: error.code ?? 'EUNKNOWN', message, address });
      });
      server.listen({ ...where(address), backlog: LISTEN_BACKLOG }, () => {
        this.#servers.push(server);
        if ('socketPath' in address && address.mode !== undefined)
          chmodSync(address.socketPath, address.mode);
        const bound = server.address();
        const isTcp = bound !== null && typeof bound === 'object' && !('socketPath' in address);
        resolve(isTcp ? { host: address.host, port: bound.port } : address);
      });
    });
  }

  #add(socket: Socket): ConnectionId {
    const connection = this.#free.pop() ?? this.#endpoints.length;
    const endpoint: Endpoint = { socket, silenced: false, congested: false, corked: false, error: null };
    this.#endpoints[connection] = endpoint;
    socket.on('data', (chunk: Buffer) => this.#received(connection, endpoint, chunk));
    socket.on('end', () => {
      if (!endpoint.silenced) this.#core?.ended(connection);
    });
    socket.on('drain', () => {
      if (!endpoint.congested) return;
      endpoint.congested = false;
      if (!endpoint.silenced) this.#core?.drained(connection);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      endpoint.error = error.errno === undefined ? error.message : systemErrorMessage(-error.errno);
    });
    socket.once('close', () => {
      this.#endpoints[connection] = undefined;
      this.#core?.closed(connection, endpoint.silenced ? null : (endpoint.error ?? 'connection closed'));
      // Only now may the number name another connection.
      this.#free.push(connection);
    });
    return connection;
  }

  #received(connection: ConnectionId, endpoint: Endpoint, chunk: Buffer): void {
    for (let from = 0; from < chunk.length && !endpoint.silenced; from += CHUNK_BYTES_MAX) {
      const length = Math.min(CHUNK_BYTES_MAX, chunk.length - from);
      this.memory.set(chunk.subarray(from, from + length));
      this.#core?.received(connection, 0, length);
    }
  }

  #cork(endpoint: Endpoint): void {
    endpoint.corked = true;
    endpoint.socket.cork();
    if (this.#corked.push(endpoint) > 1) return;
    setImmediate(() => {
      const corked = this.#corked;
      this.#corked = [];
      for (const each of corked) {
        each.corked = false;
        each.socket.uncork();
      }
    });
  }
}

function where(address: ListenAddress): { path: string } | { host: string; port: number } {
  return 'socketPath' in address ? { path: address.socketPath } : { host: address.host, port: address.port };
}
