import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { saslPrep } from './saslprep.js';
import { isInTable } from './saslprep-tables.js';

describe('saslPrep', () => {
  const cases: readonly (readonly [string, string, string])[] = [
    // The first five are RFC 4013's own examples, where those it refuses are used raw.
    ['I\u00adX', 'IX', 'soft hyphen mapped to nothing'],
    ['user', 'user', 'no change'],
    ['\u00aa', 'a', 'NFKC'],
    ['\u2168', 'IX', 'NFKC'],
    ['\u06271', '\u06271', 'right-to-left text that ends with a digit: raw'],
    ['\x07', '\x07', 'ASCII is never looked at'],
    ['', '', 'empty'],
    ['a\u00a0b', 'a b', 'space'],
    ['a\u200bb', 'a b', 'zero width space counts as a space'],
    ['\u00ad', '\u00ad', 'nothing would be left: raw'],
    ['\u00adé\u0007', '\u00adé\u0007', 'control character: raw'],
    ['e\u0301', '\u00e9', 'composed'],
    ['\ufb01\ue000', '\ufb01\ue000', 'private use: raw'],
    ['\u0627\u0628', '\u0627\u0628', 'right-to-left'],
    ['\ufe8d\ufe8f', '\u0627\u0628', 'right-to-left presentation forms'],
    ['\u2764\ufe0f', '\u2764', 'variation selector mapped to nothing'],
    ['\u{1f3f3}\ufe0f', '\u{1f3f3}\ufe0f', 'not assigned in Unicode 3.2: raw'],
    ['e\u0340', 'e\u0340', 'prohibited, though not once it is normalised: raw, as in PostgreSQL'],
    ['\u2168\udcff', '\u2168\udcff', 'bytes that are no UTF-8: raw'],
  ];
  for (const [password, prepared, why] of cases) {
    test(`${JSON.stringify(password)}: ${why}`, () => {
      assert.equal(saslPrep(password), prepared);
    });
  }

  test('ASCII is left as it is, and what is prepared stays so', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary-ascii' }), (text) => saslPrep(text) === text));
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => saslPrep(saslPrep(text)) === saslPrep(text)),
    );
  });
});

test('the tables hold their first and last code points, and not the neighbours', () => {
  for (const [table, inside, outside] of [
    ['UNASSIGNED', [0x221, 0x24f, 0xe0080, 0xefffd], [0x220, 0x250, 0xffff]],
    ['PROHIBITED', [0, 0x1f, 0x7f, 0xa0, 0xd800, 0xe000, 0xffff, 0x10ffff], [0x20, 0x7e, 0xa1, 0xe0080]],
    ['RIGHT_TO_LEFT', [0x5be, 0x5d0, 0xfefc], [0x5bf, 0xfefd]],
    ['LEFT_TO_RIGHT', [0x41, 0x5a, 0x61, 0x10fffd], [0x40, 0x5b, 0x5d0]],
  ] as const) {
    for (const point of inside) assert.ok(isInTable(table, point), `${table} ${point.toString(16)}`);
    for (const point of outside) assert.ok(!isInTable(table, point), `${table} ${point.toString(16)}`);
  }
});
