import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { type CpuTime, cpuTime, cpuTimeOfTree, parseResident, parseStat } from './cpu-time.js';

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

test("a tree's CPU time has that of its children", { skip: process.platform !== 'linux' }, async () => {
  const script =
    'while (process.cpuUsage().user < 200_000); setInterval(() => {}, 1000); console.log("worked for 200 ms")';
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await once(child.stdout, 'data');
    const [alone, tree] = [await cpuTime(process.pid), await cpuTimeOfTree(process.pid)];
    const all = ({ userMs, systemMs }: CpuTime): number => userMs + systemMs;
    assert.ok(all(tree) - all(alone) >= 150, `${all(tree)} ms, ${all(alone)} ms without`);
  } finally {
    child.kill();
  }
});
