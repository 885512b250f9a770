import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import {
  HOLDING_STATES,
  RUNNING_STATES,
  type StateName,
  TRANSITIONS,
  transitionsMarkdown,
} from './states.js';

const ALL = new Set<StateName>(TRANSITIONS.flatMap(([from, , to]) => [from, to]));

function reachableFrom(start: StateName, rows: readonly (readonly [string, string, string])[]): Set<string> {
  const reached = new Set<string>([start]);
  for (let size = 0; size !== reached.size; ) {
    size = reached.size;
    for (const [from, , to] of rows) if (reached.has(from)) reached.add(to);
  }
  return reached;
}

describe('the states of a node', () => {
  test('every state that can be entered has an exit', () => {
    for (const [, , to] of TRANSITIONS) {
      const exits = TRANSITIONS.filter(([from, , next]) => from === to && next !== to);
      assert.ok(exits.length > 0, `no way leads out of ${to}`);
    }
  });

  test('every state can be entered, and from each a node can come to lead and to follow', () => {
    assert.deepEqual(reachableFrom('fencing', TRANSITIONS), new Set<string>(ALL));
    for (const state of ALL) {
      const reached = reachableFrom(state, TRANSITIONS);
      assert.ok(reached.has('leading') && reached.has('following'), state);
    }
  });

  test('an event leads from a state to one other', () => {
    const keys = TRANSITIONS.map(([from, event]) => `${from}: ${event}`);
    assert.equal(new Set(keys).size, keys.length);
  });

  test('wherever PostgreSQL can end by itself, that leads to fenced', () => {
    for (const state of RUNNING_STATES) {
      const row = TRANSITIONS.find(([from, event]) => from === state && event === 'PostgreSQL has ended');
      assert.equal(row?.[2], 'fenced', state);
    }
  });

  test('whoever holds the lease ends PostgreSQL when the lease is at risk', () => {
    for (const state of HOLDING_STATES) {
      const event = 'the lease is lost, or about to be';
      const row = TRANSITIONS.find(([from, on]) => from === state && on === event);
      assert.equal(row?.[2], 'fencing', state);
    }
  });

  test('nobody leads but who has acquired the lease, promoted, published and caught up', () => {
    const without = (state: StateName) => TRANSITIONS.filter(([from]) => from !== state);
    for (const state of ['acquiring', 'promoting', 'publishing', 'opening'] as const) {
      assert.ok(!reachableFrom('fencing', without(state)).has('leading'), state);
    }
  });

  test('docs/availability.md has this table', () => {
    const page = readFileSync(new URL('../../../docs/availability.md', import.meta.url), 'utf8');
    assert.ok(page.includes(transitionsMarkdown()), `the table must be:\n${transitionsMarkdown()}`);
  });
});
