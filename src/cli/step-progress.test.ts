import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { createStepProgress } from './step-progress.js';

function screen(isTTY: boolean, columns = 40) {
  const written: string[] = [];
  return { written, isTTY, columns, write: (text: string) => written.push(text) };
}

test('elsewhere than on a terminal: plain lines, and one at least every second', () => {
  mock.timers.enable({ apis: ['setInterval'] });
  try {
    let now = 0;
    const output = screen(false);
    const progress = createStepProgress(output, () => now);
    progress.begin('cloning node2');
    progress.detail('45 %');
    now = 900;
    mock.timers.tick(900);
    now = 1500;
    progress.end('node2 is cloned');
    mock.timers.tick(5_000);
    assert.deepEqual(output.written, [
      '[  0.0 s] cloning node2 ...\n',
      '[  0.9 s] ... still cloning node2 (45 %)\n',
      '[  1.5 s] node2 is cloned\n',
    ]);
    assert.ok(!output.written.join('').includes('\x1b'));
  } finally {
    mock.timers.reset();
  }
});

test('on a terminal: one line that moves, never wider than the terminal, then the result', () => {
  mock.timers.enable({ apis: ['setInterval'] });
  try {
    let now = 0;
    const output = screen(true, 20);
    const progress = createStepProgress(output, () => now);
    progress.begin('a step with a very long description');
    now = 300;
    mock.timers.tick(300);
    assert.equal(output.written.length, 4);
    for (const text of output.written) assert.ok(text.replace('\r\x1b[2K', '').length < 20);
    now = 2000;
    progress.end('done');
    assert.equal(output.written.at(-1), '✓ done  2.0 s\n');
    const count = output.written.length;
    mock.timers.tick(5_000);
    assert.equal(output.written.length, count);
  } finally {
    mock.timers.reset();
  }
});
