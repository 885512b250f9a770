import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { GatewayContext } from '../context.js';
import { IdleClients, type IdleClientsPool } from './idle-clients.js';

const IDLE_MS = 1000;
const IN_TRANSACTION_MS = 300;

describe('clients that are idle', () => {
  const users = new Map([['hasty', { limits: { clientIdleTimeoutMs: 200 } }]]);
  const limits = { wantsPrimary: true, hasForcedUser: true, idleTransactionTimeoutMs: IN_TRANSACTION_MS };
  const identity = { user: { name: 'app' } };
  let clients: Set<object>;
  let ended: string[];
  let idle: IdleClients;
  let context: { settings: object };
  beforeEach(() => {
    clients = new Set();
    limits.idleTransactionTimeoutMs = IN_TRANSACTION_MS;
    ended = [];
    context = { settings: { users, clientIdleTimeoutMs: IDLE_MS } };
    const pool = { limits, identity, clients } as unknown as IdleClientsPool;
    idle = new IdleClients(context as unknown as GatewayContext, pool);
  });

  function come(userName: string, idleSince: number, state: object = {}): void {
    const client = {
      ...{ userName, idleSince, phase: 'ready', waiting: false, link: null, routing: null },
      ...state,
      fail({ message }: { message: string }) {
        clients.delete(client);
        ended.push(`${userName}: ${message}`);
      },
    };
    clients.add(client);
  }

  /** Looks whenever it is wanted, up to a time. */
  function advance(from: number, to: number): void {
    for (let now = from; now <= to; now = Math.max(now + 10, idle.check(now)));
  }

  test('are ended when their time is over, though there was nobody before', () => {
    advance(0, 5000);
    come('app', 5010);
    advance(5010, 5010 + IDLE_MS - 20);
    assert.deepEqual(ended, []);
    advance(5010 + IDLE_MS, 5010 + IDLE_MS + 200);
    assert.deepEqual(ended, ['app: client_idle_timeout']);
  });

  test('each have the timeout of their user', () => {
    come('app', 0);
    come('hasty', 0);
    advance(0, 500);
    assert.deepEqual(ended, ['hasty: client_idle_timeout']);
  });

  test('have the timeout of a reload from then on, and not from when the old one would have been over', () => {
    const hour = 3_600_000;
    context.settings = { users: new Map(), clientIdleTimeoutMs: hour };
    limits.idleTransactionTimeoutMs = 0;
    come('app', 0);
    advance(0, 5000);
    context.settings = { users: new Map(), clientIdleTimeoutMs: IDLE_MS };
    advance(5010, 5200);
    assert.deepEqual(ended, ['app: client_idle_timeout']);
  });

  test('are in a transaction when that has begun here', () => {
    come('app', 0, { routing: { isBusy: false, isBegun: true } });
    come('hasty', 0, { routing: { isBusy: true, isBegun: false } });
    advance(0, IN_TRANSACTION_MS + 200);
    assert.deepEqual(ended, ['app: idle transaction timeout']);
  });
});
