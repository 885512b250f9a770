/** How each driver listens: on a shared port, with the sockets of another process, and with which socket options. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { DEFAULT_SOCKETS, type SocketSettings } from '../config/socket-settings.js';
import { chooseDriver } from './choose-driver.js';
import { listeningAddress, receiveDescriptors, sendDescriptors } from './descriptor-passing.js';
import type { DriverName, Listener } from './driver.js';
import { Fixture } from './driver-fixture.js';
import { loadAddon } from './load-addon.js';
import { KNOWS_REUSE_PORT } from './node-listen.js';

const FILE = fileURLToPath(import.meta.url);
/** The process that this file starts is told its folder. */
const folder = process.argv[3] ?? mkdtempSync(join(tmpdir(), 'sluice-listening-'));
const handoverPath = (driver: DriverName): string => join(folder, `${driver}-handover`);
const clientsPath = (driver: DriverName): string => join(folder, `${driver}-clients`);

type Target = { readonly port: number } | { readonly path: string };

async function answers(target: Target): Promise<void> {
  const socket = net.connect({ host: '127.0.0.1', ...target } as net.NetConnectOpts);
  socket.write('hello');
  const closed = once(socket, 'close').then(() => ['closed without an answer']);
  const [answer] = await Promise.race([once(socket, 'data'), closed]);
  assert.equal(String(answer), 'hello');
  socket.destroy();
}

/** Clients of each target, one after the other until it is stopped; none may be refused. */
function steadyClients(targets: readonly Target[]): { stop(): Promise<unknown> } {
  let running = true;
  const done = Promise.all(
    targets.map(async (target) => {
      while (running) await answers(target);
    }),
  );
  return {
    stop: () => {
      running = false;
      return done;
    },
  };
}

/** The process that a test starts: it hands its listeners to everyone who asks, until standard input ends. */
async function runPredecessor(driver: DriverName): Promise<void> {
  const listeners: Listener[] = [
    { index: 0, ip: '127.0.0.1', port: 0 },
    { index: 0, socketPath: clientsPath(driver), mode: null },
  ];
  const fixtures = await Promise.all(
    listeners.map((listener) => new Fixture(driver, { kind: 'echo' }, listener).start()),
  );
  const server = net.createServer((socket) => {
    sendDescriptors(
      socket,
      fixtures.map(({ descriptor }) => descriptor),
      'two listeners',
    );
    socket.end();
  });
  await once(server.listen(handoverPath(driver)), 'listening');
  process.stdout.write('ready\n');
  process.stdin.resume();
  await once(process.stdin, 'end');
  server.close();
  for (const fixture of fixtures) fixture.handOver(Number(process.argv[4]));
  process.stdout.write('handing over\n');
  for (const fixture of fixtures) {
    await fixture.until('the end of its clients', ({ open }) => open === 0);
    await fixture.stop();
  }
}

/** @param busyMs how long each turn takes in which it gives up listening */
function startPredecessor(driver: DriverName, busyMs = '0'): ChildProcess {
  return spawn(process.execPath, [FILE, driver, folder, busyMs], { stdio: ['pipe', 'pipe', 'inherit'] });
}

/** Asks a predecessor for its listeners, and listens with them. */
async function succeed(driver: DriverName, shared: boolean): Promise<Fixture[]> {
  const { connection, descriptors, message } = receiveDescriptors(handoverPath(driver), 10_000);
  assert.equal(message, 'two listeners');
  await once(connection.resume(), 'end');
  connection.destroy();
  return Promise.all(
    descriptors.map((descriptor, index) => {
      const place = listeningAddress(descriptor)!;
      const socketPath = 'socketPath' in place ? place.socketPath : null;
      const listener: Listener = { index, descriptor, shared, socketPath };
      return new Fixture(driver, { kind: 'echo' }, listener).start();
    }),
  );
}

async function takesOver(driver: DriverName): Promise<void> {
  const child = startPredecessor(driver);
  const died = once(child, 'exit').then(([code]) => Promise.reject(new Error(`it ended: ${code}`)));
  await Promise.race([once(child.stdout!, 'data'), died]);
  died.catch(() => {});
  const path = clientsPath(driver);

  // As with socket activation: the sockets outlive who was given them.
  const guests = await succeed(driver, true);
  const targets: Target[] = [{ port: guests[0]!.port }, { path }];
  await Promise.all(targets.map(answers));
  for (const guest of guests) await guest.stop();
  await Promise.all(targets.map(answers));

  const clients = steadyClients(targets);
  const successors = await succeed(driver, false);
  child.stdin!.end();
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
  assert.ok(existsSync(path), 'the socket file stays');
  const before = await Promise.all(successors.map((successor) => successor.stats()));
  await Promise.all(targets.map(answers));
  await clients.stop();
  for (const [i, successor] of successors.entries()) {
    const { accepted, violations } = await successor.stats();
    assert.ok(accepted > before[i]!.accepted);
    assert.deepEqual(violations, []);
    await successor.stop();
  }
  assert.ok(!existsSync(path), 'the socket file is removed by its last owner');
}

