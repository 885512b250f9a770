import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ShapeRoute, ShapeStatistics } from './shape-route.js';
import { shapesOf } from './shape-snapshots.js';
import type { Shapes } from './shapes.js';

function route(text: string, calls: number): ShapeRoute {
  const facts = { kind: 'read', mayRunOnStandby: true, reason: 'it only reads' } as const;
  const statistics = new ShapeStatistics();
  for (let n = 0; n < calls; n += 1) statistics.ranOnStandby(1, 1);
  statistics.onPrimary = calls;
  return new ShapeRoute({ ...facts, transaction: null, changesCatalogue: false, text }, null, statistics);
}

test('the shapes that were called most come first', () => {
  const routes = [route('SELECT ?', 3), route('', 0), route('SELECT a', 100), route('SELECT b', 0)];
  const shown = shapesOf({ name: 'app', shapes: { routes: () => routes } as unknown as Shapes });
  assert.deepEqual(
    shown.map(({ text, onPrimary, onStandby, standbyMs }) => [text, onPrimary, onStandby, standbyMs]),
    [
      ['SELECT a', 100, 100, 100],
      ['SELECT ?', 3, 3, 3],
      ['SELECT b', 0, 0, 0],
    ],
  );
  assert.equal(shown[1]!.latency, null);
  assert.ok(shown[0]!.latency!.reduce((sum, count) => sum + count, 0) >= 80);
});

test('after some calls a standby is expected to take as long as it took for the last ones, without what came before', () => {
  const statistics = new ShapeStatistics();
  for (let n = 0; n < 8; n += 1) {
    assert.equal(statistics.expectedMs, Number.POSITIVE_INFINITY);
    statistics.ranOnStandby(100, 1);
  }
  statistics.ranOnStandby(100, 1);
  assert.equal(statistics.expectedMs, 1);
  for (let n = 0; n < 100; n += 1) statistics.ranOnStandby(100, 50);
  assert.ok(statistics.expectedMs > 40 && statistics.expectedMs < 50, `${statistics.expectedMs} ms`);
});
