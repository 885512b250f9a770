import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { type ConfigSources, loadConfig } from './load.js';
import { ConfigError } from './problem.js';

const folder = mkdtempSync(path.join(tmpdir(), 'sluice-config-'));
after(() => rmSync(folder, { recursive: true }));

function fileWith(source: string, name = 'sluice.yaml'): string {
  const file = path.join(folder, name);
  writeFileSync(file, source);
  return file;
}

/** A file that is right, without the lines under test. */
const BASE = 'auth_type: trust\ndatabases: { app: {} }\n';

/** The problems of a configuration, one line each, without the folder. */
async function problemsOf(sources: ConfigSources): Promise<string[]> {
  try {
    await loadConfig(sources);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.replaceAll(`${folder}/`, '').split('\n');
    throw error;
  }
  return [];
}

const problemsIn = (source: string) => problemsOf({ file: fileWith(source) });

describe('a configuration file', () => {
  test('may set everything, in its own units', async () => {
    const file = fileWith(
      `
listen_addr: "127.0.0.1, ::1"
listen_port: 7000
unix_socket_dir: /run/sluice
unix_socket_mode: 0770
query_wait_timeout: 500ms
server_lifetime: 60
log_connections: off
ignore_startup_parameters: [ extra_float_digits, search_path ]
databases:
  app: { host: 10.0.0.5, port: 5433, dbname: prod, user: u, password: p, pool_size: 10, pool_mode: session }
  reports: postgres://report@10.0.0.6:5432/warehouse?pool_size=3
  2024: { host: /run/postgresql }
  "*":
users:
  alice: { password: "0123" }
  bob: { password: 0123 }
`.replace('"*":', '"*": {}'),
    );
    const { values, listen, users } = await loadConfig({ file });
    assert.deepEqual(listen, [
      { host: '127.0.0.1', port: 7000 },
      { host: '::1', port: 7000 },
      { socketPath: '/run/sluice/.s.PGSQL.7000', mode: 0o770 },
    ]);
    assert.equal(values.query_wait_timeout, 500);
    assert.equal(values.server_lifetime, 60_000);
    assert.equal(values.log_connections, false);
    assert.deepEqual(values.ignore_startup_parameters, ['extra_float_digits', 'search_path']);
    assert.deepEqual(values.databases.app, {
      host: '10.0.0.5',
      port: 5433,
      dbname: 'prod',
      user: 'u',
      password: 'p',
      pool_size: 10,
      pool_mode: 'session',
    });
    assert.deepEqual(values.databases.reports, {
      host: '10.0.0.6',
      port: 5432,
      dbname: 'warehouse',
      user: 'report',
      pool_size: 3,
    });
    assert.deepEqual(values.databases['2024'], { host: '/run/postgresql', port: 5432 });
    assert.deepEqual(values.databases['*'], { host: '127.0.0.1', port: 5432 });
    assert.deepEqual(users.get('alice'), { password: '0123', verifier: null, isListed: true });
    assert.deepEqual(users.get('bob'), { password: '0123', verifier: null, isListed: true });
  });

  test('has defaults', async () => {
    const { values, listen } = await loadConfig({ file: fileWith(BASE) });
    assert.deepEqual(listen, [{ host: '127.0.0.1', port: 6432 }]);
    assert.equal(values.pool_mode, 'transaction');
    assert.equal(values.default_pool_size, 20);
    assert.equal(values.max_client_conn, 10_000);
    assert.equal(values.query_wait_timeout, 120_000);
    assert.equal(values.server_login_retry, 1000);
    assert.equal(values.server_reset_query, 'DISCARD ALL');
    assert.equal(values.log_disconnections, false);
    assert.equal(values.io, 'auto');
  });

  const MISTAKES: readonly (readonly [string, string])[] = [
    [
      'default_pool_size: many',
      'sluice.yaml:3:1: default_pool_size: found "many", expected a whole number from 0 to 100000',
    ],
    [
      'max_client_conn: -5',
      'sluice.yaml:3:1: max_client_conn: found -5, expected a whole number from 1 to 10000000',
    ],
    [
      'listen_port: 65536',
      'sluice.yaml:3:1: listen_port: found 65536, expected a whole number from 1 to 65535',
    ],
    ['listen_port:', 'sluice.yaml:3:1: listen_port: found nothing, expected a whole number from 1 to 65535'],
    [
      'pool_mode: tx',
      'sluice.yaml:3:1: pool_mode: found "tx", expected one of session, transaction, statement',
    ],
    [
      'log_connections: maybe',
      'sluice.yaml:3:1: log_connections: found "maybe", expected one of 1, 0, true, false, on, off, yes, no',
    ],
    [
      'pool_mode: [session]',
      'sluice.yaml:3:1: pool_mode: found a list, expected one of session, transaction, statement',
    ],
    [
      'users: [alice]',
      'sluice.yaml:3:1: users: found a list, expected a mapping of user names, like { alice: { password: "..." } }',
    ],
    [
      'defualt_pool_size: 5',
      'sluice.yaml:3:1: defualt_pool_size: no such setting; did you mean default_pool_size?',
    ],
    [
      'server_tls_ca_file: /nowhere/ca.crt',
      'sluice.yaml:3:1: server_tls_ca_file: "/nowhere/ca.crt": there is no such file',
    ],
    ['colour: red', 'sluice.yaml:3:1: colour: no such setting; "sluice config docs" lists all'],
    [
      'users:\n  bob: { passwd: x }',
      'sluice.yaml:4:10: users.bob.passwd: no such setting; did you mean password?',
    ],
    [
      'users:\n  bob: hunter2',
      'sluice.yaml:4:3: users.bob: found a value (not shown, it may be a secret), expected a mapping with password or verifier',
    ],
    [
      'users:\n  bob: { password: 123 }',
      'sluice.yaml:4:10: users.bob.password: found a value (not shown, it may be a secret), expected a password (in quotes if it looks like a number, true, false or null)',
    ],
  ];
  for (const [source, problem] of MISTAKES) {
    test(`names line, key, value and what is expected: ${JSON.stringify(source)}`, async () => {
      assert.deepEqual(await problemsIn(BASE + source), [problem]);
    });
  }

  const DATABASE_MISTAKES: readonly (readonly [string, RegExp])[] = [
    ['app: { prot: 5432 }', /^sluice.yaml:3:10: databases.app.prot: no such setting; did you mean port\?$/],
    [
      'app: { port: x }',
      /^sluice.yaml:3:10: databases.app.port: found "x", expected a whole number from 1 to 65535$/,
    ],
    ['app: 5', /^sluice.yaml:3:3: databases.app: found 5, expected a mapping or a URL$/],
    ['app:', /^sluice.yaml:3:3: databases.app: found nothing, expected a mapping or a URL$/],
    ['"a.b": { host: "" }', /^sluice.yaml:3:12: databases\."a\.b"\.host: found "", expected a host name/],
    [
      'app: mysql://a:hunter2@b',
      /^sluice.yaml:3:3: databases.app: expected a URL like .* \(found "mysql:\/\/a:\*\*\*@b"\)$/,
    ],
    [
      'app: postgres://a:hunter2@b:99999/c',
      /^sluice.yaml:3:3: databases.app.port: found "postgres:.*:\*\*\*@b.*expected a whole number/,
    ],
    [
      'app: postgres://b/?pool_mode=tx',
      /^sluice.yaml:3:3: databases.app.pool_mode: found "postgres:.*expected one of session/,
    ],
    [
      'app: { host: "a,b", port: "1,2,3" }',
      /^sluice.yaml:3:23: databases.app.port: found 3 ports for 2 hosts/,
    ],
    [
      'app: { port: "1,x" }',
      /^sluice.yaml:3:10: databases.app.port: found "1,x", expected a whole number from 1 to 65535/,
    ],
    ['pgbouncer: {}', /^sluice.yaml:3:3: databases.pgbouncer: this name is reserved for the console$/],
    ['app: { password: x }', /^sluice.yaml:3:10: databases.app.password: whose password\?/],
    [
      'app: { password: [hunter2] }',
      /^sluice.yaml:3:10: databases.app.password: found a list, expected a password/,
    ],
  ];
  for (const [source, problem] of DATABASE_MISTAKES) {
    test(`explains a mistake in a database: ${source}`, async () => {
      const problems = await problemsIn(`auth_type: trust\ndatabases:\n  ${source}\n`);
      assert.equal(problems.length, 1, problems.join('\n'));
      assert.match(problems[0]!, problem);
      assert.doesNotMatch(problems[0]!, /hunter2/);
    });
  }

  test('tells all its mistakes at once', async () => {
    const problems = await problemsIn(`${BASE}listen_port: x\npool_mode: y\nusers: { a: { b: 1, c: 2 } }\n`);
    assert.equal(problems.length, 4, problems.join('\n'));
  });

  test('that is not YAML is refused with the line', async () => {
    assert.match((await problemsIn('a: 1\nb: [1, 2\n'))[0]!, /^sluice.yaml:3:1: not valid YAML: /);
    assert.match(
      (await problemsIn('io: node\nio: epoll\n'))[0]!,
      /^sluice.yaml:2:1: not valid YAML: Map keys must be unique$/,
    );
    assert.match(
      (await problemsIn(`${BASE}listen_addr: *\n`))[0]!,
      /^sluice.yaml:3:14: .*needs quotes: "\*"/,
    );
    assert.match(
      (await problemsIn(`${BASE}listen_addr: *all\n`))[0]!,
      /^sluice.yaml:3:14: .*needs quotes: "\*"/,
    );
    assert.match((await problemsIn('- a\n'))[0]!, /^sluice.yaml:1:1: expected settings, one a line/);
    assert.match((await problemsIn('a: 1\n---\nb: 2\n'))[0]!, /^sluice.yaml:2:\d+: not valid YAML/);
  });

  test('that holds anchors that refer to themselves, or without end, is refused', async () => {
    assert.notEqual((await problemsIn('databases: &a { app: *a }\n')).length, 0);
    const bomb = Array.from(
      { length: 12 },
      (_, i) => `x${i}: &x${i} [${Array(10).fill(i ? `*x${i - 1}` : 'y')}]`,
    );
    assert.notEqual((await problemsIn(bomb.join('\n'))).length, 0);
  });

  test('may share entries by anchors and merge keys', async () => {
    const source = 'auth_type: trust\ndatabases:\n  a: &a { host: h1, port: 1 }\n  b: { <<: *a, port: 2 }\n';
    const { values } = await loadConfig({ file: fileWith(source) });
    assert.deepEqual(values.databases.b, { host: 'h1', port: 2 });
  });

  test('that cannot be read is refused with a reason', async () => {
    assert.deepEqual(await problemsOf({ file: path.join(folder, 'none.yaml') }), [
      'none.yaml:1:1: there is no such file',
    ]);
    assert.match((await problemsOf({ file: folder }))[0]!, /this is a folder, not a file$/);
  });

  test('without a database, or with nowhere to listen, is refused', async () => {
    assert.match(
      (await problemsIn('databases:\n'))[0]!,
      /^sluice.yaml:1:1: databases: no database is named; an example/,
    );
    assert.match(
      (await problemsIn(`${BASE}listen_addr: ""\n`))[0]!,
      /^sluice.yaml:3:1: listen_addr: no place to listen/,
    );
  });
});

