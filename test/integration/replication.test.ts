/** Streaming replication through the gateway: every client has a server connection of its own. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import pg from 'pg';
import { buildMessage } from '../../src/wire/message-writer.js';
import { firstError, rowsOf, singleValue } from '../harness/backend-message.js';
import { run, start, succeed } from '../harness/command.js';
import * as send from '../harness/frontend-message.js';
import { postgresProgram } from '../harness/postgres-binaries.js';
import { DATABASE, SUPERUSER } from '../harness/postgres-server.js';
import { RawClient } from '../harness/raw-client.js';
import { scratchFolder } from '../harness/scratch.js';
import { onEveryDriver } from '../harness/stage.js';
import { until } from '../harness/until.js';

const HBA = [
  'local all all trust',
  'host all all 127.0.0.1/32 trust',
  'host replication all 127.0.0.1/32 trust',
];
const POSTGRES = { settings: { wal_level: 'logical', max_wal_senders: 10 }, hba: HBA };
const GATEWAY = {
  settings: {
    default_pool_size: 2,
    admin_users: SUPERUSER,
    server_check_query: '',
    log_disconnections: 1,
  },
};
const SETUP = 'CREATE TABLE t (a int); CREATE ROLE plain LOGIN';

const connect = ({ port }: { port: number }) => ['-h', '127.0.0.1', '-p', `${port}`, '-U', SUPERUSER, '-w'];

onEveryDriver('replication', { postgres: POSTGRES, gateway: GATEWAY, setup: SETUP }, (stage) => {
  test('pg_basebackup', async () => {
    const folder = join(scratchFolder('backup'), 'data');
    const how = ['-D', folder, '--checkpoint=fast', '--no-sync'];
    await succeed(postgresProgram('pg_basebackup'), [...connect(stage.gateway), ...how]);
    assert.ok(existsSync(join(folder, 'backup_manifest')));
  });

  test('pg_receivewal', async () => {
    const folder = scratchFolder('wal');
    let isDone = false;
    const program = postgresProgram('pg_receivewal');
    const { code } = await run(program, [...connect(stage.gateway), '-D', folder, '--no-sync'], {
      started: (child) => {
        until('WAL to arrive', async () => {
          await stage.server.query('INSERT INTO t VALUES (1)');
          return readdirSync(folder).length > 0;
        }).then(() => {
          isDone = true;
          child.kill('SIGINT');
        });
      },
    });
    assert.deepEqual([code, isDone], [0, true]);
  });

  test('pg_recvlogical', async () => {
    const slot = `slot_${stage.io}`;
    await stage.server.query(`SELECT pg_create_logical_replication_slot('${slot}', 'test_decoding')`);
    const how = ['-d', DATABASE, '--slot', slot, '--start', '-f', '-', '--no-loop'];
    const child = start(postgresProgram('pg_recvlogical'), [...connect(stage.gateway), ...how], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let output = '';
    child.stdout?.on('data', (chunk) => {
      output += chunk;
    });
    await stage.server.query('INSERT INTO t VALUES (4711)');
    await until('the change to arrive', () => /INSERT: a\[integer\]:4711\nCOMMIT/.test(output));
    child.kill('SIGINT');
    await until('the program to end', () => child.exitCode !== null || child.signalCode !== null);
    await until('the slot to be free', async () => {
      const rows = await stage.server.query(`SELECT pg_drop_replication_slot('${slot}') WHERE NOT EXISTS
        (SELECT 1 FROM pg_replication_slots WHERE slot_name = '${slot}' AND active)`);
      return rows.length > 0;
    });
  });

  test('what the client asked for at startup is the session’s', async () => {
    const client = await RawClient.login(stage.gateway, {
      replication: 'database',
      application_name: 'walker',
      options: '-c enable_seqscan=off',
    });
    assert.equal(singleValue(await client.query('SHOW application_name')), 'walker');
    assert.equal(singleValue(await client.query('SHOW enable_seqscan')), 'off');
    assert.equal(singleValue(await client.query('SELECT pg_backend_pid()')), `${client.processId}`);
    assert.equal(rowsOf(await client.query('IDENTIFY_SYSTEM')).length, 1);
    await client.close();
    const physical = await RawClient.login(stage.gateway, { replication: 'yes' });
    assert.equal(firstError(await physical.query('SELECT 1')).code, '0A000');
    assert.equal(rowsOf(await physical.query('IDENTIFY_SYSTEM')).length, 1);
    await physical.close();
  });

  test('the stream goes both ways, and ends with its client', async () => {
    const client = await RawClient.login(stage.gateway, { replication: 'true' });
    const [[, , position] = []] = rowsOf(await client.query('IDENTIFY_SYSTEM'));
    client.send(send.query(`START_REPLICATION ${position}`));
    await client.take('W');
    await stage.server.query('INSERT INTO t SELECT generate_series(1, 50000)');
    await client.take('d');
    const status = buildMessage('d'.charCodeAt(0), (body) => {
      body.byte('r'.charCodeAt(0));
      for (let i = 0; i < 8; i++) body.int32(0);
      body.byte(1);
    });
    client.send(status);
    await until('a keep-alive', async () => {
      const [message] = await client.take('d');
      return message?.body.toString('latin1', 0, 1) === 'k';
    });
    client.send(send.copyDone());
    await client.untilReady();
    await client.close();
    await until('the server connection to be closed', async () => {
      const rows = await stage.server.query(
        "SELECT 1 FROM pg_stat_activity WHERE backend_type = 'walsender'",
      );
      return rows.length === 0;
    });
  });

  test('is shown, and counts against the pool’s size', async () => {
    const console = new pg.Client({ connectionString: stage.gateway.url(SUPERUSER, 'pgbouncer') });
    await console.connect();
    const clients = [];
    for (const replication of ['true', 'database']) {
      clients.push(await RawClient.login(stage.gateway, { replication }));
    }
    const shown = async (table: string) =>
      (await console.query(`SHOW ${table} WHERE replication <> 'none' ORDER BY replication`)).rows.map(
        (row) => row.replication,
      );
    assert.deepEqual(await shown('CLIENTS'), ['logical', 'physical']);
    assert.deepEqual(await shown('SERVERS'), ['logical', 'physical']);
    const waiting = await RawClient.connect(stage.gateway);
    waiting.startup({ replication: 'database' });
    await until('the third to wait', async () => {
      return (await console.query("SHOW CLIENTS WHERE state = 'waiting'")).rows.length === 1;
    });
    await clients[0]!.close();
    await waiting.untilReady();
    assert.equal(rowsOf(await waiting.query('IDENTIFY_SYSTEM')).length, 1);
    for (const client of [clients[1]!, waiting]) await client.close();
    await console.end();
  });

  test('an idle connection makes room', async () => {
    const ordinary = await Promise.all([1, 2].map(() => RawClient.login(stage.gateway)));
    await Promise.all(ordinary.map((client) => client.query('SELECT pg_sleep(0.2)')));
    const client = await RawClient.login(stage.gateway, { replication: 'database' });
    assert.equal(rowsOf(await client.query('IDENTIFY_SYSTEM')).length, 1);
    for (const it of [client, ...ordinary]) await it.close();
  });

  test('what the server refuses is refused with its words', async () => {
    const refusal = async (user: string, replication: string) => {
      const client = await RawClient.connect(stage.gateway);
      client.startup({ user, replication });
      const error = firstError(await client.untilEnd());
      client.destroy();
      return error;
    };
    const unprivileged = await refusal('plain', 'database');
    assert.deepEqual([unprivileged.code, unprivileged.message], ['42501', 'login failed']);
    assert.match(`${unprivileged.detail}`, /^FATAL: .*walsender|WAL sender/);
    await until('the log to tell of both connections', () => {
      return stage.gateway.log.match(/closing because: login failed/g)?.length === 2;
    });
    assert.equal((await refusal(SUPERUSER, 'sometimes')).code, '22023');
  });
});
