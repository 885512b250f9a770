import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { AgentError } from './agent-error.js';
import { copyEmbedded, isUsableInPlace } from './embedded-postgres.js';
import {
  type BinarySearch,
  findPostgres,
  newestFirst,
  parseMajor,
  parseVersion,
} from './postgres-binaries.js';

test('versions are read from what the programs print', () => {
  assert.equal(parseVersion('postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n'), '15.18');
  assert.equal(parseVersion('initdb (PostgreSQL) 19beta1\n'), '19beta1');
  assert.equal(parseVersion('bash: postgres: command not found'), null);
  assert.equal(parseMajor('15.18'), 15);
  assert.equal(parseMajor('19beta1'), 19);
  assert.equal(parseMajor('9.6.24'), null);
});

test('the newest version comes first', () => {
  const folders = [
    '/usr/lib/postgresql/9/bin',
    '/usr/pgsql-17/bin',
    '/usr/lib/postgresql/15/bin',
    '/opt/homebrew/opt/postgresql/bin',
  ];
  assert.deepEqual(folders.toSorted(newestFirst), [
    '/usr/pgsql-17/bin',
    '/usr/lib/postgresql/15/bin',
    '/usr/lib/postgresql/9/bin',
    '/opt/homebrew/opt/postgresql/bin',
  ]);
});

describe('searching', { skip: process.platform === 'win32' ? 'needs shell scripts' : false }, () => {
  let root: string;
  let search: BinarySearch;

  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'sluice-test-'));
    search = {
      binDirectory: null,
      wantedMajor: null,
      user: null,
      copiesFolder: join(root, 'copies'),
      path: '',
      systemFolders: [],
      embeddedPackage: null,
    };
  });
  after(() => rm(root, { recursive: true, force: true }));

  /** Programs that can only say their version. */
  async function install(name: string, version: string, programs = ['postgres', 'initdb']): Promise<string> {
    const folder = join(root, name);
    await mkdir(folder, { recursive: true });
    for (const program of programs) {
      const path = join(folder, program);
      await writeFile(path, `#!/bin/sh\necho "${program} (PostgreSQL) ${version}"\n`);
      await chmod(path, 0o755);
    }
    return folder;
  }

  test('the folder on PATH comes before those of the system', async () => {
    const onPath = await install('path', '15.1');
    const inSystem = await install('system', '17.1');
    const found = await findPostgres({
      ...search,
      path: `/nonexistent:${onPath}`,
      systemFolders: [inSystem],
    });
    assert.equal(found.binDirectory, onPath);
    assert.equal(found.major, 15);
    assert.equal(found.pgBasebackup, null);
  });

  test('a link on PATH leads to the folder with the companions', async () => {
    const real = await install('real', '16.2', ['postgres', 'initdb', 'pg_basebackup']);
    await mkdir(join(root, 'links'));
    await symlink(join(real, 'postgres'), join(root, 'links', 'postgres'));
    const found = await findPostgres({ ...search, path: join(root, 'links') });
    assert.equal(found.binDirectory, real);
    assert.equal(found.pgBasebackup, join(real, 'pg_basebackup'));
  });

  test('existing data decide which version is taken', async () => {
    const older = await install('older', '15.1');
    const newer = await install('newer', '17.1');
    const found = await findPostgres({ ...search, wantedMajor: 15, systemFolders: [newer, older] });
    assert.equal(found.binDirectory, older);
    await assert.rejects(findPostgres({ ...search, wantedMajor: 16, systemFolders: [newer] }), (error) => {
      assert.ok(error instanceof AgentError);
      assert.match(error.message, /made by PostgreSQL 16, but only 17\.1/);
      assert.match(error.advice.join('\n'), /--pg-bin[\s\S]*--reset/);
      return true;
    });
  });

  test('nothing at all: the message says how to get it', async () => {
    await assert.rejects(findPostgres(search), (error) => {
      assert.ok(error instanceof AgentError);
      assert.match(error.advice.join('\n'), /npm install[\s\S]*apt-get install postgresql[\s\S]*--pg-bin/);
      return true;
    });
  });

  test('what was asked for is taken or refused, with the reason', async () => {
    const broken = await install('broken', '17.1', ['postgres']);
    await assert.rejects(findPostgres({ ...search, binDirectory: broken }), (error) => {
      assert.ok(error instanceof AgentError);
      assert.match(error.advice.join(), /initdb isn't there/);
      return true;
    });
    const old = await install('old', '11.3');
    await assert.rejects(findPostgres({ ...search, binDirectory: old }), (error) => {
      assert.ok(error instanceof AgentError);
      assert.match(error.advice.join(), /older than 12/);
      return true;
    });
  });

  test('the npm package is copied, with its links, if those are missing where it is', async () => {
    await install('package/native/bin', '18.4');
    await mkdir(join(root, 'package/native/lib'));
    await writeFile(join(root, 'package/native/lib/libpq.so.5.18'), 'library');
    await writeFile(join(root, 'package/native/lib/libpq.a'), 'not needed');
    await writeFile(join(root, 'package/package.json'), '{"version":"18.4.0"}');
    await writeFile(
      join(root, 'package/native/pg-symlinks.json'),
      JSON.stringify([
        { source: 'native/lib/libpq.so.5.18', target: 'native/lib/libpq.so.5' },
        { source: 'native/lib/libpq.so.5.18', target: '../../outside' },
      ]),
    );
    const embeddedPackage = join(root, 'package');
    assert.equal(await isUsableInPlace(embeddedPackage, null), false);
    const found = await findPostgres({ ...search, embeddedPackage });
    assert.equal(found.binDirectory, join(search.copiesFolder, 'postgresql-18.4.0', 'native', 'bin'));
    assert.equal(await isUsableInPlace(join(search.copiesFolder, 'postgresql-18.4.0'), null), true);
    // A second time, the copy is there.
    assert.equal(
      await copyEmbedded(embeddedPackage, join(search.copiesFolder, 'postgresql-18.4.0')),
      found.binDirectory,
    );
  });
});
