/** The methods that `auth_type` and HBA lines can name, beside those of authentication.test.ts. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ask, type PsqlOptions, psql } from '../harness/client-programs.js';
import { describeDrivers } from '../harness/drivers.js';
import { GatewayUnderTest, withGateway } from '../harness/gateway-under-test.js';
import { PostgresServer } from '../harness/postgres-server.js';
import { scratchFolder } from '../harness/scratch.js';
import { until } from '../harness/until.js';

const PASSWORD = 'correct horse';
const WHO = 'SELECT current_user';
/** Whom the system knows us as. */
const SYSTEM_USER = userInfo().username;

let server: PostgresServer;
/** What `pg_authid` keeps of alice's password. */
let verifier: string;

before(async () => {
  server = await PostgresServer.start({
    hba: [
      'local all all trust',
      'host all alice 127.0.0.1/32 scram-sha-256',
      'host all all 127.0.0.1/32 trust',
    ],
  });
  await server.query(`CREATE ROLE alice LOGIN PASSWORD '${PASSWORD}'; CREATE ROLE bob LOGIN`);
  await server.query(
    `DO $$ BEGIN CREATE ROLE "${SYSTEM_USER}" LOGIN; EXCEPTION WHEN duplicate_object THEN END $$`,
  );
  const [row] = await server.query("SELECT rolpassword FROM pg_authid WHERE rolname = 'alice'");
  verifier = row!.rolpassword;
});
after(() => server?.discard());

function fileWith(text: string, name: string): string {
  const file = join(scratchFolder('rules'), name);
  writeFileSync(file, text);
  return file;
}

async function assertRefused(
  target: { readonly host: string; readonly port: number },
  options: PsqlOptions,
  reason: RegExp,
): Promise<void> {
  const { code, stderr } = await psql(target, ['-c', WHO], options);
  assert.equal(code, 2, stderr);
  assert.match(stderr, reason);
}

describeDrivers('methods', (io) => {
  test('plain against a SCRAM verifier, whose keys then open the server', async () => {
    const settings = { auth_type: 'plain' };
    await withGateway({ io, server, users: { alice: verifier }, settings }, async (gateway) => {
      assert.equal(await ask(gateway, WHO, { user: 'alice', password: PASSWORD }), 'alice');
      const refused = /FATAL: {2}password authentication failed/;
      await assertRefused(gateway, { user: 'alice', password: 'wrong' }, refused);
      await assertRefused(gateway, { user: 'nobody', password: PASSWORD }, refused);
      assert.ok(!gateway.log.includes('horse'));
    });
  });

  test('md5 asks by SCRAM where only a verifier is known', async () => {
    const settings = { auth_type: 'md5' };
    await withGateway({ io, server, users: { alice: verifier }, settings }, async (gateway) => {
      assert.equal(await ask(gateway, WHO, { user: 'alice', password: PASSWORD }), 'alice');
    });
  });

  test('any: the name does not matter, and every database needs a user', async () => {
    const databases = [`app=${server.url('bob')}`, `open=${server.url(null)}`];
    const options = {
      io,
      server: databases,
      settings: { auth_type: 'any' },
      expectedTrouble: [/forced user/],
    };
    await withGateway(options, async (gateway) => {
      assert.equal(await ask(gateway, WHO, { user: 'whoever' }), 'bob');
      await assertRefused(gateway, { user: 'whoever', database: 'open' }, /bouncer config error/);
    });
  });

  test('HBA lines: the first that fits, reject, none at all, and a reload', async () => {
    const rules = fileWith('', 'hba.conf');
    const write = (...lines: string[]) => writeFileSync(rules, `${lines.join('\n')}\n`);
    write(
      'host app bob 127.0.0.1/32 trust',
      'host app alice all scram-sha-256',
      'host app postgres all reject',
    );
    const databases = { '*': { host: server.host, port: server.port } };
    const file = fileWith(
      JSON.stringify({ databases, users: { alice: { password: PASSWORD } }, auth_hba_file: rules }),
      'sluice.json',
    );
    const options = {
      io,
      server: [],
      file,
      settings: { auth_type: 'hba' },
      expectedTrouble: [/hba config line 1/, /not reloaded/],
    };
    await withGateway(options, async (gateway) => {
      assert.equal(await ask(gateway, WHO, { user: 'bob' }), 'bob');
      assert.equal(await ask(gateway, WHO, { user: 'alice', password: PASSWORD }), 'alice');
      await assertRefused(gateway, { user: 'postgres' }, /login rejected/);
      await assertRefused(
        gateway,
        { user: 'bob', database: 'postgres' },
        /no authentication method is found/,
      );
      // A file with a mistake changes nothing.
      write('hots app postgres all trust');
      gateway.signal('SIGHUP');
      await until('the mistake in the log', () => /could not parse hba config line 1/.test(gateway.log));
      await assertRefused(gateway, { user: 'postgres' }, /login rejected/);
      write('host app postgres all trust');
      gateway.signal('SIGHUP');
      await until('the new rules', async () => (await psql(gateway, ['-c', WHO])).code === 0);
      await assertRefused(gateway, { user: 'bob' }, /no authentication method is found/);
    });
  });

  test('peer: the user of the system, by the same name or by a map', async () => {
    const ident = fileWith(`others ${SYSTEM_USER} bob\n`, 'ident.conf');
    const rules = fileWith('local app bob peer map=others\nlocal app all peer\n', 'hba.conf');
    const folder = scratchFolder('socket');
    const settings = { auth_type: 'hba', auth_hba_file: rules, auth_ident_file: ident };
    const gateway = await GatewayUnderTest.start({ io, server, settings, socketFolder: folder });
    try {
      const socket = { host: folder, port: gateway.port };
      if (io === 'node') {
        await assertRefused(socket, { user: SYSTEM_USER }, /unix socket login rejected/);
        await until('the reason', () => /I\/O driver other than/.test(gateway.log));
        return;
      }
      assert.equal(await ask(socket, WHO, { user: SYSTEM_USER }), SYSTEM_USER);
      assert.equal(await ask(socket, WHO, { user: 'bob' }), 'bob');
      await assertRefused(socket, { user: 'alice' }, /unix socket login rejected/);
      await assertRefused(gateway, { user: SYSTEM_USER }, /no authentication method is found/);
    } finally {
      await gateway.stop();
    }
  });

  test('too many failed logins from one address are refused unchecked, and one good one ends that', async () => {
    const settings = { auth_type: 'md5', failed_login_rate: 1 };
    const users = { alice: PASSWORD };
    await withGateway({ io, server: [`*=${server.url('bob', '')}`], users, settings }, async (gateway) => {
      const attempt = () => psql(gateway, ['-c', WHO], { user: 'alice', password: 'wrong' });
      await until('a refusal', async () => /too many failed logins/.test((await attempt()).stderr));
      await until('the warning', () => /failed_login_rate = 1/.test(gateway.log));
      assert.equal(gateway.log.match(/too many failed logins from one address/g)?.length, 1);
      const right = { user: 'alice', password: PASSWORD };
      await until('a token', async () => (await psql(gateway, ['-c', WHO], right)).code === 0);
      for (let i = 0; i < 5; i++) assert.match((await attempt()).stderr, /password authentication failed/);
      assert.equal(await ask(gateway, WHO, right), 'bob');
    });
  });
});
