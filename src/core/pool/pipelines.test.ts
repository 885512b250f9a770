import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildQuery } from '../../wire/client-messages.js';
import type { GatewayContext } from '../context.js';
import { Database } from '../databases.js';
import { ParameterSets } from '../parameters.js';
import { ShapeRoute, ShapeStatistics } from '../route/shape-route.js';
import { type PipelinedClient, PipelinedRead } from '../session/pipelined-read.js';
import { PipelineWatch } from './pipeline-watch.js';
import { type PipelinedPool, Pipelines } from './pipelines.js';

const UNIT = buildQuery('select 1');
const FACTS = { kind: 'read', mayRunOnStandby: true, reason: '', transaction: null } as const;

/** A pool with one free server connection, to a standby that needs 30 ms to answer anything. */
function poolOfOne() {
  const parameterSets = new ParameterSets();
  const { empty } = parameterSets;
  const session = { parameters: empty, settings: empty, prepared: empty };
  const watch = new PipelineWatch();
  const context = {
    ...{ parameterSets, pipelineWatch: watch, newId: () => 1, io: { now: () => 1000 } },
    settings: { readPipelineLength: 8, maxPreparedStatements: 0 },
    counters: { readsPipelined: 0, pipelines: 0 },
  } as unknown as GatewayContext;
  const nothing = (): void => {};
  const server = { ...session, statements: {}, bind: nothing, expect: nothing, fromClient: nothing };
  const free = [server];
  const pool = {
    ...{ database: new Database('app', false), identity: { node: { questionMs: 30 } }, limits: {} },
    ...{ isHeld: false, waiters: { first: null }, resting: { next: server, take: () => free.pop() } },
  } as unknown as PipelinedPool;
  const pipelines = new Pipelines(context, pool);
  const shape = new ShapeRoute({ ...FACTS, changesCatalogue: false, text: '' }, null, new ShapeStatistics());
  shape.leavesNothing = true;
  shape.statistics.expectedMs = 0.1;
  const newRead = (sendAlone = nothing) => {
    const client = { ...session, keptUnit: UNIT, waitingSince: 0 } as unknown as PipelinedClient;
    return new PipelinedRead(client, {
      travelled: nothing,
      sendAlone,
      repeatElsewhere: nothing,
      nodeFailed: nothing,
    });
  };
  const send = (read: PipelinedRead) => pipelines.send(read, UNIT.length, shape);
  return { context, pool, watch, newRead, send };
}

test('nobody waits long for the read before, but as long as its standby needs to answer anything', () => {
  const { context, watch, newRead, send } = poolOfOne();
  const alone: number[] = [];
  for (const place of [1, 2]) assert.ok(send(newRead(() => alone.push(place))));
  assert.equal(context.counters.pipelines, 1);
  assert.equal(watch.turn(1049), 1050);
  assert.deepEqual(alone, []);
  watch.turn(1050);
  assert.deepEqual(alone, [2]);
});

test('nobody is sent together with others before who has waited longer, or while the pool is held', () => {
  const { pool, newRead, send } = poolOfOne();
  assert.ok(send(newRead()));
  const read = newRead();
  for (const first of [newRead().client, read.client]) {
    Object.assign(pool, { waiters: { first }, isHeld: false });
    assert.equal(send(read), first === read.client);
  }
  Object.assign(pool, { waiters: { first: null }, isHeld: true });
  assert.ok(!send(newRead()));
});
