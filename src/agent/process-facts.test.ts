import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { endProcessesIn } from './guard/end-processes.js';
import { processesIn } from './process-facts.js';

test('programs that write into a data folder are found and ended', {
  skip: process.platform !== 'linux' && 'Linux tells by /proc',
}, async () => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'sluice-writers-')));
  const [data, other] = [join(folder, 'data'), join(folder, 'other')];
  await Promise.all([mkdir(data), mkdir(other)]);
  await symlink(data, join(folder, 'link'));
  const program = join(folder, 'pg_rewind');
  await writeFile(program, '#!/bin/sh\necho begun\nread end\n');
  await chmod(program, 0o755);
  const start = async (place: string) => {
    const child = spawn(program, ['--target-pgdata', place], { stdio: ['pipe', 'pipe', 'ignore'], cwd: '/' });
    await once(child.stdout, 'data');
    return child;
  };
  const writers = await Promise.all([data, join(folder, 'link'), other].map(start));
  const ended = writers.map((child) => once(child, 'exit'));
  const [direct, linked, stranger] = writers.map(({ pid }) => pid as number);
  assert.deepEqual([...(processesIn(data) ?? [])].sort(), [direct, linked].sort());
  assert.ok(await endProcessesIn(data));
  await Promise.all(ended.slice(0, 2));
  assert.deepEqual(processesIn(other), [stranger]);
  assert.ok(await endProcessesIn(other));
  await ended[2];
  await rm(folder, { recursive: true });
});
