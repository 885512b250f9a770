import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { run } from '../harness/command.js';
import { GATEWAY_PROGRAM } from '../harness/gateway-under-test.js';
import { PostgresServer, SUPERUSER } from '../harness/postgres-server.js';
import { freePort } from '../harness/scratch.js';

describe('sluice check', () => {
  let server: PostgresServer;
  before(async () => {
    server = await PostgresServer.start();
    await server.query("CREATE ROLE lender LOGIN PASSWORD 'secret'");
  });
  after(() => server?.discard());

  const check = (...flags: string[]) => {
    const database = `app=postgres://${SUPERUSER}@${server.host}:${server.port}/postgres`;
    const all = ['--database', database, '--set', 'auth_type=trust', ...flags];
    return run(process.execPath, [GATEWAY_PROGRAM, 'check', ...all]);
  };

  test('says that the pools fit, for people and for programs', async () => {
    const people = await check();
    assert.equal(people.code, 0, people.stderr);
    assert.match(people.stdout, /max_connections +\d+/);
    assert.match(
      people.stdout,
      /fits: the pools may open 20 of \d+ connections, and 1 for clients that LISTEN/,
    );
    const program = await check('--json');
    assert.equal(program.code, 0);
    const { verdict, servers } = JSON.parse(program.stdout);
    assert.equal(verdict, 'fits');
    assert.equal(
      servers[0].judgement.room,
      servers[0].facts.maxConnections - servers[0].facts.superuserReserved - servers[0].facts.otherReserved,
    );
    assert.ok(servers[0].facts.sharedBuffers > 1024 ** 2);
  });

  test('says that they do not, and what would do', async () => {
    const { code, stdout } = await check('--set', 'default_pool_size=5000');
    assert.equal(code, 1);
    assert.match(stdout, /does not fit/);
    assert.match(stdout, /a pool size of \d+ would do/);
    assert.match(stdout, /max_connections = 50\d\d/);
  });

  test('cannot tell where a server does not answer, or nothing bounds the pools', async () => {
    const port = await freePort();
    const dead = await run(process.execPath, [
      ...[GATEWAY_PROGRAM, 'check', '--timeout', '1'],
      ...['--database', `app=postgres://a:b@127.0.0.1:${port}/x`],
    ]);
    assert.equal(dead.code, 2);
    assert.match(dead.stdout, /could not be asked: .*ECONNREFUSED/);
    const any = `*=postgres://${server.host}:${server.port}`;
    const open = await run(process.execPath, [
      ...[GATEWAY_PROGRAM, 'check', '--database', any, '--set', 'auth_type=trust', '--user', 'lender'],
    ]);
    assert.equal(open.code, 2, open.stderr);
    assert.match(open.stdout, /"\*" stands for any number of databases/);
  });

  test('teaches', async () => {
    const help = await run(process.execPath, [GATEWAY_PROGRAM, 'check', '--help']);
    assert.match(help.stdout, /Exit code: 0 if everything fits, 1 if it doesn't, 2 if that can't be told/);
    assert.equal((await run(process.execPath, [GATEWAY_PROGRAM, 'check'])).code, 2);
  });
});
