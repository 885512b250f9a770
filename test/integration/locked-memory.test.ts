import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { start } from '../harness/command.js';
import { availableDrivers } from '../harness/drivers.js';
import { GATEWAY_PROGRAM, PRLIMIT } from '../harness/gateway-under-test.js';
import { freePort } from '../harness/scratch.js';
import { until } from '../harness/until.js';

/** io_uring counts against RLIMIT_MEMLOCK for everybody but root. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
const skip = !existsSync(PRLIMIT) || !availableDrivers.includes('uring');

describe('a small limit of locked memory', { skip }, () => {
  // Enough for a ring, for a ring to try out alone, and for none.
  for (const bytes of [1_000_000, 430_000, 360_000, 64_000]) {
    test(`of ${bytes} bytes keeps no gateway from starting`, async () => {
      const flags = ['--listen', `127.0.0.1:${await freePort()}`, '--set', 'auth_type=trust'];
      const gateway = start(
        PRLIMIT,
        [
          ...[`--memlock=${bytes}:${bytes}`, process.execPath, GATEWAY_PROGRAM, 'serve'],
          ...['--database', '*=postgres://127.0.0.1:1', ...flags],
        ],
        { stdio: ['ignore', 'pipe', 'pipe'], ...NOBODY },
      );
      let log = '';
      for (const stream of [gateway.stdout!, gateway.stderr!]) {
        stream.on('data', (chunk) => {
          log += chunk;
        });
      }
      await until('its start', () => gateway.exitCode !== null || /listening on/.test(log), 20_000);
      assert.match(log, /driver (uring|epoll \(.*(Cannot allocate memory|uring))/);
      gateway.kill('SIGTERM');
      await until('its end', () => gateway.exitCode !== null);
      assert.equal(gateway.exitCode, 0, log);
    });
  }
});
