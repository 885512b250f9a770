import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AgentError } from './agent-error.js';
import { lockFolder } from './folder-lock.js';
import { startIdentity } from './process-facts.js';

const SINCE = new Date('2030-01-02T03:04:05Z');
let folder: string;
let path: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-test-'));
  path = join(folder, 'lock');
});
after(() => rm(folder, { recursive: true, force: true }));

function holder(values: object): string {
  return JSON.stringify({
    pid: process.pid,
    startIdentity: null,
    host: hostname(),
    since: 'then',
    ...values,
  });
}

test('a lock is held until it is released, and leaves no file', async () => {
  const lock = await lockFolder(path, SINCE);
  await assert.rejects(lockFolder(path, SINCE), (error) => {
    assert.ok(error instanceof AgentError);
    assert.match(error.message, new RegExp(`pid ${process.pid}.*2030-01-02T03:04:05`));
    return true;
  });
  await lock.release();
  await lock.release();
  assert.deepEqual(await readdir(folder), []);
});

test('of several at once, one gets it, also over the lock of a dead process', async () => {
  const child = spawn(process.execPath, ['-e', '']);
  await new Promise((resolve) => child.once('exit', resolve));
  await writeFile(path, holder({ pid: child.pid, startIdentity: 'long ago' }));
  const lock = await lockFolder(path, SINCE);
  assert.equal(JSON.parse(await readFile(path, 'utf8')).pid, process.pid);
  await lock.release();
  assert.deepEqual(await readdir(folder), []);
});

test('a process that only inherited the number is not the holder', async () => {
  if (startIdentity(process.pid) === null) return;
  await writeFile(path, holder({ startIdentity: 'another start' }));
  await (await lockFolder(path, SINCE)).release();
});

test('a lock of another machine is respected, and the message says which file to delete', async () => {
  await writeFile(path, holder({ host: `not-${hostname()}` }));
  await assert.rejects(lockFolder(path, SINCE), (error) => {
    assert.ok(error instanceof AgentError);
    assert.ok(error.advice.join().includes(path));
    return true;
  });
  await rm(path);
});

test('a lock file cut off by a crash does not lock for ever', async () => {
  await writeFile(path, '{"pid":');
  await (await lockFolder(path, SINCE)).release();
  assert.deepEqual(await readdir(folder), []);
});
