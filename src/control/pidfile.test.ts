import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { clearPidfile, writePidfile } from './pidfile.js';

const folder = mkdtempSync(path.join(tmpdir(), 'sluice-pid-'));
after(() => rmSync(folder, { recursive: true }));
const file = path.join(folder, 'a.pid');

test('a pidfile of a running process is respected, one of a process that has ended is not', () => {
  assert.equal(clearPidfile(file), false);
  writeFileSync(file, `${process.ppid}\n`);
  assert.throws(() => clearPidfile(file), /pidfile '.*a\.pid' exists, another instance running\?/);
  writeFileSync(file, '');
  assert.throws(() => clearPidfile(file), /another instance running/);
  const ended = spawnSync(process.execPath, ['-e', '']);
  writeFileSync(file, `${ended.pid}\n`);
  assert.equal(clearPidfile(file), true);
  assert.equal(existsSync(file), false);
});

test('a pidfile is written once, and goes with its process', () => {
  writePidfile(file);
  assert.equal(readFileSync(file, 'utf8'), `${process.pid}\n`);
  assert.throws(() => writePidfile(file), /could not open pidfile/);
  rmSync(file);
  const script = `import('${new URL('./pidfile.js', import.meta.url)}').then(({ writePidfile }) => {
    writePidfile(${JSON.stringify(file)});
    console.log(require('node:fs').readFileSync(${JSON.stringify(file)}, 'utf8'));
  });`;
  const child = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8' });
  assert.equal(child.stdout.trim(), String(child.pid));
  assert.equal(existsSync(file), false);
});
