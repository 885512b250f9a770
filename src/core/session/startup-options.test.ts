import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseStartupOptions } from './startup-options.js';

describe('startup options', () => {
  const accepted: [text: string, settings: Record<string, string>][] = [
    ['', {}],
    [' \t ', {}],
    ['-c a=b', { a: 'b' }],
    ['  -c    datestyle=German,\\ YMD  ', { datestyle: 'German, YMD' }],
    ['-ca=b -cc=d', { a: 'b', c: 'd' }],
    ['--a=b --c=d', { a: 'b', c: 'd' }],
    ['-c a=1 --a=2', { a: '2' }],
    ['--statement-timeout=5s', { statement_timeout: '5s' }],
    ['-c a=b=c', { a: 'b=c' }],
    ['-c a=', { a: '' }],
    [
      '-c t\\imezone=\\E\\u\\r\\o\\pe/Lisbon -c dat\\estyle\\=x',
      { timezone: 'Europe/Lisbon', datestyle: 'x' },
    ],
    ['-c a=\\\\', { a: '\\' }],
    ['-c a=b\\', { a: 'b' }],
    ['-c a=\\-d', { a: '-d' }],
  ];
  for (const [text, settings] of accepted) {
    test(`accept ${JSON.stringify(text)}`, () => {
      assert.deepEqual(Object.fromEntries(parseStartupOptions(text) ?? [['refused', '']]), settings);
    });
  }

  for (const text of [
    '-d',
    '-c',
    '-c timezone',
    '--timezone',
    '-c =x',
    '--=x',
    '-B 5',
    'a=b',
    '-c a=b -E',
    '\\',
  ]) {
    test(`refuse ${JSON.stringify(text)}`, () => assert.equal(parseStartupOptions(text), null));
  }
});
