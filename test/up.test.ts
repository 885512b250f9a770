/** `sluice up` as a program: from nothing to a query through the gateway, and every way in which it may end. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, before, describe, test } from 'node:test';
import { probePort } from '../src/agent/ports.js';
import { readPostmasterFile } from '../src/agent/postmaster-file.js';
import { isAlive } from '../src/agent/process-facts.js';
import { withConnection } from '../src/agent/replication.js';
import { start } from './harness/command.js';
import { GATEWAY_PROGRAM } from './harness/gateway-under-test.js';
import { postgresProgram } from './harness/postgres-binaries.js';
import { forgetProcess, freePort, noteProcess, scratchFolder } from './harness/scratch.js';
import { until, within } from './harness/until.js';

const END_LIMIT_MS = 30_000;
const START_LIMIT_MS = 60_000;
const NODES = ['node1', 'node2'];

/** Those that a failed test left; they would keep the test process waiting. */
const running = new Set<UpRun>();

/** One run of the program. */
class UpRun {
  readonly child: ChildProcess;
  readonly ended: Promise<number | string>;
  readonly folder: string;
  output = '';

  constructor(folder: string, port: number, more: readonly string[] = []) {
    this.folder = folder;
    const args = [
      GATEWAY_PROGRAM,
      'up',
      '--data',
      folder,
      '--port',
      String(port),
      '--standbys',
      '1',
      ...more,
    ];
    this.child = start(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.output += chunk.toString();
      });
    }
    running.add(this);
    this.ended = new Promise((resolve) => {
      this.child.once('close', (code, signal) => {
        running.delete(this);
        resolve(code ?? signal ?? 'unknown');
      });
    });
  }

  async ready(): Promise<number[]> {
    await until(
      'readiness',
      () => {
        if (this.child.exitCode !== null) assert.fail(`it ended:\n${this.output}`);
        return /Sluice is ready/.test(this.output);
      },
      START_LIMIT_MS,
    );
    const pids = await postmasters(this.folder);
    pids.forEach(noteProcess);
    return pids;
  }

  end(): Promise<number | string> {
    return within(`the end of sluice up:\n${this.output}`, END_LIMIT_MS, this.ended);
  }
}

async function postmasters(folder: string): Promise<number[]> {
  const files = await Promise.all(NODES.map((name) => readPostmasterFile(join(folder, name, 'data'))));
  return files.map((file) => file?.pid ?? assert.fail('a node has no postmaster.pid'));
}

async function assertNothingLeft(folder: string, port: number, pids: readonly number[]): Promise<void> {
  assert.deepEqual(pids.filter(isAlive), [], 'PostgreSQL still runs');
  pids.forEach(forgetProcess);
  assert.equal(await probePort(port), null, 'the port of the gateway is still in use');
  assert.deepEqual(await readdir(join(folder, 'run')), [], 'sockets are left');
  for (const name of NODES) assert.ok(!existsSync(join(folder, name, 'data', 'postmaster.pid')));
  const names = await readdir(folder);
  assert.deepEqual(
    names.filter((name) => /lock|draft/.test(name)),
    [],
  );
}

async function value(port: number, sql: string): Promise<unknown> {
  const { rows } = await withConnection(port, (client) => client.query({ text: sql, rowMode: 'array' }));
  return rows[0]?.[0];
}

function missingPostgres(): string | false {
  try {
    postgresProgram('initdb');
    return false;
  } catch (error) {
    return error instanceof Error ? error.message : 'no PostgreSQL';
  }
}

