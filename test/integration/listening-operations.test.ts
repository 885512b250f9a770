/** What those who listen see of an operator's commands: everything that was sent, or a word that something may be missing. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readErrorFields } from '../../src/wire/error-fields.js';
import { readNotificationResponse } from '../../src/wire/server-messages.js';
import { type BackendMessage, firstError, typesOf } from '../harness/backend-message.js';
import { availableDrivers } from '../harness/drivers.js';
import { GatewayUnderTest } from '../harness/gateway-under-test.js';
import { PostgresServer, SUPERUSER } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { scratchFolder } from '../harness/scratch.js';
import { until } from '../harness/until.js';

const SHARED = "application_name = 'sluice: listening'";
const LOST = 'notifications may have been lost';

/** A notification's payload, or the message of a notice. */
function said({ type, body }: BackendMessage): string {
  if (type === 'A') return readNotificationResponse(body, 0, body.length).payload;
  assert.equal(type, 'N');
  return readErrorFields(body, 0, body.length).message;
}

/** It is the core's work: one driver is as good as another. */
const io = availableDrivers[0]!;

describe('those who listen, and operators', () => {
  let server: PostgresServer;
  const file = join(scratchFolder('operations'), 'sluice.yaml');
  let gateway: GatewayUnderTest;
  let console: RawClient;
  let client: RawClient;

  const configure = (url: string, more: object = {}) =>
    writeFileSync(file, JSON.stringify({ databases: { app: url }, ...more }));
  const urlOf = ({ host, port }: PostgresServer) => `postgres://${host}:${port}`;
  const order = async (command: string) =>
    assert.match(typesOf(await console.query(command)), /^CZ$/, command);
  const notify = (payload: string, at = server) => at.query(`NOTIFY a, '${payload}'`);
  const hears = async (what: string) => assert.equal(said(await client.next()), what);
  const begin = async () => {
    configure(urlOf(server));
    gateway = await GatewayUnderTest.start({
      io,
      server: [],
      file,
      settings: { default_pool_size: 2, server_login_retry: 1, admin_users: SUPERUSER },
    });
    console = await RawClient.login(gateway, { database: 'pgbouncer' });
  };
  const listen = async () => {
    client = await RawClient.login(gateway);
    await client.query('LISTEN a');
  };
  const countShared = async (): Promise<number> => {
    const rows = await server.query(`SELECT count(*) AS n FROM pg_stat_activity WHERE ${SHARED}`);
    return Number(rows[0]!.n);
  };

  before(async () => {
    server = await PostgresServer.start();
    await begin();
  });
  after(async () => {
    if (gateway?.ended === false) await gateway.stop();
    await server?.discard();
  });

  test('SUSPEND and RELOAD are nothing to them', async () => {
    await listen();
    await order('SUSPEND');
    await notify('suspended');
    await order('RESUME');
    await hears('suspended');
    await order('RELOAD');
    await notify('reloaded');
    await hears('reloaded');
    await client.close();
  });

  test('after PAUSE and RESUME, and RECONNECT, they are told that they may have missed something', async () => {
    await listen();
    await order('PAUSE app');
    await until('the shared connection is closed', async () => (await countShared()) === 0);
    await notify('missed');
    await order('RESUME app');
    await hears(LOST);
    await notify('resumed');
    await hears('resumed');
    for (let i = 0; i < 5; i++) {
      await order('RECONNECT');
      await hears(LOST);
    }
    await notify('reconnected');
    await hears('reconnected');
    await client.close();
  });

  test('KILL ends them', async () => {
    await listen();
    await order('KILL app');
    assert.equal(firstError(await client.untilEnd()).code, '57P01');
    await until('the shared connection is closed', async () => (await countShared()) === 0);
    await order('RESUME app');
    await listen();
    await notify('back');
    await hears('back');
    await client.close();
  });

  test('a reload that leads elsewhere takes them along, and tells them', async () => {
    const other = await PostgresServer.start();
    await listen();
    configure(urlOf(other));
    await order('RELOAD');
    await hears(LOST);
    await notify('from the old server');
    await notify('from the new server', other);
    await hears('from the new server');
    assert.equal(await countShared(), 0);
    configure(urlOf(server));
    await order('RELOAD');
    await hears(LOST);
    await client.close();
    await other.discard();
  });

  test('where one connection can not hear for them any more, they are ended', async () => {
    await listen();
    const { host, port } = server;
    configure(`postgres://${host}:${port},localhost:${port}`);
    await order('RELOAD');
    assert.match(firstError(await client.untilEnd()).message, /has several servers now/);
    configure(urlOf(server));
    await order('RELOAD');
    await listen();
    configure(urlOf(server), { session_state: 'classic' });
    await order('RELOAD');
    assert.match(firstError(await client.untilEnd()).message, /session_state has become classic/);
    configure(urlOf(server));
    await order('RELOAD');
  });

  test('SHUTDOWN WAIT_FOR_CLIENTS waits for them, and they hear on, also over a new connection', async () => {
    await listen();
    await order('SHUTDOWN WAIT_FOR_CLIENTS');
    await notify('still');
    await hears('still');
    await server.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${SHARED}`);
    await hears(LOST);
    await notify('again');
    await hears('again');
    assert.equal(gateway.ended, false);
    await client.close();
    await until('the gateway to end', () => gateway.ended);
    assert.equal(gateway.exitCode, 0);
    await begin();
  });

  test('with SHUTDOWN WAIT_FOR_SERVERS they hear until the end', async () => {
    await listen();
    const working = await RawClient.login(gateway);
    await working.query('BEGIN');
    await order('SHUTDOWN WAIT_FOR_SERVERS');
    await notify('still');
    await hears('still');
    await working.query('COMMIT');
    assert.equal(firstError(await client.untilEnd()).code, '57P01');
    await until('the gateway to end', () => gateway.ended);
    assert.equal(gateway.exitCode, 0);
  });
});
