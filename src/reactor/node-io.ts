/**
 * The `Io` interface over node:net: for systems other than Linux, and machines without a compiler or a built addon.
 * Correctness first: received chunks are copied into this driver's memory, and sent ranges out of it.
 */
import net from 'node:net';
import { performance } from 'node:perf_hooks';

import { DEFAULT_SOCKETS, type SocketSettings } from '../config/socket-settings.js';
import type { TlsConfiguration } from '../config/tls.js';
import type { AuthorityQuestion } from '../core/authority.js';
import type { ConsoleQuestion } from '../core/console.js';
import type {
  ConnectionId,
  IoEvents,
  KeyRequest,
  PeerCredentials,
  Report,
  ServerAddress,
  TlsSide,
} from '../core/io.js';
import { CopyBuffers } from './copy-buffers.js';
import { descriptorOf } from './descriptor-passing.js';
import {
  type Driver,
  HIGH_WATER_BYTES,
  LISTEN_BACKLOG,
  type Listener,
  type ListenersEnd,
  LOW_WATER_BYTES,
  type LoopHooks,
  type OpenListener,
} from './driver.js';
import {
  closeListener,
  KNOWS_REUSE_PORT,
  listenOnDescriptor,
  listenOnSocketFile,
  listenOnTcp,
  type NodeListener,
} from './node-listen.js';
import {
  acceptTls,
  connectTls,
  handshakeError,
  handshakeFacts,
  type NodeTlsContext,
  nodeTlsContext,
} from './node-tls.js';
import { RandomBytes } from './random-bytes.js';
import { type SlowWork, unresolvedHostMessage } from './slow-work.js';
import { shortMessage } from './system-errors.js';
import { HANDSHAKE_ERROR } from './tls-facts.js';

/** libuv reads at most this much at once; longer chunks are delivered in pieces. */
const MEMORY_BYTES = 64 * 1024;

/** How long a finished connection waits for its peer to close. */
const LINGER_MS_MAX = 1000;

const NO_CONTEXTS = Object.freeze({ client: null, server: null });

