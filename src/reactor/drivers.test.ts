/** One conformance suite for all drivers. Files and processes of its own where a test needs them. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import type { ServerAddress } from '../core/io.js';
import { chooseDriver } from './choose-driver.js';
import type { DriverName, Listener } from './driver.js';
import { type Behaviour, Fixture, pattern } from './driver-fixture.js';

const FILE = fileURLToPath(import.meta.url);

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
/** A process that this file has started for its descriptors needs none. */
const folder = process.argv[2] === undefined ? mkdtempSync(join(tmpdir(), 'sluice-drivers-')) : '';

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
    const before = process.memoryUsage.rss();
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
      const grown = process.memoryUsage.rss() - before;
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

  test('notices a reset behind bytes that were not read while the server was slow', async () => {
    let takesAll = true;
    const taken: net.Socket[] = [];
    const server = net.createServer((socket) => {
      taken.push(socket);
      socket.on('error', () => {}).on('data', () => takesAll || socket.pause());
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const to = { host: '127.0.0.1', port: (server.address() as net.AddressInfo).port };
    const fixture = await start({ kind: 'forward', to });
    const clients = Array.from({ length: 4 }, () =>
      net.connect(fixture.port, '127.0.0.1').on('error', () => {}),
    );
    const piece = pattern(1 << 20, 0);
    // While everything is taken, the kernel lets the receive buffers grow. Then they fill.
    for (const takes of [true, false]) {
      takesAll = takes;
      for (const client of clients) {
        for (let sent = 0; sent < 64; sent++) if (!client.write(piece) && takes) await once(client, 'drain');
      }
    }
    let last = -1;
    await fixture.until('stalling', ({ receivedBytes }) => {
      const isSteady = receivedBytes === last;
      last = receivedBytes;
      return isSteady;
    });
    for (const client of clients) client.resetAndDestroy();
    await Promise.all(clients.map((client) => client.closed || once(client, 'close')));
    takesAll = true;
    for (const socket of taken) socket.resume();
    const { violations } = await fixture.until('closing', ({ open }) => open === 0);
    assert.deepEqual(violations, []);
    await fixture.stop();
    server.close();
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

/** Stalled readers fill the arena: the one that has stalled longest is given up, and others are served. */
async function survivesFullArena(driver: DriverName): Promise<void> {
  const flood = await new Fixture(driver, { kind: 'flood', bytes: 2_000_000 }, ANY_PORT, {
    arenaBytes: 8 << 20,
  }).start();
  const stalled = Array.from({ length: 20 }, () =>
    net
      .connect(flood.port, '127.0.0.1')
      .on('error', () => {})
      .pause(),
  );
  await flood.until('accepting', ({ accepted }) => accepted === stalled.length);
  for (const socket of stalled) socket.destroy();
  await flood.until('closing', ({ open }) => open === 0);
  assert.equal((await readAll(net.connect(flood.port, '127.0.0.1'))).length, 2_000_000);
  await flood.stop();

  const source = net.createServer((socket) => {
    const piece = Buffer.alloc(1 << 20);
    const more = (): void => {
      while (!socket.destroyed && socket.write(piece)) {}
    };
    socket.on('drain', more).on('error', () => {});
    more();
  });
  await once(source.listen(0, '127.0.0.1'), 'listening');
  const to = { host: '127.0.0.1', port: (source.address() as net.AddressInfo).port };
  const forward = await new Fixture(driver, { kind: 'forward', to }, ANY_PORT, {
    arenaBytes: 4 << 20,
  }).start();
  const readers = Array.from({ length: 30 }, () => {
    const socket = net.connect(forward.port, '127.0.0.1').on('error', () => {});
    return socket.once('data', () => socket.pause());
  });
  const { closeReasons } = await forward.until('eviction', (stats) => stats.closeReasons.length > 0);
  assert.match(closeReasons[0]!, /buffer memory is exhausted/);
  const reader = net.connect(forward.port, '127.0.0.1');
  const bytesRead = (await readSome(reader, 50 << 20)).length;
  reader.destroy();
  for (const socket of readers) socket.destroy();
  const { violations } = await forward.until('closing', ({ open }) => open === 0);
  await forward.stop();
  source.close();
  assert.deepEqual(violations, []);
  assert.ok(bytesRead >= 50 << 20, `${bytesRead} bytes came`);
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

if (process.argv[2] !== undefined) {
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
        test('survives an exhausted arena', () => survivesFullArena(driver));
        test('waits with accepting while descriptors are short', () => survivesWantOfDescriptors(driver));
      }
    });
  }
  after(() => rmSync(folder, { recursive: true, force: true }));
}
