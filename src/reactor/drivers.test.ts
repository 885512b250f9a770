/**
 * One conformance suite for all drivers. A driver runs on a thread of its own (the native ones block theirs), with a
 * small core that echoes, or forwards to another server; this file is also that thread's program.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import {
  isMainThread,
  type MessagePort,
  parentPort,
  receiveMessageOnPort,
  Worker,
  workerData,
} from 'node:worker_threads';

import type { ConnectionId, IoEvents, ServerAddress } from '../core/io.js';
import { chooseDriver } from './choose-driver.js';
import type { Driver, DriverName, Listener } from './driver.js';
import { loadAddon } from './load-addon.js';
import { NativeIo } from './native-io.js';
import { NodeIo } from './node-io.js';
import type { SlowWork } from './slow-work.js';

type Behaviour =
  | { readonly kind: 'echo' }
  /** Connects each client to this server. */
  | { readonly kind: 'forward'; readonly to: ServerAddress }
  /** Sends so many bytes to each client and finishes. */
  | { readonly kind: 'flood'; readonly bytes: number };

interface FixtureStart {
  readonly driver: DriverName;
  readonly wakeDescriptor: number;
  readonly listener: Listener;
  readonly behaviour: Behaviour;
}

interface Stats {
  readonly accepted: number;
  readonly open: number;
  readonly receivedBytes: number;
  /** Events that break the contract. */
  readonly violations: readonly string[];
  readonly closeReasons: readonly string[];
  readonly reports: readonly string[];
  readonly residentBytes: number;
}

type Order =
  | { readonly kind: 'stats' }
  | { readonly kind: 'stop' }
  | { readonly kind: 'host'; id: number; addresses: string[] };

// ---- the thread ----

/** Checks the order of events while it echoes, forwards or floods. */
class FixtureCore implements IoEvents {
  accepted_ = 0;
  receivedBytes = 0;
  readonly violations: string[] = [];
  readonly closeReasons: string[] = [];
  readonly alive = new Map<ConnectionId, 'connecting' | 'open' | 'ended' | 'silenced'>();
  readonly peers = new Map<ConnectionId, ConnectionId>();
  readonly unlinked = new Set<ConnectionId>();
  readonly io: Driver;
  readonly behaviour: Behaviour;

  constructor(io: Driver, behaviour: Behaviour) {
    this.io = io;
    this.behaviour = behaviour;
  }

  accepted(connection: ConnectionId): void {
    if (this.alive.has(connection)) this.violations.push(`accepted ${connection} while it was in use`);
    this.accepted_++;
    this.alive.set(connection, 'open');
    if (this.behaviour.kind === 'forward') {
      const server = this.io.connect(this.behaviour.to);
      if (this.alive.has(server)) this.violations.push(`connect gave ${server}, which was in use`);
      this.alive.set(server, 'connecting');
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
    this.alive.set(connection, 'open');
  }

  received(connection: ConnectionId, start: number, end: number): void {
    if (this.alive.get(connection) !== 'open')
      this.violations.push(`received while ${this.alive.get(connection)}`);
    this.receivedBytes += end - start;
    const to = this.behaviour.kind === 'forward' ? this.peers.get(connection) : connection;
    if (to === undefined) return;
    // In two pieces, one of them copied, so that both ways of sending take part.
    const middle = start + ((end - start) >> 1);
    const copy = Buffer.from(this.io.memory.subarray(start, middle));
    const early = this.io.send(to, copy, 0, copy.length);
    if (this.io.send(to, this.io.memory, middle, end) || early) this.io.pauseReading(connection);
    copy.fill(0);
  }

  ended(connection: ConnectionId): void {
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
    const peer = this.peers.get(connection);
    if (peer !== undefined) this.unlink(connection, peer);
  }

  keyDerived(): void {}

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
    report: (report) => reports.push(report.message),
    resolveHost: (id, host) => port.postMessage({ kind: 'resolve', id, host }),
  };
  const loaded = loadAddon();
  const driver: Driver =
    start.driver === 'node' || 'reason' in loaded
      ? new NodeIo(work)
      : new NativeIo(loaded.addon, start.driver, start.wakeDescriptor, work);
  const core = new FixtureCore(driver, start.behaviour);
  let running = true;
  const handle = (order: Order): void => {
    if (order.kind === 'host') return driver.hostResolved(order.id, { addresses: order.addresses });
    if (order.kind === 'stop') {
      running = false;
      return driver.closeListeners();
    }
    const { violations, closeReasons, receivedBytes } = core;
    const residentBytes = process.memoryUsage.rss();
    const open = core.alive.size;
    const stats = {
      accepted: core.accepted_,
      open,
      receivedBytes,
      violations,
      closeReasons,
      reports,
      residentBytes,
    };
    port.postMessage({ kind: 'stats', stats: stats satisfies Stats });
  };
  if (start.driver === 'node') port.on('message', handle);
  try {
    port.postMessage({ kind: 'listening', port: await driver.listen(start.listener) });
  } catch (error) {
    port.postMessage({ kind: 'failed', code: (error as NodeJS.ErrnoException).code });
    running = false;
  }
  await driver.run(core, {
    woken: () => {
      for (let got = receiveMessageOnPort(port); got !== undefined; got = receiveMessageOnPort(port))
        handle(got.message);
    },
    keepRunning: () => running,
  });
  driver.destroy();
  port.close();
}

