import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { changeSetting, describeSettings } from './change-setting.js';
import { toGatewaySettings } from './gateway-settings.js';
import { loadConfig, rereadConfig } from './load.js';
import { ConfigError } from './problem.js';

const folder = mkdtempSync(path.join(tmpdir(), 'sluice-ini-'));
after(() => rmSync(folder, { recursive: true }));

function fileWith(source: string, name = 'pgbouncer.ini'): string {
  const file = path.join(folder, name);
  writeFileSync(file, source);
  return file;
}

const load = (source: string) => loadConfig({ file: fileWith(source) });

async function problemsIn(source: string): Promise<string[]> {
  try {
    await load(source);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.replaceAll(`${folder}/`, '').split('\n');
    throw error;
  }
  return [];
}

describe('a pgbouncer.ini', () => {
  test('has sections, comments, quoted keys and connection strings', async () => {
    const { values, users } = await load(
      `
; a comment
[databases] # another
app = host=10.0.0.1,10.0.0.2 port=5433 dbname=prod user=u password='it''s = x' pool_size=5 reserve_pool=2
p1=connect_query='set a=1; set b=2'   pool_mode=Transaction
"we""ird" = host=h1
'odd name' = host=h1 server_lifetime=0 max_db_connections=-1
* = host=/run/postgresql

[users]
alice = pool_mode=Session query_timeout=5 transaction_timeout=0

[peers]
2 = host=/tmp/two port=7000

[pgbouncer]
listen_addr = 127.0.0.1, ::1
auth_type = Trust
tcp_defer_accept = 45
server_reset_query =
ignore_startup_parameters = extra_float_digits, options
`.replaceAll('\n', '\r\n'),
    );
    assert.deepEqual(values.databases.app, {
      host: '10.0.0.1,10.0.0.2',
      port: 5433,
      dbname: 'prod',
      user: 'u',
      password: "it's = x",
      pool_size: 5,
      reserve_pool_size: 2,
    });
    assert.deepEqual(values.databases.p1, {
      host: '/tmp',
      port: 5432,
      connect_query: 'set a=1; set b=2',
      pool_mode: 'transaction',
    });
    assert.deepEqual(values.databases['we"ird'], { host: 'h1', port: 5432 });
    assert.deepEqual(values.databases['odd name'], { host: 'h1', port: 5432 });
    assert.equal(values.databases['*']!.host, '/run/postgresql');
    assert.deepEqual(values.users.alice, { pool_mode: 'session', query_timeout: 5000 });
    assert.deepEqual(values.peers['2'], { host: '/tmp/two', port: 7000 });
    assert.deepEqual(values.listen_addr, ['127.0.0.1', '::1']);
    assert.equal(values.auth_type, 'trust');
    assert.equal(values.tcp_defer_accept, true);
    assert.equal(values.server_reset_query, '');
    assert.deepEqual([...users.keys()], ['alice']);
  });

  test("has PgBouncer's defaults, and needs no database and no user", async () => {
    const { values, listen } = await load('[pgbouncer]\n');
    assert.equal(values.pool_mode, 'session');
    assert.equal(values.max_client_conn, 100);
    assert.equal(values.auth_type, 'md5');
    assert.equal(values.server_login_retry, 15_000);
    assert.equal(values.log_connections, true);
    assert.deepEqual(listen, [{ socketPath: '/tmp/.s.PGSQL.6432', mode: 0o777 }]);
  });

  test('begins at the defaults again where [pgbouncer] stands again', async () => {
    const { values } = await load('[pgbouncer]\npool_mode=statement\n[databases]\na=\n[pgbouncer]\n');
    assert.equal(values.pool_mode, 'session');
    assert.deepEqual(Object.keys(values.databases), ['a']);
  });

  test('uses a server connection once where server_lifetime is 0', async () => {
    const settings = await toGatewaySettings(await load('[pgbouncer]\nserver_lifetime=0\n'));
    assert.equal(settings.serverLifetimeMs, 1);
  });

  test('includes files, in the section that is open', async () => {
    const more = fileWith('b = host=h2\n[pgbouncer]\npool_mode=statement\n', 'more.ini');
    const { values } = await load(`[databases]\na = host=h1\n%include ${more}\nverbose = 2\n`);
    assert.deepEqual(Object.keys(values.databases), ['a', 'b']);
    assert.equal(values.pool_mode, 'statement');
    assert.equal(values.verbose, 2);
  });

  test('that includes itself, or a file with mistakes, is refused', async () => {
    const own = path.join(folder, 'pgbouncer.ini');
    assert.match((await problemsIn(`[pgbouncer]\n%include ${own}\n`))[0]!, /:2:1: more than 10 files/);
    fileWith('[pgbouncer]\n\noops\n', 'bad.ini');
    assert.match(
      (await problemsIn(`%include ${folder}/bad.ini\n`))[0]!,
      /^bad.ini:3:1: expected key = value/,
    );
    assert.match(
      (await problemsIn('[pgbouncer]\n%include /none.ini\n'))[0]!,
      /^pgbouncer.ini:2:1: cannot include "\/none.ini": there is no such file/,
    );
  });

  const MISTAKES: readonly (readonly [string, RegExp])[] = [
    ['colour = red', /^pgbouncer.ini:2:1: colour: no such setting/],
    ['  pool_mod = session', /^pgbouncer.ini:2:3: pool_mod: no such setting; did you mean pool_mode\?/],
    ['max_client_conn = many', /^pgbouncer.ini:2:1: max_client_conn: found "many", expected a whole number/],
    [
      '[stuff]',
      /^pgbouncer.ini:2:1: "\[stuff\]": no such section|^pgbouncer.ini:2:1: \[stuff\]: no such section/,
    ],
    ['just words', /^pgbouncer.ini:2:1: expected key = value/],
    ['[databases]\npgbouncer = host=x', /^pgbouncer.ini:3:1: databases.pgbouncer: this name is reserved/],
    ['[databases]\na = host', /^pgbouncer.ini:3:1: databases.a: expected key=value pairs/],
    ['[databases]\na = password=', /^pgbouncer.ini:3:1: databases.a: the value of password is empty/],
    ["[databases]\na = password='hunter2", /^pgbouncer.ini:3:1: databases.a: .* quote that is not closed/],
    ['[databases]\na = prot=1', /^pgbouncer.ini:3:1: databases.a.prot: no such setting; did you mean port/],
    ['[databases]\na = host=@x', /^pgbouncer.ini:3:1: databases.a.host: .* abstract namespace/],
    [
      '[users]\na = pool_mode=hunter2',
      /^pgbouncer.ini:3:1: users.a.pool_mode: found "hunter2", expected one of/,
    ],
    ['[peers]\nx = host=h', /^pgbouncer.ini:3:1: peers.x: .*expected a peer_id/],
  ];
  for (const [source, expected] of MISTAKES) {
    test(`names file, line and key: ${JSON.stringify(source)}`, async () => {
      assert.match((await problemsIn(`[pgbouncer]\n${source}\n`)).join('\n'), expected);
    });
  }

  test('needs its main section, and a section before the first key', async () => {
    assert.match((await problemsIn('[databases]\n'))[0]!, /:1:1: the section \[pgbouncer\] is missing$/);
    assert.match((await problemsIn('a = 1\n'))[0]!, /^pgbouncer.ini:1:1: a: stands before the first section/);
  });

  test('goes on with what can be read of its auth_file, and warns', async () => {
    const list = fileWith('"alice" "x"\noops\n', 'users.txt');
    const config = await load(`[pgbouncer]\nauth_file=${list}\n`);
    assert.deepEqual([...config.users.keys()], ['alice']);
    assert.match(config.warnings.join(), /users.txt:2:1: expected "user" "secret"/);
    assert.match((await load('[pgbouncer]\nauth_file=/none\n')).warnings.join(), /there is no such file/);
  });
});

