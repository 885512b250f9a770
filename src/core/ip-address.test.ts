import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { hostOfPeer, parseIpAddress } from './ip-address.js';

test('addresses are those that Node.js knows, too', () => {
  const odd = [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '01.2.3.4',
    '::',
    '::1',
    '1::',
    '1:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7::',
    '1:2:3:4:5:6:7:8:9',
    '::1::',
    ':1',
    '1:',
    '12345::',
    '::ffff:1.2.3.4',
    '::1.2.3',
    '1.2.3.4::',
    'g::',
    '0.0.0.0',
  ];
  for (const text of odd) assert.equal(parseIpAddress(text) !== null, isIP(text) !== 0, text);
  fc.assert(fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => parseIpAddress(text) !== null));
});

test('equal addresses have equal bytes, whatever their notation', () => {
  assert.deepEqual(parseIpAddress('2001:db8::1'), parseIpAddress('2001:0DB8:0:0:0:0:0:1'));
  assert.deepEqual(parseIpAddress('::ffff:1.2.3.4'), parseIpAddress('::ffff:102:304'));
  assert.deepEqual([...parseIpAddress('10.0.0.255')!], [10, 0, 0, 255]);
});

test('the host of a peer, as drivers write it', () => {
  assert.equal(hostOfPeer('10.0.0.7:51234'), '10.0.0.7');
  assert.equal(hostOfPeer('[2001:db8::1]:51234'), '2001:db8::1');
  assert.equal(hostOfPeer('unix'), null);
  assert.equal(hostOfPeer('unix:6432'), null);
});
