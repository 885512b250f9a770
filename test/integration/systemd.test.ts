/** The gateway as a service of systemd, whose part is played here. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { loadAddon } from '../../src/reactor/load-addon.js';
import { start } from '../harness/command.js';
import { availableDrivers } from '../harness/drivers.js';
import { GATEWAY_PROGRAM } from '../harness/gateway-under-test.js';
import { RawClient } from '../harness/raw-client.js';
import { scratchFolder } from '../harness/scratch.js';
import { until } from '../harness/until.js';

const SOCAT = ['/usr/bin/socat', '/usr/local/bin/socat'].find(existsSync);
const skip = process.platform !== 'linux' || SOCAT === undefined || !('addon' in loadAddon());

/** What is sent to a socket of systemd's, as it comes. */
async function notices(path: string) {
  const receiver = start(SOCAT!, ['-u', `UNIX-RECV:${path}`, 'STDOUT'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  receiver.stdout!.on('data', (chunk) => {
    text += chunk;
  });
  await until('the socket', () => existsSync(path));
  return {
    hears: (what: RegExp) => until(`a notice ${what}`, () => what.test(text), 20_000),
    close: () => receiver.kill(),
  };
}

describe('a service of systemd', { skip }, () => {
  for (const io of availableDrivers) {
    test(`listens with the sockets that it is given, and says how it stands (${io})`, async () => {
      const folder = scratchFolder('systemd');
      const file = join(folder, 'sluice.yaml');
      writeFileSync(
        file,
        `auth_type: trust\nio: ${io}\nlisten_addr: 192.0.2.1\ndatabases: { "*": postgres://127.0.0.1:1 }\n`,
      );
      const manager = await notices(join(folder, 'notify'));
      const socket = net.createServer();
      await new Promise<void>((resolve) => socket.listen(0, '127.0.0.1', resolve));
      const { port } = socket.address() as AddressInfo;
      const descriptor = (socket as unknown as { _handle: { fd: number } })._handle.fd;
      // The process that becomes the gateway is the one that LISTEN_PID and WATCHDOG_PID name.
      const script = 'LISTEN_PID=$$ WATCHDOG_PID=$$ exec "$@"';
      const gateway = start(
        '/bin/sh',
        ['-c', script, 'sh', process.execPath, GATEWAY_PROGRAM, 'serve', file],
        {
          stdio: ['ignore', 'pipe', 'pipe', descriptor],
          env: {
            ...process.env,
            LISTEN_FDS: '1',
            NOTIFY_SOCKET: join(folder, 'notify'),
            WATCHDOG_USEC: '200000',
          },
        },
      );
      let log = '';
      for (const stream of [gateway.stdout!, gateway.stderr!]) {
        stream.on('data', (chunk) => {
          log += chunk;
        });
      }
      socket.close();
      await manager.hears(/READY=1\nSTATUS=driver/);
      await manager.hears(/WATCHDOG=1/);
      assert.match(log, /sockets passed from service manager/);
      assert.match(log, new RegExp(`listening on 127\\.0\\.0\\.1:${port}`));
      (await RawClient.connect({ host: '127.0.0.1', port })).destroy();
      gateway.kill('SIGHUP');
      await manager.hears(/RELOADING=1\nMONOTONIC_USEC=\d+[\s\S]*READY=1/);
      gateway.kill('SIGTERM');
      await manager.hears(/STOPPING=1/);
      await until('the end', () => gateway.exitCode !== null);
      assert.equal(gateway.exitCode, 0, log);
      manager.close();
    });
  }
});
