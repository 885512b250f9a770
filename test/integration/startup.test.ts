/** The first packets of a connection: what is negotiated, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildGssEncRequest, buildSslRequest, buildStartup } from '../../src/wire/startup.js';
import { describeMessage, firstError, singleValue, typesOf } from '../harness/backend-message.js';
import * as send from '../harness/frontend-message.js';
import { socketUrl, withGateway } from '../harness/gateway-under-test.js';
import { RawClient } from '../harness/raw-client.js';
import { onEveryDriver } from '../harness/stage.js';

onEveryDriver('startup', {}, (stage) => {
  test('the greeting tells what PostgreSQL’s greeting tells', async () => {
    const greeting = async (to: { host: string; port: number }) => {
      const client = await RawClient.connect(to);
      client.startup({ application_name: 'greeted' });
      const messages = await client.untilReady();
      await client.close();
      return messages
        .filter(({ type }) => type !== 'K')
        .map(describeMessage)
        .sort();
    };
    assert.deepEqual(await greeting(stage.gateway), await greeting(stage.server));
  });

  test('login_notify_message comes as a notice before the client may ask anything', async () => {
    const { io, server } = stage;
    const settings = { login_notify_message: 'Back at noon' };
    await withGateway({ io, server, settings }, async (at) => {
      const client = await RawClient.connect(at);
      client.startup();
      const [said, ready] = (await client.untilReady()).slice(-2);
      assert.equal(describeMessage(said!), 'N NOTICE 00000 Back at noon');
      assert.equal(ready!.type, 'Z');
      await client.close();
    });
  });

  test('who says goodbye before anything else is told nothing, as by PostgreSQL', async () => {
    for (const at of [stage.server, stage.gateway]) {
      const client = await RawClient.connect(at);
      client.send(send.terminate());
      assert.deepEqual(await client.untilEnd(), []);
    }
  });

  test('encryption is declined, and the startup goes on', async () => {
    const client = await RawClient.connect(stage.gateway);
    for (const request of [buildSslRequest(), buildGssEncRequest()]) {
      client.send(request);
      assert.equal(await client.byte(), 'N');
    }
    client.startup();
    assert.match(typesOf(await client.untilReady()), /^RS+KZ$/);
    await client.close();
  });

  test('protocol 3.2 is spoken, with a long cancel key; what is newer is negotiated down', async () => {
    for (const [minor, keyBytes] of [
      [0, 4],
      [1, 4],
      [2, 32],
      [3, 32],
      [9999, 32],
    ] as const) {
      const client = await RawClient.connect(stage.gateway);
      client.startup({}, minor);
      const greeting = await client.untilReady();
      const answer = greeting.find(({ type }) => type === 'v');
      assert.equal(answer?.body.toString('hex'), minor > 2 ? '0003000200000000' : undefined);
      assert.equal(client.secret.length, keyBytes, `3.${minor}`);
      assert.ok(client.processId > 0);
      assert.equal(singleValue(await client.query('SELECT 1')), '1');
      await client.close();
    }
  });

  test('unknown protocol options are named, and ignored', async () => {
    const client = await RawClient.connect(stage.gateway);
    client.startup({ '_pq_.flying': 'yes', '_pq_.diving': '' });
    const answer = (await client.untilReady()).find(({ type }) => type === 'v');
    assert.equal(answer?.body.readInt32BE(0), 0x30000);
    assert.equal(answer?.body.readInt32BE(4), 2);
    assert.equal(answer?.body.toString('latin1', 8), '_pq_.flying\0_pq_.diving\0');
    await client.close();
  });

  test('settings of the startup packet are the session’s', async () => {
    const client = await RawClient.login(stage.gateway, {
      application_name: 'named',
      search_path: 'pg_catalog',
      options: '-c work_mem=12MB -c statement_timeout=54321',
    });
    assert.equal(singleValue(await client.query('SHOW application_name')), 'named');
    assert.equal(singleValue(await client.query('SHOW search_path')), 'pg_catalog');
    assert.equal(singleValue(await client.query('SHOW work_mem')), '12MB');
    assert.equal(singleValue(await client.query('SHOW statement_timeout')), '54321ms');
    await client.close();
    const other = await RawClient.login(stage.gateway);
    assert.equal(singleValue(await other.query('SHOW statement_timeout')), '0');
    await other.close();
  });

  test('ignore_startup_parameters', async () => {
    const settings = { ignore_startup_parameters: 'extra_float_digits, no_such_setting' };
    await withGateway({ io: stage.io, server: stage.server, settings }, async (gateway) => {
      const client = await RawClient.login(gateway, { no_such_setting: '1', extra_float_digits: '3' });
      assert.equal(singleValue(await client.query('SELECT 1')), '1');
      await client.close();
    });
  });

  test('options are taken apart: what is reported follows the client, the rest is its pool’s', async () => {
    const options = '-c  timezone=Asia/Tokyo --datestyle=German,\\ YMD -cenable_seqscan=off';
    const client = await RawClient.login(stage.gateway, { options });
    assert.equal(singleValue(await client.query('SHOW TimeZone')), 'Asia/Tokyo');
    assert.equal(singleValue(await client.query('SHOW DateStyle')), 'German, YMD');
    assert.equal(singleValue(await client.query('SHOW enable_seqscan')), 'off');
    await client.close();
    const plain = await RawClient.login(stage.gateway);
    assert.equal(singleValue(await plain.query('SHOW TimeZone')), 'UTC');
    await plain.close();
  });

  test('options that are no settings are refused', async () => {
    for (const options of ['-d 5', '-c timezone', 'timezone=UTC']) {
      const client = await RawClient.connect(stage.gateway);
      client.startup({ options });
      const error = firstError(await client.untilEnd());
      assert.match(error.message, /^unsupported options startup parameter: only '-c config=val' and/);
      assert.deepEqual([error.severity, error.code], ['FATAL', '08P01']);
      client.destroy();
    }
  });

  test('application_name_add_host', async () => {
    const settings = { application_name_add_host: 1 };
    await withGateway({ io: stage.io, server: stage.server, settings }, async (gateway) => {
      const client = await RawClient.login(gateway, { application_name: 'me' });
      assert.match(`${singleValue(await client.query('SHOW application_name'))}`, /^me - 127\.0\.0\.1:\d+$/);
      await client.close();
    });
  });

  test('a setting that the server refuses is refused with its words', async () => {
    const client = await RawClient.connect(stage.gateway);
    client.startup({ no_such_setting: '1' });
    const error = firstError(await client.untilEnd());
    assert.deepEqual([error.severity, error.code], ['FATAL', '42704']);
    client.destroy();
  });

  test('without a database name it is the user’s', async () => {
    const client = await RawClient.connect(stage.gateway);
    client.send(buildStartup(new Map([['user', 'postgres']])));
    await client.untilReady();
    assert.equal(singleValue(await client.query('SELECT current_database()')), 'postgres');
    await client.close();
  });

  test('unix sockets to the server', async () => {
    await withGateway({ io: stage.io, server: [socketUrl(stage.server)] }, async (gateway) => {
      const client = await RawClient.login(gateway);
      assert.equal(singleValue(await client.query('SELECT inet_client_addr()')), null);
      await client.close();
    });
  });

  test('the client may send its first query with the startup packet', async () => {
    const client = await RawClient.connect(stage.gateway);
    const startup = buildStartup(
      new Map([
        ['user', 'postgres'],
        ['database', 'app'],
      ]),
    );
    client.send(startup, send.query('SELECT 1'));
    await client.untilReady();
    assert.equal(singleValue(await client.untilReady()), '1');
    await client.close();
  });
});

const int32 = (...values: number[]) => {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => {
    bytes.writeInt32BE(value, i * 4);
  });
  return bytes;
};

/** First packets that no client sends. */
const BAD_STARTS: Readonly<Record<string, Buffer>> = {
  'a negative length': int32(-1, 196608),
  'a length of zero': int32(0, 196608),
  'a length of seven': int32(7, 196608),
  'a length of 10,001 and more': int32(10_005, 196608),
  'a length of two gigabytes': int32(0x7fffffff, 196608),
  'protocol 2': int32(8, 131072),
  'protocol 4': int32(8, 262144),
  'no user': Buffer.concat([int32(9, 196608), Buffer.from([0])]),
  'no terminator': Buffer.concat([int32(16, 196608), Buffer.from('user\0joe')]),
  'a name without a value': Buffer.concat([int32(14, 196608), Buffer.from('user\0\0')]),
  'a web browser': Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'),
  'a TLS ClientHello': Buffer.from('16030100c8010000c40303'.padEnd(400, 'a'), 'hex'),
};

