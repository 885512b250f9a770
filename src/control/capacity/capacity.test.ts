import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { toGatewaySettings } from '../../config/gateway-settings.js';
import { loadConfig } from '../../config/load.js';
import type { ConfigInput } from '../../config/schema.js';
import type { ServerFacts } from './ask-server.js';
import { demandOf, type ServerDemand } from './demand.js';
import { judge } from './judge.js';

const FACTS: ServerFacts = {
  version: '17.0',
  maxConnections: 100,
  superuserReserved: 3,
  otherReserved: 2,
  inUse: 5,
  sharedBuffers: 128 * 1024 ** 2,
  workMem: 4 * 1024 ** 2,
  hashMemMultiplier: 2,
};

async function demand(values: ConfigInput, gateways = 1): Promise<ServerDemand> {
  const config = await loadConfig({ values: { auth_type: 'trust', ...values } });
  const [first] = demandOf(config, await toGatewaySettings(config), gateways);
  return first!;
}

describe('what a configuration may ask for', () => {
  test('is one pool for a forced user, and one for each user that is known', async () => {
    const { most, databases } = await demand({
      default_pool_size: 10,
      reserve_pool_size: 1,
      users: { a: { password: 'x' }, b: { password: 'y', pool_size: 3 } },
      databases: { one: { host: 'db' }, two: { host: 'db', user: 'a', pool_size: 5 } },
    });
    assert.deepEqual(
      databases.map(({ database, most }) => [database, most]),
      [
        ['one', 10 + 1 + 3 + 1],
        ['two', 5 + 1],
      ],
    );
    assert.equal(most, 21);
  });

  test('is bounded by max_db_connections and max_user_connections', async () => {
    const capped = await demand({
      users: { a: { password: 'x' }, b: { password: 'y' } },
      databases: { one: { host: 'db', max_db_connections: 25 }, two: { host: 'db' } },
    });
    assert.equal(capped.most, 25 + 40);
    const users = { a: { password: 'x', max_user_connections: 7 }, b: { password: 'y' } };
    const { most } = await demand({ users, databases: { one: { host: 'db' }, two: { host: 'db' } } });
    assert.equal(most, 7 + 40);
  });

  test('has no bound where users or databases are not named', async () => {
    const any = await demand({ databases: { '*': { host: 'db', user: 'a' } } });
    assert.equal(any.most, Number.POSITIVE_INFINITY);
    const open = await demand({ databases: { one: { host: 'db' } } });
    assert.equal(open.most, Number.POSITIVE_INFINITY);
    assert.equal(open.least, 20);
    const capped = await demand({ databases: { one: { host: 'db', max_db_connections: 30 } } });
    assert.equal(capped.most, 30);
  });

  test('has a connection for clients that LISTEN, where they hold none', async () => {
    const one = async (more: ConfigInput, database = {}): Promise<number> => {
      const databases = { one: { host: 'db', user: 'a', ...database } };
      return (await demand({ ...more, databases }, 2)).listening;
    };
    assert.equal(await one({}), 2);
    assert.equal(await one({ pool_mode: 'session' }), 0);
    assert.equal(await one({ session_state: 'strict' }), 0);
    assert.equal(await one({}, { host: 'db1,db2' }), 0);
    // Under a cap it has no room of its own.
    assert.equal(await one({}, { max_db_connections: 10 }), 0);
    assert.equal(await one({}, { max_db_connections: 30 }), 2);
  });

  test('has two connections to each node of a database, where it has some', async () => {
    const nodes = ['10.0.0.1:5432', '10.0.0.2:5432'];
    const routed = await demand({ databases: { one: { nodes, user: 'a' }, two: { nodes, user: 'a' } } }, 3);
    assert.equal(routed.watching, 3 * 2 * 2);
    assert.match(
      judge({ ...routed, least: 50, most: 50 }, FACTS, 3).reason,
      /50 of 95 connections.*, and 12 to watch/,
    );
    assert.equal((await demand({ databases: { one: { host: 'db', user: 'a' } } })).watching, 0);
  });

  test('counts for every gateway, and for each server of a host list', async () => {
    const config = await loadConfig({
      values: { auth_type: 'trust', databases: { one: { host: 'db1,db2', user: 'a' } } },
    });
    const servers = demandOf(config, await toGatewaySettings(config), 3);
    assert.deepEqual(
      servers.map(({ most }) => most),
      [60, 60],
    );
  });
});

describe('the judgement', () => {
  const forced = (size: number): ConfigInput => ({
    databases: { one: { host: 'db', user: 'a', pool_size: size } },
  });

  test('says what is left', async () => {
    const { verdict, room, reason, advice, memory } = judge(await demand(forced(20)), FACTS, 1);
    assert.equal(verdict, 'fits');
    assert.equal(room, 95);
    assert.match(reason, /20 of 95 connections, and 1 for clients that LISTEN; 74 are left/);
    assert.deepEqual(advice, []);
    assert.match(
      memory,
      /20 backends take about 160 MiB beside shared_buffers \(128 MiB\), and 160 MiB more/,
    );
  });

  test('says what would do where it does not fit', async () => {
    const { verdict, reason, advice } = judge(await demand(forced(96)), FACTS, 1);
    assert.equal(verdict, 'too-many');
    assert.match(reason, /96 connections, .*room for/);
    assert.match(advice.join('\n'), /pool size of 91 would do/);
    assert.match(advice.join('\n'), /max_connections = 105/);
    assert.equal(judge(await demand(forced(40), 3), FACTS, 3).verdict, 'too-many');
  });

  test('cannot tell where nothing bounds the pools, unless one user is too many already', async () => {
    const open = judge(await demand({ databases: { '*': { host: 'db' } } }), FACTS, 1);
    assert.equal(open.verdict, 'unknown');
    assert.match(open.advice.join('\n'), /max_db_connections = 92/);
    const values = { databases: { '*': { host: 'db' } }, default_pool_size: 200 };
    assert.equal(judge(await demand(values), FACTS, 1).verdict, 'too-many');
  });

  test('warns where hardly anything is left for others', async () => {
    assert.match(judge(await demand(forced(93)), FACTS, 1).advice.join('\n'), /only 1 connections are left/);
  });
});
