import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Cluster } from '../../src/core/route/cluster.js';
import type { Reader } from '../../src/core/route/reader-list.js';
import type { RouteNode } from '../../src/core/route/route-node.js';
import { GatewayInProcess } from '../harness/gateway-in-process.js';
import { PostgresServer } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/until.js';

/** A read that waits to be told where it goes. */
class WaitingReader implements Reader {
  nextReader: Reader | null = null;
  previousReader: Reader | null = null;
  neededPosition = 0;
  waitsSince = 0;
  /** It is never sent before it is told where. */
  readonly early = null;
  seesAtLeast = 0;
  readonly where: Promise<RouteNode | null>;
  routed: (node: RouteNode | null) => void = () => {};

  constructor(cluster: Cluster) {
    this.where = new Promise((resolve) => {
      this.routed = resolve;
    });
    cluster.awaitPosition(this);
  }

  letGo(): void {}
  takeBack(): void {}
}

const nameOf = (node: RouteNode | null): string | null => node?.settings.name ?? null;

describe('what is known of the nodes of a database', () => {
  let first: PostgresServer;
  let second: PostgresServer;
  let gateway: GatewayInProcess | undefined;
  let client: RawClient | undefined;
  let cluster: Cluster;
  const roles = () => Object.fromEntries(cluster.nodes.map((node) => [node.settings.name, node.role]));

  before(async () => {
    first = await PostgresServer.start({ settings: { synchronous_commit: 'on' } });
    await first.query('CREATE TABLE facts (n int)');
    second = await first.startStandby();
    const nodes = [
      { host: second.host, port: second.port, name: 'second' },
      { host: first.host, port: first.port, name: 'first' },
    ];
    gateway = await GatewayInProcess.start({ databases: { app: { nodes } }, standby_wait: '100ms' });
    client = await RawClient.login(gateway);
    cluster = gateway.gateway.clusters.find(gateway.gateway.databases.find('app')!)!;
  });
  after(async () => {
    await client?.close();
    await gateway?.stop();
    await second?.discard();
    await first?.discard();
  });

  test('roles', async () => {
    await until('the roles', () => cluster.primary !== null && cluster.hasStandby);
    assert.deepEqual(roles(), { first: 'primary', second: 'standby' });
    const [row] = await first.query(
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name = 'sluice: watching'",
    );
    assert.equal(row?.n, 1);
  });

  test('a read gets the standby when it has what was committed before', async () => {
    for (let i = 0; i < 20; i++) {
      await first.query('INSERT INTO facts VALUES (1)');
      const [row] = await first.query('SELECT pg_current_wal_flush_lsn() AS lsn');
      const reader = new WaitingReader(cluster);
      assert.equal(nameOf(await reader.where), 'second');
      const [seen] = await second.query(`SELECT pg_last_wal_replay_lsn() >= '${row?.lsn}' AS done`);
      assert.equal(seen?.done, true);
    }
  });

  test('many reads share a question', async () => {
    const asked = cluster.counters.positionQuestions;
    const readers = Array.from({ length: 100 }, () => new WaitingReader(cluster));
    const nodes = await Promise.all(readers.map(({ where }) => where));
    assert.ok(nodes.every((node) => nameOf(node) === 'second'));
    assert.equal(cluster.counters.positionQuestions, asked + 1);
  });

  test('a standby that does not replay gets no read that needs more, and comes back', async () => {
    await second.query('SELECT pg_wal_replay_pause()');
    await until('the pause', async () => {
      const [row] = await second.query('SELECT pg_get_wal_replay_pause_state() AS state');
      return row?.state === 'paused';
    });
    await first.query('INSERT INTO facts VALUES (2)');
    const late = cluster.counters.standbyWaitTimeouts;
    assert.equal(nameOf(await new WaitingReader(cluster).where), null);
    assert.equal(cluster.counters.standbyWaitTimeouts, late + 1);
    assert.equal(nameOf(cluster.pick('eventual', 0, null)), 'second');
    await second.query('SELECT pg_wal_replay_resume()');
    await until('the standby to be used again', async () => {
      return nameOf(await new WaitingReader(cluster).where) === 'second';
    });
  });

  test('a transaction that rests behind its first write keeps no read from the standby for long', async () => {
    const writer = await RawClient.login(first);
    await writer.query('BEGIN');
    await writer.query('INSERT INTO facts VALUES (3)');
    await until('the standby to be used', async () => {
      return nameOf(await new WaitingReader(cluster).where) === 'second';
    });
    const [row] = await first.query(
      'SELECT pg_current_wal_insert_lsn() > pg_current_wal_flush_lsn() AS ahead',
    );
    assert.equal(row?.ahead, true, 'or nothing was tested');
    await writer.query('COMMIT');
    await writer.close();
  });

  test('a standby that dies is not used, and comes back by itself', async () => {
    await second.stop('immediate');
    await until('the standby to be missed', () => roles().second === 'unknown');
    assert.equal(nameOf(await new WaitingReader(cluster).where), null);
    assert.equal(cluster.pick('eventual', 0, null), null);
    assert.equal(nameOf(cluster.primary), 'first');
    await second.restart();
    await until('the standby to be used again', async () => {
      return nameOf(await new WaitingReader(cluster).where) === 'second';
    });
  });

  test('a watching connection that is ended changes no role', async () => {
    const before = gateway!.reports.length;
    await first.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sluice: watching'",
    );
    await until('another one', async () => {
      const rows = await first.query(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'sluice: watching' AND backend_start > now() - interval '2 s'",
      );
      return rows.length === 1 && nameOf(cluster.primary) === 'first';
    });
    assert.deepEqual(gateway!.reports.slice(before), []);
  });

  test('queries of ours run on the primary', async () => {
    const rows = await new Promise((resolve) => cluster.query("SELECT 1, NULL, 'ü'", resolve));
    assert.deepEqual(rows, [['1', null, 'ü']]);
    const failed = await new Promise((resolve) => cluster.query('SELECT 1/0', resolve));
    assert.equal(failed, null);
  });

  test('a promotion is seen, and the old primary stays out', async () => {
    await first.stop('immediate');
    await until('the primary to be missed', () => cluster.primary === null);
    const reader = new WaitingReader(cluster);
    assert.equal(nameOf(await reader.where), null);
    await second.query('SELECT pg_promote()');
    await until('the new primary', () => nameOf(cluster.primary) === 'second');
    await first.restart();
    await until('the old primary to be known as such', () => roles().first === 'foreign');
    assert.equal(nameOf(cluster.primary), 'second');
    const [snapshot] = cluster.snapshot().filter(({ name }) => name === 'first');
    assert.match(snapshot!.state, /timeline 1, which timeline 2 has left behind/);
  });
});
