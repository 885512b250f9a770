import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { AgentError, explainFileError, saysDiskFull } from './agent-error.js';
import { lastPercent } from './clone.js';
import { isLeftOut, mapTablespaces } from './clone-by-copy.js';
import { formatSettings, writeSettings } from './data-directory.js';
import { fitsSockets, openDemoFolder } from './demo-folder.js';
import { inspectData, makeData, type NodeFolder, nodeFolder, programFailed } from './node-folder.js';
import { cannotFollowReason, lacksWal } from './server-log.js';

let parent: string;
let node: NodeFolder;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'sluice-test-'));
  // Started as root, PostgreSQL's user has to get here.
  await chmod(parent, 0o755);
  node = nodeFolder(parent, 'node1');
});
afterEach(() => rm(parent, { recursive: true, force: true }));

async function fill(): Promise<void> {
  await mkdir(join(node.data, 'global'), { recursive: true });
  await writeFile(join(node.data, 'PG_VERSION'), '17\n');
}

describe('the data of a node', () => {
  test('are absent, unfinished, whole or foreign', async () => {
    assert.deepEqual(await inspectData(node), { kind: 'absent' });
    await mkdir(node.data, { recursive: true });
    assert.deepEqual(await inspectData(node), { kind: 'absent' });
    await writeFile(join(node.data, 'thesis.txt'), 'years of work');
    assert.deepEqual(await inspectData(node), { kind: 'foreign' });
    await fill();
    assert.deepEqual(await inspectData(node), { kind: 'whole', major: 17, isStandby: false });
    await writeFile(join(node.data, 'standby.signal'), '');
    assert.deepEqual(await inspectData(node), { kind: 'whole', major: 17, isStandby: true });
    await writeFile(node.unfinishedMark, '');
    assert.deepEqual(await inspectData(node), { kind: 'unfinished' });
  });

  test('are unfinished while they are made, and whole afterwards', async () => {
    await makeData(node, null, async () => {
      await fill();
      assert.deepEqual(await inspectData(node), { kind: 'unfinished' });
    });
    assert.equal((await inspectData(node)).kind, 'whole');
  });

  test('are deleted when making them fails, and known to be unfinished', async () => {
    await fill();
    const failure = new AgentError('no');
    await assert.rejects(
      makeData(node, null, async () => {
        await fill();
        throw failure;
      }),
      failure,
    );
    await assert.rejects(stat(node.data));
    assert.deepEqual(await inspectData(node), { kind: 'unfinished' });
  });
});

describe('the folder of a cluster', () => {
  test("somebody else's is refused, and left as it was", async () => {
    await writeFile(join(parent, 'letter.txt'), 'dear');
    await assert.rejects(openDemoFolder(parent, new Date()), (error) => {
      assert.ok(error instanceof AgentError);
      assert.match(error.message, /wasn't made by sluice up/);
      return true;
    });
    await assert.rejects(stat(join(parent, 'sluice-up.lock')));
  });

  test('an interrupted beginning is no obstacle, a changed state is', async () => {
    const path = join(parent, 'new');
    await (await openDemoFolder(path, new Date())).lock.release();
    await rm(join(path, 'sluice-up.json'));
    await writeFile(join(path, 'sluice-up.json.draft'), '{"for');
    await (await openDemoFolder(path, new Date())).lock.release();
    await writeFile(join(path, 'sluice-up.json'), '{"format":99}');
    await assert.rejects(openDemoFolder(path, new Date()), /can't be understood/);
    // The refusal has not kept the lock.
    await assert.rejects(stat(join(path, 'sluice-up.lock')));
  });

  test('sockets need a short and plain path', () => {
    assert.ok(fitsSockets('/home/alice/project/.sluice/run'));
    assert.ok(!fitsSockets(`/${'x'.repeat(100)}`));
    assert.ok(!fitsSockets('/home/alice/my project/run'));
    assert.ok(!fitsSockets('/home/a,b/run'));
  });
});

test('settings are quoted for postgresql.conf, and included once', async () => {
  const text = formatSettings({ port: 5433, hot_standby: true, cluster_name: "it's a \\ name" });
  assert.match(text, /^port = 5433$/m);
  assert.match(text, /^hot_standby = on$/m);
  assert.match(text, /^cluster_name = 'it''s a \\\\ name'$/m);
  await fill();
  await writeFile(join(node.data, 'postgresql.conf'), 'shared_buffers = 1GB');
  await writeSettings(node.data, { port: 1 }, null);
  await writeSettings(node.data, { port: 2 }, null);
  const main = await readFile(join(node.data, 'postgresql.conf'), 'utf8');
  assert.equal(main.split('include_if_exists').length, 2);
  assert.match(await readFile(join(node.data, 'sluice.conf'), 'utf8'), /^port = 2$/m);
});

test('what a copy leaves out', () => {
  assert.ok(isLeftOut('postmaster.pid', true));
  assert.ok(isLeftOut('standby.signal', true));
  assert.ok(isLeftOut('pgsql_tmp123.0', false));
  assert.ok(isLeftOut('pg_internal.init.4711', false));
  assert.ok(!isLeftOut('PG_VERSION', true));
  assert.ok(!isLeftOut('16384', false));
});

test('tablespaces get their new places in the map, and the rest stays byte for byte', () => {
  const map = '16400 /srv/fast disk\n16401 /srv/other\n';
  assert.equal(mapTablespaces(map, new Map([['16400', '/n/t\\1']])), '16400 /n/t\\\\1\n16401 /srv/other\n');
  assert.equal(mapTablespaces('', new Map()), '');
});

test('progress and failures are recognised in what PostgreSQL says', () => {
  assert.equal(lastPercent('10/100 kB (10%), 0/1 tablespace\r 45/100 kB (45%), 0/1 tablespace\r'), 45);
  assert.equal(lastPercent('waiting for checkpoint'), null);
  const log =
    'FATAL:  could not receive data from WAL stream: ERROR:  requested WAL segment 000000010000000000000003 has already been removed';
  assert.match(cannotFollowReason(log) ?? '', /already been removed/);
  assert.equal(
    cannotFollowReason('LOG:  started streaming WAL from primary at 0/3000000 on timeline 1'),
    null,
  );
});

test('a server that receives from nobody, and lacks WAL, is told from one that has all of it', () => {
  const wait = 'LOG:  waiting for WAL to become available at 0/5000128\n';
  assert.ok(lacksWal(`LOG:  entering standby mode\n${wait.repeat(3)}`));
  assert.ok(lacksWal('PANIC:  could not locate a valid checkpoint record\n'));
  const beyond =
    'FATAL:  requested timeline 4 does not contain minimum recovery point 0/4095AD8 on timeline 3\n';
  assert.ok(lacksWal(beyond));
  // It may only be slow to say that it is ready.
  assert.ok(!lacksWal(`LOG:  entering standby mode\n${wait.repeat(2)}`));
  assert.ok(!lacksWal(`LOG:  consistent recovery state reached at 0/5000128\n${wait.repeat(9)}`));
});

test('a full disk is one message, wherever it is noticed', () => {
  assert.ok(
    saysDiskFull('initdb: error: could not write to file "pg_wal/xlogtemp.1": No space left on device'),
  );
  assert.equal(programFailed('initdb', 'x', 'No space left on device', '/d').kind, 'disk-full');
  const error = explainFileError(Object.assign(new Error('ENOSPC: no space'), { code: 'ENOSPC' }), '/d');
  assert.ok(error instanceof AgentError && error.kind === 'disk-full' && /--data/.test(error.advice.join()));
  const other = new Error('unforeseen');
  assert.equal(explainFileError(other, '/d'), other);
});
