import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pgbench } from '../harness/client-programs.js';
import { onEveryDriver } from '../harness/stage.js';

const POOL_SIZE = 20;
const PROTOCOLS = ['simple', 'extended', 'prepared'] as const;

onEveryDriver('pgbench', { gateway: { settings: { default_pool_size: POOL_SIZE } } }, (stage) => {
  test('makes its tables', async () => {
    await pgbench(stage.gateway, ['-i', '-q', '-s', '2']);
    const rows = await stage.server.query('SELECT count(*)::int AS n FROM pgbench_accounts');
    assert.equal(rows[0]?.n, 200_000);
  });

  for (const protocol of PROTOCOLS) {
    test(`reads and writes, ${protocol} protocol`, async () => {
      await pgbench(stage.gateway, ['-n', '-M', protocol, '-c', '10', '-j', '2', '-t', '50']);
      await pgbench(stage.gateway, ['-n', '-S', '-M', protocol, '-c', '30', '-j', '2', '-t', '100']);
    });
  }

  test('each transaction on a new connection', async () => {
    await pgbench(stage.gateway, ['-n', '-S', '-C', '-c', '4', '-t', '25']);
  });

  for (const protocol of ['simple', 'prepared'] as const) {
    test(`300 clients over ${POOL_SIZE} server connections, ${protocol} protocol`, async () => {
      const settled = { done: false };
      const watched = watchConnections(stage, settled);
      try {
        await pgbench(stage.gateway, ['-n', '-S', '-M', protocol, '-c', '300', '-j', '2', '-T', '3']);
      } finally {
        settled.done = true;
      }
      const { most, looks } = await watched;
      assert.ok(looks > 5, `looked ${looks} times only`);
      assert.ok(most <= POOL_SIZE, `${most} server connections were open at once`);
      assert.ok(most > POOL_SIZE / 2, `${most} server connections were open at most`);
    });
  }

  test('the books balance', async () => {
    const [sums] = await stage.server.query(`SELECT
      (SELECT sum(abalance) FROM pgbench_accounts) AS accounts,
      (SELECT sum(bbalance) FROM pgbench_branches) AS branches,
      (SELECT sum(delta) FROM pgbench_history) AS history`);
    assert.equal(sums?.accounts, sums?.history);
    assert.equal(sums?.branches, sums?.history);
  });
});

async function watchConnections(
  { server }: { server: { connections(): Promise<number> } },
  settled: { readonly done: boolean },
): Promise<{ most: number; looks: number }> {
  let most = 0;
  let looks = 0;
  while (!settled.done) {
    most = Math.max(most, await server.connections());
    looks++;
  }
  return { most, looks };
}