// ---- the tests' side ----

const FILE = fileURLToPath(import.meta.url);
const WAKE = new Uint8Array(8).fill(1);

/** A driver on its thread. */
class Fixture {
  port = 0;
  failure: string | null = null;
  readonly #worker: Worker;
  readonly #wakeDescriptor: number;
  readonly #ready: Promise<void>;
  #onStats: (stats: Stats) => void = () => {};

  constructor(driver: DriverName, behaviour: Behaviour, listener: Listener) {
    const loaded = loadAddon();
    this.#wakeDescriptor = driver !== 'node' && 'addon' in loaded ? loaded.addon.createWakeDescriptor() : -1;
    const start: FixtureStart = { driver, wakeDescriptor: this.#wakeDescriptor, listener, behaviour };
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
        if (message.kind === 'listening') this.port = message.port;
        if (message.kind === 'listening' || message.kind === 'failed') resolve();
      });
    });
  }

  async start(): Promise<this> {
    await this.#ready;
    return this;
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
function pattern(length: number, from: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) bytes[i] = ((from + i) * 31 + ((from + i) >> 8)) & 0xff;
  return bytes;
}

interface Target {
  readonly port?: number;
  readonly path?: string;
}

/** Reads to the end; resolves to all that came. */
async function readAll(socket: net.Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Reads so many bytes, or to the end. */
async function readSome(socket: net.Socket, length: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let got = 0;
  for await (const chunk of socket) {
    chunks.push(chunk);
    got += chunk.length;
    if (got >= length) break;
  }
  return Buffer.concat(chunks);
}

/**
 * Sends `length` bytes in random pieces and checks that the same come back. `halfClose`: ends its own direction
 * before it has read them, and expects the end after them.
 */
async function echoes(target: Target, length: number, halfClose = false): Promise<void> {
  const socket = net.connect({ host: '127.0.0.1', ...target, allowHalfOpen: true } as net.NetConnectOpts);
  const all = pattern(length, 0);
  const answer = halfClose ? readAll(socket) : readSome(socket, length);
  for (let sent = 0; sent < length; ) {
    const next = Math.min(length, sent + 1 + Math.floor(Math.random() ** 4 * 70_000));
    socket.write(all.subarray(sent, next));
    // So that pieces go out as they are cut.
    await new Promise(setImmediate);
    sent = next;
  }
  if (halfClose) socket.end();
  const got = await answer;
  socket.destroy();
  assert.equal(got.length, length);
  assert.ok(got.equals(all), 'the same bytes in the same order');
}

const ANY_PORT: Listener = { index: 0, ip: '127.0.0.1', port: 0 };
const folder = isMainThread ? mkdtempSync(join(tmpdir(), 'sluice-drivers-')) : '';

function conformance(driver: DriverName): void {
  const start = (behaviour: Behaviour, listener: Listener = ANY_PORT): Promise<Fixture> =>
    new Fixture(driver, behaviour, listener).start();

  test('echoes pieces of any size, then the end', async () => {
    const fixture = await start({ kind: 'echo' });
    await Promise.all(Array.from({ length: 20 }, (_, i) => echoes(fixture, 1 + i * i * 3000, true)));
    const stats = await fixture.until('closing', ({ open }) => open === 0);
    assert.deepEqual([stats.accepted, stats.violations, stats.closeReasons], [20, [], []]);
    await fixture.stop();
  });

  test('forwards between clients and a server, TCP and unix sockets, named and numbered', async () => {
    const path = join(folder, `${driver}-forward`);
    const echo = await start({ kind: 'echo' });
    const echoFile = await start({ kind: 'echo' }, { index: 0, socketPath: path, mode: 0o600 });
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const name = driver === 'node' ? 'localhost' : 'here.test';
    for (const to of [
      { host: '127.0.0.1', port: echo.port },
      { host: name, port: echo.port },
      { socketPath: path },
    ]) {
      const fixture = await start({ kind: 'forward', to });
      await Promise.all(Array.from({ length: 8 }, (_, i) => echoes(fixture, 1 + i * 100_000)));
      const stats = await fixture.until('closing', ({ open }) => open === 0);
      assert.deepEqual([stats.violations, stats.closeReasons], [[], []]);
      await fixture.stop();
    }
    await echo.stop();
    await echoFile.stop();
    assert.ok(!existsSync(path), 'the socket file is removed');
  });

  test('survives resets at any moment, and reports each connection closed once', async () => {
    const echo = await start({ kind: 'echo' });
    const fixture = await start({ kind: 'forward', to: { host: '127.0.0.1', port: echo.port } });
    const count = 400;
    await Promise.all(
      Array.from({ length: count }, async (_, i) => {
        const socket = net.connect(fixture.port, '127.0.0.1');
        socket.on('error', () => {});
        if (i % 4 > 0) await once(socket, 'connect');
        for (let piece = 0; piece < i % 7; piece++) socket.write(pattern(1 + ((i * 7919) % 200_000), 0));
        if (i % 3 > 0) await sleep(Math.random() * 10);
        if (i % 2 > 0) socket.resetAndDestroy();
        else socket.destroy();
      }),
    );
    for (const one of [fixture, echo]) {
      const { violations } = await one.until('closing', ({ open }) => open === 0);
      assert.deepEqual(violations, []);
    }
    await echoes(fixture, 100_000);
    await fixture.stop();
    await echo.stop();
  });

  test('stops reading from the source of a stalled reader, and goes on with it', async () => {
    const total = 192 * 1024 * 1024;
    const piece = pattern(1 << 20, 0);
    const source = net.createServer((socket) => {
      let sent = 0;
      const more = (): void => {
        while (sent < total) {
          sent += piece.length;
          if (!socket.write(piece)) return;
        }
        socket.end();
      };
      socket.on('drain', more).on('error', () => {});
      more();
    });
    await once(source.listen(0, '127.0.0.1'), 'listening');
    const to = { host: '127.0.0.1', port: (source.address() as net.AddressInfo).port };
    const fixture = await start({ kind: 'forward', to });
    const before = (await fixture.stats()).residentBytes;
    const reader = net.connect(fixture.port, '127.0.0.1');
    await once(reader, 'connect');
    reader.pause();
    let last = -1;
    const stalled = await fixture.until('stalling', ({ receivedBytes }) => {
      const isSteady = receivedBytes > 0 && receivedBytes === last;
      last = receivedBytes;
      return isSteady;
    });
    // What the kernel buffers for both sockets is part of it.
    assert.ok(stalled.receivedBytes < 32 << 20, `${stalled.receivedBytes} bytes taken from the source`);
    if (driver !== 'node') {
      const grown = stalled.residentBytes - before;
      assert.ok(grown < 32 << 20, `resident memory grew by ${grown} bytes (that of the whole test process)`);
    }
    let got = 0;
    for await (const chunk of reader) {
      if (got % piece.length === 0) assert.equal(chunk[0], piece[0]);
      got += chunk.length;
    }
    assert.equal(got, total);
    await fixture.stop();
    source.close();
  });

  test('finish sends everything first', async () => {
    const bytes = 3_000_000;
    const fixture = await start({ kind: 'flood', bytes });
    const socket = net.connect(fixture.port, '127.0.0.1');
    // Never read by the other side: must not turn the orderly end into a reset.
    socket.write(pattern(5000, 0));
    await fixture.until('accepting', ({ accepted }) => accepted === 1);
    assert.equal((await readAll(socket)).length, bytes);
    const { violations } = await fixture.until('closing', ({ open }) => open === 0);
    assert.deepEqual(violations, []);
    await fixture.stop();
  });

  test("delivers a server's last words, though sending to it failed", async () => {
    const server = net.createServer((socket) =>
      socket.on('error', () => {}).once('data', () => socket.end('last words')),
    );
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const to = { host: '127.0.0.1', port: (server.address() as net.AddressInfo).port };
    const fixture = await start({ kind: 'forward', to });
    const socket = net.connect(fixture.port, '127.0.0.1');
    socket.write('a');
    assert.equal((await readAll(socket)).toString(), 'last words');
    await fixture.stop();
    server.close();
  });

  test('says why a connection could not be made', async () => {
    const closedPort = await new Promise<number>((resolve) => {
      const server = net.createServer().listen(0, '127.0.0.1', () => {
        const { port } = server.address() as net.AddressInfo;
        server.close(() => resolve(port));
      });
    });
    const cases: [ServerAddress, string][] = [
      [{ host: '127.0.0.1', port: closedPort }, 'connection refused'],
      [{ socketPath: join(folder, 'missing') }, 'no such file or directory'],
    ];
    for (const [to, reason] of cases) {
      const fixture = await start({ kind: 'forward', to });
      const socket = net.connect(fixture.port, '127.0.0.1');
      await readAll(socket);
      const stats = await fixture.until('closing', ({ open }) => open === 0);
      assert.deepEqual([stats.closeReasons, stats.violations], [[reason], []]);
      await fixture.stop();
    }
  });

  test('listens only where nobody else does, and replaces a stale socket file', async () => {
    const path = join(folder, `${driver}-listen`);
    const first = await start({ kind: 'echo' }, { index: 0, socketPath: path, mode: null });
    const second = await start({ kind: 'echo' }, { index: 0, socketPath: path, mode: null });
    assert.equal(second.failure, 'EADDRINUSE');
    await echoes({ path }, 1000);
    const port = await start({ kind: 'echo' });
    const samePort = await start({ kind: 'echo' }, { index: 0, ip: '127.0.0.1', port: port.port });
    assert.equal(samePort.failure, 'EADDRINUSE');
    await first.stop();
    await port.stop();

    // A process that is killed leaves its file behind.
    const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.ok(existsSync(path));
    const again = await start({ kind: 'echo' }, { index: 0, socketPath: path, mode: null });
    await echoes({ path }, 1000);
    await again.stop();
  });

  test('serves two thousand connections at once', async () => {
    const fixture = await start({ kind: 'echo' });
    const sockets = await Promise.all(
      Array.from({ length: 2000 }, async () => {
        const socket = net.connect(fixture.port, '127.0.0.1');
        await once(socket, 'connect');
        return socket;
      }),
    );
    for (let round = 0; round < 3; round++) {
      await Promise.all(
        sockets.map(async (socket, i) => {
          socket.write(`${round} ${i}`);
          const [answer] = await once(socket, 'data');
          assert.equal(String(answer), `${round} ${i}`);
        }),
      );
    }
    for (const socket of sockets) socket.destroy();
    const stats = await fixture.until('closing', ({ open }) => open === 0);
    assert.deepEqual([stats.accepted, stats.violations], [2000, []]);
    await fixture.stop();
  });
}

/** Descriptors are limited for a whole process, so this one has a process of its own. */
async function survivesWantOfDescriptors(driver: DriverName): Promise<void> {
  const child: ChildProcess = spawn(
    'sh',
    ['-c', 'ulimit -n 100 && exec "$0" "$@"', process.execPath, FILE, driver],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  const [line] = await once(child.stdout!, 'data');
  const port = Number(line);
  const sockets = Array.from({ length: 150 }, () => net.connect(port, '127.0.0.1').on('error', () => {}));
  const answers = sockets.map(async (socket, i) => {
    socket.write(`hello ${i}`);
    const [answer] = await once(socket, 'data');
    assert.equal(String(answer), `hello ${i}`);
    return socket;
  });
  // The rest waits in the backlog until the first are gone: each that is served makes room for another.
  await Promise.all(answers.map(async (answer) => (await answer).destroy()));
  child.stdin!.end();
  const [reports] = await once(child.stdout!, 'data');
  await once(child, 'exit');
  assert.match(String(reports), /accepting failed \(too many open files\)/);
}

/** The process that {@link survivesWantOfDescriptors} starts: an echo server until standard input ends. */
async function runLimitedProcess(driver: DriverName): Promise<void> {
  const fixture = await new Fixture(driver, { kind: 'echo' }, ANY_PORT).start();
  process.stdout.write(`${fixture.port}\n`);
  process.stdin.resume();
  await once(process.stdin, 'end');
  const stats = await fixture.stats();
  process.stdout.write(`${stats.reports.join('\n')}\n`);
  await fixture.stop();
}

if (!isMainThread) {
  await runFixture(parentPort!, workerData as FixtureStart);
} else if (process.argv[2] !== undefined) {
  await runLimitedProcess(process.argv[2] as DriverName);
} else {
  for (const driver of ['uring', 'epoll', 'node'] as const) {
    let impossible: string | false = false;
    try {
      chooseDriver(driver);
    } catch (error) {
      impossible = (error as Error).message;
    }
    describe(`driver ${driver}`, { skip: impossible }, () => {
      conformance(driver);
      if (driver !== 'node') {
        test('waits with accepting while descriptors are short', () => survivesWantOfDescriptors(driver));
      }
    });
  }
  after(() => rmSync(folder, { recursive: true, force: true }));
}
