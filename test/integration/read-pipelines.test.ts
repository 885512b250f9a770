/** Reads that are released to a standby at one moment, and share a server connection: each is answered as if it were alone. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { replaceMethod, restoreAll } from '../../simulator/replace-method.js';
import { PipelineWatch } from '../../src/core/pool/pipeline-watch.js';
import { Pipelines } from '../../src/core/pool/pipelines.js';
import { StrongReads } from '../../src/core/route/strong-reads.js';
import { firstError, singleValue, typesOf } from '../harness/backend-message.js';
import { FaultProxy } from '../harness/fault-proxy.js';
import * as send from '../harness/frontend-message.js';
import { GatewayInProcess } from '../harness/gateway-in-process.js';
import { PostgresServer } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/until.js';

const GROUND =
  'CREATE TABLE facts (n int); INSERT INTO facts SELECT generate_series(0, 9); CREATE TABLE locked ()';
const FACT = 'SELECT n FROM facts WHERE n =';
const DIVISION = 'SELECT 100 / n FROM facts WHERE n =';
const LOCKED = 'SELECT count(*) FROM locked';
/** Rows that fill PostgreSQL's buffer, so that the first one comes; the last one takes for ever. */
const half = (rows: number) =>
  `SELECT repeat('x', 20000), CASE n WHEN 3 THEN (SELECT count(*) FROM (SELECT generate_series(1, n * ${rows})) s) END ` +
  'FROM generate_series(1, 3) n';
const HALF = half(300_000_000);
const LARGE_BYTES = 4_000_000;
const LARGE = `SELECT repeat('x', ${LARGE_BYTES})`;
const SUM = 'SELECT 0.1::float8 + 0.2::float8';
const KNOWN = [`${FACT} 1`, `${DIVISION} 1`, LOCKED, half(1), LARGE, SUM];
const CLIENTS = 6;
/** Server connections of the standby that are free before each test. */
const FREE = 3;
const TO_THE_STANDBY =
  "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend' AND pid <> pg_backend_pid()";

