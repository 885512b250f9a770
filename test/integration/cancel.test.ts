import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstError, singleValue } from '../harness/backend-message.js';
import { psql } from '../harness/client-programs.js';
import * as send from '../harness/frontend-message.js';
import { withGateway } from '../harness/gateway-under-test.js';
import type { PostgresServer } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { onEveryDriver } from '../harness/stage.js';
import { until, within } from '../harness/until.js';

async function untilRunning(server: PostgresServer, sql: string): Promise<void> {
  await until(`${sql} to run`, async () => {
    const rows = await server.query(
      `SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()
       AND query = '${sql.replaceAll("'", "''")}'`,
    );
    return rows.length > 0;
  });
}

onEveryDriver('cancel', { gateway: { settings: { default_pool_size: 2 } } }, (stage) => {
  test('psql interrupted by SIGINT', async () => {
    const sql = 'SELECT pg_sleep(60), 1';
    const { stderr } = await psql(stage.gateway, ['-c', sql], {
      started: (child) => {
        untilRunning(stage.server, sql).then(() => child.kill('SIGINT'));
      },
    });
    assert.match(stderr, /canceling statement due to user request/);
  });

  test('a raw cancel request stops its own client’s query alone', async () => {
    const [one, two] = await Promise.all([RawClient.login(stage.gateway), RawClient.login(stage.gateway)]);
    one.send(send.query('SELECT pg_sleep(60), 2'));
    two.send(send.query('SELECT pg_sleep(1), 3'));
    await untilRunning(stage.server, 'SELECT pg_sleep(60), 2');
    await one.cancel(stage.gateway);
    assert.equal(firstError(await one.untilReady()).code, '57014');
    assert.equal(
      (await two.untilReady()).some(({ type }) => type === 'E'),
      false,
    );
    assert.equal(singleValue(await one.query('SELECT 4')), '4');
    await Promise.all([one.close(), two.close()]);
  });

  test('of an idle client, with an unknown key, or with a wrong one: nothing happens', async () => {
    const [idle, busy] = await Promise.all([RawClient.login(stage.gateway), RawClient.login(stage.gateway)]);
    busy.send(send.query('SELECT pg_sleep(0.5), 5'));
    await untilRunning(stage.server, 'SELECT pg_sleep(0.5), 5');
    await idle.cancel(stage.gateway);
    const { processId, secret } = busy;
    busy.processId = processId + 1;
    await busy.cancel(stage.gateway);
    busy.processId = processId;
    busy.secret = Buffer.from(secret.map((byte) => byte ^ 0xff));
    await busy.cancel(stage.gateway);
    assert.equal(
      (await busy.untilReady()).some(({ type }) => type === 'E'),
      false,
    );
    assert.equal(singleValue(await idle.query('SELECT 6')), '6');
    await Promise.all([idle.close(), busy.close()]);
  });

  test('of a client that waits for a server connection', async () => {
    const holders = await Promise.all([RawClient.login(stage.gateway), RawClient.login(stage.gateway)]);
    for (const holder of holders) await holder.query('BEGIN');
    const waiting = await RawClient.login(stage.gateway);
    waiting.send(send.query('SELECT 7'));
    await waiting.cancel(stage.gateway);
    for (const holder of holders) await holder.query('COMMIT');
    // Either it was cancelled while it waited, or the cancel found nothing to stop.
    const answer = await waiting.untilReady();
    if (answer.some(({ type }) => type === 'E')) assert.equal(firstError(answer).code, '57014');
    else assert.equal(singleValue(answer), '7');
    assert.equal(singleValue(await waiting.query('SELECT 8')), '8');
    for (const client of [...holders, waiting]) await client.close();
  });

  test('during a COPY whose reader has stopped reading', async () => {
    const client = await RawClient.login(stage.gateway);
    const sql = "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 500000)) TO STDOUT";
    client.send(send.query(sql));
    await client.take('d');
    client.pause();
    await until('the server to wait for its reader', async () => {
      const rows = await stage.server.query(
        "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND query LIKE 'COPY (SELECT repeat%'",
      );
      return rows.length > 0;
    });
    await within('the cancel', 5000, client.cancel(stage.gateway));
    client.resume();
    assert.equal(firstError(await client.untilReady()).code, '57014');
    assert.equal(singleValue(await client.query('SELECT 9')), '9');
    await client.close();
  });

  test('a hundred cancels that come too late harm nobody', async () => {
    const clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.login(stage.gateway)));
    await Promise.all(
      clients.map(async (client, i) => {
        for (let round = 0; round < 10; round++) {
          // The cancel is sent together with the query, so that it may hit before, while or after it runs.
          client.send(send.query(`SELECT ${i}`));
          const cancelled = client.cancel(stage.gateway);
          const answer = await client.untilReady();
          await cancelled;
          const failed = answer.some(({ type }) => type === 'E');
          if (failed) assert.equal(firstError(answer).code, '57014');
          else assert.equal(singleValue(answer), `${i}`);
        }
      }),
    );
    // Cancels that are late must not reach whoever has the server connection next.
    for (let i = 0; i < 50; i++) {
      const [client] = clients;
      assert.equal(singleValue(await client!.query('SELECT 10')), '10');
    }
    for (const client of clients) await client.close();
  });

  test('a cancel of a server that can’t be reached any more is dropped', async () => {
    const options = { io: stage.io, server: stage.server, settings: { default_pool_size: 1 } };
    await withGateway(options, async (gateway) => {
      const client = await RawClient.login(gateway);
      await client.query('BEGIN');
      await client.cancel(gateway);
      assert.equal(singleValue(await client.query('SELECT 11')), '11');
      await client.close();
    });
  });
});
