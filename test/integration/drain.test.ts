import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { buildSslRequest } from '../../src/wire/startup.js';
import { errorOf, firstError, singleValue, typesOf } from '../harness/backend-message.js';
import * as send from '../harness/frontend-message.js';
import { GatewayUnderTest } from '../harness/gateway-under-test.js';
import { RawClient } from '../harness/raw-client.js';
import { freePort } from '../harness/scratch.js';
import { onEveryDriver } from '../harness/stage.js';
import { until } from '../harness/until.js';

onEveryDriver('a drain after SIGTERM', {}, (stage) => {
  const start = (settings: Readonly<Record<string, string | number>>): Promise<GatewayUnderTest> =>
    GatewayUnderTest.start({ io: stage.io, server: stage.server, settings });
  const ended = (gateway: GatewayUnderTest) => until('the gateway to end', () => gateway.ended, 20_000);
  const refused = async (gateway: GatewayUnderTest): Promise<boolean> => {
    try {
      (await RawClient.connect(gateway)).destroy();
      return false;
    } catch {
      return true;
    }
  };

  test('closes idle clients at once and lets transactions end', async () => {
    const gateway = await start({ drain_timeout: 60 });
    const idle = await RawClient.login(gateway);
    const working = await RawClient.login(gateway);
    const undecided = await RawClient.connect(gateway);
    undecided.send(buildSslRequest());
    assert.equal(await undecided.byte(), 'N');
    await working.query('BEGIN');
    gateway.signal('SIGTERM');
    const error = firstError(await idle.untilEnd());
    assert.equal(error.code, '57P01');
    await until('new clients to be refused', () => refused(gateway));
    assert.equal(singleValue(await working.query('SELECT 41 + 1')), '42');
    working.send(send.query('COMMIT'));
    // It had been accepted, and is told when it says who it is.
    undecided.startup();
    assert.equal(firstError(await undecided.untilEnd()).code, '57P01');
    const last = await working.untilEnd();
    assert.equal(typesOf(last), 'CZE');
    assert.equal(errorOf(last[2]!).code, '57P01');
    await ended(gateway);
    assert.equal(gateway.exitCode, 0);
    assert.deepEqual(gateway.trouble(), []);
    for (const client of [idle, working, undecided]) client.destroy();
  });

  test('closes a client that never rests between two of its transactions', async () => {
    const gateway = await start({ drain_timeout: 60 });
    const client = await RawClient.login(gateway);
    let answered = 0;
    const work = (async () => {
      for (;;) {
        const answer = await client.query('SELECT 1');
        if (typesOf(answer) !== 'TDCZ') return typesOf(answer);
        answered += 1;
      }
    })();
    await until('some work', () => answered > 20);
    gateway.signal('SIGTERM');
    // What was answered was answered whole; only the next statement meets the end.
    assert.match(await work.catch((error: Error) => error.message), /^E$|connection ended/);
    await ended(gateway);
    assert.equal(gateway.exitCode, 0);
    client.destroy();
  });

  test('never ends a client that has begun to ask, or works at a steady pace', async () => {
    const gateway = await start({ drain_timeout: 60 });
    const late = await RawClient.login(gateway);
    const question = send.query('SELECT 12');
    late.send(question.subarray(0, 9));
    const idle = await RawClient.login(gateway);
    let answered = 0;
    const work = async (): Promise<string> => {
      const client = await RawClient.login(gateway);
      for (;;) {
        const answer = typesOf(await client.query('SELECT 1'));
        if (answer !== 'TDCZ') return `in place of an answer: ${answer}`;
        answered += 1;
        // What a client does between its statements.
        await setTimeout(1);
        if (client.arrived.length > 0) return typesOf(await client.untilEnd());
      }
    };
    const working = Promise.all(Array.from({ length: 20 }, work));
    await until('some work', () => answered > 100);
    gateway.signal('SIGTERM');
    assert.deepEqual(new Set(await working), new Set(['E']));
    assert.equal(typesOf(await idle.untilEnd()), 'E');
    late.send(question.subarray(9));
    assert.equal(typesOf(await late.untilEnd()), 'TDCZE');
    await ended(gateway);
    assert.equal(gateway.exitCode, 0);
    late.destroy();
  });

  test('ends a session of pool_mode session with its transaction', async () => {
    const gateway = await start({ drain_timeout: 60, pool_mode: 'session' });
    const client = await RawClient.login(gateway);
    await client.query('BEGIN');
    gateway.signal('SIGTERM');
    await until('new clients to be refused', () => refused(gateway));
    await client.query('SELECT 1');
    client.send(send.query('COMMIT'));
    assert.equal(typesOf(await client.untilEnd()), 'CZE');
    await ended(gateway);
    assert.equal(gateway.exitCode, 0);
    client.destroy();
  });

  test('closes what still runs after drain_timeout', async () => {
    const gateway = await start({ drain_timeout: 1 });
    const client = await RawClient.login(gateway);
    await client.query('BEGIN');
    gateway.signal('SIGTERM');
    assert.equal(firstError(await client.untilEnd()).code, '57P01');
    await ended(gateway);
    assert.equal(gateway.exitCode, 0);
    client.destroy();
  });

  test('serves on during drain_delay, and says that it is not ready', async () => {
    const http = `127.0.0.1:${await freePort()}`;
    const gateway = await start({ drain_delay: 2, drain_timeout: 60, http_listen: http });
    const statusOf = async (path: string): Promise<number> => (await fetch(`http://${http}${path}`)).status;
    assert.equal(await statusOf('/readiness'), 200);
    gateway.signal('SIGTERM');
    await until('readiness to be false', async () => (await statusOf('/readiness')) === 503);
    assert.equal(await statusOf('/liveness'), 200);
    const late = await RawClient.login(gateway);
    assert.equal(singleValue(await late.query('SELECT 1')), '1');
    assert.equal(firstError(await late.untilEnd()).code, '57P01');
    await ended(gateway);
    assert.equal(gateway.exitCode, 0);
    late.destroy();
  });
});
