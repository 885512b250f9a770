import assert from 'node:assert/strict';
import { pbkdf2Sync } from 'node:crypto';
import { describe, test } from 'node:test';
import { NO_DATABASE_SETTINGS } from '../core/settings.js';
import { makeScramVerifier } from '../wire/scram.js';
import { adviseOn } from './advice.js';
import { toGatewaySettings } from './gateway-settings.js';
import { type ConfigSources, loadConfig } from './load.js';

const MD5 = `md5${'0123456789abcdef'.repeat(2)}`;
const settingsOf = async (sources: ConfigSources) => toGatewaySettings(await loadConfig(sources));

describe("the core's settings", () => {
  test('have times in ms, addresses, and nulls where the whole gateway decides', async () => {
    const settings = await settingsOf({
      set: [
        'auth_type=trust',
        'query_wait_timeout=2s',
        'server_login_retry=500ms',
        'ignore_startup_parameters=a,b',
      ],
      databases: [
        'a=postgres://db1:1/x?pool_size=3&pool_mode=session',
        '*=postgres:///?host=/run/postgresql&port=2',
      ],
    });
    assert.equal(settings.queryWaitTimeoutMs, 2000);
    assert.equal(settings.serverLoginRetryMs, 500);
    assert.deepEqual(settings.ignoreStartupParameters, new Set(['a', 'b']));
    assert.deepEqual(settings.databases.get('a'), {
      ...NO_DATABASE_SETTINGS,
      name: 'a',
      addresses: [{ host: 'db1', port: 1 }],
      serverDatabase: 'x',
      forcedUser: null,
      poolMode: 'session',
      poolSize: 3,
    });
    assert.deepEqual(settings.databases.get('*'), {
      ...NO_DATABASE_SETTINGS,
      name: '*',
      addresses: [{ socketPath: '/run/postgresql/.s.PGSQL.2' }],
      serverDatabase: null,
      forcedUser: null,
      poolMode: null,
      poolSize: null,
    });
  });

  test('know the nodes of a database, by address and name', async () => {
    const settings = await settingsOf({
      set: ['auth_type=trust', 'consistency=bounded', 'standby_wait=20ms'],
      values: {
        databases: {
          list: {
            nodes: ['h1:7', { host: '::1', weight: 3, zone: 'b', name: 'near' }],
            consistency: 'session',
          },
          text: { nodes: 'h1:7,[::2]:8' },
        },
        users: { alice: { consistency: 'primary' } },
      },
    });
    const { nodes, addresses, consistency } = settings.databases.get('list')!;
    assert.deepEqual(nodes, [
      { name: 'h1:7', address: { host: 'h1', port: 7 }, weight: 1, zone: '' },
      { name: 'near', address: { host: '::1', port: 5432 }, weight: 3, zone: 'b' },
    ]);
    assert.deepEqual(addresses, [
      { host: 'h1', port: 7 },
      { host: '::1', port: 5432 },
    ]);
    assert.equal(consistency, 'session');
    assert.deepEqual(
      settings.databases.get('text')!.nodes!.map(({ name }) => name),
      ['h1:7', '[::2]:8'],
    );
    assert.equal(settings.users.get('alice')!.limits!.consistency, 'primary');
    assert.deepEqual([settings.consistency, settings.standbyWaitMs], ['bounded', 20]);
  });

  test('know several hosts, peers, and limits of databases and users', async () => {
    const settings = await settingsOf({
      set: ['auth_type=trust', 'default_pool_size=0', 'server_check_query=<empty>', 'admin_users=a, b'],
      values: {
        databases: {
          one: { host: 'h1, h2', port: 7, connect_query: 'select 1', timezone: 'UTC', pool_size: 0 },
          each: { host: 'h1,/run/pg', port: '7,8', load_balance_hosts: 'disable', server_lifetime: 60 },
          url: 'postgres://h1:7,h2/x?query_wait_timeout=5',
        },
        users: { alice: { query_timeout: '1min', pool_size: 3 }, bob: {} },
        peers: { 2: { host: '/run/two', pool_size: 4 } },
      },
    });
    const { one, each, url } = Object.fromEntries(settings.databases);
    assert.deepEqual(one!.addresses, [
      { host: 'h1', port: 7 },
      { host: 'h2', port: 7 },
    ]);
    assert.equal(one!.connectQuery, 'select 1');
    assert.deepEqual(one!.startupParameters, new Map([['timezone', 'UTC']]));
    assert.equal(one!.poolSize, 100_000);
    assert.deepEqual(each!.addresses, [{ host: 'h1', port: 7 }, { socketPath: '/run/pg/.s.PGSQL.8' }]);
    assert.equal(each!.loadBalanceHosts, 'disable');
    assert.equal(each!.serverLifetimeMs, 60_000);
    assert.deepEqual(url!.addresses, [
      { host: 'h1', port: 7 },
      { host: 'h2', port: 5432 },
    ]);
    assert.equal(url!.queryWaitTimeoutMs, 5000);
    assert.equal(settings.users.get('alice')!.limits!.queryTimeoutMs, 60_000);
    assert.equal(settings.users.get('alice')!.limits!.poolSize, 3);
    assert.equal(settings.users.get('bob')!.limits, null);
    assert.deepEqual(settings.peers.get(2), {
      id: 2,
      address: { socketPath: '/run/two/.s.PGSQL.6432' },
      poolSize: 4,
    });
    assert.equal(settings.defaultPoolSize, 100_000);
    assert.equal(settings.serverCheckQuery, '');
    assert.deepEqual(settings.adminUsers, new Set(['a', 'b']));
  });

  test('derive a verifier from each password where clients log in by SCRAM', async () => {
    const { users } = await settingsOf({
      databases: ['postgres://db1/app'],
      values: { users: { alice: { password: 'pencil' }, bob: { verifier: MD5 } } },
    });
    const { password, md5, scram } = users.get('alice')!.secret;
    assert.equal(password, 'pencil');
    assert.equal(md5, null);
    assert.ok(scram);
    const salted = pbkdf2Sync('pencil', scram.salt, 4096, 32, 'sha256');
    assert.deepEqual(scram, makeScramVerifier(salted, scram.salt, 4096));
    assert.deepEqual(users.get('bob')!.secret, { password: null, md5: MD5, scram: null });
  });

  test('keep what a reload need not derive again', async () => {
    const config = (password: string) =>
      loadConfig({
        databases: ['postgres://db1/app'],
        values: { users: { alice: { password: 'same' }, bob: { password } } },
      });
    const before = await toGatewaySettings(await config('old'));
    const after = await toGatewaySettings(await config('new'), before);
    assert.equal(after.users.get('alice')!.secret.scram, before.users.get('alice')!.secret.scram);
    assert.notDeepEqual(after.users.get('bob')!.secret.scram, before.users.get('bob')!.secret.scram);
  });

  test("know a forced user's password from the database or from the users", async () => {
    const { databases } = await settingsOf({
      databases: [
        'a=postgres://alice:one@db1',
        'b=postgres://alice@db1',
        'c=postgres://carol@db1',
        'd=postgres://alice:@db1',
      ],
      values: { users: { alice: { password: 'two' } } },
      set: ['auth_type=md5'],
    });
    assert.equal(databases.get('a')!.forcedUser!.secret.password, 'one');
    assert.equal(databases.get('b')!.forcedUser!.secret.password, 'two');
    assert.equal(databases.get('d')!.forcedUser!.secret.password, 'two');
    assert.deepEqual(databases.get('c')!.forcedUser, {
      name: 'carol',
      secret: { password: null, md5: null, scram: null },
      limits: null,
      isListed: true,
    });
  });
});

