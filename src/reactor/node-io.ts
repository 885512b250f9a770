/**
 * The `Io` interface over node:net: for systems other than Linux, and machines without a compiler or a built addon.
 * Correctness first: received chunks are copied into this driver's memory, and sent ranges out of it.
 */
import { randomFillSync } from 'node:crypto';
import net from 'node:net';
import { performance } from 'node:perf_hooks';

import type { ConnectionId, IoEvents, KeyRequest, Report, ServerAddress } from '../core/io.js';
import {
  type Driver,
  HIGH_WATER_BYTES,
  LISTEN_BACKLOG,
  type Listener,
  LOW_WATER_BYTES,
  type LoopHooks,
} from './driver.js';
import { listenOnSocketFile, listenOnTcp } from './node-listen.js';
import { type SlowWork, unresolvedHostMessage } from './slow-work.js';
import { shortMessage } from './system-errors.js';

/** libuv reads at most this much at once; longer chunks are delivered in pieces. */
const MEMORY_BYTES = 64 * 1024;

/** How long a finished connection waits for its peer to close. */
const LINGER_MS_MAX = 1000;

interface Connection {
  readonly socket: net.Socket;
  /** `send` said congested, and a `drained` is owed. */
  congested: boolean;
  /** After finish or reset: nothing but `closed` is delivered. */
  silenced: boolean;
  /** Writes of one turn are held back and go out together. */
  corked: boolean;
  error: string | null;
}

export class NodeIo implements Driver {
  readonly memory = new Uint8Array(MEMORY_BYTES);

  readonly #work: SlowWork;
  readonly #connections: (Connection | undefined)[] = [];
  readonly #freeIds: ConnectionId[] = [];
  readonly #servers: net.Server[] = [];
  #core: IoEvents | null = null;
  #hooks: LoopHooks | null = null;
  #stopped: () => void = () => {};
  #turn: NodeJS.Immediate | null = null;
  #timer: NodeJS.Timeout | undefined;

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
    const entry = this.#connections[connection];
    if (end <= start || entry === undefined || entry.silenced || entry.socket.destroyed) return false;
    if (!entry.corked) {
      entry.corked = true;
      entry.socket.cork();
      process.nextTick(() => {
        entry.corked = false;
        entry.socket.uncork();
      });
    }
    // A new Uint8Array: slice() of a Buffer would not copy.
    const copy = new Uint8Array(bytes.subarray(start, end));
    entry.socket.write(copy, () => this.#written(connection, entry));
    const isCongested = entry.socket.writableLength > HIGH_WATER_BYTES;
    if (isCongested) entry.congested = true;
    return isCongested;
  }

  pauseReading(connection: ConnectionId): void {
    const entry = this.#connections[connection];
    if (!entry?.silenced) entry?.socket.pause();
  }

  resumeReading(connection: ConnectionId): void {
    this.#connections[connection]?.socket.resume();
  }

  connect(address: ServerAddress): ConnectionId {
    const target = 'socketPath' in address ? { path: address.socketPath } : address;
    const socket = net.connect({ ...target, allowHalfOpen: true, noDelay: true, keepAlive: true });
    const connection = this.#adopt(socket);
    const entry = this.#connections[connection]!;
    socket.once('connect', () => {
      if (!entry.silenced) this.#deliver((core) => core.connected(connection));
    });
    return connection;
  }

  finish(connection: ConnectionId): void {
    const entry = this.#connections[connection];
    if (entry === undefined || entry.silenced) return;
    entry.silenced = true;
    const { socket } = entry;
    if (socket.connecting) socket.destroy();
    else if (socket.readableEnded) socket.destroySoon();
    if (socket.connecting || socket.readableEnded) return;
    // Closing with unread bytes would send a reset, which can overtake our last message: the peer closes first.
    socket.resume();
    socket.end(() => {
      const limit = setTimeout(() => socket.destroy(), LINGER_MS_MAX);
      socket.once('close', () => clearTimeout(limit));
    });
    socket.once('end', () => socket.destroySoon());
  }

  reset(connection: ConnectionId): void {
    const entry = this.#connections[connection];
    if (entry === undefined) return;
    entry.silenced = true;
    entry.socket.destroy();
  }

