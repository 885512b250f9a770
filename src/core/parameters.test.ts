import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { differenceQuery, ParameterSets, reportedName } from './parameters.js';

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

describe('differenceQuery', () => {
  const sets = new ParameterSets();
  const set = (values: Record<string, string>) => sets.overlay(sets.empty, new Map(Object.entries(values)));

  test('names only what differs', () => {
    const query = differenceQuery(set({ TimeZone: 'UTC', DateStyle: 'ISO' }), set({ TimeZone: 'UTC' }));
    assert.equal(query, "SELECT pg_catalog.set_config('DateStyle', 'ISO', false)");
    assert.equal(differenceQuery(set({ TimeZone: 'UTC' }), set({ TimeZone: 'UTC', DateStyle: 'ISO' })), null);
  });

  test('leaves alone what no client can set', () => {
    assert.equal(differenceQuery(set({ server_version: '15' }), set({ server_version: '16' })), null);
  });

  test('a value cannot leave its literal, whatever standard_conforming_strings is', () => {
    const query = differenceQuery(set({ application_name: "a'b\\'c" }), sets.empty);
    assert.equal(query, "SELECT pg_catalog.set_config('application_name', E'a''b\\\\''c', false)");
  });
});