/** A predecessor is told of who connects in the turn in which it gives up listening: the successor is told nothing. */
async function findsMissedClients(driver: DriverName): Promise<void> {
  const child = startPredecessor(driver, '500');
  const ended = once(child, 'exit');
  await once(child.stdout!, 'data');
  const successors = await succeed(driver, false);
  const targets: Target[] = [{ port: successors[0]!.port }, { path: clientsPath(driver) }];
  try {
    child.stdin!.end();
    await once(child.stdout!, 'data');
    // Nobody else connects.
    await Promise.all(targets.map(answers));
    await ended;
  } finally {
    for (const successor of successors) await successor.stop();
  }
}

async function sharesPort(driver: DriverName): Promise<void> {
  const listener = (port: number): Listener => ({ index: 0, ip: '127.0.0.1', port, reusePort: true });
  const first = await new Fixture(driver, { kind: 'echo' }, listener(0)).start();
  const second = await new Fixture(driver, { kind: 'echo' }, listener(first.port)).start();
  const alone = await new Fixture(
    driver,
    { kind: 'echo' },
    { index: 0, ip: '127.0.0.1', port: first.port },
  ).start();
  assert.equal(alone.failure, 'EADDRINUSE');
  await Promise.all(Array.from({ length: 64 }, () => answers(first)));
  const [a, b] = await Promise.all([first.stats(), second.stats()]);
  assert.equal(a.accepted + b.accepted, 64);
  assert.ok(a.accepted > 0 && b.accepted > 0, 'the kernel spreads them');
  await first.stop();
  await answers(second);
  await second.stop();
}

// ---- socket options ----

/** Of Linux: level and name, with the type int. */
const OPTIONS = {
  keepAlive: [1, 9],
  keepIdleSeconds: [6, 4],
  keepIntervalSeconds: [6, 5],
  keepCount: [6, 6],
  userTimeoutMs: [6, 18],
  sendBuffer: [1, 7],
  receiveBuffer: [1, 8],
  deferAccept: [6, 9],
} as const;
type OptionName = keyof typeof OPTIONS;

