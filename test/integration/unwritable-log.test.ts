import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { start } from '../harness/command.js';
import { GATEWAY_PROGRAM } from '../harness/gateway-under-test.js';
import { freePort } from '../harness/scratch.js';
import { until } from '../harness/until.js';

/** Takes nothing: whoever writes to it is told that the disk is full. */
const FULL = '/dev/full';

/** Resolves with whether somebody was let in, who then breaks the protocol, which is logged. */
function visit(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => socket.end(Buffer.alloc(8)));
    socket.on('error', () => resolve(false));
    socket.on('close', (failed) => resolve(!failed));
    socket.resume();
  });
}

describe('a log that can not be written', { skip: !existsSync(FULL) }, () => {
  for (const format of ['json', 'pretty', 'pgbouncer']) {
    test(`ends no gateway (${format})`, async () => {
      const port = await freePort();
      const full = openSync(FULL, 'w');
      const order = ['serve', '--database', 'postgres://app@127.0.0.1:1/app', '--set', 'auth_type=any'];
      const program = [GATEWAY_PROGRAM, ...order, '--listen', `127.0.0.1:${port}`, '--log-format', format];
      const gateway = start(process.execPath, program, { stdio: ['ignore', full, full] });
      closeSync(full);
      const hasEnded = () => gateway.exitCode !== null || gateway.signalCode !== null;
      await until('a client to be let in', async () => hasEnded() || (await visit(port)));
      for (let i = 0; i < 3; i++) assert.ok(await visit(port));
      assert.ok(!hasEnded());
      gateway.kill();
      await until('its end', hasEnded);
    });
  }
});
