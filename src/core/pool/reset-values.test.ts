import assert from 'node:assert/strict';
import { test } from 'node:test';
import { resetValues } from './reset-values.js';

const asked = new Map([
  ['application_name', 'mine'],
  ['client_encoding', 'UTF8'],
  ['TimeZone', 'Asia/Tokyo'],
]);

test('what a plain connection has anyway needs no connection of its own', () => {
  const plain = new Map([
    ['application_name', ''],
    ['client_encoding', 'UTF8'],
    ['TimeZone', 'UTC'],
  ]);
  assert.deepEqual([...resetValues(asked, { values: plain })], [['TimeZone', 'Asia/Tokyo']]);
});

test('while that is not known, everything may differ but the application name, which always follows', () => {
  assert.deepEqual([...resetValues(asked, null).keys()], ['client_encoding', 'TimeZone']);
});