interface Connection {
  /** Replaced when TLS begins. */
  socket: net.Socket;
  /** Between `startTls` and `secured`: nothing is sent. */
  handshaking: boolean;
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
  readonly #random = new RandomBytes();
  readonly #copies = new CopyBuffers();
  readonly #connections: (Connection | undefined)[] = [];
  readonly #freeIds: ConnectionId[] = [];
  readonly #listeners: NodeListener[] = [];
  #sockets: SocketSettings = DEFAULT_SOCKETS;
  #tls: { readonly client: NodeTlsContext | null; readonly server: NodeTlsContext | null } = NO_CONTEXTS;
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
    return this.#random.take(length);
  }

  send(connection: ConnectionId, bytes: Uint8Array, start: number, end: number): boolean {
    const entry = this.#connections[connection];
    if (end <= start || entry === undefined || entry.silenced || entry.handshaking) return false;
    if (entry.socket.destroyed) return false;
    if (!entry.corked) {
      const { socket } = entry;
      entry.corked = true;
      socket.cork();
      process.nextTick(() => {
        if (entry.socket === socket) entry.corked = false;
        socket.uncork();
      });
    }
    const length = end - start;
    const copy = this.#copies.take(length);
    copy.set(bytes.subarray(start, end));
    entry.socket.write(copy.length === length ? copy : copy.subarray(0, length), () => {
      this.#copies.giveBack(copy);
      this.#written(connection, entry);
    });
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
    // What these send is read where the core looks for it. Sockets of clients have no such option.
    const onread = { buffer: this.memory, callback: (length: number) => received(length) };
    const socket = net.connect({ ...target, ...this.#socketOptions(), allowHalfOpen: true, onread });
    const connection = this.#adopt(socket);
    const entry = this.#connections[connection]!;
    const received = (length: number): boolean => {
      if (!entry.silenced) this.#deliver((core) => core.received(connection, 0, length));
      return true;
    };
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

  startTls(
    connection: ConnectionId,
    side: TlsSide,
    serverName: string | null,
    start: number,
    end: number,
  ): void {
    const entry = this.#connections[connection];
    if (entry === undefined || entry.silenced) return;
    const raw = entry.socket;
    const context = this.#tls[side];
    if (context === null) {
      entry.error = `${HANDSHAKE_ERROR}TLS is not configured`;
      raw.destroy();
      return;
    }
    for (const event of ['data', 'end', 'error', 'close']) raw.removeAllListeners(event);
    raw.on('error', (error) => {
      entry.error ??= shortMessage(error);
    });
    if (entry.corked) raw.uncork();
    entry.corked = false;
    entry.handshaking = true;
    if (end > start) raw.unshift(Buffer.from(this.memory.subarray(start, end)));
    const isAccepted = side === 'client';
    const socket = isAccepted ? acceptTls(raw, context) : connectTls(raw, context, serverName);
    entry.socket = socket;
    socket.once('secure', () => {
      if (entry.silenced || socket.destroyed) return;
      const facts = handshakeFacts(socket, context, serverName, isAccepted);
      entry.handshaking = false;
      if ('error' in facts) {
        entry.error = facts.error;
        socket.destroy();
      } else {
        this.#deliver((core) => core.secured(connection, facts));
      }
    });
    this.#listenTo(connection, entry);
  }

  peerCredentials(): PeerCredentials | null {
    return null;
  }

  peerAddress(connection: ConnectionId): string {
    const socket = this.#connections[connection]?.socket;
    if (socket === undefined) return '';
    return addressText(socket.remoteAddress, socket.remotePort);
  }

  localAddress(connection: ConnectionId): string {
    const socket = this.#connections[connection]?.socket;
    return socket === undefined ? '' : addressText(socket.localAddress, socket.localPort);
  }

  deriveKey(request: KeyRequest): void {
    this.#work.deriveKey(request);
  }

  askAuthority(id: number, question: AuthorityQuestion): void {
    this.#work.askAuthority(id, question);
  }

  askConsole(question: ConsoleQuestion): void {
    this.#work.askConsole(question);
  }

  report(report: Report): void {
    this.#work.report(report);
    this.#scheduleTurn();
  }

  // ---- Driver ----

  configureTls({ client, server }: TlsConfiguration): void {
    this.#tls = {
      client: client === null ? null : nodeTlsContext(client),
      server: server === null ? null : nodeTlsContext(server),
    };
  }

  configureSockets(settings: SocketSettings): void {
    this.#sockets = settings;
    const impossible = [
      ['tcp_keepintvl', settings.keepIntervalSeconds],
      ['tcp_keepcnt', settings.keepCount],
      ['tcp_user_timeout', settings.userTimeoutMs],
      ['tcp_socket_buffer', settings.bufferBytes],
    ].flatMap(([name, value]) => (value === 0 ? [] : [name]));
    if (impossible.length === 0) return;
    const message = `without the native addon there is no effect of ${impossible.join(', ')}`;
    this.report({ level: 'warn', message });
  }

  #socketOptions(): Pick<net.TcpSocketConnectOpts, 'noDelay' | 'keepAlive' | 'keepAliveInitialDelay'> {
    const { keepAlive, keepIdleSeconds } = this.#sockets;
    return { noDelay: true, keepAlive, keepAliveInitialDelay: keepIdleSeconds * 1000 };
  }

  async listen(listener: Listener): Promise<OpenListener> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true });
    server.on('connection', (socket) => {
      const { keepAlive, keepIdleSeconds } = this.#sockets;
      if (keepAlive) socket.setKeepAlive(true, keepIdleSeconds * 1000);
      const connection = this.#adopt(socket);
      this.#deliver((core) => core.accepted(connection, listener.index));
      if (this.#connections[connection]?.socket === socket && !socket.destroyed) socket.resume();
    });
    const isOfLibuv = await this.#openListener(server, listener);
    this.#listeners.push({
      server,
      socketPath: 'socketPath' in listener ? listener.socketPath : null,
      isOfLibuv,
      shared: 'descriptor' in listener && listener.shared,
    });
    const address = server.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    return { port, descriptor: descriptorOf(server) };
  }

  /** Whether libuv has opened it. */
  async #openListener(server: net.Server, listener: Listener): Promise<boolean> {
    const { backlog = LISTEN_BACKLOG } = listener;
    if ('descriptor' in listener) {
      await listenOnDescriptor(server, listener.descriptor, backlog);
      return false;
    }
    if ('socketPath' in listener) {
      return listenOnSocketFile(server, listener.socketPath, listener.mode, backlog);
    }
    if (listener.reusePort && !KNOWS_REUSE_PORT) {
      const message = `so_reuseport has no effect without the native addon: Node.js ${process.versions.node} can't, 22.12 can`;
      this.report({ level: 'warn', message });
    }
    await listenOnTcp(server, listener, backlog);
    return true;
  }

  closeListeners(which: ListenersEnd = 'all'): void {
    for (const listener of this.#listeners.splice(0)) {
      if (which === 'tcp' && listener.socketPath !== null) this.#listeners.push(listener);
      else closeListener(listener, which === 'handedOver' || listener.shared);
    }
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
    const entry: Connection = {
      socket,
      handshaking: false,
      congested: false,
      silenced: false,
      corked: false,
      error: null,
    };
    this.#connections[connection] = entry;
    this.#listenTo(connection, entry);
    return connection;
  }

  #listenTo(connection: ConnectionId, entry: Connection): void {
    const { socket } = entry;
    socket.on('data', (chunk) => this.#received(connection, entry, chunk));
    socket.on('end', () => {
      if (!entry.silenced) this.#deliver((core) => core.ended(connection));
    });
    socket.on('error', (error: NodeJS.ErrnoException & { hostname?: string }) => {
      const short = shortMessage(error);
      if (entry.handshaking) entry.error ??= handshakeError(error, short);
      else if (error.syscall !== 'getaddrinfo' || !error.hostname) entry.error ??= short;
      else entry.error = unresolvedHostMessage(error.hostname, short);
    });
    socket.on('close', () => {
      this.#deliver((core) => core.closed(connection, entry.silenced ? null : entry.error));
      this.#connections[connection] = undefined;
      this.#freeIds.push(connection);
    });
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

/** As the native drivers write addresses. */
function addressText(ip: string | undefined, port: number | undefined): string {
  if (ip === undefined || ip === '') return 'unix';
  const plain = ip.startsWith('::ffff:') ? ip.slice(7) : ip;
  return plain.includes(':') ? `[${plain}]:${port}` : `${plain}:${port}`;
}
