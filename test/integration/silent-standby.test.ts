/** A standby that says nothing any more, and whose connections all last: what ran there is not waited for. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { rowsOf, singleValue, typesOf } from '../harness/backend-message.js';
import { availableDrivers } from '../harness/drivers.js';
import { FaultProxy } from '../harness/fault-proxy.js';
import * as send from '../harness/frontend-message.js';
import { GatewayUnderTest } from '../harness/gateway-under-test.js';
import { PostgresServer, SUPERUSER } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/until.js';

/** Both claim to be harmless; `slow()` never ends on a standby. */
const GROUND = `
  CREATE FUNCTION place() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN current_setting('port'); END $$;
  CREATE FUNCTION slow() RETURNS text LANGUAGE plpgsql STABLE AS $$
    BEGIN WHILE pg_is_in_recovery() LOOP PERFORM pg_sleep(0.01); END LOOP; RETURN 'from the primary'; END $$`;
const RUNNING = "SELECT count(*)::int AS count FROM pg_stat_activity WHERE query = 'SELECT slow()'";

describe('a standby that hangs', () => {
  let primary: PostgresServer;
  let standby: PostgresServer | undefined;
  let proxy: FaultProxy | undefined;
  let gateway: GatewayUnderTest | undefined;
  before(async () => {
    primary = await PostgresServer.start({ settings: { synchronous_commit: 'on' } });
    await primary.query(GROUND);
    standby = await primary.startStandby();
    await primary.replayedBy(standby);
    proxy = await FaultProxy.start(standby);
    const nodes = [proxy, primary].map(({ host, port }) => `${host}:${port}`).join(',');
    gateway = await GatewayUnderTest.start({
      // What is closed, and when, is decided in the core.
      io: availableDrivers[0]!,
      server: [`app=postgres:///app?nodes=${nodes}`],
      settings: { stats_users: SUPERUSER, standby_wait: '10s' },
      expectedTrouble: [/node .* is unknown/, /node does not answer/],
    });
  });
  after(async () => {
    proxy?.stall(false);
    await gateway?.stop();
    await proxy?.stop();
    await standby?.discard();
    await primary.discard();
  });

  test('keeps neither a read nor a transaction that only reads', async () => {
    const place = async (client: RawClient) => singleValue(await client.query('SELECT place()'));
    const [reader, other] = [await RawClient.login(gateway!), await RawClient.login(gateway!)];
    await until('reads on the standby', async () => (await place(other)) === String(standby!.port));
    // The first of its kind goes to the primary, and is known from then on.
    await reader.query('SELECT slow()');
    await until('"SELECT slow()" to be known', async () => {
      const known = await consoleRows(gateway!, 'SHOW SHAPES');
      return known.some((row) => row.includes('SELECT slow()'));
    });
    await until('a transaction on the standby', async () => {
      await other.query('BEGIN READ ONLY');
      if ((await place(other)) === String(standby!.port)) return true;
      await other.query('ROLLBACK');
      return false;
    });
    reader.send(send.query('SELECT slow()'));
    await until(
      'the read to run on the standby',
      async () => (await standby!.query(RUNNING))[0]?.count === 1,
    );
    proxy!.stall(true);
    assert.equal(singleValue(await reader.untilReady()), 'from the primary');
    assert.equal(await place(other), String(primary.port));
    assert.equal(typesOf(await other.query('COMMIT')), 'CZ');
    proxy!.stall(false);
    await until('reads on the standby again', async () => (await place(reader)) === String(standby!.port));
    await reader.close();
    await other.close();
  });
});

async function consoleRows(gateway: GatewayUnderTest, command: string): Promise<(string | null)[][]> {
  const client = await RawClient.login(gateway, { database: 'pgbouncer' });
  const rows = rowsOf(await client.query(command));
  await client.close();
  return rows;
}
