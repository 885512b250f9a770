import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { pino } from 'pino';
import { loadAddon } from '../reactor/load-addon.js';
import { type ManagerEnvironment, ServiceManager, sendNotice } from './service-manager.js';

const silent = pino({ level: 'silent' });

/** A manager that only collects what it is told. */
function collect(environment: ManagerEnvironment): { manager: ServiceManager; told: string[] } {
  const told: string[] = [];
  const manager = new ServiceManager(silent, environment, async (socket, message) => {
    told.push(`${socket} ${message}`);
    return null;
  });
  return { manager, told };
}

describe('the service manager', () => {
  test('is told of start, reload and end', async () => {
    const { manager, told } = collect({ NOTIFY_SOCKET: '/run/x' });
    await manager.ready('a\nb');
    await manager.reloading();
    await manager.stopping('SIGTERM');
    assert.equal(told[0], '/run/x READY=1\nSTATUS=a b');
    assert.match(told[1]!, /^\/run\/x RELOADING=1\nMONOTONIC_USEC=\d+$/);
    assert.equal(told[2], '/run/x STOPPING=1\nSTATUS=SIGTERM');
  });

  test('hears nothing where it is none', async () => {
    const { manager, told } = collect({ WATCHDOG_USEC: '1000' });
    await manager.ready('x');
    manager.watch(async () => true);
    await setTimeout(10);
    manager.close();
    assert.deepEqual(told, []);
  });

  test('gets signs of life only while there is life', async () => {
    let beats = 0;
    let asked = 0;
    const manager = new ServiceManager(
      silent,
      { NOTIFY_SOCKET: '/run/x', WATCHDOG_USEC: '4000', WATCHDOG_PID: String(process.pid) },
      async (_, message) => {
        if (message === 'WATCHDOG=1') beats += 1;
        return null;
      },
    );
    const enough = new Promise<void>((resolve) => {
      manager.watch(async () => {
        asked += 1;
        if (asked === 6) resolve();
        return asked <= 3;
      });
    });
    const keepAlive = setInterval(() => {}, 1000);
    await enough;
    clearInterval(keepAlive);
    manager.close();
    assert.equal(beats, 3);
  });

  test('does not take the watchdog of another process for its own', async () => {
    const { manager, told } = collect({ NOTIFY_SOCKET: '/x', WATCHDOG_USEC: '2000', WATCHDOG_PID: '1' });
    manager.watch(async () => true);
    await setTimeout(10);
    assert.deepEqual(told, []);
  });
});

const SOCAT = ['/usr/bin/socat', '/usr/local/bin/socat'].find(existsSync);
const skip = process.platform !== 'linux' || SOCAT === undefined || !('addon' in loadAddon());

describe('a notice', { skip }, () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'notify-'));
  after(() => rmSync(folder, { recursive: true }));

  for (const [kind, address, listen] of [
    ['of the file system', path.join(folder, 's'), `UNIX-RECV:${path.join(folder, 's')}`],
    ['of the abstract namespace', `@sluice-${process.pid}`, `ABSTRACT-RECV:sluice-${process.pid}`],
  ] as const) {
    test(`reaches a socket ${kind}`, async () => {
      const receiver = spawn(SOCAT!, ['-u', listen, 'STDOUT'], { stdio: ['ignore', 'pipe', 'inherit'] });
      const got = once(receiver.stdout, 'data');
      while ((await sendNotice(address, 'READY=1')) !== null) await setTimeout(5);
      assert.equal(String((await got)[0]), 'READY=1');
      receiver.kill();
      await once(receiver, 'exit');
    });
  }

  test('that cannot be sent says why', async () => {
    assert.match((await sendNotice(path.join(folder, 'nobody'), 'x'))!, /system error 2/);
  });
});
