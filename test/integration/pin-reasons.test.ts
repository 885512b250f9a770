/** Who is pinned, why, since when: where people and programs look. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rowsOf, singleValue, typesOf } from '../harness/backend-message.js';
import { withGateway } from '../harness/gateway-under-test.js';
import { SUPERUSER } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { freePort } from '../harness/scratch.js';
import { onEveryDriver } from '../harness/stage.js';
import { until } from '../harness/until.js';

const COLUMNS =
  `type user database replication state addr port local_addr local_port connect_time request_time wait wait_us
  close_needed ptr link remote_pid tls application_name prepared_statements id`.split(/\s+/);

onEveryDriver('pin reasons', { gateway: { settings: { stats_users: SUPERUSER } } }, (stage) => {
  const login = (parameters: Record<string, string> = {}) => RawClient.login(stage.gateway, parameters);

  /** What SHOW CLIENTS says of a client by its application name: reason and time. */
  async function pinOf(name: string): Promise<(string | null)[]> {
    const console = await login({ database: 'pgbouncer' });
    const answer = await console.query(`SHOW CLIENTS WHERE application_name = '${name}'`);
    await console.close();
    return (rowsOf(answer)[0] ?? []).slice(COLUMNS.length);
  }

  test("SHOW CLIENTS: behind PgBouncer's columns", async () => {
    const console = await login({ database: 'pgbouncer' });
    const names = await console.query('SHOW CLIENTS');
    const description = names.find(({ type }) => type === 'T')!.body.toString('latin1');
    const found = [...description.matchAll(/([a-z_]{2,})\0/g)].map(([, name]) => name);
    assert.deepEqual(found, [...COLUMNS, 'pin_reason', 'pinned_since']);
    await console.close();
  });

  test('come with the pin, and go with it', async () => {
    const client = await login({ application_name: 'comes' });
    assert.deepEqual(await pinOf('comes'), ['', '']);
    await client.query('SELECT pg_advisory_lock(7)');
    await until('the pin to be shown', async () => (await pinOf('comes'))[0] === 'advisory locks');
    assert.match((await pinOf('comes'))[1] ?? '', /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
    await client.query('SELECT pg_advisory_unlock(7)');
    await until('the pin to be gone', async () => (await pinOf('comes'))[0] === '');
    assert.deepEqual(await pinOf('comes'), ['', '']);
    await client.close();
  });

  test('limits of the gateway are named, with what to do', async () => {
    const many = Array.from({ length: 101 }, (_, i) => `SET app.s${i} = 1`).join('; ');
    const cases = [
      [many, 'more than 100 custom settings'],
      [`SET app.large = '${'x'.repeat(17_000)}'`, 'more than 16 KiB of settings'],
      [`SET app.large = '${'x'.repeat(70_000)}'`, null],
      [`SET app.large = '${'x'.repeat(12_000)}'`, ''],
      ["SELECT set_config('app.' || 'x', '1', false)", 'custom settings of unknown names'],
      ['SELECT setseed(0.5)', 'state that no query shows'],
    ] as const;
    for (const [i, [sql, reason]] of cases.entries()) {
      const client = await login({ application_name: `case ${i}` });
      assert.doesNotMatch(typesOf(await client.query(sql)), /E/);
      // Behind the gateway's question.
      await client.query('SELECT 1');
      if (reason !== null) assert.equal((await pinOf(`case ${i}`))[0], reason, sql.slice(0, 40));
      await client.close();
    }
    for (const words of [
      '16 KiB of settings. Set less',
      '100 custom settings. Put several',
      'unknown names. Name custom',
    ]) {
      assert.ok(stage.gateway.log.includes(words), words);
    }
  });

  test('each reason is told when it comes, with what to do', async () => {
    const settings = { on_pin: 'notice' };
    await withGateway({ io: stage.io, server: stage.server, settings }, async (gateway) => {
      const client = await RawClient.login(gateway);
      const told = async () => (await client.take('N')).at(-1)!.body.toString('latin1');
      await client.query('CREATE TEMP TABLE t (i int)');
      assert.match(await told(), /connection: temporary objects\0.*ON COMMIT DROP/s);
      await client.query('SELECT pg_advisory_lock(7)');
      assert.match(await told(), /connection: advisory locks\0.*pg_advisory_xact_lock/s);
      await client.close();
    });
  });

  test('a question that fails is told in the log, and asked again', async () => {
    const client = await login({ application_name: 'deaf' });
    await stage.server.query(
      'ALTER FUNCTION pg_catalog.pg_listening_channels() RENAME TO pg_renamed_channels',
    );
    try {
      await client.query("SET work_mem = '5MB'");
      await until('the pin', async () => (await pinOf('deaf'))[0] === 'state that could not be asked for');
      const told = /state of a session could not be asked for: function .* does not exist/;
      await until('the log', () => told.test(stage.gateway.log));
    } finally {
      await stage.server.query(
        'ALTER FUNCTION pg_catalog.pg_renamed_channels() RENAME TO pg_listening_channels',
      );
    }
    await until('the pin to be gone', async () => {
      assert.equal(singleValue(await client.query('SHOW work_mem')), '5MB');
      return (await pinOf('deaf'))[0] === '';
    });
    await client.close();
  });

  test('GET /health counts them by reason', async () => {
    const place = `127.0.0.1:${await freePort()}`;
    const settings = { http_listen: place, session_state: 'transparent' };
    await withGateway({ io: stage.io, server: stage.server, settings }, async (gateway) => {
      const pins = async () =>
        ((await (await fetch(`http://${place}/health`)).json()) as { pins: unknown }).pins;
      assert.deepEqual(await pins(), []);
      const client = await RawClient.login(gateway);
      await client.query('CREATE TEMP TABLE t (i int); SELECT pg_advisory_lock(7)');
      await client.query('SELECT 1');
      assert.deepEqual(await pins(), [
        { reason: 'temporary objects', clients: 1, total: 1 },
        { reason: 'advisory locks', clients: 1, total: 1 },
      ]);
      await client.query('DROP TABLE t');
      await client.query('SELECT 1');
      assert.deepEqual(await pins(), [
        { reason: 'temporary objects', clients: 0, total: 1 },
        { reason: 'advisory locks', clients: 1, total: 1 },
      ]);
      await client.close();
    });
  });
});
