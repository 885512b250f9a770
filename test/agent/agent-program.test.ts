/** `sluice agent` as people run it: three of them, real PostgreSQLs, an embedded store. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import type { ClusterStatus } from '../../src/agent/cluster-status.js';
import { chooseServerUser } from '../../src/agent/server-user.js';
import { run, start } from '../harness/command.js';
import { postgresProgram } from '../harness/postgres-binaries.js';
import { freePort, scratchFolder } from '../harness/scratch.js';
import { until } from '../harness/until.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
const NODES = ['a', 'b', 'c'];
/** On a busy machine. ms. */
const PATIENCE_MS = 60_000;

const folder = scratchFolder('agents');
const ports = new Map<string, number>();
const programs = new Map<string, ChildProcess>();
const logs = new Map<string, string[]>();

function sluice(name: string, args: readonly string[]): ChildProcess {
  const child = start(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  for (const stream of [child.stdout!, child.stderr!])
    stream.on('data', (chunk) => lines.push(String(chunk)));
  programs.set(name, child);
  logs.set(name, lines);
  return child;
}

/** Where standard output is what is asked for. */
function command(...args: string[]) {
  return run(process.execPath, [MAIN, ...args, '-c', join(folder, 'a.yaml')]);
}

async function status(): Promise<ClusterStatus> {
  const { stdout, stderr } = await command('status', '--json');
  assert.equal(stderr, '');
  return JSON.parse(stdout) as ClusterStatus;
}

async function healthy(what: string, nodes = NODES.length): Promise<ClusterStatus> {
  const isHealthy = async () => {
    const seen = await status();
    return seen.verdict === 'healthy' && seen.nodes.length === nodes ? seen : null;
  };
  return until(what, isHealthy, PATIENCE_MS);
}

/** On whoever is the primary now. */
async function query(text: string): Promise<pg.QueryResult> {
  return until(
    text,
    async () => {
      const { leader } = await status();
      return leader === null ? null : queryOn(leader, text);
    },
    PATIENCE_MS,
  );
}

/** Null: it has failed. */
async function queryOn(node: string, text: string): Promise<pg.QueryResult | null> {
  const client = new pg.Client({
    host: '127.0.0.1',
    port: ports.get(node)!,
    user: 'postgres',
    database: 'postgres',
  });
  client.on('error', () => {});
  try {
    await client.connect();
    return await client.query(text);
  } catch {
    return null;
  } finally {
    await client.end().catch(() => {});
  }
}

async function rowsOf(node: string, text: string): Promise<Record<string, unknown>[]> {
  return (await queryOn(node, text))?.rows ?? [];
}

function postmasterOf(node: string): number {
  return Number(readFileSync(join(folder, node, 'postmaster.pid'), 'utf8').split('\n')[0]);
}

async function writeFiles(): Promise<void> {
  const sockets = join(folder, 'sockets');
  mkdirSync(sockets);
  const user = await chooseServerUser(join(folder, 'a'));
  if (user !== null) chownSync(sockets, user.uid, user.gid);
  writeFileSync(join(folder, 'token'), 'a-token-of-many-letters\n');
  for (const node of NODES) {
    ports.set(node, await freePort());
    const lines = [
      `node: ${node}`,
      'address: 127.0.0.1',
      'cluster: { store: { embedded: store } }',
      `http_listen: 127.0.0.1:${await freePort()}`,
      'http_token_file: token',
      // On a busy machine others take longer to answer than the last primary to come back.
      'timing: { grace: 2s }',
      `postgresql:`,
      `  data: ${node}`,
      `  bin: ${dirname(postgresProgram('pg_basebackup'))}`,
      `  port: ${ports.get(node)}`,
      '  socket_dir: sockets',
      `  bootstrap: ${node === 'a' ? 'initdb' : 'never'}`,
      '  settings: { shared_buffers: 16MB, fsync: off }',
      '  client_rules: ["host all all 127.0.0.1/32 trust"]',
    ];
    writeFileSync(join(folder, `${node}.yaml`), `${lines.join('\n')}\n`);
  }
}

before(writeFiles);
after(async () => {
  const ended = [...programs.values()]
    .filter(({ exitCode }) => exitCode === null)
    .map((child) => once(child, 'exit'));
  for (const child of programs.values()) child.kill('SIGTERM');
  for (const child of programs.values()) child.kill('SIGTERM');
  await Promise.all(ended);
});

describe('agents that are programs', () => {
  test('say what they would do before there is anything', async () => {
    sluice('store', ['store', join(folder, 'store')]);
    await until('the store', () => logs.get('store')!.join('').includes('the store answers'));
    const plan = await command('agent', '--dry-run');
    assert.equal(plan.code, 0, plan.stderr);
    assert.match(plan.stdout, /It would run initdb, and begin the cluster\./);
    assert.equal((await command('status')).code, 2);
  });

  test('begin a cluster, and lose nothing when its postmaster is killed', async () => {
    for (const node of NODES)
      sluice(node, ['agent', '-c', join(folder, `${node}.yaml`), '--log-format', 'json']);
    const { leader } = await healthy('a cluster of three');
    assert.equal(leader, 'a');
    await query('CREATE TABLE t AS SELECT 42 AS answer');
    process.kill(postmasterOf('a'), 'SIGKILL');
    const isReplaced = async () => {
      const seen = await status();
      return seen.leader !== null && seen.leader !== 'a' && seen.verdict !== 'no primary';
    };
    await until('another primary', isReplaced, PATIENCE_MS);
    const { rows } = await query('SELECT answer FROM t');
    assert.deepEqual(rows, [{ answer: 42 }]);
    await healthy('the old primary to follow');
  });

  test('let a standby receive from another one, and from the primary while that one is away', async () => {
    const { leader } = await healthy('three nodes');
    const [relay, far] = NODES.filter((node) => node !== leader) as [string, string];
    const file = join(folder, `${far}.yaml`);
    const lines = readFileSync(file, 'utf8');
    const cascaded = lines.replace('timing: { grace: 2s }', `timing: { grace: 300ms, patience: 300ms }`);
    const change = (text: string) => {
      writeFileSync(file, text);
      programs.get(far)!.kill('SIGHUP');
    };
    const count = (words: string) => logs.get(far)!.join('').split(words).length - 1;
    const receives = async (from: string, before: number) =>
      until(`${far} to receive from ${from}`, () => count(`it receives from ${from}`) > before, PATIENCE_MS);
    const fromRelay = count(`it receives from ${relay}`);
    const fromLeader = count(`it receives from ${leader}`);
    change(cascaded.replace(`node: ${far}`, `node: ${far}\nreplicate_from: ${relay}`));
    await receives(relay, fromRelay);
    await query('INSERT INTO t VALUES (43)');
    const senders = async () => {
      const seen = await rowsOf(relay, 'SELECT application_name AS name FROM pg_stat_replication');
      return seen.some(({ name }) => name === far);
    };
    await until(`${relay} to send`, senders, PATIENCE_MS);
    const isThere = async () => (await rowsOf(far, 'SELECT FROM t WHERE answer = 43')).length === 1;
    await until('the row', isThere, PATIENCE_MS);
    process.kill(postmasterOf(relay), 'SIGKILL');
    await receives(leader!, fromLeader);
    await receives(relay, fromRelay + 1);
    const { nodes } = await healthy('the relay to be back');
    assert.equal(nodes.find(({ name }) => name === far)?.receivesFrom, relay);
    change(lines);
    await receives(leader!, fromLeader + 1);
  });

  test('switch over when they are told to, and when the primary is ended', async () => {
    const switched = await command('switchover', '--to', 'a', '--yes');
    assert.equal(switched.code, 0, switched.stderr);
    assert.match(switched.stdout, /^a leads in place of [bc]; clients paused for \d+ ms\n$/);
    await healthy('a to lead');

    // Its file is read again while it runs; one that is wrong changes nothing.
    const file = join(folder, 'a.yaml');
    const lines = readFileSync(file, 'utf8');
    const said = (words: string) => until(words, () => logs.get('a')!.join('').includes(words), PATIENCE_MS);
    writeFileSync(file, lines.replace('node: a', 'node: a\npriority: none'));
    programs.get('a')!.kill('SIGHUP');
    await said('the change is refused, all stays as it was');
    writeFileSync(
      file,
      lines
        .replace('node: a', 'node: a\npriority: 5\nquorum: 2')
        .replace('  data: a', '  data: a\n  superuser: other'),
    );
    programs.get('a')!.kill('SIGHUP');
    await said('without effect until the agent is started again: postgresql.superuser');
    await said('changed: priority, quorum');
    const quorum = async () =>
      (await status()).problems.some(({ text }) => text.includes('a: durable with quorum 2'));
    await until('the new quorum', quorum, PATIENCE_MS);
    const priority = async () => (await status()).nodes.find(({ name }) => name === 'a')?.priority === 5;
    await until('the new priority', priority, PATIENCE_MS);

    const child = programs.get('a')!;
    child.kill('SIGTERM');
    assert.deepEqual(await once(child, 'exit'), [0, null], logs.get('a')!.join(''));
    const { leader } = await healthy('two nodes', 2);
    assert.notEqual(leader, 'a');
    const { stdout } = await command('history', '--json');
    const leads = (JSON.parse(stdout) as { what: string }[]).filter(({ what }) => what === 'leads');
    assert.equal(leads.length, 4);
  });
});
