/**
 * For tests of the drivers: a driver on a thread of its own (the native ones block theirs), with a small core that
 * echoes, forwards or floods, and checks the order of events. This file is also that thread's program.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  isMainThread,
  type MessagePort,
  parentPort,
  receiveMessageOnPort,
  Worker,
  workerData,
} from 'node:worker_threads';

import { DEFAULT_SOCKETS, type SocketSettings } from '../config/socket-settings.js';
import { NO_TLS, type TlsConfiguration } from '../config/tls.js';
import type { ConnectionId, IoEvents, ServerAddress, TlsFacts } from '../core/io.js';
import type { Driver, DriverName, Listener } from './driver.js';
import { loadAddon } from './load-addon.js';
import { NativeIo } from './native-io.js';
import { NodeIo } from './node-io.js';
import type { SlowWork } from './slow-work.js';

/** What the core of a fixture does. */
export type Behaviour =
  | { readonly kind: 'echo' }
  /** Connects each client to this server. */
  | { readonly kind: 'forward'; readonly to: ServerAddress }
  /** Sends so many bytes to each client and finishes. */
  | { readonly kind: 'flood'; readonly bytes: number };

/** What a fixture is started with. */
interface FixtureStart {
  readonly driver: DriverName;
  readonly wakeDescriptor: number;
  readonly listener: Listener;
  readonly behaviour: Behaviour;
  /** Smaller than usual, to see it exhausted. */
  readonly arenaBytes?: number;
  /** Spoken on the sides that have a configuration. */
  readonly tls?: TlsConfiguration;
  readonly sockets?: SocketSettings;
}

/** What has happened on a fixture so far. */
export interface Stats {
  readonly accepted: number;
  readonly open: number;
  readonly receivedBytes: number;
  /** Events that break the contract. */
  readonly violations: readonly string[];
  readonly closeReasons: readonly string[];
  /** Of every finished handshake. */
  readonly handshakes: readonly TlsFacts[];
  readonly reports: readonly string[];
}

type Order =
  | { readonly kind: 'stats' }
  | { readonly kind: 'stop' }
  | { readonly kind: 'handOver'; readonly busyMs: number }
  | { readonly kind: 'tls'; readonly tls: TlsConfiguration }
  | { readonly kind: 'host'; id: number; addresses: string[] };

/** So much of each chunk is copied, the rest is forwarded from where it is. */
const STAGED_BYTES_MAX = 100;

/** Checks the order of events while it echoes, forwards or floods. */
class FixtureCore implements IoEvents {
  acceptedCount = 0;
  receivedBytes = 0;
  readonly violations: string[] = [];
  readonly closeReasons: string[] = [];
  readonly handshakes: TlsFacts[] = [];
  readonly alive = new Map<ConnectionId, 'connecting' | 'securing' | 'open' | 'ended' | 'silenced'>();
  readonly peers = new Map<ConnectionId, ConnectionId>();
  readonly servers = new Set<ConnectionId>();
  /** What came for a server while its handshake was under way: pausing lets a few pieces through. */
  readonly held = new Map<ConnectionId, Buffer[]>();
  readonly io: Driver;
  readonly behaviour: Behaviour;
  tls: TlsConfiguration;

  constructor(io: Driver, behaviour: Behaviour, tls: TlsConfiguration) {
    this.io = io;
    this.behaviour = behaviour;
    this.tls = tls;
  }

  accepted(connection: ConnectionId): void {
    if (this.alive.has(connection)) this.violations.push(`accepted ${connection} while it was in use`);
    this.acceptedCount++;
    this.alive.set(connection, 'open');
    if (this.tls.client === null) return this.begin(connection);
    this.alive.set(connection, 'securing');
    this.io.startTls(connection, 'client', null, 0, 0);
  }

  secured(connection: ConnectionId, facts: TlsFacts): void {
    if (this.alive.get(connection) !== 'securing') this.violations.push(`secured ${connection} unasked`);
    this.alive.set(connection, 'open');
    this.handshakes.push(facts);
    if (!this.servers.has(connection)) this.begin(connection);
    else {
      for (const bytes of this.held.get(connection) ?? []) this.io.send(connection, bytes, 0, bytes.length);
      this.held.delete(connection);
      this.io.resumeReading(this.peers.get(connection)!);
    }
  }

  private begin(connection: ConnectionId): void {
    if (this.behaviour.kind === 'forward') {
      const server = this.io.connect(this.behaviour.to);
      if (this.alive.has(server)) this.violations.push(`connect gave ${server}, which was in use`);
      this.alive.set(server, 'connecting');
      this.servers.add(server);
      // What is sent before the end of a handshake is dropped.
      if (this.tls.server !== null) this.io.pauseReading(connection);
      this.peers.set(server, connection);
      this.peers.set(connection, server);
      // What the client sends before the server is there waits in the server connection's queue.
    } else if (this.behaviour.kind === 'flood') {
      const piece = pattern(100_000, 0);
      for (let sent = 0; sent < this.behaviour.bytes; sent += piece.length) {
        this.io.send(connection, piece, 0, Math.min(piece.length, this.behaviour.bytes - sent));
      }
      this.finish(connection);
    }
  }