  peerAddress(connection: ConnectionId): string {
    const socket = this.#connections[connection]?.socket;
    if (socket === undefined) return '';
    const { remoteAddress: ip, remotePort: port } = socket;
    if (ip === undefined || ip === '') return 'unix';
    const plain = ip.startsWith('::ffff:') ? ip.slice(7) : ip;
    return plain.includes(':') ? `[${plain}]:${port}` : `${plain}:${port}`;
  }

  deriveKey(request: KeyRequest): void {
    this.#work.deriveKey(request);
  }

  report(report: Report): void {
    this.#work.report(report);
    this.#scheduleTurn();
  }

  // ---- Driver ----

  async listen(listener: Listener): Promise<number> {
    const server = net.createServer({
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      pauseOnConnect: true,
    });
    server.on('connection', (socket) => {
      const connection = this.#adopt(socket);
      this.#deliver((core) => core.accepted(connection, listener.index));
      if (this.#connections[connection]?.socket === socket && !socket.destroyed) socket.resume();
    });
    this.#servers.push(server);
    const { backlog = LISTEN_BACKLOG } = listener;
    if ('socketPath' in listener) {
      await listenOnSocketFile(server, listener.socketPath, listener.mode, backlog);
    } else {
      await listenOnTcp(server, listener.ip, listener.port, backlog);
    }
    const address = server.address();
    return address !== null && typeof address === 'object' ? address.port : 0;
  }

  closeListeners(): void {
    for (const server of this.#servers) server.close();
  }

  /** Names are resolved by node:net itself. */
  hostResolved(): void {}

  run(core: IoEvents, hooks: LoopHooks): Promise<void> {
    this.#core = core;
    this.#hooks = hooks;
    this.#scheduleTurn();
    return new Promise((resolve) => {
      this.#stopped = resolve;
    });
  }

  destroy(): void {
    this.closeListeners();
    for (const entry of this.#connections) entry?.socket.destroy();
    clearTimeout(this.#timer);
  }

  // ---- details ----

  #adopt(socket: net.Socket): ConnectionId {
    const connection = this.#freeIds.pop() ?? this.#connections.length;
    const entry: Connection = { socket, congested: false, silenced: false, corked: false, error: null };
    this.#connections[connection] = entry;
    socket.on('data', (chunk) => this.#received(connection, entry, chunk));
    socket.on('end', () => {
      if (!entry.silenced) this.#deliver((core) => core.ended(connection));
    });
    socket.on('error', (error: NodeJS.ErrnoException & { hostname?: string }) => {
      entry.error =
        error.syscall === 'getaddrinfo' && error.hostname
          ? unresolvedHostMessage(error.hostname, shortMessage(error))
          : shortMessage(error);
    });
    socket.on('close', () => {
      this.#deliver((core) => core.closed(connection, entry.silenced ? null : entry.error));
      this.#connections[connection] = undefined;
      this.#freeIds.push(connection);
    });
    return connection;
  }

  #received(connection: ConnectionId, entry: Connection, chunk: Buffer): void {
    for (let from = 0; from < chunk.length && !entry.silenced; from += MEMORY_BYTES) {
      const piece = chunk.subarray(from, from + MEMORY_BYTES);
      this.memory.set(piece);
      this.#deliver((core) => core.received(connection, 0, piece.length));
    }
  }

  #written(connection: ConnectionId, entry: Connection): void {
    if (!entry.congested || entry.silenced || entry.socket.writableLength >= LOW_WATER_BYTES) return;
    entry.congested = false;
    this.#deliver((core) => core.drained(connection));
  }

  #deliver(event: (core: IoEvents) => void): void {
    if (this.#core !== null) event(this.#core);
    this.#scheduleTurn();
  }

  #scheduleTurn(): void {
    this.#turn ??= setImmediate(() => this.#endTurn());
  }

  /** After the events of a turn: runs what is due, and comes back when the core wants to be called again. */
  #endTurn(): void {
    this.#turn = null;
    if (this.#core === null || this.#hooks === null) return;
    const delay = this.#core.advance();
    clearTimeout(this.#timer);
    if (this.#hooks.keepRunning()) this.#timer = setTimeout(() => this.#endTurn(), delay);
    else this.#stopped();
  }
}
