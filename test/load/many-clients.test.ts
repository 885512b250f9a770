import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeDrivers } from '../harness/drivers.js';
import { runLoad } from './many-clients.js';

const CLIENTS = 2000;
const QUERIES_EACH = 5;
const POOL_SIZE = 20;

describeDrivers('many clients', (io) => {
  test(`${CLIENTS} clients over ${POOL_SIZE} server connections`, async () => {
    const report = await runLoad({ io, clients: CLIENTS, queriesEach: QUERIES_EACH, poolSize: POOL_SIZE });
    assert.deepEqual(report.errors, []);
    assert.equal(report.clients, CLIENTS);
    assert.equal(report.queries, CLIENTS * QUERIES_EACH);
    assert.ok(report.serverConnections <= POOL_SIZE, `${report.serverConnections} server connections`);
  });
});
