import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import { AgentError } from './agent-error.js';
import { choosePorts, probePort, requireFreePort } from './ports.js';

const free = async () => true;
const none = { previous: [], avoid: [], first: null };

describe('choosing ports', () => {
  test('without wishes they begin at 5433', async () => {
    assert.deepEqual(await choosePorts({ ...none, count: 3 }, free), [5433, 5434, 5435]);
  });

  test('busy ones and the gateway are stepped over', async () => {
    const isFree = async (port: number) => port !== 5434;
    assert.deepEqual(await choosePorts({ ...none, count: 3, avoid: [5435] }, isFree), [5433, 5436, 5437]);
  });

  test('those of the last run are taken again, if they are free', async () => {
    const isFree = async (port: number) => port !== 6001;
    assert.deepEqual(
      await choosePorts({ ...none, count: 3, previous: [6000, 6001, 5433] }, isFree),
      [6000, 5434, 5433],
    );
  });

  test('no port is chosen twice', async () => {
    assert.deepEqual(await choosePorts({ ...none, count: 2, previous: [6000, 6000] }, free), [6000, 5433]);
  });

  test('asked for, they are those or none', async () => {
    assert.deepEqual(
      await choosePorts({ ...none, count: 2, first: 7000, previous: [5433] }, free),
      [7000, 7001],
    );
    await assert.rejects(
      choosePorts({ ...none, count: 2, first: 7000 }, async (port) => port !== 7001),
      (error) => error instanceof AgentError && error.kind === 'port-busy' && /7001/.test(error.message),
    );
    await assert.rejects(choosePorts({ ...none, count: 2, first: 6431, avoid: [6432] }, free), /6432/);
    await assert.rejects(choosePorts({ ...none, count: 2, first: 65535 }, free), /65536/);
  });
});

test('a busy port is told with its holder and the option to change', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    assert.equal(await probePort(port), 'EADDRINUSE');
    await assert.rejects(requireFreePort(port, '--port'), (error) => {
      assert.ok(error instanceof AgentError);
      assert.match(error.message, new RegExp(`port ${port} .* in use by`));
      if (process.platform === 'linux') assert.match(error.message, new RegExp(`pid ${process.pid}`));
      assert.match(error.advice.join(), /--port/);
      return true;
    });
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
  await requireFreePort(port, '--port');
});
