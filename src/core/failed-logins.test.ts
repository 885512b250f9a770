import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FailedLogins } from './failed-logins.js';
import { FAILED_LOGIN_ADDRESSES_MAX, FAILED_LOGIN_BURST_S, GOOD_ADDRESS_MS } from './limits.js';

const RATE = 2;
const BURST = RATE * FAILED_LOGIN_BURST_S;

function exhaust(failed: FailedLogins, peer: string, now = 0): void {
  for (let i = 0; i < BURST; i++) failed.failed(peer, now, RATE);
}

test('an address is refused when its burst is used up, told of once, and admitted again with time', () => {
  const failed = new FailedLogins();
  for (let i = 0; i < BURST; i++) {
    assert.equal(failed.admit('10.0.0.1:1', 0, RATE), 'admit');
    failed.failed(`10.0.0.1:${i}`, 0, RATE);
  }
  assert.equal(failed.admit('10.0.0.1:2', 0, RATE), 'refuse-and-report');
  assert.equal(failed.admit('10.0.0.1:3', 400, RATE), 'refuse');
  assert.equal(failed.admit('10.0.0.2:3', 400, RATE), 'admit');
  assert.equal(failed.admit('10.0.0.1:4', 500, RATE), 'admit');
  failed.failed('10.0.0.1:4', 500, RATE);
  assert.equal(failed.admit('10.0.0.1:5', 600, RATE), 'refuse', 'the same burst goes on');
  // A burst is over when all tokens are back.
  assert.equal(failed.admit('10.0.0.1:6', 60_000, RATE), 'admit');
  exhaust(failed, '10.0.0.1:6', 60_000);
  assert.equal(failed.admit('10.0.0.1:7', 60_000, RATE), 'refuse-and-report');
});

test('where somebody has logged in, nobody is refused for a while', () => {
  const failed = new FailedLogins();
  failed.failed('10.0.0.1:1', 0, RATE);
  failed.succeeded('10.0.0.1:2', 0);
  exhaust(failed, '10.0.0.1:3');
  assert.equal(failed.admit('10.0.0.1:4', 0, RATE), 'admit');
  exhaust(failed, '10.0.0.1:5', GOOD_ADDRESS_MS - 1);
  assert.equal(failed.admit('10.0.0.1:6', GOOD_ADDRESS_MS - 1, RATE), 'admit');
  assert.equal(failed.admit('10.0.0.1:6', GOOD_ADDRESS_MS, RATE), 'refuse-and-report');
});

test('unix sockets are not counted, a /64 network of IPv6 is one address, and 0 is no limit', () => {
  const failed = new FailedLogins();
  exhaust(failed, 'unix');
  assert.equal(failed.admit('unix', 0, RATE), 'admit');
  for (let i = 0; i < BURST; i++) failed.failed(`[2001:db8::${i.toString(16)}]:5`, 0, RATE);
  assert.equal(failed.admit('[2001:db8::ffff:1]:9', 0, RATE), 'refuse-and-report');
  assert.equal(failed.admit('[2001:db8:0:1::1]:9', 0, RATE), 'admit');
  assert.equal(failed.admit('[2001:db8::ffff:1]:9', 0, 0), 'admit');
});

test('the table of addresses is bounded: who failed longest ago is forgotten', () => {
  const failed = new FailedLogins();
  exhaust(failed, '10.0.0.1:1');
  for (let i = 0; i < FAILED_LOGIN_ADDRESSES_MAX; i++) {
    failed.failed(`11.${i >> 16}.${(i >> 8) & 255}.${i & 255}:1`, 0, RATE);
  }
  assert.equal(failed.admit('10.0.0.1:1', 0, RATE), 'admit');
});