describe('sluice up', { skip: missingPostgres() }, () => {
  let folder: string;
  let port: number;

  before(async () => {
    folder = join(scratchFolder('up'), 'data');
    port = await freePort();
  });

  // What a failed test has left would fail all others.
  afterEach(async () => {
    for (const run of running) {
      run.child.kill('SIGTERM');
      await run.end();
    }
  });

  test('from nothing: queries run through the gateway, and a signal ends everything in order', async () => {
    const run = new UpRun(folder, port);
    const pids = await run.ready();
    assert.match(run.output, /node2 {2}standby/);
    assert.match(run.output, /without a password/);
    await value(port, 'CREATE TABLE kept AS SELECT 42 AS answer');
    run.child.kill('SIGTERM');
    assert.equal(await run.end(), 0, run.output);
    await assertNothingLeft(folder, port, pids);
  });

  for (const [signal, end] of [
    ['SIGINT', 0],
    ['SIGHUP', 'SIGHUP'],
  ] as const) {
    test(`${signal} does the same, also when nobody reads what it says; the data are kept`, async () => {
      const run = new UpRun(folder, port);
      const pids = await run.ready();
      assert.equal(await value(port, 'SELECT answer FROM kept'), 42);
      assert.doesNotMatch(run.output, /creating|cloning/);
      run.child.stdout?.destroy();
      run.child.stderr?.destroy();
      run.child.kill(signal);
      assert.equal(await run.end(), end);
      await assertNothingLeft(folder, port, pids);
    });
  }

  test('interrupted while it starts, it leaves nothing', async () => {
    const run = new UpRun(folder, port);
    await until(
      'the first node',
      () => /starting the agent of node1|starting node1/.test(run.output),
      START_LIMIT_MS,
    );
    run.child.kill('SIGINT');
    assert.equal(await run.end(), 130, run.output);
    await assertNothingLeft(folder, port, []);
  });

  test('killed, it takes PostgreSQL along; the next start keeps the data', async () => {
    const killed = new UpRun(folder, port);
    const orphans = await killed.ready();
    killed.child.kill('SIGKILL');
    await killed.end();
    await until('the guards to end PostgreSQL', () => !orphans.some(isAlive));
    const run = new UpRun(folder, port);
    const pids = await run.ready();
    assert.equal(await value(port, 'SELECT answer FROM kept'), 42);
    run.child.kill('SIGTERM');
    assert.equal(await run.end(), 0, run.output);
    await assertNothingLeft(folder, port, [...orphans, ...pids]);
  });

  test('its primary killed: another one leads, a client that waits gets its answer, and the lost one comes back', async () => {
    const run = new UpRun(folder, port);
    const pids = await run.ready();
    const leader = /(node\d) +primary/.exec(run.output)?.[1];
    const file = await readPostmasterFile(join(folder, leader!, 'data'));
    await value(port, 'CREATE TABLE IF NOT EXISTS healed (n int)');
    await withConnection(port, async (client) => {
      // A client that rests, and not one whose session is being asked what that statement has left in it.
      await client.query('SELECT 1');
      process.kill(file!.pid, 'SIGKILL');
      await until('the end of the primary', () => /has ended/.test(run.output));
      assert.equal((await client.query('INSERT INTO healed VALUES (1)')).rowCount, 1);
    });
    await until('the other one to lead', () => /leads after node\d/.test(run.output));
    await until('the lost one to follow', () => new RegExp(`${leader} follows`).test(run.output));
    const healed = await postmasters(folder);
    healed.forEach(noteProcess);
    run.child.kill('SIGTERM');
    assert.equal(await run.end(), 0, run.output);
    await assertNothingLeft(folder, port, [...pids, ...healed]);
  });

  test('a second one on the same folder is told whose it is', async () => {
    const first = new UpRun(folder, port);
    const pids = await first.ready();
    const second = new UpRun(folder, await freePort());
    assert.equal(await second.end(), 1);
    assert.match(
      second.output,
      new RegExp(`another process of sluice \\(pid ${first.child.pid}\\).*\n.*kill ${first.child.pid}`),
    );
    assert.equal(await value(port, 'SELECT answer FROM kept'), 42);
    first.child.kill('SIGTERM');
    assert.equal(await first.end(), 0, first.output);
    await assertNothingLeft(folder, port, pids);
  });

  test('busy ports: the message names the holder and the option, and nothing is begun', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    try {
      const gateway = new UpRun(folder, port);
      assert.equal(await gateway.end(), 1);
      assert.match(gateway.output, new RegExp(`port ${port} .*in use by .*\n.*--port`));
      const nodes = new UpRun(folder, await freePort(), ['--pg-port', String(port)]);
      assert.equal(await nodes.end(), 1);
      assert.match(nodes.output, new RegExp(`port ${port} .*in use by .*\n.*--pg-port`));
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
    await assertNothingLeft(folder, port, []);
  });

  test('--reset asks first; without a terminal it needs --yes', async () => {
    const refused = new UpRun(folder, port, ['--reset']);
    assert.equal(await refused.end(), 1);
    assert.match(refused.output, /--yes/);
    assert.match(await readFile(join(folder, 'node1', 'data', 'PG_VERSION'), 'utf8'), /^\d+\n$/);
    const run = new UpRun(folder, port, ['--reset', '--yes']);
    const pids = await run.ready();
    assert.equal(await value(port, `SELECT to_regclass('kept')`), null);
    run.child.kill('SIGTERM');
    assert.equal(await run.end(), 0, run.output);
    await assertNothingLeft(folder, port, pids);
  });

  test('binaries that are not there: the message says what to give', async () => {
    const run = new UpRun(folder, port, ['--pg-bin', join(folder, 'nowhere')]);
    assert.equal(await run.end(), 1);
    assert.match(run.output, /no usable PostgreSQL in .*nowhere/);
    assert.match(run.output, /--pg-bin must name the folder/);
  });
});
