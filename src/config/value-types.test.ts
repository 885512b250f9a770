import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type * as z from 'zod';
import { booleanWord, commaList, duration, fileMode, wholeNumber } from './value-types.js';

function accepts(type: z.ZodType, cases: readonly (readonly [unknown, unknown])[]): void {
  for (const [input, output] of cases) {
    assert.deepEqual(type.safeParse(input).data, output, `${JSON.stringify(input)} should be taken`);
  }
}

function refuses(type: z.ZodType, inputs: readonly unknown[], expected: RegExp): void {
  for (const input of inputs) {
    const result = type.safeParse(input);
    assert.equal(result.success, false, `${JSON.stringify(input)} should be refused`);
    for (const issue of result.error?.issues ?? []) assert.match(issue.message, expected);
  }
}

describe('the kinds of values', () => {
  test('durations are seconds, or have a unit, and come out in ms', () => {
    accepts(duration(), [
      [0, 0],
      [120, 120_000],
      [0.5, 500],
      ['120', 120_000],
      ['0', 0],
      ['500ms', 500],
      ['2s', 2000],
      ['1.5 s', 1500],
      ['5min', 300_000],
      ['1h', 3_600_000],
      ['2d', 172_800_000],
      [0.3, 300],
    ]);
  });

  test('a tiny duration does not become 0, which means no limit', () => {
    accepts(duration(), [
      [0.0001, 1],
      ['10us', 1],
    ]);
  });

  test('other durations are refused, each with the same explanation', () => {
    const inputs = [
      -1,
      '-1',
      '5 m',
      '1h30min',
      '',
      ' ',
      'soon',
      'NaN',
      Number.NaN,
      Infinity,
      true,
      null,
      [1],
      3e9,
      '99999999d',
    ];
    refuses(duration(), inputs, /^a duration: seconds as a number/);
  });

  test('whole numbers are taken from numbers and digits, within their limits', () => {
    accepts(wholeNumber(1, 100), [
      [1, 1],
      ['100', 100],
      ['007', 7],
    ]);
    const inputs = [0, 101, '101', 1.5, '1.5', '1e1', '0x10', '', ' 5', '-1', -1, true, null, undefined, {}];
    refuses(wholeNumber(1, 100), inputs, /^a whole number from 1 to 100$/);
  });

  test('booleans have eight spellings', () => {
    for (const word of [1, '1', true, 'true', 'on', 'ON', 'yes']) accepts(booleanWord(), [[word, true]]);
    for (const word of [0, '0', false, 'false', 'off', 'Off', 'no']) accepts(booleanWord(), [[word, false]]);
    refuses(booleanWord(), [2, 'y', 'enabled', '', null, 'true '], /^one of 1, 0, true/);
  });

  test('comma lists are taken as text and as lists', () => {
    accepts(commaList('names'), [
      ['a, b,,c ', ['a', 'b', 'c']],
      ['', []],
      [
        ['a', ' b'],
        ['a', 'b'],
      ],
    ]);
    refuses(commaList('names'), [5, null, [5]], /^names: text with commas/);
  });

  test('file modes are octal, however they are written', () => {
    accepts(fileMode(), [
      ['0770', 0o770],
      ['0o770', 0o770],
      [770, 0o770],
      ['700', 0o700],
    ]);
    refuses(fileMode(), ['0888', 999, 'rwx', '', '07777', -1], /octal/);
  });
});
