import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { availableDrivers } from '../harness/drivers.js';
import { GatewayUnderTest } from '../harness/gateway-under-test.js';
import { freePort, scratchFolder } from '../harness/scratch.js';

const TOKEN = 'correct-horse-battery-staple';
const FILE = 'auth_type: trust\nadmin_users: op\ndatabases: { app: postgres://127.0.0.1:1/x }\n';

describe('HTTP', () => {
  const folder = scratchFolder('http');
  const file = join(folder, 'sluice.yaml');
  const tokenFile = join(folder, 'token');
  let gateway: GatewayUnderTest;
  let base = '';

  before(async () => {
    writeFileSync(file, FILE);
    writeFileSync(tokenFile, `${TOKEN}\n`, { mode: 0o600 });
    const http = `127.0.0.1:${await freePort()}`;
    base = `http://${http}`;
    gateway = await GatewayUnderTest.start({
      io: availableDrivers[0]!,
      file,
      server: [],
      settings: { http_listen: http, http_token_file: tokenFile },
      expectedTrouble: [/reload|no such setting|expected one of/],
    });
  });
  after(() => gateway?.stop());

  const get = (path: string) => fetch(`${base}${path}`);
  const reload = (authorization?: string) =>
    fetch(`${base}/reload`, {
      method: 'POST',
      headers: authorization === undefined ? {} : { authorization },
    });

  test('says that it lives and is ready, with no database in sight', async () => {
    const liveness = await get('/liveness');
    assert.equal(liveness.status, 200);
    assert.equal(liveness.headers.get('cache-control'), 'no-store');
    assert.deepEqual(await liveness.json(), { alive: true });
    assert.deepEqual(await (await get('/readiness')).json(), { ready: true, reasons: [] });
    const health = (await (await get('/health')).json()) as Record<string, unknown>;
    assert.equal(health.state, 'active');
    assert.equal(health.pid, gateway.pid);
    assert.equal(health.clients, 0);
    const refused = new pg.Client({ connectionString: gateway.url('op', 'nowhere') });
    await assert.rejects(refused.connect());
    const { counters } = (await (await get('/health')).json()) as { counters: Record<string, number> };
    assert.ok(counters.clientsAccepted! > 0);
    assert.equal(counters.loginsThrottled, 0);
  });

  test('has metrics for Prometheus', async () => {
    const answer = await get('/metrics');
    assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    const page = await answer.text();
    assert.match(page, /^sluice_ready 1$/m);
    assert.match(page, /^sluice_clients_accepted_total [1-9]/m);
  });

  test('is not ready while it is paused, and lives', async () => {
    const admin = new pg.Client({ connectionString: gateway.url('op', 'pgbouncer') });
    await admin.connect();
    await admin.query('PAUSE');
    const readiness = await get('/readiness');
    assert.equal(readiness.status, 503);
    assert.match(JSON.stringify(await readiness.json()), /paused; RESUME/);
    assert.equal((await get('/health')).status, 503);
    assert.equal((await get('/liveness')).status, 200);
    await admin.query('RESUME');
    assert.equal((await get('/readiness')).status, 200);
    await admin.end();
  });

  test('reloads for whoever has the token, and for nobody else', async () => {
    for (const [authorization, status] of [
      [undefined, 401],
      ['Bearer wrong-horse-battery-staple', 401],
      [`Bearer ${TOKEN}x`, 401],
      [`Basic ${TOKEN}`, 401],
    ] as const) {
      const answer = await reload(authorization);
      assert.equal(answer.status, status);
      const { error, hint } = (await answer.json()) as { error: string; hint: string };
      assert.ok(error.length > 0 && hint.includes('Bearer'));
    }
    assert.deepEqual(await (await reload(`Bearer ${TOKEN}`)).json(), { reloaded: true });
    assert.doesNotMatch(gateway.log, /horse/);
  });

  test('tells every mistake of a bad file, which changes nothing', async () => {
    writeFileSync(file, `${FILE}colour: red\npool_mode: y\n`);
    const answer = await reload(`Bearer ${TOKEN}`);
    assert.equal(answer.status, 422);
    const { reloaded, problems } = (await answer.json()) as { reloaded: boolean; problems: string[] };
    assert.equal(reloaded, false);
    assert.match(problems.join('\n'), /sluice\.yaml:5:1: pool_mode[\s\S]*sluice\.yaml:4:1: colour/);
    const admin = new pg.Client({ connectionString: gateway.url('op', 'pgbouncer') });
    await admin.connect();
    await assert.rejects(admin.query('RELOAD'), (error: pg.DatabaseError) => {
      assert.equal(error.code, 'F0000');
      return /colour/.test(error.detail ?? '');
    });
    await admin.end();
    writeFileSync(file, FILE);
    assert.equal((await reload(`Bearer ${TOKEN}`)).status, 200);
  });

  test('refuses to reload where the token is missing or too short', async () => {
    writeFileSync(tokenFile, 'short');
    const answer = await reload('Bearer short');
    assert.equal(answer.status, 403);
    assert.match(JSON.stringify(await answer.json()), /http_token_file/);
    writeFileSync(tokenFile, TOKEN);
  });

  test('says what there is where there is nothing', async () => {
    const answer = await get('/nonsense');
    assert.equal(answer.status, 404);
    assert.match(JSON.stringify(await answer.json()), /GET \/health/);
    assert.equal((await get('/reload')).status, 404);
  });
});
