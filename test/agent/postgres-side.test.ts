/** What the machine of a cluster relies on when a real PostgreSQL carries its decisions out. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chownSync,
  existsSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { inspectData } from '../../src/agent/postgres/initialize.js';
import { KeptConnection } from '../../src/agent/postgres/kept-connection.js';
import { stateFolder } from '../../src/agent/postgres/state-folder.js';
import { formatLsn, historyPath } from '../../src/agent/postgres/timeline-history.js';
import { commonWith } from '../../src/cluster/position.js';
import { NodeWorld, TestNode } from '../harness/postgres-node.js';
import { until } from '../harness/until.js';

describe('a primary and its standby', () => {
  const world = new NodeWorld();
  let a: TestNode;
  let b: TestNode;

  before(async () => {
    a = await TestNode.open('a', world);
    b = await TestNode.open('b', world);
  });

  after(async () => {
    await Promise.all([a?.close(), b?.close()]);
  });

  test('the first primary begins a timeline of its term', async () => {
    const { history } = await a.lead(1);
    assert.deepEqual(
      history.map(({ timeline, term }) => ({ timeline, term })),
      [
        { timeline: 1, term: 0 },
        { timeline: 2, term: 1 },
      ],
    );
    await a.query('CREATE TABLE t (n int)');
  });

  test('statements that overlap on one connection of its agent make `pg` warn of nothing', async () => {
    const warnings: Error[] = [];
    const note = (warning: Error) => warnings.push(warning);
    process.on('warning', note);
    const kept = new KeptConnection(() => a.connect());
    try {
      const answers = await Promise.all([1, 2, 3, 4].map((n) => kept.query('SELECT $1::int AS n', [n])));
      assert.deepEqual(
        answers.map(([row]) => row!.n),
        [1, 2, 3, 4],
      );
      // Warnings are told of in the next turn.
      await turn();
      assert.deepEqual(warnings, []);
    } finally {
      kept.forget();
      process.off('warning', note);
    }
  });

  test('a clone follows', async () => {
    await b.join(a, 1);
    await a.query('INSERT INTO t VALUES (1)');
    await until('the row on b', async () => (await b.query('SELECT * FROM t')).length === 1);
    const isReported = () =>
      a.told.some(({ kind, ...input }) => kind === 'replication' && JSON.stringify(input).includes('"b"'));
    await until('a to tell of b', isReported);
  });

  test('a detached standby lets no commit go that waits for it', async () => {
    const synchronized = await a.ask({ do: 'synchronize', standbys: ['b'], quorum: 1 });
    assert.equal(synchronized.kind, 'synchronized');
    await a.query('INSERT INTO t VALUES (2)');
    const position = await b.askPosition({ do: 'detach' });
    const { lsn } = synchronized as { lsn: number };
    assert.ok(position.lsn >= lsn);
    const client = await a.connect();
    const commit = client.query('INSERT INTO t VALUES (3)').then(
      () => 'acknowledged',
      () => 'broken off',
    );
    await until('the commit to wait', async () => {
      const rows = await a.query(`SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'`);
      return rows.length === 1;
    });
    await a.ask({ do: 'stop', mode: 'immediate', limitMs: 0 });
    assert.equal(await commit, 'broken off');
  });

  test('it becomes the primary above a number, and the old one is rewound to it', async () => {
    const position = await b.takeOver(2, 7);
    assert.equal(position.history.at(-1)?.timeline, 8);
    assert.equal(position.history.at(-1)?.term, 2);
    await b.query('INSERT INTO t VALUES (4)');
    const old = await a.restart();
    const common = commonWith(position.history, old);
    assert.ok(common.isDiverged);
    const answer = await a.ask({ do: 'rewind', primary: 'b', keepFrom: common.lsn });
    assert.equal(answer.kind, 'rewound');
    const rewound = await a.restart();
    assert.ok(!commonWith(position.history, rewound).isDiverged);
    a.follow(b, 2);
    await until('the row on a', async () => {
      const rows = await a.query('SELECT n FROM t ORDER BY n');
      return rows.map(({ n }) => n).join() === '1,2,4';
    });
  });

  test('a standby whose next WAL is gone says so, and is cloned', async () => {
    await a.restart();
    await b.query('ALTER SYSTEM SET wal_keep_size = 0');
    await b.query('SELECT pg_reload_conf()');
    for (let segment = 0; segment < 2; segment++) {
      await b.query('INSERT INTO t VALUES (5)');
      await b.query('SELECT pg_switch_wal()');
    }
    await b.query('CHECKPOINT');
    a.told.length = 0;
    a.follow(b, 2);
    await until('the broken stream to be told of', () => a.told.some(({ kind }) => kind === 'stream broken'));
    assert.match(
      a.side.facts().problem?.text ?? '',
      /^it does not stream from b, which no longer has the WAL/,
    );
    appendFileSync(join(a.settings.data, 'postgresql.conf'), "cluster_name = 'its own'\n");
    await a.join(b, 2);
    assert.equal(a.side.facts().problem, null);
    await until('the rows on a', async () => (await a.query('SELECT FROM t')).length === 5);
    assert.match(readFileSync(join(a.settings.data, 'postgresql.conf'), 'utf8'), /its own/);
  });

  test('a standby that has heard of a timeline without WAL is stuck until it is started again, and says so', async () => {
    await b.ask({ do: 'stop', mode: 'fast', limitMs: 10_000 });
    const { history, lsn } = await a.askPosition({ do: 'detach' });
    assert.equal((await b.restart()).lsn, lsn);
    // Somebody was promoted from here, and was lost before he had written anything that came.
    const [wal, last] = [join(a.settings.data, 'pg_wal'), history.at(-1)!];
    const ancestors = readFileSync(historyPath(wal, last.timeline), 'utf8');
    const lost = historyPath(wal, last.timeline + 1);
    writeFileSync(lost, `${ancestors}\n${last.timeline}\t${formatLsn(lsn)}\tlost\n`);
    const { uid, gid } = statSync(wal);
    chownSync(lost, uid, gid);
    await a.restart();
    await b.takeOver(3, last.timeline + 1);
    a.follow(b, 3);
    await until('it to be stuck', () => a.told.some(({ kind }) => kind === 'stream stuck'), 30_000);
    await a.restart();
    a.follow(b, 3);
    await until('a to stream', () => a.side.facts().streamsFrom === 'b');
  });

  test('a primary that waits for its standbys makes its first checkpoint all the same: they may wait for that', async () => {
    // Enough to write, at PostgreSQL's own pace, for minutes.
    await b.query('CREATE TABLE large AS SELECT n FROM generate_series(1, 300000) AS n');
    await until('the rows on a', async () => {
      const [row] = await a.query("SELECT to_regclass('large') IS NOT NULL AS there");
      return row!.there;
    });
    await a.askPosition({ do: 'detach' });
    await b.ask({ do: 'stop', mode: 'immediate', limitMs: 0 });
    a.permit(60_000);
    const { history } = await a.askPosition({ do: 'promote', term: 4, above: 0 });
    world.publish(a, 4, history);
    assert.equal((await b.ask({ do: 'clone', primary: 'a', keepFrom: null })).kind, 'cloned');
  });
});

test('without pg_basebackup a primary of the same machine is copied by its files', async () => {
  const world = new NodeWorld();
  const a = await TestNode.open('a', world, { canaryMs: 1000 });
  const { binaries } = a.settings;
  const b = await TestNode.open('b', world, { binaries: { ...binaries, pgBasebackup: null } });
  try {
    await a.lead(1);
    await a.query('CREATE TABLE t AS SELECT 1 AS n');
    await breakCloneOff(b, a);
    assert.equal((await inspectData(b.settings)).data, 'damaged');
    await b.begin();
    await b.join(a, 1);
    await until('the table on b', async () => (await b.query('SELECT n FROM t')).length === 1);
    await removeData(b);
    await b.join(a, 1);
    await standStill(a);
    await killAndFind(a);
  } finally {
    await Promise.all([a.close(), b.close()]);
  }
});

/** The agent ends in the middle of a clone. */
async function breakCloneOff(node: TestNode, primary: TestNode): Promise<void> {
  node.side.carryOut({ do: 'clone', id: 0, primary: primary.name, keepFrom: null });
  const mark = join(stateFolder(node.settings.data), 'unfinished');
  while (!existsSync(mark)) await turn();
  await node.close();
}

