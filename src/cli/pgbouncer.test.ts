import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parsePgbouncerArguments } from './pgbouncer-arguments.js';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'sluice-pgb-'));
chmodSync(folder, 0o777);
const children = new Set<ChildProcess>();
after(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

const isRoot = process.getuid?.() === 0;
/** It refuses to run as root. */
const NOBODY = isRoot ? { uid: 65_534, gid: 65_534 } : {};
const LOG = path.join(folder, 'a.log');
const PID = path.join(folder, 'a.pid');

/** Nothing listens on port 1: a gateway starts whether its servers are there or not. */
async function iniFile(more = ''): Promise<string> {
  const file = path.join(folder, 'a.ini');
  const port = await freePort();
  const settings = `listen_addr=127.0.0.1\nlisten_port=${port}\nunix_socket_dir=${folder}\nauth_type=trust\n`;
  const files = `logfile=${LOG}\npidfile=${PID}\n`;
  writeFileSync(file, `[databases]\na = host=127.0.0.1 port=1\n[pgbouncer]\n${settings}${files}${more}`);
  rmSync(LOG, { force: true });
  return file;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function runOnce(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'pgbouncer', ...args], {
    encoding: 'utf8',
    ...NOBODY,
  });
  return { status, stdout, stderr };
}

/** Resolves when the log file holds the pattern. */
async function logSays(pattern: RegExp): Promise<string> {
  const watcher = watch(folder);
  try {
    for (;;) {
      const text = existsSync(LOG) ? readFileSync(LOG, 'utf8') : '';
      if (pattern.test(text)) return text;
      await once(watcher, 'change');
    }
  } finally {
    watcher.close();
  }
}

describe("PgBouncer's command line", () => {
  test('is read as getopt reads it', () => {
    assert.deepEqual(parsePgbouncerArguments(['-dqvv', '--user', 'x', '-v', 'a.ini']), {
      kind: 'run',
      file: 'a.ini',
      daemon: true,
      quiet: true,
      reboot: false,
      verbose: 3,
      user: 'x',
    });
    assert.equal(parsePgbouncerArguments(['--help', 'a.ini']).kind, 'help');
    assert.equal(parsePgbouncerArguments(['-V']).kind, 'version');
    assert.equal(parsePgbouncerArguments(['-x', 'a.ini']).kind, 'mistake');
    assert.equal(parsePgbouncerArguments(['-q']).kind, 'mistake');
    assert.equal(parsePgbouncerArguments(['a.ini', 'b.ini']).kind, 'mistake');
  });

  test('says version and usage, and what is wrong', () => {
    assert.match(runOnce('--version').stdout, /^PgBouncer 1\.25\.2 \(Sluice \d+\.\d+\.\d+\)\n/);
    assert.match(runOnce('-h').stdout, /--daemon/);
    const wrong = runOnce('--wrong');
    assert.equal(wrong.status, 1);
    assert.match(wrong.stderr, /Try ".* --help" for more information\.\n$/);
  });

  test('refuses a configuration with mistakes, and a missing one', async () => {
    const { status, stderr } = runOnce(await iniFile('colour=red\n'));
    assert.equal(status, 1);
    assert.match(stderr, / ERROR .*a\.ini:\d+:1: colour: no such setting/);
    assert.match(stderr, / FATAL cannot load config file\n$/);
    assert.match(runOnce('/none.ini').stderr, /there is no such file/);
  });

  test('refuses to run as root', { skip: !isRoot }, async () => {
    const { status, stderr } = spawnSync(process.execPath, [MAIN, 'pgbouncer', await iniFile()], {
      encoding: 'utf8',
    });
    assert.equal(status, 1);
    assert.match(stderr, / FATAL PgBouncer should not run as root\n$/);
    rmSync(LOG, { force: true });
  });
});

test('runs as PgBouncer does: log, pidfile, signals', async () => {
  const file = await iniFile('pkt_buf=2048\n');
  const child = spawn(process.execPath, [MAIN, 'pgbouncer', '-q', file], { ...NOBODY, stdio: 'pipe' });
  children.add(child);
  const ended = once(child, 'exit');
  let terminal = '';
  child.stderr.on('data', (text) => {
    terminal += text;
  });
  const log = await logSays(/ LOG process up: PgBouncer 1\.25\.2 \(Sluice/);
  assert.match(log, / LOG listening on 127\.0\.0\.1:\d+\n/);
  assert.match(log, / LOG listening on unix:.*\.s\.PGSQL\.\d+\n/);
  assert.match(log, / LOG pkt_buf is honoured in another way: /);
  assert.equal(readFileSync(PID, 'utf8'), `${child.pid}\n`);
  assert.match(runOnce(file).stderr, / FATAL pidfile .* exists, another instance running\?\n/);

  writeFileSync(file, `${readFileSync(file, 'utf8')}colour=red\n`);
  child.kill('SIGHUP');
  await logSays(
    /got SIGHUP, re-reading config\n.*colour: no such setting.*\n.*WARNING config file loading failed\n/,
  );
  child.kill('SIGTERM');
  assert.deepEqual(await ended, [0, null]);
  assert.match(readFileSync(LOG, 'utf8'), /got SIGTERM, shutting down, waiting for all clients disconnect\n/);
  assert.equal(existsSync(PID), false);
  assert.equal(terminal, '');
});

test('goes to the background when it listens, or says why it cannot', async () => {
  const file = await iniFile();
  const { status, stderr } = runOnce('-d', file);
  assert.equal(status, 0, stderr);
  assert.match(readFileSync(LOG, 'utf8'), /process up/);
  const pid = Number(readFileSync(PID, 'utf8'));
  const second = runOnce('-d', file);
  assert.equal(second.status, 1);
  assert.match(second.stderr, /another instance running/);
  process.kill(pid, 'SIGQUIT');
  await logSays(/got SIGQUIT, fast exit\n/);

  writeFileSync(file, readFileSync(file, 'utf8').replace(/^pidfile.*\n/m, ''));
  const unfit = runOnce('-d', file);
  assert.equal(unfit.status, 1);
  assert.match(unfit.stderr, /daemon needs pidfile configured/);
});
