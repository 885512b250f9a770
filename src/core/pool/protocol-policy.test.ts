import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProtocolPolicy } from './protocol-policy.js';

const ERROR = { severity: 'FATAL', message: '' } as const;
const MISUNDERSTOOD = { ...ERROR, code: '08P01' };
const REFUSED = { ...ERROR, code: '28P01' };

test('the newest version is asked for when the server has shown that it may know it', () => {
  const policy = new ProtocolPolicy();
  assert.equal(policy.next(), 0);
  policy.succeeded(0, '17.6');
  assert.equal(policy.next(), 0);
  policy.succeeded(0, '18.1 (Debian 18.1-1)');
  assert.equal(policy.next(), 2);
});

test('whoever does not report a version is asked for 3.0', () => {
  for (const version of [undefined, '', '1.25.2/bouncer', '9.6.24', 'devel']) {
    const policy = new ProtocolPolicy();
    policy.succeeded(0, version);
    assert.equal(policy.next(), 0, version);
  }
});

test('who does not understand it is asked no more, and nobody is told', () => {
  const policy = new ProtocolPolicy();
  policy.succeeded(0, '18.1');
  assert.equal(policy.triesOtherWay(2, REFUSED), false);
  assert.equal(policy.next(), 2);
  assert.equal(policy.triesOtherWay(2, MISUNDERSTOOD), true);
  assert.equal(policy.triesOtherWay(0, MISUNDERSTOOD), false);
  policy.succeeded(0, '18.1');
  assert.equal(policy.next(), 0);
});

test('a failure is one once it has been spoken', () => {
  const policy = new ProtocolPolicy();
  policy.succeeded(0, '18.1');
  policy.succeeded(2, '18.1');
  assert.equal(policy.triesOtherWay(2, MISUNDERSTOOD), false);
  assert.equal(policy.next(), 2);
});
