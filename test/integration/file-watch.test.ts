/** Files of the configuration that are replaced as Kubernetes replaces those of a Secret: all at once, by a link. */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import pg from 'pg';
import { availableDrivers } from '../harness/drivers.js';
import { GatewayUnderTest } from '../harness/gateway-under-test.js';
import { scratchFolder } from '../harness/scratch.js';
import { until } from '../harness/until.js';

const folder = scratchFolder('mounted');
let gateway: GatewayUnderTest | null = null;
after(() => gateway?.stop());

function mount(version: string, users: string): void {
  mkdirSync(join(folder, version));
  writeFileSync(join(folder, version, 'users.txt'), users);
  symlinkSync(version, join(folder, '..data_tmp'));
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
}

async function isLetIn(password: string): Promise<boolean> {
  const url = new URL(gateway!.url('op', 'pgbouncer'));
  url.password = password;
  const client = new pg.Client({ connectionString: url.href });
  try {
    await client.connect();
    return true;
  } catch (error) {
    assert.match((error as Error).message, /authentication failed/);
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

test('a changed Secret is noticed, and one that is broken changes nothing', async () => {
  mount('first', '"op" "before"\n');
  symlinkSync('..data/users.txt', join(folder, 'users.txt'));
  const file = join(folder, 'sluice.yaml');
  writeFileSync(
    file,
    'auth_file: users.txt\nadmin_users: op\nfailed_login_rate: 0\n' +
      'reload_interval: 50ms\ndatabases: { app: postgres://127.0.0.1:1/x }\n',
  );
  gateway = await GatewayUnderTest.start({
    io: availableDrivers[0]!,
    file,
    server: [],
    settings: { auth_type: 'scram-sha-256' },
    expectedTrouble: [/can not be used|users\.txt|nobody could log in|authentication failed/],
  });
  assert.equal(await isLetIn('before'), true);
  mount('second', '"op" "after"\n');
  await until('the new password', () => isLetIn('after'));
  assert.equal(await isLetIn('before'), false);

  mount('third', '"op" no quotes\n');
  await until('the mistake in the log', () => /can not be used/.test(gateway!.log));
  assert.equal(await isLetIn('after'), true);
});
