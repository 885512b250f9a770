import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { endianness, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseIpAddress } from '../core/ip-address.js';
import { findLocalSocket, listenersAt } from './local-socket.js';

const isLinux = process.platform === 'linux';
const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const REST = '00000000:00000000 00:00000000 00000000';

/** A line of /proc/net/tcp or /proc/net/tcp6 of a machine with such a byte order. */
function line(address: string, port: number, uid: number, state = '0A'): string {
  const hexPort = port.toString(16).padStart(4, '0').toUpperCase();
  return `   0: ${address}:${hexPort} ${'0'.repeat(address.length)}:0000 ${state} ${REST} ${uid} 0 12345 1\n`;
}

const address = (text: string): Uint8Array => parseIpAddress(text)!;

test('a listener is told by its address, its port and its state', { skip: endianness() !== 'LE' }, () => {
  const table =
    HEAD +
    line('0100007F', 5432, 1) +
    line('0100007F', 5433, 2) +
    line('0200007F', 5432, 3) +
    line('0100007F', 5432, 4, '01') +
    line('00000000', 5432, 5);
  assert.deepEqual(listenersAt(table, address('127.0.0.1'), 5432), [1, 5]);
  assert.deepEqual(listenersAt(table, address('127.0.0.1'), 5433), [2]);
  assert.deepEqual(listenersAt(table, address('::1'), 5432), []);
});

test('an IPv6 listener may take IPv4 connections', { skip: endianness() !== 'LE' }, () => {
  const table =
    HEAD +
    line('00000000000000000000000001000000', 5432, 1) +
    line('0000000000000000FFFF00000100007F', 5432, 2) +
    line('00000000000000000000000000000000', 5432, 3);
  assert.deepEqual(listenersAt(table, address('127.0.0.1'), 5432), [2, 3]);
  assert.deepEqual(listenersAt(table, address('::1'), 5432), [1, 3]);
});

test('a socket is found that belongs to whoever listens at the address', { skip: !isLinux }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-socket-'));
  const tcp = createServer().listen(0, '127.0.0.1');
  await once(tcp, 'listening');
  const { port } = tcp.address() as AddressInfo;
  const path = join(folder, `.s.PGSQL.${port}`);
  const question = { kind: 'localSocket', host: '127.0.0.1', port, folder } as const;
  const none = new Set<string>();
  const real = createServer().listen(join(folder, 'elsewhere'));
  await once(real, 'listening');
  try {
    assert.equal(await findLocalSocket(question, none), null);
    symlinkSync(join(folder, 'elsewhere'), path);
    assert.equal(await findLocalSocket(question, none), null, 'a symbolic link');
    rmSync(path);
    const socket = createServer().listen(path);
    await once(socket, 'listening');
    assert.deepEqual(await findLocalSocket(question, none), { path, uid: process.getuid?.() });
    assert.equal(await findLocalSocket(question, new Set([path])), null, "the gateway's own");
    assert.equal(
      await findLocalSocket({ ...question, host: '127.0.0.2' }, none),
      null,
      'nobody listens there',
    );
    socket.close();
  } finally {
    tcp.close();
    real.close();
    rmSync(folder, { recursive: true });
  }
});
