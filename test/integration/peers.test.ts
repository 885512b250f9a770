/** Cancel requests that reach another process than the one that has the client. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import pg from 'pg';
import { firstError } from '../harness/backend-message.js';
import { describeDrivers } from '../harness/drivers.js';
import * as send from '../harness/frontend-message.js';
import { type Driver, GatewayUnderTest } from '../harness/gateway-under-test.js';
import { PostgresServer, SUPERUSER } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { freePort, scratchFolder } from '../harness/scratch.js';
import { until } from '../harness/until.js';

let server: PostgresServer;
before(async () => {
  server = await PostgresServer.start();
});
after(() => server?.discard());

const started: GatewayUnderTest[] = [];
afterEach(async () => {
  for (const gateway of started.splice(0)) await gateway.stop();
});

/** Starts a process with a number of its own, which knows others by their numbers and ports. */
async function startPeer(
  io: Driver,
  id: number,
  port: number,
  others: Readonly<Record<number, number>>,
): Promise<GatewayUnderTest> {
  const peers = Object.entries(others).map(
    ([other, at]) => `  ${other}: { host: 127.0.0.1, port: ${at}, pool_size: 5 }\n`,
  );
  const list = peers.length === 0 ? '' : `peers:\n${peers.join('')}`;
  const file = join(scratchFolder('peer'), 'sluice.yaml');
  writeFileSync(file, `peer_id: ${id}\nadmin_users: [${SUPERUSER}]\nlog_disconnections: true\n${list}`);
  const gateway = await GatewayUnderTest.start({ io, server, port, file });
  started.push(gateway);
  return gateway;
}

async function untilRunning(sql: string): Promise<void> {
  await until(`${sql} to run`, async () => {
    const found = `SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = '${sql}'`;
    return (await server.query(found)).length > 0;
  });
}

/** A client of the first process, of this protocol version, that runs something long. */
async function busyClient(gateway: GatewayUnderTest, minor: number, sql: string): Promise<RawClient> {
  const client = await RawClient.connect(gateway);
  client.startup({}, minor);
  await client.untilReady();
  client.send(send.query(sql));
  await untilRunning(sql);
  return client;
}

describeDrivers('peers', (io) => {
  for (const minor of [0, 2]) {
    test(`a cancel request finds its process, by a key of protocol 3.${minor}`, async () => {
      const [here, there] = [await freePort(), await freePort()];
      const gateway = await startPeer(io, 1, here, { 2: there });
      const other = await startPeer(io, 2, there, { 1: here });
      const client = await busyClient(gateway, minor, `SELECT pg_sleep(60), ${minor}`);
      await client.cancel(other);
      assert.equal(firstError(await client.untilReady()).code, '57014');
      await client.close();
    });
  }

  test('a request travels three hops at most, and nowhere if its process is not known', async () => {
    const [here, there] = [await freePort(), await freePort()];
    const owner = await startPeer(io, 3, await freePort(), {});
    // Each takes the other for the one that the client belongs to.
    const gateways = [await startPeer(io, 1, here, { 3: there }), await startPeer(io, 2, there, { 3: here })];
    const client = await busyClient(owner, 0, 'SELECT pg_sleep(1), 3');
    await client.cancel(gateways[0]!);
    const log = () => gateways.map((gateway) => gateway.log).join('\n');
    await until('the request to be dropped', () => log().includes('its TTL was exhausted'));
    const passedOn = () => log().match(/successfully sent cancel request/g)?.length ?? 0;
    await until('the processes on the way to know', () => passedOn() === 3);
    const key = client.processId;
    client.processId = (key & 0x7f0000ff) | 0x090000;
    await client.cancel(owner);
    await until('the owner to refuse it', () =>
      owner.log.includes('could not find peer to forward request to'),
    );
    assert.ok((await client.untilReady()).every(({ type }) => type !== 'E'));
    await client.close();
  });

  test('the console shows them', async () => {
    const port = await freePort();
    const gateway = await startPeer(io, 1, await freePort(), { 2: port });
    const client = new pg.Client({ connectionString: gateway.url(SUPERUSER, 'pgbouncer') });
    await client.connect();
    assert.deepEqual((await client.query('SHOW PEERS')).rows, [
      { peer_id: 2, host: '127.0.0.1', port, pool_size: 5 },
    ]);
    assert.deepEqual((await client.query('SHOW PEER_POOLS')).rows, [
      { peer_id: 2, cl_active_cancel_req: 0, cl_waiting_cancel_req: 0, sv_active_cancel: 0, sv_login: 0 },
    ]);
    await client.end();
  });
});
