/**
 * The `Io` interface over the C addon, for io_uring and epoll.
 *
 * Once per loop turn one call crosses into C: it takes the commands queued here (sends, pauses, closes) from one shared
 * array, waits, and leaves events in another. Received bytes stay where the kernel wrote them; a send of them is a
 * command with their offset. No object is made per connection, event or message.
 */
import { isIP } from 'node:net';

import type { SocketSettings } from '../config/socket-settings.js';
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
import { copyBytes } from '../wire/bytes.js';
import { parsePlace } from './descriptor-passing.js';
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
  COMMAND,
  EVENT,
  LISTENERS_END,
  type NativeAddon,
  type NativeDriverName,
  type NativeReactor,
} from './native-addon.js';
import { NativeTls } from './native-tls.js';
import { RandomBytes } from './random-bytes.js';
import { type NamedDial, type ResolvedHost, type SlowWork, unresolvedHostMessage } from './slow-work.js';
import { systemError, systemErrorMessage } from './system-errors.js';

const CONTROL_HEAD_BYTES = 64;
const ACCEPT_REPORT_INTERVAL_MS = 10_000;
const UNIX_SOCKET_PORT = -1;
/** A thread that blocks in native code can't be ended meanwhile. */
const LONGEST_WAIT_MS = 1000;
/** Address space; what stalled readers hold at most, together. Only touched pages cost memory. */
const ARENA_BYTES = 512 * 1024 * 1024;
/** Slots of the table; untouched ones cost nothing. Open files run out earlier. */
const MAX_CONNECTIONS = 262_144;

export class NativeIo implements Driver {
  readonly memory: Uint8Array;

  readonly #addon: NativeAddon;
  readonly #native: NativeReactor;
  readonly #work: SlowWork;
  readonly #random = new RandomBytes();
  readonly #tls: NativeTls;

  readonly #clock: Float64Array;
  readonly #commands: Int32Array;
  readonly #commandEnd: number;
  readonly #events: Int32Array;
  /** Unsent bytes per connection: added to here, taken from in C. */
  readonly #pending: Int32Array;
  /** 1 after finish or reset: nothing but `closed` is delivered, and nothing is sent; 2: the same for our reasons. */
  readonly #silenced: Uint8Array;
  #commandLength = 0;

  /** The range of the `received` event being handled: sends within it are not copied. */
  #rangeStart = 0;
  #rangeEnd = 0;
  /** Free part of the buffer that outgoing copies go to. */
  #stagingStart = 0;
  #stagingEnd = 0;

  /** Why a connection is closed, where errno doesn't say it. */
  readonly #failures = new Map<ConnectionId, string>();
  readonly #namedDials = new Map<ConnectionId, NamedDial>();
  #nextDialId = 1;
  #acceptReportedAt = Number.NEGATIVE_INFINITY;

  /** `wakeDescriptor`: from {@link NativeAddon.createWakeDescriptor}, owned by the caller. */
  constructor(
    addon: NativeAddon,
    driver: NativeDriverName,
    wakeDescriptor: number,
    work: SlowWork,
    arenaBytes = ARENA_BYTES,
  ) {
    const native = addon.create(driver, {
      arenaBytes,
      maxConnections: MAX_CONNECTIONS,
      highWaterBytes: HIGH_WATER_BYTES,
      lowWaterBytes: LOW_WATER_BYTES,
      wakeDescriptor,
    });
    this.#addon = addon;
    this.#native = native;
    this.#work = work;
    this.#tls = new NativeTls(native);
    this.memory = new Uint8Array(native.memory);
    const commandsAt = CONTROL_HEAD_BYTES;
    const eventsAt = commandsAt + 12 * native.commandCapacity;
    const pendingAt = eventsAt + 16 * native.eventCapacity;
    this.#clock = new Float64Array(native.control, 0, 1);
    this.#commands = new Int32Array(native.control, commandsAt, 3 * native.commandCapacity);
    this.#commandEnd = this.#commands.length;
    this.#events = new Int32Array(native.control, eventsAt, 4 * native.eventCapacity);
    this.#pending = new Int32Array(native.control, pendingAt, MAX_CONNECTIONS);
    this.#silenced = new Uint8Array(MAX_CONNECTIONS);
  }

  // ---- Io ----

  now(): number {
    return this.#clock[0]!;
  }

  randomBytes(length: number): Uint8Array {
    return this.#random.take(length);
  }