describe('settings while the gateway runs', () => {
  test('are changed one at a time, checked, and forgotten when the file is read again', async () => {
    const config = await load('[pgbouncer]\n[databases]\na = host=h1\n');
    const changed = await changeSetting(config, 'query_timeout', '2.5');
    assert.ok(changed.kind === 'changed');
    assert.equal(changed.config.values.query_timeout, 2500);
    assert.equal(config.values.query_timeout, 0);
    const more = await changeSetting(changed.config, 'pool_mode', 'Statement');
    assert.ok(more.kind === 'changed');
    assert.equal(more.config.values.query_timeout, 2500);
    assert.equal(more.config.values.pool_mode, 'statement');
    assert.equal((await rereadConfig(more.config)).values.pool_mode, 'session');
  });

  test('are not changed to what is wrong', async () => {
    const config = await load('[pgbouncer]\n');
    const kinds = async (name: string, value: string) => {
      const change = await changeSetting(config, name, value);
      return [change.kind, change.kind === 'changed' ? '' : change.message];
    };
    assert.deepEqual(await kinds('colour', '1'), ['unknown', 'no such setting']);
    assert.deepEqual(await kinds('databases', ''), ['unknown', 'no such setting']);
    assert.deepEqual(await kinds('listen_port', '1'), [
      'startOnly',
      'listen_port takes effect at the next start only',
    ]);
    assert.deepEqual(await kinds('pool_mode', 'x'), [
      'invalid',
      'pool_mode: found "x", expected one of session, transaction, statement',
    ]);
  });

  test('another conffile is read by the next reload', async () => {
    const other = fileWith('[pgbouncer]\nverbose=1\n', 'other.ini');
    const change = await changeSetting(await load('[pgbouncer]\n'), 'conffile', other);
    assert.ok(change.kind === 'changed');
    const reread = await rereadConfig(change.config);
    assert.equal(reread.values.verbose, 1);
    assert.equal(describeSettings(reread).find(({ key }) => key === 'conffile')?.value, other);
  });

  test("are listed by name, spelled as PgBouncer's", async () => {
    const rows = new Map(
      describeSettings(
        await load('[pgbouncer]\nlisten_addr = a,b\nserver_lifetime=1.5\nadmin_users = x, y\nlog_stats=0\n'),
      ).map((row) => [row.key, row]),
    );
    assert.deepEqual([...rows.keys()], [...rows.keys()].toSorted());
    assert.deepEqual(rows.get('server_lifetime'), {
      key: 'server_lifetime',
      value: '1.5',
      default: '3600',
      changeable: true,
    });
    assert.equal(rows.get('listen_addr')!.value, 'a,b');
    assert.equal(rows.get('listen_addr')!.changeable, false);
    assert.equal(rows.get('admin_users')!.value, 'x, y');
    assert.equal(rows.get('log_stats')!.value, '0');
    assert.equal(rows.get('log_stats')!.default, '1');
    assert.equal(rows.get('unix_socket_mode')!.value, '511');
    assert.equal(rows.get('auth_user')!.value, null);
    assert.equal(rows.get('server_check_query')!.value, '<empty>');
    assert.equal(rows.get('max_client_conn')!.default, '100');
    assert.equal(rows.get('track_extra_parameters')!.value, 'IntervalStyle');
  });
});
