/** A server's last words reach the client whose session or transaction they end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstError, singleValue } from '../harness/backend-message.js';
import { FaultProxy } from '../harness/fault-proxy.js';
import * as send from '../harness/frontend-message.js';
import { withGateway } from '../harness/gateway-under-test.js';
import { RawClient } from '../harness/raw-client.js';
import { onEveryDriver, type Stage } from '../harness/stage.js';
import { until } from '../harness/until.js';

const PID = 'SELECT pg_backend_pid()';

async function terminate(stage: Stage, pid: string | null): Promise<void> {
  await stage.server.query(`SELECT pg_terminate_backend(${pid})`);
}

async function untilWaiting(stage: Stage, pid: string | null, event: string): Promise<void> {
  await until(`the server to wait for ${event}`, async () => {
    const found = `SELECT 1 FROM pg_stat_activity WHERE pid = ${pid} AND wait_event = '${event}'`;
    return (await stage.server.query(found)).length > 0;
  });
}

onEveryDriver('a server’s FATAL', {}, (stage) => {
  /** What a client is told when it is in this state and its server session is terminated. */
  async function wordsAfter(begin: (client: RawClient) => Promise<void>, waitEvent: string): Promise<string> {
    const client = await RawClient.login(stage.gateway);
    await client.query('BEGIN');
    const pid = singleValue(await client.query(PID));
    await begin(client);
    await untilWaiting(stage, pid, waitEvent);
    await terminate(stage, pid);
    const error = firstError(await client.take('E'));
    client.destroy();
    return `${error.severity} ${error.code} ${error.message}`;
  }

  const TERMINATED = 'terminating connection due to administrator command';
  const LOST = `ERROR 40001 the transaction is lost with its server connection: ${TERMINATED}`;

  test('while a query runs', async () => {
    const begin = async (client: RawClient) => client.send(send.query('SELECT pg_sleep(60)'));
    assert.equal(await wordsAfter(begin, 'PgSleep'), LOST);
  });

  test('while a batch runs, with more sent behind it', async () => {
    const begin = async (client: RawClient) => {
      client.send(send.extended('SELECT pg_sleep(60)'), send.extended('SELECT 2'), send.query('SELECT 3'));
    };
    assert.equal(await wordsAfter(begin, 'PgSleep'), LOST);
  });

  test('a crash of the server, whatever its reason, is the end of what runs, and of no session', async () => {
    const proxy = await FaultProxy.start(stage.server);
    try {
      await withGateway({ io: stage.io, server: proxy }, async (gateway) => {
        const client = await RawClient.login(gateway);
        const pid = singleValue(await client.query(PID));
        client.send(send.query('SELECT pg_sleep(60)'));
        await untilWaiting(stage, pid, 'PgSleep');
        proxy.disguise = ['SFATAL\0VFATAL\0C57P01', 'SPANIC\0VPANIC\0C53100'];
        await terminate(stage, pid);
        const error = firstError(await client.take('Z'));
        assert.deepEqual([error.severity, error.code], ['ERROR', '08007']);
        proxy.disguise = null;
        assert.notEqual(singleValue(await client.query(PID)), pid);
        await client.close();
      });
    } finally {
      await proxy.stop();
    }
  });

  test('is heard before its end: nobody is given the server connection between them', async () => {
    const proxy = await FaultProxy.start(stage.server);
    try {
      await withGateway(
        { io: stage.io, server: proxy, settings: { default_pool_size: 1, log_disconnections: 1 } },
        async (gateway) => {
          const client = await RawClient.login(gateway);
          const pid = singleValue(await client.query(PID));
          proxy.hidesEnds = true;
          await terminate(stage, pid);
          await until('the gateway to know', () => gateway.log.includes('server conn crashed?'));
          assert.notEqual(singleValue(await client.query(PID)), pid);
          await client.close();
        },
      );
    } finally {
      await proxy.stop();
    }
  });

  test('during COPY FROM STDIN', async () => {
    const begin = async (client: RawClient) => {
      await client.query('CREATE TEMP TABLE c (a int)');
      client.send(send.query('COPY c FROM STDIN'), send.copyData('1\n'));
      await client.take('G');
    };
    assert.equal(await wordsAfter(begin, 'ClientRead'), `FATAL 57P01 ${TERMINATED}`);
  });

  test('while a server tries what a client asks for at its login: another one does', async () => {
    const holder = await RawClient.login(stage.server);
    // What it asks for is looked for there.
    await holder.query('BEGIN; LOCK TABLE pg_conversion');
    const login = RawClient.login(stage.gateway, { client_encoding: 'LATIN1' });
    const trial = (otherThan: string) => async () => {
      const waiting = `SELECT pid::text FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid <> ${otherThan}`;
      return (await stage.server.query(waiting))[0]?.pid as string | undefined;
    };
    const first = await until('the trial to wait', trial('0'));
    await terminate(stage, first);
    await until('another one to try', trial(first));
    await holder.query('ROLLBACK');
    const client = await login;
    assert.equal(singleValue(await client.query('SHOW client_encoding')), 'LATIN1');
    await client.close();
    await holder.close();
  });

  test('idle_in_transaction_session_timeout', async () => {
    const client = await RawClient.login(stage.gateway);
    await client.query("BEGIN; SET LOCAL idle_in_transaction_session_timeout = '50ms'");
    const error = firstError(await client.untilEnd());
    assert.deepEqual([error.severity, error.code], ['FATAL', '25P03']);
    client.destroy();
  });

  test('between transactions it concerns nobody', async () => {
    const proxy = await FaultProxy.start(stage.server);
    try {
      await withGateway({ io: stage.io, server: proxy }, async (gateway) => {
        const client = await RawClient.login(gateway);
        const pid = singleValue(await client.query(PID));
        await terminate(stage, pid);
        await until('the gateway to take notice', () => proxy.openSockets === 0);
        assert.notEqual(singleValue(await client.query(PID)), pid);
        await client.close();
      });
    } finally {
      await proxy.stop();
    }
  });

  test('in pool_mode session also between transactions', async () => {
    const settings = { pool_mode: 'session' };
    await withGateway({ io: stage.io, server: stage.server, settings }, async (gateway) => {
      const client = await RawClient.login(gateway);
      const pid = singleValue(await client.query(PID));
      await terminate(stage, pid);
      const error = firstError(await client.untilEnd());
      assert.deepEqual([error.severity, error.code], ['FATAL', '57P01']);
      client.destroy();
    });
  });
});
