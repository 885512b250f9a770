import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Database } from '../databases.js';
import type { QueryTaker } from './catalogue-reading.js';
import { DatabaseShapes } from './database-shapes.js';

test('the shapes of a database are kept while it is used, and read from its newest source', () => {
  const io = { now: () => 0, randomBytes: (length: number) => new Uint8Array(length) };
  const kept = new DatabaseShapes({ io } as never);
  const [app, other] = [{ name: 'app' }, { name: 'other' }] as Database[];
  const queries: QueryTaker[] = [];
  const source = () => ({ query: (_sql: string, done: QueryTaker) => void queries.push(done) });
  const first = source();
  const shapes = kept.of(app!, first);
  kept.of(other!, source());
  assert.equal(kept.of(app!, first), shapes);
  kept.advance(0);
  assert.equal(queries.length, 2);
  assert.equal(kept.of(app!, source()), shapes);
  kept.advance(0);
  assert.equal(queries.length, 3, 'the new source is asked');
  queries[0]!(null);
  kept.advance(0);
  assert.equal(queries.length, 3, 'what the old one says is of no interest');
  kept.keep((database) => database === app);
  assert.deepEqual(kept.routed, [{ name: 'app', shapes }]);
  assert.ok(!kept.isEmpty);
});