  connected(connection: ConnectionId): void {
    if (this.alive.get(connection) !== 'connecting') this.violations.push(`connected ${connection} unasked`);
    if (this.tls.server === null || this.behaviour.kind !== 'forward') {
      this.alive.set(connection, 'open');
      return;
    }
    this.alive.set(connection, 'securing');
    const name = 'host' in this.behaviour.to ? this.behaviour.to.host : null;
    this.io.startTls(connection, 'server', name, 0, 0);
  }

  received(connection: ConnectionId, start: number, end: number): void {
    if (this.alive.get(connection) !== 'open')
      this.violations.push(`received while ${this.alive.get(connection)}`);
    this.receivedBytes += end - start;
    const to = this.behaviour.kind === 'forward' ? this.peers.get(connection) : connection;
    if (to === undefined) return;
    if (this.tls.server !== null && this.servers.has(to) && this.alive.get(to) !== 'open') {
      const held = this.held.get(to) ?? [];
      this.held.set(to, [...held, Buffer.from(this.io.memory.subarray(start, end))]);
      return;
    }
    // In two pieces, one of them copied, so that both ways of sending take part.
    const middle = start + Math.min((end - start) >> 1, STAGED_BYTES_MAX);
    const copy = Buffer.from(this.io.memory.subarray(start, middle));
    const early = this.io.send(to, copy, 0, copy.length);
    if (this.io.send(to, this.io.memory, middle, end) || early) this.io.pauseReading(connection);
    copy.fill(0);
  }

  ended(connection: ConnectionId): void {
    if (this.alive.get(connection) === 'securing') return this.finish(connection);
    if (this.alive.get(connection) !== 'open')
      this.violations.push(`ended while ${this.alive.get(connection)}`);
    this.alive.set(connection, 'ended');
    const peer = this.peers.get(connection);
    if (this.behaviour.kind !== 'forward') this.finish(connection);
    else if (peer !== undefined) this.unlink(connection, peer);
  }

  drained(connection: ConnectionId): void {
    const source = this.behaviour.kind === 'forward' ? this.peers.get(connection) : connection;
    if (source !== undefined) this.io.resumeReading(source);
  }

  closed(connection: ConnectionId, error: string | null): void {
    const state = this.alive.get(connection);
    if (state === undefined) this.violations.push(`closed ${connection}, which was not in use`);
    if (state === 'silenced' && error !== null) this.violations.push(`error after finish or reset: ${error}`);
    if (error !== null) this.closeReasons.push(error);
    this.alive.delete(connection);
    this.servers.delete(connection);
    this.held.delete(connection);
    const peer = this.peers.get(connection);
    if (peer !== undefined) this.unlink(connection, peer);
  }

  consoleAnswered(): void {}

  keyDerived(): void {}
  authorityAnswered(): void {}

  advance(): number {
    return 1000;
  }

  private unlink(connection: ConnectionId, peer: ConnectionId): void {
    this.peers.delete(connection);
    this.peers.delete(peer);
    this.finish(peer);
    if (this.alive.has(connection)) this.finish(connection);
  }

  private finish(connection: ConnectionId): void {
    this.alive.set(connection, 'silenced');
    this.io.finish(connection);
  }
}