/** Data that somebody removes under the agent are no longer taken for whole: they are to be cloned. */
async function removeData(node: TestNode): Promise<void> {
  node.told.length = 0;
  process.kill(node.postmaster, 'SIGKILL');
  await until('its end to be told', () => node.told.some(({ kind }) => kind === 'ended'));
  rmSync(node.settings.data, { recursive: true });
  assert.equal((await node.ask({ do: 'start' })).kind, 'damaged');
}

/** A primary whose processes run, and get nothing to the disk, is told of. */
async function standStill(primary: TestNode): Promise<void> {
  const { pids } = primary;
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  primary.told.length = 0;
  try {
    await until('a wedged primary to be told of', () => primary.told.some(({ kind }) => kind === 'wedged'));
  } finally {
    for (const pid of pids) process.kill(pid, 'SIGCONT');
  }
}

/** A primary that was killed is found to have all that was on its disk, on the same timelines. */
async function killAndFind(primary: TestNode): Promise<void> {
  await primary.query('INSERT INTO t VALUES (2)');
  const [row] = await primary.query(`SELECT (pg_current_wal_flush_lsn() - '0/0')::text AS lsn`);
  process.kill(primary.postmaster, 'SIGKILL');
  await until('its end to be told', () => primary.told.some(({ kind }) => kind === 'ended'));
  assert.deepEqual(primary.pids, []);
  const { lsn, history } = await primary.restart();
  assert.ok(lsn >= Number(row?.lsn), `${lsn} of ${row?.lsn}`);
  assert.deepEqual(
    history.map(({ term }) => term),
    [0, 1],
  );
}
