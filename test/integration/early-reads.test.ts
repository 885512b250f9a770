/** Reads that are sent to a standby before the primary has said where it writes: their answers wait for that. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { firstError, rowsOf, singleValue, typesOf } from '../harness/backend-message.js';
import { FaultProxy } from '../harness/fault-proxy.js';
import * as send from '../harness/frontend-message.js';
import { GatewayInProcess } from '../harness/gateway-in-process.js';
import { PostgresServer } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { until } from '../harness/until.js';

const GROUND = `
  CREATE TABLE facts (n int); INSERT INTO facts VALUES (0);
  CREATE FUNCTION place() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN current_setting('port'); END $$`;
const PLACE = 'SELECT place()';
const NEWEST = 'SELECT max(n) FROM facts';
const LARGE_BYTES = 4_000_000;
const LARGE = `SELECT repeat('x', ${LARGE_BYTES})`;
const FAILING = 'SELECT 1 / n FROM facts WHERE n = 0';
/** What is held of an answer beside what is under way already. */
const HELD_BYTES_MAX = 512 * 1024;
const READS_AT_A_TIME = 50;

describe('reads whose answers are held', () => {
  let primary: PostgresServer;
  let standby: PostgresServer;
  let proxy: FaultProxy | undefined;
  let gateway: GatewayInProcess;
  let client: RawClient;
  let written = 0;
  const counters = () => gateway.gateway.context.counters;
  const held = (): number => [...gateway.gateway.sessions].at(-1)?.link?.heldBytes ?? 0;
  /** Reads it until it is read early: behind every surprise that takes more reads. */
  const settle = (sql: string) =>
    until(`"${sql}" to be read early`, async () => {
      const { readsEarly } = counters();
      for (let i = 0; i < READS_AT_A_TIME && counters().readsEarly === readsEarly; i += 1) {
        await client.query(sql);
      }
      return counters().readsEarly > readsEarly;
    });
  /** The primary has what the standby doesn't get, and nobody has been told. */
  const write = async (): Promise<void> => {
    await standby.query('SELECT pg_wal_replay_pause()');
    written += 1;
    await primary.query(`INSERT INTO facts VALUES (${written})`);
  };
  /** Sends it while the primary is not heard, until the standby has answered. */
  const sendUnheard = async (...messages: Buffer[]): Promise<void> => {
    proxy!.mute(true);
    client.send(...messages);
    await until('the answer of the standby', () => held() > 0);
    assert.equal(client.arrived.length, 0);
  };

  before(async () => {
    // Nothing is written by the way.
    const quiet = { autovacuum: 'off', bgwriter_delay: '10s', checkpoint_timeout: '1h' };
    primary = await PostgresServer.start({ settings: { synchronous_commit: 'on', ...quiet } });
    await primary.query(GROUND);
    standby = await primary.startStandby();
    await primary.replayedBy(standby);
    proxy = await FaultProxy.start(primary);
    const nodes = [standby, proxy].map(({ host, port }) => ({ host, port }));
    gateway = await GatewayInProcess.start({ databases: { app: { nodes } }, max_prepared_statements: 10 });
    client = await RawClient.login(gateway);
    // The first of its kind goes to the primary, and is known from then on.
    for (const sql of [PLACE, NEWEST, LARGE, FAILING]) await settle(sql);
    await client.close();
  });
  beforeEach(async () => {
    client = await RawClient.login(gateway);
    await primary.replayedBy(standby);
    await settle(PLACE);
  });
  afterEach(async () => {
    proxy?.mute(false);
    await standby.query('SELECT pg_wal_replay_resume()');
    await client.close();
  });
  after(async () => {
    await gateway?.stop();
    await proxy?.stop();
    await standby?.discard();
    await primary?.discard();
  });

  test('get them when the primary has spoken, and what was sent behind them is answered in its turn', async () => {
    await sendUnheard(send.query(PLACE), send.extended(PLACE), send.query('SHOW port'));
    proxy!.mute(false);
    assert.equal(singleValue(await client.untilReady()), String(standby.port));
    assert.equal(singleValue(await client.untilReady()), String(standby.port));
    assert.equal(singleValue(await client.untilReady()), String(primary.port));
  });

  test('may be large, and most of such an answer stays with the standby', async () => {
    await sendUnheard(send.query(LARGE));
    await until('enough of it', () => [...gateway.gateway.sessions].at(-1)!.link!.readingPaused);
    assert.ok(held() < HELD_BYTES_MAX, `${held()} bytes are held`);
    proxy!.mute(false);
    assert.equal(singleValue(await client.untilReady())?.length, LARGE_BYTES);
    assert.equal(await client.query(PLACE).then(singleValue), String(standby.port));
  });

  test('may fail, which is held, too', async () => {
    const count = counters().readsRepeated;
    await sendUnheard(send.query(FAILING));
    proxy!.mute(false);
    assert.equal(firstError(await client.untilReady()).code, '22012');
    assert.equal(counters().readsRepeated, count);
  });

  test('go to the primary when their standby is lost meanwhile', async () => {
    await sendUnheard(send.query(PLACE));
    await standby.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = '${PLACE}' AND state = 'idle'`,
    );
    await until('the loss', () => held() === 0);
    proxy!.mute(false);
    assert.equal(singleValue(await client.untilReady()), String(primary.port));
  });

  test('leave a server connection as good as new when their client goes meanwhile', async () => {
    const opened = counters().serverConnections;
    await sendUnheard(send.query(LARGE));
    client.reset();
    await until('its end', () => gateway.gateway.sessions.size === 0);
    proxy!.mute(false);
    client = await RawClient.login(gateway);
    for (let i = 0; i < 5; i += 1) assert.equal(singleValue(await client.query(PLACE)), String(standby.port));
    assert.ok(counters().serverConnections <= opened + 1);
  });

  // Each of these is a surprise, behind which it takes longer until reads are early again.
  test('run again where the primary has written, by whatever protocol', async () => {
    const named = [send.bind('', 's'), send.execute(''), send.sync()];
    const units: [how: string, unit: Buffer[], types: string][] = [
      ['simple', [send.query(NEWEST)], 'TDCZ'],
      ['unnamed', [send.extended(NEWEST)], '12TDCZ'],
      ['prepared there', [send.parse('s', NEWEST), ...named], '12DCZ'],
      ['prepared before', named, '2DCZ'],
      ['closed behind it', [...named.slice(0, 2), send.closeStatement('s'), send.sync()], '2DC3Z'],
      ['prepared again', [send.closeStatement('s'), send.parse('s', NEWEST), ...named], '312DCZ'],
    ];
    for (const [how, unit, types] of units) {
      await standby.query('SELECT pg_wal_replay_resume()');
      await settle(PLACE);
      await write();
      const count = counters().readsTooEarly;
      client.send(...unit);
      const answer = await client.untilReady();
      assert.equal(typesOf(answer), types, how);
      assert.deepEqual(rowsOf(answer), [[String(written)]], how);
      assert.equal(counters().readsTooEarly, count + 1, how);
    }
  });

  test('run again with what was sent behind them', async () => {
    await write();
    const count = counters().readsTooEarly;
    client.send(send.query(NEWEST), send.extended(NEWEST), send.query(PLACE));
    assert.equal(singleValue(await client.untilReady()), String(written));
    assert.equal(singleValue(await client.untilReady()), String(written));
    assert.equal(singleValue(await client.untilReady()), String(primary.port));
    assert.ok(counters().readsTooEarly > count);
  });
});