async function runFixture(port: MessagePort, start: FixtureStart): Promise<void> {
  const reports: string[] = [];
  const work: SlowWork = {
    deriveKey: () => {},
    askAuthority: () => {},
    askConsole: () => {},
    report: (report) => reports.push(report.message),
    resolveHost: (id, host) => port.postMessage({ kind: 'resolve', id, host }),
  };
  const loaded = loadAddon();
  const driver: Driver =
    start.driver === 'node' || 'reason' in loaded
      ? new NodeIo(work)
      : new NativeIo(loaded.addon, start.driver, start.wakeDescriptor, work, start.arenaBytes);
  const tls = start.tls ?? NO_TLS;
  driver.configureTls(tls);
  driver.configureSockets(start.sockets ?? DEFAULT_SOCKETS);
  const core = new FixtureCore(driver, start.behaviour, tls);
  let running = true;
  const handle = (order: Order): void => {
    if (order.kind === 'host') return driver.hostResolved(order.id, { addresses: order.addresses });
    if (order.kind === 'tls') return driver.configureTls(order.tls);
    if (order.kind === 'handOver') {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, order.busyMs);
      return driver.closeListeners('handedOver');
    }
    if (order.kind === 'stop') {
      running = false;
      return driver.closeListeners();
    }
    const { violations, closeReasons, handshakes, receivedBytes } = core;
    const open = core.alive.size;
    const stats = {
      accepted: core.acceptedCount,
      open,
      receivedBytes,
      violations,
      closeReasons,
      handshakes,
      reports,
    };
    port.postMessage({ kind: 'stats', stats: stats satisfies Stats });
  };
  if (start.driver === 'node') port.on('message', handle);
  try {
    port.postMessage({ kind: 'listening', ...(await driver.listen(start.listener)) });
  } catch (error) {
    port.postMessage({ kind: 'failed', code: (error as NodeJS.ErrnoException).code });
    running = false;
  }
  let isTold = false;
  const carryOut = (): void => {
    isTold = false;
    for (let got = receiveMessageOnPort(port); got !== undefined; got = receiveMessageOnPort(port))
      handle(got.message);
  };
  await driver.run(core, {
    woken: () => {
      isTold = true;
    },
    // At the end of a turn: whoever has come in it counts, and is not forgotten by an end.
    keepRunning: () => {
      if (isTold) carryOut();
      return running;
    },
  });
  driver.destroy();
  port.close();
}

const WAKE = new Uint8Array(8).fill(1);

/** A driver on its thread. */
export class Fixture {
  port = 0;
  /** Of the listening socket. */
  descriptor = -1;
  failure: string | null = null;
  readonly #worker: Worker;
  readonly #wakeDescriptor: number;
  readonly #ready: Promise<void>;
  #onStats: (stats: Stats) => void = () => {};

  constructor(
    driver: DriverName,
    behaviour: Behaviour,
    listener: Listener,
    options: Pick<FixtureStart, 'arenaBytes' | 'tls' | 'sockets'> = {},
  ) {
    const loaded = loadAddon();
    this.#wakeDescriptor = driver !== 'node' && 'addon' in loaded ? loaded.addon.createWakeDescriptor() : -1;
    const wakeDescriptor = this.#wakeDescriptor;
    const start: FixtureStart = { driver, wakeDescriptor, listener, behaviour, ...options };
    this.#worker = new Worker(new URL(import.meta.url), { workerData: start });
    this.#ready = new Promise((resolve, reject) => {
      this.#worker.once('error', reject);
      this.#worker.on('message', (message) => {
        if (message.kind === 'stats') this.#onStats(message.stats);
        if (message.kind === 'resolve') {
          const known = message.host === 'here.test';
          const addresses = known ? ['127.0.0.2', '127.0.0.1'] : [];
          this.#tell({ kind: 'host', id: message.id, addresses });
        }
        if (message.kind === 'failed') this.failure = message.code;
        if (message.kind === 'listening') {
          this.port = message.port;
          this.descriptor = message.descriptor;
        }
        if (message.kind === 'stats' || message.kind === 'resolve') return;
        // From here on nobody awaits its start: its end by an error is the test's.
        this.#worker.off('error', reject);
        resolve();
      });
    });
  }

  async start(): Promise<this> {
    await this.#ready;
    return this;
  }

  /** Replaces the certificates, as a reload does. */
  configureTls(tls: TlsConfiguration): void {
    this.#tell({ kind: 'tls', tls });
  }

  /** Stops accepting, and leaves the socket to those who have it, too. @param busyMs it has so much to do in this turn before */
  handOver(busyMs = 0): void {
    this.#tell({ kind: 'handOver', busyMs });
  }

  stats(): Promise<Stats> {
    const answer = new Promise<Stats>((resolve) => {
      this.#onStats = resolve;
    });
    this.#tell({ kind: 'stats' });
    return answer;
  }

  /** Waits until the figures are as wanted. */
  async until(what: string, wanted: (stats: Stats) => boolean): Promise<Stats> {
    for (const end = Date.now() + 20_000; ; await sleep(20)) {
      const stats = await this.stats();
      if (wanted(stats)) return stats;
      if (Date.now() > end) assert.fail(`${what} did not happen: ${JSON.stringify(stats)}`);
    }
  }

  async stop(): Promise<void> {
    const ended = once(this.#worker, 'exit');
    this.#tell({ kind: 'stop' });
    await ended;
  }

  #tell(order: Order): void {
    this.#worker.postMessage(order);
    if (this.#wakeDescriptor >= 0) writeSync(this.#wakeDescriptor, WAKE);
  }
}

/** Bytes whose value tells their place in the stream. */
export function pattern(length: number, from: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = ((from + i) * 31 + ((from + i) >> 8)) & 0xff;
  return bytes;
}

if (!isMainThread && workerData?.behaviour !== undefined)
  await runFixture(parentPort!, workerData as FixtureStart);