describe('flags', () => {
  test('win over the file, setting by setting', async () => {
    const file = fileWith(`${BASE}default_pool_size: 5\nlisten_port: 7000\nunix_socket_dir: /run/sluice\n`);
    const { values, listen } = await loadConfig({
      file,
      set: ['default_pool_size=7', 'server_reset_query=', 'default_pool_size=8', 'query_wait_timeout=2s'],
      databases: ['postgres://db1/app', 'x=postgres://db2/y'],
    });
    assert.equal(values.default_pool_size, 8);
    assert.equal(values.server_reset_query, '');
    assert.equal(values.query_wait_timeout, 2000);
    assert.deepEqual(values.databases.app, { host: 'db1', port: 5432, dbname: 'app' });
    assert.deepEqual(values.databases.x, { host: 'db2', port: 5432, dbname: 'y' });
    assert.equal(listen[0] && 'port' in listen[0] && listen[0].port, 7000);
  });

  test('--listen replaces all other places', async () => {
    const { listen } = await loadConfig({
      file: fileWith(`${BASE}unix_socket_dir: /run/sluice\n`),
      listen: ['10.0.0.1:7000', '[::1]:7001', '*:7002', 'localhost', '::1', '/run/x', '/run/y/.s.PGSQL.1234'],
    });
    assert.deepEqual(listen, [
      { host: '10.0.0.1', port: 7000 },
      { host: '::1', port: 7001 },
      { host: '0.0.0.0', port: 7002 },
      { host: 'localhost', port: 6432 },
      { host: '::1', port: 6432 },
      { socketPath: '/run/x/.s.PGSQL.6432', mode: 0o777 },
      { socketPath: '/run/y/.s.PGSQL.1234', mode: 0o777 },
    ]);
  });

  test('are named in their problems, without secrets', async () => {
    const file = fileWith(BASE);
    const problems = await problemsOf({
      file,
      set: ['listen_prot=1', 'listen_port', 'io=fast', 'databases.app.port=1', 'users.alice=hunter2'],
      databases: ['mysql://a:hunter2@b', 'postgres://a:hunter2@b:x/c', 'postgres://b:99999/c'],
    });
    for (const expected of [
      /^--set listen_prot=1: listen_prot: no such setting; did you mean listen_port\?$/,
      /^--set listen_port: expected name=value/,
      /^--set io=fast: io: found "fast", expected one of auto, uring, epoll, node$/,
      /^--set databases: use --database/,
      /^--set users: users can be named in a file only/,
      /^--database mysql:\/\/a:\*\*\*@b: expected a URL/,
      /^--database postgres:\/\/a:\*\*\*@b:x\/c: expected host:port/,
      /^--database postgres:\/\/b:99999\/c: databases.c.port: found "99999", expected a whole number/,
    ]) {
      assert.equal(
        problems.filter((problem) => expected.test(problem)).length,
        1,
        `${expected}\n${problems.join('\n')}`,
      );
    }
    assert.equal(problems.length, 8);
    assert.doesNotMatch(problems.join(), /hunter2/);
    assert.match((await problemsOf({ file, listen: ['a:b'] }))[0]!, /^--listen a:b: expected HOST:PORT/);
  });

  test('alone at fault make a usage error', async () => {
    const onlyFlags = (sources: ConfigSources) =>
      loadConfig(sources).then(
        () => null,
        (error: ConfigError) => error.onlyFlags,
      );
    assert.equal(await onlyFlags({ file: fileWith(BASE), set: ['io=x'] }), true);
    assert.equal(await onlyFlags({ file: fileWith(`${BASE}io: x`) }), false);
  });
});