describe('advice', () => {
  const adviceOn = async (sources: ConfigSources, openFiles: number | null) =>
    adviseOn(await loadConfig(sources), { openFiles });
  const TRUSTING = { databases: ['postgres://db1/app'], set: ['auth_type=trust'] };

  test('warns, with numbers, when there are too few file descriptors', async () => {
    const [advice, ...rest] = await adviceOn(TRUSTING, 1024);
    assert.deepEqual(rest, []);
    assert.match(
      advice!,
      /max_client_conn = 10000 and 20 server connections .* need 10084 open files, .* 1024/,
    );
    assert.match(advice!, /ulimit -n 10084.*lower max_client_conn to 940/);
    assert.deepEqual(await adviceOn(TRUSTING, 10_084), []);
    assert.deepEqual(await adviceOn(TRUSTING, null), []);
  });

  test('warns of pools that can never fill, and of users who can never log in', async () => {
    const [pools] = await adviceOn({ ...TRUSTING, set: ['auth_type=trust', 'max_client_conn=5'] }, null);
    assert.match(pools!, /pools of database "app" may hold 20 .* max_client_conn = 5/);
    const values = { users: { alice: { verifier: MD5 }, bob: { password: 'x' } } };
    const [users] = await adviceOn({ databases: TRUSTING.databases, values }, null);
    assert.match(users!, /auth_type = scram-sha-256 these users cannot log in.*: "alice"$/);
    assert.deepEqual(
      await adviceOn({ databases: TRUSTING.databases, values, set: ['auth_type=md5'] }, null),
      [],
    );
  });

  test('warns of a node that is a Service in front of several', async () => {
    const set = ['auth_type=trust'];
    const nodes = (list: string) => adviceOn({ databases: [`postgres:///app?nodes=${list}`], set }, null);
    for (const host of ['main-ro', 'main-r.db', 'acid-main-repl.db.svc.cluster.local']) {
      assert.match((await nodes(`main-rw,${host}`))[0]!, new RegExp(`"app" ${host} seems .*nodes_from`));
    }
    assert.deepEqual(await nodes('main-rw,db-0.db-ro.example,10.0.0.1'), []);
  });
});
