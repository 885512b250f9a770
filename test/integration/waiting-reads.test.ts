/** Reads that wait for a server connection of a standby share the next one that is free. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { replaceMethod, restoreAll } from '../../simulator/replace-method.js';
import { PipelineWatch } from '../../src/core/pool/pipeline-watch.js';
import { Pipelines } from '../../src/core/pool/pipelines.js';
import { typesOf } from '../harness/backend-message.js';
import { FaultProxy } from '../harness/fault-proxy.js';
import * as send from '../harness/frontend-message.js';
import { GatewayInProcess } from '../harness/gateway-in-process.js';
import { PostgresServer } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/until.js';

const GROUND =
  'CREATE TABLE facts (n int); INSERT INTO facts SELECT generate_series(0, 9); CREATE TABLE locked ()';
const FACT = 'SELECT n FROM facts WHERE n =';
const FACT_SHAPE = `${FACT} ?`;
const LOCKED = 'SELECT count(*) FROM locked';
/** Far more than a read may take that shares a server connection: it is not the read's own. */
const DISTANCE_MS = 20;

describe('reads that wait for the only server connection of a standby', () => {
  let primary: PostgresServer;
  let standby: PostgresServer;
  /** In front of the standby. */
  let proxy: FaultProxy | undefined;
  let gateway: GatewayInProcess;
  let clients: RawClient[] = [];
  /** Holds the lock that a read of `locked` waits for, on the standby as well. */
  let locker: RawClient;
  let restore = (): void => {};
  const counters = () => gateway.gateway.context.counters;
  const node = () => gateway.gateway.clusters.inUse[0]![1].nodes.find(({ role }) => role === 'standby')!;
  const waiting = () => [...gateway.gateway.sessions].filter((session) => session.waiting).length;
  const expectedMs = (shape: string) => {
    const routes = gateway.gateway.shapes.routed.flatMap(({ shapes }) => shapes.routes());
    return routes.find(({ text }) => text === shape)?.statistics.expectedMs ?? Number.POSITIVE_INFINITY;
  };
  const assignments = () => gateway.gateway.databases.find('app')!.totals.serverAssignments;

  const login = async (count: number): Promise<void> => {
    clients = await Promise.all(Array.from({ length: count }, () => RawClient.login(gateway)));
  };
  const lock = async (): Promise<void> => {
    await locker.query('BEGIN');
    await locker.query('LOCK locked');
    await primary.query('INSERT INTO facts VALUES (-1)');
    await primary.replayedBy(standby);
  };
  /** The first client has the only connection until the lock is released, and the others wait for it in this order. */
  const hold = async (...units: readonly (readonly Buffer[])[]): Promise<void> => {
    await lock();
    await login(units.length + 1);
    clients[0]!.send(send.query(LOCKED));
    await until('it to run', () => node().outstanding === 1);
    for (const [place, unit] of units.entries()) {
      clients[place + 1]!.send(...unit);
      await until('it to wait', () => waiting() === place + 1);
    }
  };
  const query = (sql: string) => [send.query(sql)];

  before(async () => {
    primary = await PostgresServer.start({ settings: { synchronous_commit: 'on' } });
    await primary.query(GROUND);
    standby = await primary.startStandby();
    await primary.replayedBy(standby);
    proxy = await FaultProxy.start(standby);
    proxy.delayMs = DISTANCE_MS;
    const nodes = [primary, proxy].map(({ host, port }) => ({ host, port }));
    gateway = await GatewayInProcess.start({
      databases: { app: { nodes, consistency: 'eventual', pool_size: 1 } },
      max_prepared_statements: 10,
    });
    locker = await RawClient.login(primary);
    const client = await RawClient.login(gateway);
    for (const [sql, shape] of [
      [`${FACT} 1`, FACT_SHAPE],
      [LOCKED, LOCKED],
    ] as const) {
      await until(`"${sql}" to be known as quick`, async () => {
        await client.query(sql);
        return expectedMs(shape) < DISTANCE_MS / 2;
      });
    }
    await until('transactions to be known', async () => {
      const { reads } = node();
      for (const sql of ['BEGIN READ ONLY', `${FACT} 1`, 'COMMIT']) await client.query(sql);
      return node().reads > reads;
    });
    await client.close();
    // However long they take on this machine.
    restore = restoreAll([
      replaceMethod(Pipelines.prototype, 'expectedOf', () => 0),
      replaceMethod(PipelineWatch.prototype, 'turn', () => Number.POSITIVE_INFINITY),
    ]);
  });
  afterEach(async () => {
    await locker.query('ROLLBACK');
    await Promise.all(clients.map((client) => client.close()));
  });
  after(async () => {
    restore();
    await locker?.close();
    await gateway?.stop();
    await proxy?.stop();
    await standby?.discard();
    await primary?.discard();
  });

  test('share it when it is free, by whatever protocol, and in their turn', async () => {
    const facts = [query(`${FACT} 2`), [send.extended(`${FACT} 3`)], query(`${FACT} 4`)];
    await hold(...facts, query('BEGIN READ ONLY'), query(`${FACT} 6`), query(`${FACT} 7`));
    const { readsPipelined, pipelines } = counters();
    const assigned = assignments();
    await locker.query('ROLLBACK');
    const answers = await Promise.all(clients.slice(0, 5).map((client) => client.untilReady()));
    assert.deepEqual(answers.map(typesOf), ['TDCZ', 'TDCZ', '12TDCZ', 'TDCZ', 'CZ']);
    // Who waits behind a transaction waits for its end.
    assert.deepEqual([counters().readsPipelined - readsPipelined, counters().pipelines - pipelines], [3, 1]);
    await clients[4]!.query('COMMIT');
    const rest = await Promise.all(clients.slice(5).map((client) => client.untilReady()));
    assert.deepEqual(rest.map(typesOf), ['TDCZ', 'TDCZ']);
    assert.deepEqual([counters().readsPipelined - readsPipelined, counters().pipelines - pipelines], [5, 2]);
    assert.equal(assignments() - assigned, 6, 'each has been given a server connection');
    assert.equal(waiting(), 0);
  });

  test('may leave before', async () => {
    await hold(query(`${FACT} 2`), query(`${FACT} 3`), query(`${FACT} 4`));
    const { readsPipelined } = counters();
    clients[2]!.reset();
    await until('it to have left', () => waiting() === 2);
    await locker.query('ROLLBACK');
    for (const place of [0, 1, 3]) assert.equal(typesOf(await clients[place]!.untilReady()), 'TDCZ');
    assert.equal(counters().readsPipelined - readsPipelined, 2);
  });
});