describe('users', () => {
  const MD5 = `md5${'0123456789abcdef'.repeat(2)}`;

  test('come from the file and from auth_file, whose path counts from the file', async () => {
    fileWith(`"alice" "old"\n"bob" "${MD5}"\n"carol" ""\n`, 'userlist.txt');
    const source = 'auth_file: userlist.txt\ndatabases: { app: {} }\nusers: { alice: { password: new } }\n';
    const { users } = await loadConfig({ file: fileWith(source) });
    assert.deepEqual(Object.fromEntries(users), {
      alice: { password: 'new', verifier: null, isListed: true },
      bob: { password: null, verifier: MD5, isListed: true },
      carol: { password: null, verifier: null, isListed: true },
    });
  });

  test('with broken verifiers are refused, without showing them', async () => {
    fileWith('"bob" "SCRAM-SHA-256$hunter2"\n', 'userlist.txt');
    const source =
      'auth_file: userlist.txt\ndatabases: { app: {} }\nusers: { alice: { verifier: hunter2 } }\n';
    const problems = await problemsIn(source);
    assert.match(problems[0]!, /^userlist.txt:1:1: "bob": not a verifier \(not shown\)/);
    assert.match(problems[1]!, /^sluice.yaml:3:19: users.alice.verifier: not a verifier \(not shown\)/);
    assert.doesNotMatch(problems.join(), /hunter2/);
  });

  test('in an auth_file that is missing or broken are refused', async () => {
    const missing = await problemsIn(`${BASE}auth_file: none.txt\n`);
    assert.deepEqual(missing, ['sluice.yaml:3:1: auth_file: "none.txt": there is no such file']);
    fileWith('oops\n', 'broken.txt');
    assert.match(
      (await problemsIn(`${BASE}auth_file: broken.txt\n`))[0]!,
      /^broken.txt:1:1: expected "user" "secret"/,
    );
  });

  test('are those of the databases if there are no others', async () => {
    const { users } = await loadConfig({ databases: ['postgres://alice:secret@db1/app'] });
    assert.deepEqual(Object.fromEntries(users), {
      alice: { password: 'secret', verifier: null, isListed: true },
    });
    const file = fileWith(
      'users: { bob: { password: x } }\ndatabases: { app: "postgres://alice:secret@db1/app" }\n',
    );
    assert.deepEqual([...(await loadConfig({ file })).users.keys()], ['bob']);
  });

  test('with two passwords in two databases are refused', async () => {
    const problems = await problemsOf({
      databases: ['postgres://alice:hunter1@db1/a', 'postgres://alice:hunter2@db1/b'],
    });
    assert.equal(problems.length, 1);
    assert.match(problems[0]!, /databases.b.password: "alice" has another password/);
    assert.doesNotMatch(problems[0]!, /hunter/);
  });

  test('have to exist unless everybody is trusted', async () => {
    const problems = await problemsOf({ databases: ['postgres://db1/app'] });
    assert.match(problems[0]!, /^auth_type: with scram-sha-256 nobody could log in/);
    assert.deepEqual(await problemsOf({ databases: ['postgres://db1/app'], set: ['auth_type=trust'] }), []);
  });
});
