import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseResident, parseStat } from './cpu-time.js';

const tail = '0 -1 4194560 1201 0 3 0 152 1893 7 8 20 0 11 0 50041 718274560 13104 18446744073709551615';

test('parseStat reads user and system time of the process, without its children', () => {
  assert.deepEqual(parseStat(`4711 (pgbouncer) S 1 4711 4711 ${tail}`), { userMs: 1520, systemMs: 18930 });
});

test('parseStat is not misled by a name with blanks and parentheses', () => {
  assert.deepEqual(parseStat(`4711 (a) b (c) S 1 4711 4711 ${tail}`), { userMs: 1520, systemMs: 18930 });
});

test('parseStat refuses other text', () => {
  assert.throws(() => parseStat('4711 (pgbouncer) S 1'), /not the text of/);
});

test('parseResident gives bytes', () => {
  assert.equal(
    parseResident('55d0-7ffe ---p 00000000 00:00 0 [rollup]\nRss:                1204 kB\nPss: 9 kB\n'),
    1204 * 1024,
  );
  assert.throws(() => parseResident('Pss: 9 kB\n'), /Rss/);
});
