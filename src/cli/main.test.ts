import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'sluice-cli-'));
after(() => rmSync(folder, { recursive: true }));

function sluice(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

test('help and version are no failures', () => {
  assert.match(sluice('--version').stdout, /^sluice \d+\.\d+\.\d+\n$/);
  for (const args of [[], ['--help'], ['serve', '--help'], ['config', '--help'], ['help', 'serve']]) {
    const { status, stdout } = sluice(...args);
    assert.equal(status, 0, args.join(' '));
    assert.match(stdout, /^Usage: sluice/);
  }
});

test('a wrong usage ends with 2 and says what is right', () => {
  const cases: readonly (readonly [string[], RegExp])[] = [
    [['serv'], /unknown command 'serv'.*serve/s],
    [['serve'], /nothing to serve: .*--database postgres:/s],
    [['serve', '--io', 'fast'], /Allowed choices are auto, uring, epoll, node/],
    [['serve', '--databse', 'x'], /unknown option '--databse'.*--database/s],
    [
      ['serve', '--database', 'postgres://a:b@c/d', '--set', 'listen_prot=1'],
      /^--set listen_prot=1: .*listen_port\?\n$/,
    ],
    [['config', 'check'], /missing required argument 'FILE'/],
  ];
  for (const [args, message] of cases) {
    const { status, stdout, stderr } = sluice(...args);
    assert.equal(status, 2, args.join(' '));
    assert.match(stderr, message);
    assert.equal(stdout, '');
  }
});

test('a file with a mistake ends with 1, in check and in serve', () => {
  const file = path.join(folder, 'sluice.yaml');
  writeFileSync(file, 'listen_port: x\n');
  for (const args of [
    ['config', 'check', file],
    ['serve', file],
    ['serve', file, '--check'],
  ]) {
    const { status, stderr } = sluice(...args);
    assert.equal(status, 1);
    assert.equal(stderr, `${file}:1:1: listen_port: found "x", expected a whole number from 1 to 65535\n`);
  }
});

test('a file that is right can be checked without starting anything', () => {
  const file = path.join(folder, 'right.yaml');
  writeFileSync(file, 'databases: { app: postgres://a:b@c/d }\nmax_client_conn: 10\ndefault_pool_size: 5\n');
  const { status, stdout } = sluice('serve', file, '--check');
  assert.equal(status, 0);
  assert.equal(stdout, `${file}: no mistakes (1 database, 1 user)\n`);
});
