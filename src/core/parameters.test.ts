import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ParameterSets, reportedName } from './parameters.js';

describe('parameter sets', () => {
  test('equal sets are the same object, in whatever order they were made', () => {
    const sets = new ParameterSets();
    const one = sets.with(sets.with(sets.empty, 'TimeZone', 'UTC'), 'DateStyle', 'ISO');
    const other = sets.overlay(
      sets.empty,
      new Map([
        ['DateStyle', 'ISO'],
        ['TimeZone', 'UTC'],
      ]),
    );
    assert.equal(one, other);
    assert.equal(sets.with(one, 'TimeZone', 'UTC'), one);
  });

  test('names are known in any case', () => {
    assert.equal(reportedName('TIMEZONE'), 'TimeZone');
    assert.equal(reportedName('search_path'), null);
  });
});
