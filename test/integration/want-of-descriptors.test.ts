import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { Agent, get } from 'node:http';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import pg from 'pg';
import { singleValue } from '../harness/backend-message.js';
import { availableDrivers } from '../harness/drivers.js';
import { PRLIMIT, withGateway } from '../harness/gateway-under-test.js';
import { RawClient } from '../harness/raw-client.js';
import { freePort } from '../harness/scratch.js';
import { onEveryDriver } from '../harness/stage.js';
import { until } from '../harness/until.js';

const OPEN_FILES = 100;
const skip = !existsSync(PRLIMIT);
/** Node.js accepts and closes at once whom it has no descriptor for. */
const drivers = availableDrivers.filter((driver) => driver !== 'node');

onEveryDriver('a gateway without a file descriptor left', { drivers }, (stage) => {
  const http = freePort().then((port) => `127.0.0.1:${port}`);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });

  const page = async (path: string): Promise<string> => {
    const [answer] = await once(get(`http://${await http}${path}`, { agent }), 'response');
    assert.equal(answer.statusCode, 200, path);
    return text(answer);
  };

  test('serves those it has, and lets operators look', { skip }, async () => {
    const options = {
      io: stage.io,
      server: stage.server,
      settings: { http_listen: await http, admin_users: 'op' },
      openFiles: OPEN_FILES,
    };
    await withGateway(options, async (at) => {
      const client = await RawClient.login(at);
      assert.equal(singleValue(await client.query('SELECT 1')), '1');
      const operator = new pg.Client({ connectionString: at.url('op', 'pgbouncer') });
      await operator.connect();
      assert.match(await page('/metrics'), /resident_memory_bytes \d/);
      const waiting = Array.from({ length: OPEN_FILES }, () => net.connect(at.port, at.host));
      await until('the want of descriptors', () => at.log.includes('accepting failed'));

      assert.equal(singleValue(await client.query('SELECT 2')), '2');
      for (const table of ['CLIENTS', 'LISTS', 'MEM', 'POOLS', 'SERVERS', 'STATS']) {
        assert.ok((await operator.query(`SHOW ${table}`)).rows.length > 0, table);
      }
      await operator.query('RELOAD');
      assert.match(await page('/metrics'), /cpu_seconds_total \d/);
      assert.match(await page('/health'), /"clients"/);

      for (const socket of waiting) socket.destroy();
      const next = await RawClient.login(at);
      assert.equal(singleValue(await next.query('SELECT 3')), '3');
      agent.destroy();
      await operator.end();
      await next.close();
      await client.close();
    });
  });
});