  send(connection: ConnectionId, bytes: Uint8Array, start: number, end: number): boolean {
    if (end <= start || this.#silenced[connection] !== 0) return false;
    const pending = this.#pending[connection]! + end - start;
    this.#pending[connection] = pending;
    if (bytes === this.memory && start >= this.#rangeStart && end <= this.#rangeEnd) {
      this.#command(connection, start, end - start);
    } else {
      this.#sendCopy(connection, bytes, start, end);
    }
    return pending > HIGH_WATER_BYTES;
  }

  pauseReading(connection: ConnectionId): void {
    this.#command(connection, COMMAND.pause, 0);
  }

  resumeReading(connection: ConnectionId): void {
    this.#command(connection, COMMAND.resume, 0);
  }

  connect(address: ServerAddress): ConnectionId {
    const connection = this.#native.reserve();
    if (connection < 0) throw new Error('the table of connections is full');
    if ('socketPath' in address) {
      this.#dial(connection, address.socketPath, UNIX_SOCKET_PORT);
    } else if (isIP(address.host) !== 0) {
      this.#dial(connection, address.host, address.port);
    } else {
      const id = this.#nextDialId++;
      this.#namedDials.set(connection, {
        id,
        connection,
        host: address.host,
        port: address.port,
        untried: [],
      });
      this.#work.resolveHost(id, address.host);
    }
    return connection;
  }

  finish(connection: ConnectionId): void {
    const was = this.#silenced[connection];
    this.#silenced[connection] = 1;
    if (was === 0) this.#command(connection, COMMAND.finish, 0);
  }

  reset(connection: ConnectionId): void {
    this.#silenced[connection] = 1;
    this.#command(connection, COMMAND.reset, 0);
  }

  startTls(
    connection: ConnectionId,
    side: TlsSide,
    serverName: string | null,
    start: number,
    end: number,
  ): void {
    if (this.#silenced[connection] !== 0) return;
    // What was sent before goes out as it is.
    this.#native.flush(this.#commandLength / 3);
    this.#commandLength = 0;
    const at = this.#rangeEnd > 0 ? this.#rangeStart : -1;
    const failure = this.#tls.start(connection, side, serverName, at, start, end);
    if (failure !== null) this.#refuse(connection, failure);
  }

  peerCredentials(connection: ConnectionId): PeerCredentials | null {
    const found = this.#native.peerCredentials(connection);
    return found === null ? null : { uid: found[0], pid: found[1] };
  }

  peerAddress(connection: ConnectionId): string {
    return this.#native.peerAddress(connection);
  }

  localAddress(connection: ConnectionId): string {
    return this.#native.localAddress(connection);
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
  }

  // ---- the loop ----

  async listen(listener: Listener): Promise<OpenListener> {
    const descriptor = this.#openListener(listener);
    if (descriptor < 0) throw systemError(-descriptor);
    const place = parsePlace(this.#addon.listeningPlace(descriptor));
    return { descriptor, port: place !== null && 'port' in place ? place.port : 0 };
  }

  #openListener(listener: Listener): number {
    const { index, backlog = LISTEN_BACKLOG } = listener;
    if ('descriptor' in listener) {
      const { descriptor, shared, socketPath } = listener;
      return this.#native.listenInherited(index, descriptor, backlog, shared ? 1 : 0, socketPath ?? '');
    }
    if ('socketPath' in listener) {
      return this.#native.listenUnix(index, listener.socketPath, listener.mode ?? -1, backlog);
    }
    return this.#native.listenTcp(index, listener.ip, listener.port, backlog, listener.reusePort ? 1 : 0);
  }

  configureSockets(settings: SocketSettings): void {
    const given = (value: number): number => (value === 0 ? -1 : value);
    this.#native.tuneSockets(
      settings.keepAlive ? -1 : 0, // it is on unless it is switched off
      given(settings.keepIdleSeconds),
      given(settings.keepIntervalSeconds),
      given(settings.keepCount),
      given(settings.userTimeoutMs),
      given(settings.bufferBytes),
      given(settings.bufferBytes),
      settings.deferAccept ? 1 : 0,
    );
  }

  configureTls(configuration: TlsConfiguration): void {
    this.#tls.configure(configuration);
  }

  closeListeners(which: ListenersEnd = 'all'): void {
    this.#native.closeListeners(LISTENERS_END[which]);
  }

  /** Blocks the thread. */
  async run(core: IoEvents, hooks: LoopHooks): Promise<void> {
    for (;;) {
      // What it reports is passed on before the thread blocks, and before clients read what it has sent them.
      const delay = Math.min(Math.ceil(core.advance()), LONGEST_WAIT_MS);
      if (!hooks.keepRunning()) return;
      this.#turn(core, hooks, delay);
    }
  }

  destroy(): void {
    this.#native.destroy();
  }

  /** One loop turn: sends what is queued, waits, and delivers what happened. */
  #turn(core: IoEvents, hooks: LoopHooks, delay: number): void {
    const length = this.#commandLength;
    this.#commandLength = 0;
    const count = this.#native.wait(length / 3, delay);
    const events = this.#events;
    for (let at = 0; at < 4 * count; at += 4) {
      const kind = events[at]!;
      const connection = events[at + 1]!;
      if (kind === EVENT.received) {
        if (this.#silenced[connection] !== 0) continue;
        const start = events[at + 2]!;
        const end = start + events[at + 3]!;
        this.#rangeStart = start;
        this.#rangeEnd = end;
        core.received(connection, start, end);
        this.#rangeEnd = 0;
      } else if (kind === EVENT.woken) {
        hooks.woken();
      } else {
        this.#deliver(core, kind, connection, events[at + 2]!);
      }
    }
  }

  /** The answer to a {@link SlowWork.resolveHost}. */
  hostResolved(id: number, answer: ResolvedHost): void {
    for (const dial of this.#namedDials.values()) {
      if (dial.id !== id) continue;
      if ('error' in answer) this.#fail(dial.connection, unresolvedHostMessage(dial.host, answer.error));
      else this.#dialNext(dial, answer.addresses);
      return;
    }
  }

  // ---- details ----

  #command(connection: ConnectionId, a: number, b: number): void {
    let at = this.#commandLength;
    if (at === this.#commandEnd) {
      this.#native.flush(at / 3);
      at = 0;
    }
    const commands = this.#commands;
    commands[at] = connection;
    commands[at + 1] = a;
    commands[at + 2] = b;
    this.#commandLength = at + 3;
  }

  #sendCopy(connection: ConnectionId, bytes: Uint8Array, start: number, end: number): void {
    let from = start;
    while (from < end) {
      if (this.#stagingStart === this.#stagingEnd && !this.#takeStaging()) {
        this.#pending[connection] = this.#pending[connection]! - (end - from);
        this.#fail(connection, 'buffer memory is exhausted');
        return;
      }
      const at = this.#stagingStart;
      const length = Math.min(end - from, this.#stagingEnd - at);
      copyBytes(bytes, from, from + length, this.memory, at);
      this.#command(connection, at, length);
      this.#stagingStart = at + length;
      from += length;
    }
  }

  #takeStaging(): boolean {
    const offset = this.#native.takeStaging();
    if (offset < 0) return false;
    this.#stagingStart = offset;
    this.#stagingEnd = offset + this.#native.bufferBytes;
    return true;
  }

  #dial(connection: ConnectionId, host: string, port: number): void {
    const result = this.#native.dial(connection, host, port);
    if (result < 0) this.#fail(connection, systemErrorMessage(-result));
  }

  #dialNext(dial: NamedDial, addresses: readonly string[]): void {
    dial.untried = addresses.slice(1);
    this.#dial(dial.connection, addresses[0]!, dial.port);
  }

  /** Closes a connection for a reason of ours, which its `closed` will carry. */
  #fail(connection: ConnectionId, reason: string): void {
    this.#failures.set(connection, reason);
    this.#command(connection, COMMAND.reset, 0);
  }

  /** The same at once: the core hears of nothing but the end. */
  #refuse(connection: ConnectionId, reason: string): void {
    this.#silenced[connection] = 2;
    this.#fail(connection, reason);
  }

  #secured(core: IoEvents, connection: ConnectionId): void {
    const facts = this.#tls.secured(connection);
    if ('error' in facts) this.#refuse(connection, facts.error);
    else core.secured(connection, facts);
  }

  #deliver(core: IoEvents, kind: number, connection: ConnectionId, value: number): void {
    if (kind === EVENT.closed) {
      this.#closed(core, connection, value);
    } else if (kind === EVENT.acceptPaused) {
      this.#reportAcceptPaused(value);
    } else if (this.#silenced[connection] !== 0) {
      return;
    } else if (kind === EVENT.secured) {
      this.#secured(core, connection);
    } else if (kind === EVENT.accepted) {
      core.accepted(connection, value);
    } else if (kind === EVENT.connected) {
      if (this.#namedDials.size > 0) this.#namedDials.delete(connection);
      core.connected(connection);
    } else if (kind === EVENT.ended) {
      core.ended(connection);
    } else if (kind === EVENT.drained) {
      core.drained(connection);
    } else if (kind === EVENT.evicted) {
      this.#failures.set(connection, 'buffer memory is exhausted, and this reader had been stalled longest');
    }
  }

  #closed(core: IoEvents, connection: ConnectionId, errno: number): void {
    const silenced = this.#silenced[connection] === 1;
    if (this.#namedDials.size > 0) {
      const dial = this.#namedDials.get(connection);
      if (dial !== undefined && dial.untried.length > 0 && !silenced) {
        this.#dialNext(dial, dial.untried);
        return;
      }
      this.#namedDials.delete(connection);
    }
    this.#silenced[connection] = 0;
    const tlsError = this.#tls.closed(connection, errno);
    let error = errno === 0 || silenced ? null : (tlsError ?? systemErrorMessage(errno));
    if (this.#failures.size > 0) {
      if (!silenced) error = this.#failures.get(connection) ?? error;
      this.#failures.delete(connection);
    }
    core.closed(connection, error);
  }

  #reportAcceptPaused(errno: number): void {
    const now = this.now();
    if (now - this.#acceptReportedAt < ACCEPT_REPORT_INTERVAL_MS) return;
    this.#acceptReportedAt = now;
    this.report({
      level: 'warn',
      message: `new clients wait: accepting failed (${systemErrorMessage(errno)}), and goes on as soon as a connection is closed`,
    });
  }
}