describe('reads that are released together', () => {
  let primary: PostgresServer;
  let standby: PostgresServer;
  let proxy: FaultProxy | undefined;
  let gateway: GatewayInProcess;
  let clients: RawClient[] = [];
  let asker: RawClient;
  /** Holds the lock that a read of `locked` waits for, on the standby as well. */
  let locker: RawClient;
  let restore = (): void => {};
  const counters = () => gateway.gateway.context.counters;
  const reads = () => gateway.gateway.clusters.inUse[0]![1].counters;
  const busy = () => [...gateway.gateway.sessions].filter(({ routing }) => routing?.isBusy === true).length;
  const query = (sql: string) => [send.query(sql)];

  /** Each client sends what it is given, in this order, while the primary is not heard; then it is. */
  const release = async (...units: readonly (readonly Buffer[])[]): Promise<void> => {
    proxy!.mute(true);
    // What comes while the primary is being asked waits for the next question, together.
    asker.send(send.query('BEGIN READ ONLY'));
    await until('the question', () => busy() === 1);
    for (const [place, unit] of units.entries()) {
      clients[place]!.send(...unit);
      await until('it to wait', () => busy() === place + 2);
    }
    proxy!.mute(false);
    await asker.untilReady();
    await asker.query('COMMIT');
  };
  /** The same, and they share a server connection. */
  const releaseTogether = async (...units: readonly (readonly Buffer[])[]): Promise<void> => {
    const { readsPipelined, pipelines } = counters();
    await release(...units);
    await until('them to be sent', () => counters().readsPipelined >= readsPipelined + units.length);
    assert.equal(counters().pipelines, pipelines + 1);
  };
  const answers = (from: number, to: number) =>
    Promise.all(clients.slice(from, to).map((client) => client.untilReady()));
  const values = async (from: number, to: number) => (await answers(from, to)).map(singleValue);
  const lock = async (): Promise<void> => {
    await locker.query('BEGIN');
    await locker.query('LOCK locked');
    await primary.query('INSERT INTO facts VALUES (-1)');
    await primary.replayedBy(standby);
  };
  const untilIdle = () =>
    until('nothing to run there', async () => (await standby.query(TO_THE_STANDBY)).length === 0);

  const untilRead = (client: RawClient, sql: string) =>
    until(`"${sql}" to be read on the standby`, async () => {
      const { readsOnStandbys } = reads();
      await client.query(sql);
      return reads().readsOnStandbys > readsOnStandbys;
    });

  before(async () => {
    primary = await PostgresServer.start({ settings: { synchronous_commit: 'on' } });
    await primary.query(GROUND);
    standby = await primary.startStandby();
    await primary.replayedBy(standby);
    proxy = await FaultProxy.start(primary);
    const nodes = [standby, proxy].map(({ host, port }) => ({ host, port }));
    gateway = await GatewayInProcess.start({
      databases: { app: { nodes } },
      default_pool_size: CLIENTS,
      max_prepared_statements: 10,
      standby_wait: '10s',
    });
    const client = await RawClient.login(gateway);
    for (const sql of KNOWN) await untilRead(client, sql);
    await client.close();
    // However long they have taken on this machine; and none is sent before the primary is asked.
    restore = restoreAll([
      replaceMethod(Pipelines.prototype, 'expectedOf', () => 0),
      replaceMethod(StrongReads.prototype, 'early', () => null),
    ]);
  });
  beforeEach(async () => {
    locker = await RawClient.login(primary);
    asker = await RawClient.login(gateway);
    await untilRead(asker, `${FACT} 1`);
    clients = await Promise.all(Array.from({ length: CLIENTS }, () => RawClient.login(gateway)));
    for (const sql of ['BEGIN READ ONLY', `${FACT} 1`, 'COMMIT'])
      await Promise.all(clients.slice(0, FREE).map((client) => client.query(sql)));
  });
  afterEach(async () => {
    proxy?.mute(false);
    await Promise.all([locker, asker, ...clients].map((client) => client.close()));
    await untilIdle();
  });
  after(async () => {
    restore();
    await gateway?.stop();
    await proxy?.stop();
    await standby?.discard();
    await primary?.discard();
  });

  test('get their own answers, by whatever protocol', async () => {
    for (const client of clients.slice(2, 4)) {
      client.send(send.parse('s', `${FACT} $1`), send.sync());
      await client.untilReady();
    }
    const fact = (n: number) => send.bind('', 's', [String(n)]);
    for (const first of [1, 2, 3]) {
      await releaseTogether(
        query(`${FACT} ${first}`),
        [send.extended(`${FACT} 4`)],
        [fact(5), send.execute(''), send.sync()],
        [fact(6), send.describePortal(''), send.execute(''), send.sync()],
        [send.extended(`${FACT} 7`)],
        query(`${FACT} 8`),
      );
      const messages = await answers(0, CLIENTS);
      assert.deepEqual(messages.map(typesOf), ['TDCZ', '12TDCZ', '2DCZ', '2TDCZ', '12TDCZ', 'TDCZ']);
      assert.deepEqual(messages.map(singleValue), [String(first), '4', '5', '6', '7', '8']);
    }
  });

  test('leave their clients with what they have sent behind them', async () => {
    await releaseTogether(
      [send.query(`${FACT} 1`), send.query('SHOW port'), send.extended(`${FACT} 2`)],
      [send.extended(`${FACT} 3`), send.bind('', ''), send.execute(''), send.sync()],
      query(`${FACT} 4`),
    );
    const [first, second] = [clients[0]!, clients[1]!];
    assert.equal(singleValue(await first.untilReady()), '1');
    assert.equal(singleValue(await first.untilReady()), String(primary.port));
    assert.equal(singleValue(await first.untilReady()), '2');
    // The unnamed statement that was parsed on the way is its client's.
    assert.equal(singleValue(await second.untilReady()), '3');
    assert.equal(singleValue(await second.untilReady()), '3');
    assert.deepEqual(await values(2, 3), ['4']);
  });

  test('of a client that sends no more are answered before it is closed', async () => {
    await releaseTogether(query(`${FACT} 1`), query(`${FACT} 2`));
    clients[0]!.end();
    assert.equal(typesOf(await clients[0]!.untilEnd()), 'TDCZ');
    assert.deepEqual(await values(1, 2), ['2']);
  });

  test('fail by themselves', async () => {
    const { readsRepeated } = counters();
    await releaseTogether(
      query(`${FACT} 1`),
      query(`${DIVISION} 0`),
      [send.extended(`${DIVISION} 0`)],
      query(`${FACT} 4`),
    );
    const [one, simple, extended, four] = await answers(0, 4);
    assert.deepEqual(
      [one, four].map((answer) => singleValue(answer!)),
      ['1', '4'],
    );
    assert.deepEqual(
      [simple, extended].map((answer) => firstError(answer!).code),
      ['22012', '22012'],
    );
    assert.deepEqual(
      [simple, extended].map((answer) => answer!.at(-1)!.type),
      ['Z', 'Z'],
    );
    assert.equal(
      counters().readsRepeated,
      readsRepeated + 1,
      'what was refused behind a Parse is asked once more',
    );
    for (const client of clients.slice(1, 3)) assert.equal(singleValue(await client.query(`${FACT} 5`)), '5');
  });

  test('do not wait for one that has to wait itself', async () => {
    await lock();
    const { readsDispersed } = counters();
    await releaseTogether(
      query(LOCKED),
      query(`${FACT} 1`),
      [send.extended(`${FACT} 2`)],
      query(`${FACT} 3`),
    );
    assert.deepEqual(await values(1, 4), ['1', '2', '3']);
    assert.equal(clients[0]!.arrived.length, 0);
    assert.equal(counters().readsDispersed, readsDispersed + 3);
    await locker.query('ROLLBACK');
    assert.deepEqual(await values(0, 1), ['0']);
  });

  test('can be cancelled: the client and the server go on', async () => {
    await lock();
    await releaseTogether(query(LOCKED), query(`${FACT} 1`));
    await clients[0]!.cancel(gateway);
    assert.equal(firstError(await clients[0]!.untilReady()).code, '57014');
    assert.deepEqual(await values(1, 2), ['1']);
    await untilIdle();
    assert.equal(singleValue(await clients[0]!.query(`${FACT} 2`)), '2');
  });

  test('can be cancelled when a part of the answer has come', async () => {
    await releaseTogether(query(HALF), query(`${FACT} 1`));
    await clients[0]!.take('D');
    await clients[0]!.cancel(gateway);
    assert.equal(firstError(await clients[0]!.untilReady()).code, '57014');
    assert.deepEqual(await values(1, 2), ['1']);
    assert.equal(singleValue(await clients[0]!.query(`${FACT} 2`)), '2');
  });

  test('do not wait for a client that does not take its answer', async () => {
    clients[0]!.pause();
    await releaseTogether(query(LARGE), query(`${FACT} 1`), query(`${FACT} 2`));
    assert.deepEqual(await values(1, 3), ['1', '2']);
    clients[0]!.resume();
    assert.equal((await values(0, 1))[0]!.length, LARGE_BYTES);
  });

  test('are nobody else’s concern when their client goes', async () => {
    await lock();
    await releaseTogether(query(LOCKED), query(`${FACT} 1`), query(`${FACT} 2`));
    clients[0]!.reset();
    assert.deepEqual(await values(1, 3), ['1', '2']);
    await untilIdle();
  });

  test('go to the primary, all of them, when their server process ends', async () => {
    const patient = replaceMethod(PipelineWatch.prototype, 'turn', () => Number.POSITIVE_INFINITY);
    try {
      await lock();
      const { readsRepeated } = counters();
      await releaseTogether(query(LOCKED), query(`${FACT} 1`), [send.extended(`${FACT} 2`)]);
      await standby.query(TO_THE_STANDBY.replace('SELECT pid', 'SELECT pg_terminate_backend(pid)'));
      assert.deepEqual(await values(1, 3), ['1', '2']);
      await locker.query('ROLLBACK');
      assert.deepEqual(await values(0, 1), ['0']);
      assert.equal(counters().readsRepeated, readsRepeated + 3);
    } finally {
      patient();
    }
  });

  test('of which a part has been told can’t be repeated: their client is told so, and stays', async () => {
    await releaseTogether(query(HALF), query(`${FACT} 1`));
    await clients[0]!.take('D');
    await standby.query(TO_THE_STANDBY.replace('SELECT pid', 'SELECT pg_terminate_backend(pid)'));
    const answer = await clients[0]!.untilReady();
    assert.deepEqual([firstError(answer).code, answer.at(-1)!.type], ['08007', 'Z']);
    assert.equal(singleValue(await clients[0]!.query(`${FACT} 2`)), '2');
    assert.deepEqual(await values(1, 2), ['1']);
  });

  test('see the settings of their own sessions', async () => {
    await clients[1]!.query('SET extra_float_digits = -5');
    // Until its server has told what that has set, it goes on there.
    await untilRead(clients[1]!, `${FACT} 1`);
    await release(query(SUM), query(SUM), query(SUM));
    assert.deepEqual(await values(0, 3), ['0.30000000000000004', '0.3', '0.30000000000000004']);
  });

  test('are shown where they run', async () => {
    await lock();
    await releaseTogether(query(LOCKED), query(`${FACT} 1`));
    assert.deepEqual(await values(1, 2), ['1']);
    const { connections } = gateway.gateway.snapshot('connections');
    const [waiting] = [...gateway.gateway.sessions].filter(({ routing }) => routing?.isBusy === true);
    const client = connections!.clients.find(({ id }) => id === waiting!.id)!;
    const server = connections!.servers.find(({ id }) => id === client.link)!;
    assert.deepEqual([client.state, server.state, server.link], ['active', 'active', client.id]);
  });
});
