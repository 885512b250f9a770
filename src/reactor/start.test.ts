import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, test } from 'node:test';
import { type GatewaySettings, NO_EXTRA_SETTINGS } from '../core/settings.js';
import { chooseDriver } from './choose-driver.js';
import type { DriverName } from './driver.js';
import { ListenError, type ReactorHandle, startReactor } from './start.js';

const SETTINGS: GatewaySettings = {
  ...NO_EXTRA_SETTINGS,
  databases: new Map(),
  users: new Map(),
  authType: 'trust',
  poolMode: 'transaction',
  defaultPoolSize: 5,
  maxClientConn: 10,
  maxPreparedStatements: 10,
  serverResetQuery: 'DISCARD ALL',
  maxPacketSize: 1 << 20,
  ignoreStartupParameters: new Set(),
  queryWaitTimeoutMs: 0,
  clientLoginTimeoutMs: 0,
  serverIdleTimeoutMs: 0,
  serverLifetimeMs: 0,
  serverConnectTimeoutMs: 0,
  serverLoginRetryMs: 0,
  cancelWaitTimeoutMs: 0,
  logConnections: false,
  logDisconnections: false,
  logPoolerErrors: false,
};

/** Length 8, then the code that asks for TLS (PostgreSQL's protocol, SSLRequest). */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

function start(io: DriverName, port = 0): Promise<ReactorHandle> {
  return startReactor({
    io,
    listen: [{ host: '127.0.0.1', port }],
    settings: SETTINGS,
    onReport: () => {},
    onQuestion: () => Promise.reject(new Error('nobody asks')),
  });
}

function portOf(reactor: ReactorHandle): number {
  const [place] = reactor.listening;
  return place !== undefined && 'port' in place ? place.port : 0;
}

for (const driver of ['uring', 'epoll', 'node'] as const) {
  let impossible: string | false = false;
  try {
    chooseDriver(driver);
  } catch (error) {
    impossible = (error as Error).message;
  }
  describe(`a reactor on ${driver}`, { skip: impossible }, () => {
    test('answers clients, tells what it does, and ends when asked to', async () => {
      const reactor = await start(driver);
      assert.equal(reactor.driver, driver);
      const client = net.connect(portOf(reactor), '127.0.0.1');
      client.write(SSL_REQUEST);
      const [answer] = await once(client, 'data');
      assert.equal(String(answer), 'N');
      reactor.applySettings({ ...SETTINGS, maxClientConn: 20 });
      assert.equal((await reactor.snapshot()).clients, 1);
      await reactor.shutdown();
      assert.equal(await reactor.ended, null);
      await assert.rejects(reactor.snapshot(), /has ended/);
      await reactor.shutdown();
      client.destroy();
    });

    test('says which address it could not have', async () => {
      const reactor = await start(driver);
      const port = portOf(reactor);
      await assert.rejects(start(driver, port), (error) => {
        assert.ok(error instanceof ListenError);
        assert.deepEqual([error.code, error.address, error.port], ['EADDRINUSE', '127.0.0.1', port]);
        return true;
      });
      await reactor.shutdown();
    });
  });
}

test('a host name that does not resolve is a ListenError', async () => {
  const listen = [{ host: 'no-such-host.invalid', port: 0 }];
  await assert.rejects(
    startReactor({
      io: 'node',
      listen,
      settings: SETTINGS,
      onReport: () => {},
      onQuestion: () => Promise.reject(new Error('nobody asks')),
    }),
    (error) => error instanceof ListenError && error.address === 'no-such-host.invalid',
  );
});

test('a forced driver that is impossible is an error that says why', () => {
  const without = { reason: 'the native addon was not built' };
  assert.throws(() => chooseDriver('uring', without), /"uring".*was not built/);
  assert.deepEqual(chooseDriver('auto', without), { driver: 'node', reason: without.reason });
});
