import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NodeSettings } from '../settings.js';
import { RouteNode } from './route-node.js';

test('what a node needs to answer anything is not held against a read', () => {
  const node = new RouteNode({} as NodeSettings, { now: () => 0 }, { lost() {}, leftRecovery() {} });
  assert.equal(node.ownMs(7), 7, 'nothing is known');
  for (const ms of [4, 6, 5]) node.answeredQuestion(ms);
  assert.equal(node.ownMs(7), 2);
  assert.equal(node.ownMs(3), 0);
  for (let question = 0; question < 50; question += 1) node.answeredQuestion(1);
  assert.ok(Math.abs(node.ownMs(7) - 6) < 0.1, 'it has got faster');
});
