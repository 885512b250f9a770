import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SocketAddress } from './io.js';
import { LOCAL_SOCKET_PROOF_MS, LOCAL_SOCKET_REFUSED_MS, LOCAL_SOCKET_RETRY_MS } from './limits.js';
import { LocalSockets, LocalWay } from './local-sockets.js';

const TCP = { host: '127.0.0.1', port: 5432 };
const socketOf = (server: string): SocketAddress => ({
  socketPath: '/run/postgresql/.s.PGSQL.5432',
  shortcut: { insteadOf: TCP, ownerUid: 26, authentication: 10, server },
});
const SOCKET = socketOf('a');

function kindAt(way: LocalWay, now: number): string {
  return way.look(now).kind;
}

test('a proof lasts for a while, whether the socket serves or not', () => {
  const way = new LocalWay();
  assert.equal(kindAt(way, 0), 'unknown');
  way.proved(SOCKET, 0);
  way.confirm(SOCKET);
  assert.equal(kindAt(way, LOCAL_SOCKET_PROOF_MS - 1), 'proved');
  assert.equal(kindAt(way, LOCAL_SOCKET_PROOF_MS), 'unknown');
});

test('a socket that has never served is left alone when it fails, and for longer when it refuses', () => {
  const way = new LocalWay();
  way.proved(SOCKET, 0);
  assert.equal(way.failed(SOCKET, 0, false), true);
  assert.equal(kindAt(way, LOCAL_SOCKET_RETRY_MS - 1), 'unused');
  assert.equal(kindAt(way, LOCAL_SOCKET_RETRY_MS), 'unknown');
  way.proved(SOCKET, 0);
  assert.equal(way.failed(SOCKET, 0, true), true);
  assert.equal(kindAt(way, LOCAL_SOCKET_REFUSED_MS - 1), 'unused');
});

test('one that has served is proved anew when it fails: the server may have been restarted', () => {
  for (const isRefusal of [false, true]) {
    const way = new LocalWay();
    way.proved(SOCKET, 0);
    way.confirm(SOCKET);
    assert.equal(way.failed(SOCKET, 0, isRefusal), false);
    assert.equal(kindAt(way, 0), 'unknown');
  }
  const way = new LocalWay();
  way.proved(SOCKET, 0);
  way.confirm(SOCKET);
  assert.equal(way.failed(SOCKET, 0, false), false);
  assert.equal(kindAt(way, 0), 'unknown');
  // The second of several that were on their way to what was there before.
  assert.equal(way.failed(SOCKET, 0, false), false);
  assert.equal(kindAt(way, 0), 'unknown');
  const next = socketOf('b');
  way.proved(next, 0);
  way.confirm(SOCKET);
  assert.equal(way.failed(next, 0, false), true);
});

test('databases and users have ways of their own, until everything is forgotten', () => {
  const sockets = new LocalSockets();
  const way = sockets.wayTo('app', 'alice', TCP);
  assert.equal(sockets.wayTo('app', 'alice', TCP), way);
  assert.notEqual(sockets.wayTo('app', 'bob', TCP), way);
  assert.notEqual(sockets.wayTo('shop', 'alice', TCP), way);
  assert.notEqual(sockets.wayTo('app', 'alice', { ...TCP, port: 5433 }), way);
  sockets.forget();
  assert.notEqual(sockets.wayTo('app', 'alice', TCP), way);
});
