/** A standby is promoted, and its sessions are the first to know: PostgreSQL tells them since version 14. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Cluster } from '../../src/core/route/cluster.js';
import { GatewayInProcess } from '../harness/gateway-in-process.js';
import { PostgresServer } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/until.js';

describe('a standby that is promoted while its primary runs', () => {
  let first: PostgresServer;
  let second: PostgresServer;
  let gateway: GatewayInProcess | undefined;
  let client: RawClient | undefined;
  let cluster: Cluster;
  const nameOfPrimary = (): string | null => cluster.primary?.settings.name ?? null;
  const roleOf = (name: string) => cluster.nodes.find(({ settings }) => settings.name === name)?.role;

  before(async () => {
    first = await PostgresServer.start({ settings: { synchronous_commit: 'on' } });
    second = await first.startStandby();
    const nodes = [
      { host: first.host, port: first.port, name: 'first' },
      { host: second.host, port: second.port, name: 'second' },
    ];
    gateway = await GatewayInProcess.start({ databases: { app: { nodes } } });
    client = await RawClient.login(gateway);
    cluster = gateway.gateway.clusters.find(gateway.gateway.databases.find('app')!)!;
  });
  after(async () => {
    await client?.close();
    await gateway?.stop();
    await second?.discard();
    await first?.discard();
  });

  test('says so with the next answer, and the old primary gets nothing from then on', async () => {
    const [node, read] = [
      () => cluster.nodes.find(({ settings }) => settings.name === 'second')!,
      () => client!.query('/* sluice: eventual */ SELECT 1'),
    ];
    await until('a read on the standby', async () => (await read()) && node().reads > 0);
    const watch = cluster.watches.find((each) => each.node === node())!;
    const look = watch.look;
    // Nobody looks at it: what is known of its promotion is what a session has said.
    watch.look = () => {};
    await second.query('SELECT pg_promote()');
    assert.equal(nameOfPrimary(), 'first');
    await read();
    await until('the old primary to be left', () => nameOfPrimary() === null);
    assert.equal(roleOf('first'), 'foreign');
    watch.look = look;
    await until('the new primary', () => nameOfPrimary() === 'second');
    assert.equal(roleOf('first'), 'foreign');
  });
});
