import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as Backend from '../../wire/backend.js';
import { buildQuery } from '../../wire/client-messages.js';
import type { GatewayContext } from '../context.js';
import { Database } from '../databases.js';
import { ParameterSets } from '../parameters.js';
import { StatementCatalogue } from '../statements.js';
import * as Request from './request-queue.js';
import { ServerConnection } from './server-connection.js';
import type { ServerEncryption } from './server-encryption.js';
import type { LoginDialogue } from './server-login.js';
import type { ServerOwner } from './server-owner.js';

const HOUR_MS = 3_600_000;

/** A server connection that was used an hour ago; it hears nothing. */
function rested() {
  const time = { now: HOUR_MS };
  const context = {
    ...{ catalogue: new StatementCatalogue(), parameterSets: new ParameterSets(), newId: () => 1 },
    io: { now: () => time.now, send: () => false },
  } as unknown as GatewayContext;
  const owner = { database: new Database('app', false), userName: 'app' };
  const server = new ServerConnection(
    context,
    owner as unknown as ServerOwner<ServerConnection>,
    1,
    {} as LoginDialogue,
    {} as ServerEncryption,
  );
  server.expect(Request.QUERY);
  server.exchange.ready(Backend.Idle);
  server.exchange.complete();
  server.timing.answered(Backend.Idle, time.now);
  time.now += HOUR_MS;
  return { server, time };
}

test('a transaction that the gateway begins counts from there, and not from what was asked before', () => {
  const { server, time } = rested();
  server.runAside(buildQuery('BEGIN'), true, null, true);
  server.expect(Request.QUERY);
  assert.deepEqual([server.timing.askedSince, server.timing.transactionAt], [time.now, time.now]);
});

test('what is sent behind such a BEGIN belongs to a block, though the server has not said so', () => {
  const { server } = rested();
  server.runAside(buildQuery('BEGIN'), true, null, true);
  server.expect(Request.QUERY);
  const { exchange, lossFacts } = server;
  assert.deepEqual([exchange.status, exchange.statusOfNext], [Backend.Idle, Backend.InTransaction]);
  assert.ok(!lossFacts.mayHaveCommitted(exchange));
  exchange.ready(Backend.InTransaction);
  exchange.complete();
  assert.equal(exchange.statusOfNext, Backend.InTransaction);
});

test('what is sent behind any other query of the gateway’s own may commit by itself', () => {
  const { server } = rested();
  server.runAside(buildQuery('UNLISTEN *'), true);
  server.expect(Request.QUERY);
  assert.equal(server.exchange.statusOfNext, Backend.Idle);
  assert.ok(server.lossFacts.mayHaveCommitted(server.exchange));
});
