import assert from 'node:assert/strict';
import { test } from 'node:test';
import { singleValue } from '../harness/backend-message.js';
import * as send from '../harness/frontend-message.js';
import { RawClient } from '../harness/raw-client.js';
import { onEveryDriver } from '../harness/stage.js';
import { until } from '../harness/until.js';

const MEGABYTE = 1024 * 1024;
const BOUND_BYTES = 5 * MEGABYTE;
/** Of 50 MB. Node's own sockets leave garbage, which counts until it is collected. */
const COPY_BOUND_BYTES = 20 * MEGABYTE;
const LARGE = "SELECT repeat('x', 10000) FROM generate_series(1, 100000)";

onEveryDriver('a client that does not read a result of 1 GB', {}, (stage) => {
  const stalledServers = async () => {
    const rows = await stage.server.query(
      "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND state = 'active'",
    );
    return rows.length;
  };

  /** Warms everything up, so that only the stalled results count. */
  const warmUp = async () => {
    const client = await RawClient.login(stage.gateway);
    client.send(send.query("SELECT repeat('x', 10000) FROM generate_series(1, 3000)"));
    await client.untilReady();
    await client.close();
  };

  test('costs under 5 MB, and harms nobody', async () => {
    await warmUp();
    const before = stage.gateway.residentBytes();
    const stalled = [];
    for (let i = 0; i < 4; i++) {
      const client = await RawClient.login(stage.gateway);
      client.pause();
      client.send(send.query(LARGE));
      stalled.push(client);
    }
    await until('the servers to wait for their readers', async () => (await stalledServers()) === 4);
    const bystander = await RawClient.login(stage.gateway);
    for (let i = 0; i < 100; i++) assert.equal(singleValue(await bystander.query('SELECT 1')), '1');
    const grown = stage.gateway.residentBytes() - before;
    for (const client of stalled) client.reset();
    await until('the servers to be free', async () => (await stalledServers()) === 0);
    assert.equal(singleValue(await bystander.query('SELECT 2')), '2');
    await bystander.close();
    assert.ok(grown / 4 < BOUND_BYTES, `each stalled result cost ${(grown / 4 / MEGABYTE).toFixed(1)} MB`);
  });

  test('gets all of it when it reads again', async () => {
    const client = await RawClient.login(stage.gateway);
    client.pause();
    client.send(send.query("SELECT repeat('y', 10000) FROM generate_series(1, 5000)"));
    await until('the server to wait for its reader', async () => (await stalledServers()) === 1);
    client.resume();
    const rows = (await client.untilReady()).filter(({ type }) => type === 'D');
    assert.equal(rows.length, 5000);
    assert.ok(rows.every(({ body }) => body.length === 10_006));
    await client.close();
  });

  test('a server that does not read a large COPY stops its client, not the gateway', async () => {
    const client = await RawClient.login(stage.gateway);
    await stage.server.query('CREATE TABLE IF NOT EXISTS copied (t text)');
    await client.query('BEGIN');
    client.send(send.query('COPY copied FROM STDIN'));
    await client.take('G');
    const [backend] = await stage.server.query(
      "SELECT pid FROM pg_stat_activity WHERE query = 'COPY copied FROM STDIN'",
    );
    process.kill(backend?.pid, 'SIGSTOP');
    const before = stage.gateway.residentBytes();
    try {
      const line = send.copyData(`${'z'.repeat(9_999)}\n`);
      for (let i = 0; i < 5000; i++) client.send(line);
      const bystander = await RawClient.login(stage.gateway);
      for (let i = 0; i < 100; i++) assert.equal(singleValue(await bystander.query('SELECT 3')), '3');
      await bystander.close();
      const grown = stage.gateway.residentBytes() - before;
      assert.ok(grown < COPY_BOUND_BYTES, `it cost ${(grown / MEGABYTE).toFixed(1)} MB`);
    } finally {
      process.kill(backend?.pid, 'SIGCONT');
    }
    client.send(send.copyDone());
    assert.equal(
      (await client.untilReady()).some(({ type }) => type === 'E'),
      false,
    );
    assert.equal(singleValue(await client.query('SELECT count(*) FROM copied')), '5000');
    await client.query('ROLLBACK');
    await client.close();
  });
});