/** Messages of a session that no client sends. */
const BAD_MESSAGES: Readonly<Record<string, Buffer>> = {
  'an unknown type': Buffer.concat([Buffer.from('y'), int32(4)]),
  'a type of a server': Buffer.concat([Buffer.from('Z'), int32(5), Buffer.from('I')]),
  'type zero': Buffer.alloc(5),
  'a negative length': Buffer.concat([Buffer.from('Q'), int32(-5)]),
  'a length of three': Buffer.concat([Buffer.from('Q'), int32(3)]),
  'a giant length': Buffer.concat([Buffer.from('S'), int32(0x7fffffff)]),
  'a startup packet': buildStartup(new Map([['user', 'postgres']])),
};

onEveryDriver('hostile input', { gateway: { settings: { default_pool_size: 1 } } }, (stage) => {
  for (const [name, bytes] of Object.entries(BAD_STARTS)) {
    test(`first packet: ${name}`, async () => {
      const bystander = await RawClient.login(stage.gateway);
      const client = await RawClient.connect(stage.gateway);
      client.send(bytes);
      const messages = await client.untilEnd();
      assert.ok(
        messages.every(({ type }) => type === 'E'),
        typesOf(messages),
      );
      if (messages.length > 0) assert.equal(firstError(messages).severity, 'FATAL');
      client.destroy();
      assert.equal(singleValue(await bystander.query('SELECT 1')), '1');
      await bystander.close();
    });
  }

  for (const [name, bytes] of Object.entries(BAD_MESSAGES)) {
    for (const place of ['idle', 'in a transaction', 'while a query runs'] as const) {
      test(`${place}: ${name}`, async () => {
        const bystander = await RawClient.login(stage.gateway);
        const client = await RawClient.login(stage.gateway);
        if (place === 'in a transaction') await client.query('BEGIN');
        if (place === 'while a query runs') client.send(send.query('SELECT pg_sleep(0.2)'));
        client.send(bytes);
        const error = firstError(await client.untilEnd());
        assert.deepEqual([error.severity, error.code], ['FATAL', '08P01']);
        client.destroy();
        assert.equal(singleValue(await bystander.query('SELECT 1')), '1');
        await bystander.close();
      });
    }
  }

  test('endless requests for encryption end with the connection', async () => {
    const client = await RawClient.connect(stage.gateway);
    client.send(...Array.from({ length: 100 }, () => buildSslRequest()));
    await client.untilEnd();
    client.destroy();
  });

  /** Types of messages that are ignored where there is no COPY, whatever is in them. */
  const IGNORED = 'df';
  for (const type of 'PBDECFQdfp') {
    test(`a body that is missing, message type ${type}`, async () => {
      const bystander = await RawClient.login(stage.gateway);
      const client = await RawClient.login(stage.gateway);
      client.send(Buffer.concat([Buffer.from(type), int32(4)]), send.sync(), send.query('SELECT 1'));
      client.end();
      const messages = await client.untilEnd();
      if (IGNORED.includes(type)) assert.equal(typesOf(messages), 'ZTDCZ');
      else assert.equal(firstError(messages).code, '08P01');
      client.destroy();
      assert.equal(singleValue(await bystander.query('SELECT 1')), '1');
      await bystander.close();
    });
  }
});
