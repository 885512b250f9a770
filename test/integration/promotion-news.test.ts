/** A standby is promoted, and its sessions are the first to know: PostgreSQL tells them since version 14. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { Cluster } from '../../src/core/route/cluster.js';
import { GatewayInProcess } from '../harness/gateway-in-process.js';
import { PostgresServer } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/until.js';

const OF_POOLS =
  "backend_type = 'client backend' AND application_name NOT LIKE 'sluice%' AND pid <> pg_backend_pid()";

describe('a standby that is promoted while its primary runs', () => {
  let first: PostgresServer;
  let second: PostgresServer;
  let gateway: GatewayInProcess | undefined;
  let client: RawClient | undefined;
  let cluster: Cluster;
  let look = (): void => {};
  const nameOfPrimary = (): string | null => cluster.primary?.settings.name ?? null;
  const watchOf = (name: string) => cluster.watches.find(({ node }) => node.settings.name === name)!;
  const readsThere = () => watchOf('second').node.reads;
  const read = () => client!.query('/* sluice: eventual */ SELECT 1');

  beforeEach(async () => {
    first = await PostgresServer.start({ settings: { synchronous_commit: 'on' } });
    second = await first.startStandby();
    const nodes = [
      { host: first.host, port: first.port, name: 'first' },
      { host: second.host, port: second.port, name: 'second' },
    ];
    gateway = await GatewayInProcess.start({ databases: { app: { nodes } } });
    client = await RawClient.login(gateway);
    cluster = gateway.gateway.clusters.find(gateway.gateway.databases.find('app')!)!;
    await until('a read on the standby', async () => (await read()) && readsThere() > 0);
    // Nobody looks at it: what is known of its promotion is what a session has said.
    const watch = watchOf('second');
    look = watch.look;
    watch.look = () => {};
    await second.query('SELECT pg_promote()');
    assert.equal(nameOfPrimary(), 'first');
  });
  afterEach(async () => {
    await client?.close();
    await gateway?.stop();
    await second?.discard();
    await first?.discard();
  });

  test('says so with the next answer, and the old primary gets nothing from then on', async () => {
    await read();
    await until('the old primary to be left', () => nameOfPrimary() === null);
    assert.equal(watchOf('first').node.role, 'foreign');
    watchOf('second').look = look;
    await until('the new primary', () => nameOfPrimary() === 'second');
    assert.equal(watchOf('first').node.role, 'foreign');
  });

  test('gets no reads on a new connection, at whose login it says that it is none', async () => {
    await second.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${OF_POOLS}`);
    await until('the end of its sessions', async () => {
      const [row] = await second.query(`SELECT count(*)::int AS n FROM pg_stat_activity WHERE ${OF_POOLS}`);
      return row?.n === 0;
    });
    const before = readsThere();
    for (let i = 0; i < 5; i++) await read();
    assert.equal(readsThere(), before);
  });
});
