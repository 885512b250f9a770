import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildQuery } from '../../wire/client-messages.js';
import { ShapeStatistics } from '../route/shape-route.js';
import { type PipelinedClient, PipelinedRead } from './pipelined-read.js';
import type { ReadPipeline } from './read-pipeline.js';

test('a read that was cancelled counts as long as it was waited for, and not as a quick one', () => {
  const unit = buildQuery('select 1');
  const done: unknown[] = [];
  const client = {
    ...{ keptUnit: unit, statements: null },
    send: () => {},
    unitAnswered: (length: number) => done.push(length),
  } as unknown as PipelinedClient;
  const read = new PipelinedRead(client, {
    travelled: (ownMs) => done.push(ownMs),
    sendAlone: () => assert.fail('it is over'),
    repeatElsewhere: () => assert.fail('it is over'),
    nodeFailed: () => assert.fail('it has nothing to do with it'),
  });
  const pipeline = { remove: (left: PipelinedRead) => done.push(left) } as unknown as ReadPipeline;
  read.begin(pipeline, unit.length, new ShapeStatistics());
  assert.ok(read.cancel());
  assert.deepEqual(done, [read, null, unit.length]);
  assert.equal(read.pipeline, null);
});
