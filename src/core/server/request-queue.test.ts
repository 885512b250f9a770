import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { COPY_END, EXECUTE, QUERY, RequestQueue, SYNC } from './request-queue.js';

describe('RequestQueue', () => {
  test('behaves as a list does, over any pushes and shifts', () => {
    const step = fc.oneof(
      fc.record({ push: fc.integer({ min: 1, max: 63 }), detail: fc.option(fc.string()) }),
      fc.constant(null),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const queue = new RequestQueue<string>();
        const model: [number, string | null][] = [];
        for (const action of steps) {
          if (action !== null) {
            queue.push(action.push, action.detail);
            model.push([action.push, action.detail]);
          } else if (model.length > 0) {
            queue.shift();
            model.shift();
          }
          assert.equal(queue.length, model.length);
          assert.equal(queue.first, model[0]?.[0] ?? 0);
          assert.equal(queue.firstDetail, model[0]?.[1] ?? null);
        }
      }),
    );
  });

  test('drops the Syncs that a server ignores in copy-in, and keeps those behind the end of the copy', () => {
    const queue = new RequestQueue<never>();
    for (const request of [EXECUTE, SYNC, SYNC, COPY_END, SYNC]) queue.push(request);
    assert.deepEqual(queue.dropSyncsBeforeCopyEnd(), { dropped: 2, ended: true });
    assert.equal(queue.length, 3);
    assert.equal(queue.first, EXECUTE);
  });

  test('takes the end of one copy out, and leaves the next one', () => {
    const queue = new RequestQueue<never>();
    for (const request of [QUERY, COPY_END, SYNC, COPY_END]) queue.push(request);
    queue.dropCopyEnd();
    const left: number[] = [];
    for (; queue.length > 0; queue.shift()) left.push(queue.first);
    assert.deepEqual(left, [QUERY, SYNC, COPY_END]);
  });

  test('says when the copy has not been ended yet', () => {
    const queue = new RequestQueue<never>();
    for (const request of [EXECUTE, SYNC]) queue.push(request);
    assert.deepEqual(queue.dropSyncsBeforeCopyEnd(), { dropped: 1, ended: false });
    assert.equal(queue.length, 1);
  });
});
