import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearestName } from './nearest-name.js';

const KNOWN = ['listen_addr', 'listen_port', 'pool_mode', 'default_pool_size', 'io'];

test('finds what was probably meant', () => {
  assert.equal(nearestName('defualt_pool_size', KNOWN), 'default_pool_size');
  assert.equal(nearestName('defaultPoolSize', KNOWN), 'default_pool_size');
  assert.equal(nearestName('listen-prot', KNOWN), 'listen_port');
  assert.equal(nearestName('poolmode', KNOWN), 'pool_mode');
  assert.equal(nearestName('i', KNOWN), 'io');
});

test('finds nothing where nothing is near', () => {
  assert.equal(nearestName('tls_certificate', KNOWN), null);
  assert.equal(nearestName('', KNOWN), null);
  assert.equal(nearestName('x'.repeat(10_000), KNOWN), null);
});
