import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rowsOf, singleValue, typesOf } from '../harness/backend-message.js';
import * as send from '../harness/frontend-message.js';
import { RawClient } from '../harness/raw-client.js';
import { onEveryDriver } from '../harness/stage.js';
import { until } from '../harness/until.js';

onEveryDriver(
  'a client that closes its direction',
  { gateway: { settings: { default_pool_size: 1 } } },
  (stage) => {
    test('gets the whole answer to what it sent', async () => {
      const client = await RawClient.login(stage.gateway);
      client.send(
        send.query("SELECT repeat('x', 1000) FROM generate_series(1, 20000)"),
        send.query('SELECT 2'),
      );
      client.end();
      const messages = await client.untilEnd();
      assert.equal(rowsOf(messages).length, 20_001);
      assert.match(typesOf(messages), /^TD+CZTDCZ$/);
    });

    test('after Terminate, too', async () => {
      const client = await RawClient.login(stage.gateway);
      client.send(send.query('SELECT pg_sleep(0.1)'), send.terminate());
      client.end();
      assert.equal(typesOf(await client.untilEnd()), 'TDCZ');
    });

    test('with the first packet already', async () => {
      const client = await RawClient.connect(stage.gateway);
      client.startup();
      client.send(send.query('SELECT 3'));
      client.end();
      const messages = await client.untilEnd();
      assert.match(typesOf(messages), /^RS+KZTDCZ$/);
      assert.equal(singleValue(messages), '3');
    });

    test('while it waits for a server connection', async () => {
      const holder = await RawClient.login(stage.gateway);
      await holder.query('BEGIN');
      const client = await RawClient.login(stage.gateway);
      client.send(send.query('SELECT 4'));
      client.end();
      await holder.query('COMMIT');
      assert.equal(singleValue(await client.untilEnd()), '4');
      await holder.close();
      await until('the server connection to be idle', async () => {
        const rows = await stage.server.query(
          "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'client backend' AND state <> 'idle' AND pid <> pg_backend_pid()",
        );
        return rows.length === 0;
      });
    });
  },
);