/** Our descriptors of TCP connections from `localPort` (0: any) to `peerPort` (0: any, or a listener). */
function tcpDescriptors(localPort: number, peerPort: number): number[] {
  const inodes = new Set<string>();
  for (const line of readFileSync('/proc/self/net/tcp', 'utf8').split('\n').slice(1)) {
    const [, local, peer, , , , , , , inode] = line.trim().split(/\s+/);
    const [ours, theirs] = [local, peer].map((place) => Number.parseInt(place?.split(':')[1] ?? '', 16));
    if (inode !== undefined && ours === localPort && theirs === peerPort) inodes.add(`socket:[${inode}]`);
  }
  return readdirSync('/proc/self/fd').flatMap((name) => {
    try {
      return inodes.has(readlinkSync(`/proc/self/fd/${name}`)) ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

function optionsOf(descriptor: number): Record<OptionName, number> {
  const pairs = Object.values(OPTIONS).map(([level, name]) => `[${level},${name}]`);
  const values = askKernel(
    descriptor,
    `map { unpack("i", getsockopt($s, $_->[0], $_->[1])) } ${pairs.join()}`,
  );
  return Object.fromEntries(Object.keys(OPTIONS).map((name, i) => [name, values[i]!])) as never;
}

/** Of Linux' `tcp_info`: segments with data that have come. */
function segmentsReceived(descriptor: number): number {
  return askKernel(descriptor, 'unpack("x152 I", getsockopt($s, 6, 11))')[0]!;
}

/** Another program asks, for Node.js can't. `list` is Perl, and `$s` the socket. */
function askKernel(descriptor: number, list: string): number[] {
  const run = spawnSync('perl', ['-e', `open(my $s, "+<&=3") or die; print join ",", ${list}`], {
    stdio: ['ignore', 'pipe', 'inherit', descriptor],
    encoding: 'utf8',
  });
  return run.stdout.split(',').map(Number);
}

const hasPerl = existsSync('/proc/self/net/tcp') && spawnSync('perl', ['-e', '1']).status === 0;

async function tunesSockets(driver: DriverName): Promise<void> {
  const sockets: SocketSettings = {
    keepAlive: true,
    keepIdleSeconds: 77,
    keepIntervalSeconds: 7,
    keepCount: 3,
    userTimeoutMs: 12_345,
    bufferBytes: 50_000,
    deferAccept: true,
  };
  const server = await new Fixture(driver, { kind: 'echo' }, ANY_PORT).start();
  const to = { host: '127.0.0.1', port: server.port };
  const fixture = await new Fixture(driver, { kind: 'forward', to }, ANY_PORT, { sockets }).start();
  const client = net.connect(fixture.port, '127.0.0.1');
  client.write('hello');
  await once(client, 'data');
  const accepted = tcpDescriptors(fixture.port, client.localPort!);
  const dialled = dialledDescriptors(server.port);
  assert.deepEqual([accepted.length, dialled.length], [1, 1]);
  for (const descriptor of [...accepted, ...dialled]) {
    const options = optionsOf(descriptor);
    assert.deepEqual([options.keepAlive, options.keepIdleSeconds], [1, 77]);
    if (driver === 'node') continue;
    const { keepIntervalSeconds, keepCount, userTimeoutMs, sendBuffer, receiveBuffer } = options;
    assert.deepEqual([keepIntervalSeconds, keepCount, userTimeoutMs], [7, 3, 12_345]);
    assert.deepEqual([sendBuffer, receiveBuffer], [100_000, 100_000], 'the kernel doubles them');
  }
  const [listening] = tcpDescriptors(fixture.port, 0);
  if (driver !== 'node') assert.equal(optionsOf(listening!).deferAccept, 1);
  else assert.match((await fixture.stats()).reports[0]!, /no effect of tcp_keepintvl, tcp_keepcnt/);
  client.destroy();
  await fixture.stop();
  await server.stop();
}

/** Descriptors of connections to this port that the driver has made, by the ports at their other end. */
function dialledDescriptors(port: number): number[] {
  const lines = readFileSync('/proc/self/net/tcp', 'utf8').split('\n').slice(1);
  const peers = lines.flatMap((line) => {
    const [, local, peer] = line.trim().split(/\s+/);
    const [ours, theirs] = [local, peer].map((place) => Number.parseInt(place?.split(':')[1] ?? '', 16));
    return theirs === port ? [ours!] : [];
  });
  return peers.flatMap((ours) => tcpDescriptors(ours, port));
}

async function leavesSocketsAlone(driver: DriverName): Promise<void> {
  const settings: [SocketSettings, number][] = [
    [DEFAULT_SOCKETS, 1],
    [{ ...DEFAULT_SOCKETS, keepAlive: false }, 0],
  ];
  for (const [sockets, keepAlive] of settings) {
    const fixture = await new Fixture(driver, { kind: 'echo' }, ANY_PORT, { sockets }).start();
    const client = net.connect(fixture.port, '127.0.0.1');
    client.write('hello');
    await once(client, 'data');
    const [descriptor] = tcpDescriptors(fixture.port, client.localPort!);
    assert.equal(optionsOf(descriptor!).keepAlive, keepAlive);
    client.destroy();
    await fixture.stop();
  }
}

/** A segment that fills the send buffer stands in it until the peer acknowledges it, which peers put off. */
async function sendsWhatBuffersHold(driver: DriverName): Promise<void> {
  const sockets: SocketSettings = { ...DEFAULT_SOCKETS, bufferBytes: 4096 };
  const bytes = 2_000_000;
  const fixture = await new Fixture(driver, { kind: 'flood', bytes }, ANY_PORT, { sockets }).start();
  const client = net.connect({ host: '127.0.0.1', port: fixture.port, allowHalfOpen: true });
  let received = 0;
  client.on('data', (data) => {
    received += data.length;
  });
  await once(client, 'end');
  assert.equal(received, bytes);
  const [descriptor] = tcpDescriptors(client.localPort!, fixture.port);
  const mean = bytes / segmentsReceived(descriptor!);
  assert.ok(mean < 4 * sockets.bufferBytes, `segments of ${mean} bytes`);
  client.destroy();
  await fixture.stop();
}

const ANY_PORT: Listener = { index: 0, ip: '127.0.0.1', port: 0 };

function impossible(driver: DriverName): string | false {
  try {
    chooseDriver(driver);
    return false;
  } catch (error) {
    return (error as Error).message;
  }
}

if (process.argv[2] !== undefined) {
  await runPredecessor(process.argv[2] as DriverName);
} else {
  const withoutAddon = 'reason' in loadAddon() ? 'the addon is missing' : false;
  for (const driver of ['uring', 'epoll', 'node'] as const) {
    describe(`listening by ${driver}`, { skip: impossible(driver) }, () => {
      const cannotShare = driver === 'node' && !KNOWS_REUSE_PORT ? 'this Node.js cannot' : false;
      test('shares a port with those who share it, too', { skip: cannotShare }, () => sharesPort(driver));
      test(
        'takes the listeners of another process over, without a client refused',
        {
          skip: withoutAddon,
        },
        () => takesOver(driver),
      );
      test(
        'serves those of whom only its predecessor was told',
        { skip: withoutAddon, timeout: 30_000 },
        () => findsMissedClients(driver),
      );
      test('sets the options of TCP sockets', { skip: !hasPerl }, () => tunesSockets(driver));
      const cannotLimit = driver === 'node' || !hasPerl;
      test('sends no more at once than buffers hold', { skip: cannotLimit }, () =>
        sendsWhatBuffersHold(driver),
      );
      test('leaves them as they are where nothing is said', { skip: !hasPerl }, () =>
        leavesSocketsAlone(driver),
      );
    });
  }
  after(() => rmSync(folder, { recursive: true, force: true }));
}
