import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as Backend from '../../wire/backend.js';
import { LearntScramKeys } from '../scram-keys.js';
import { ServerLogin } from './server-login.js';

const int32 = (value: number) => Buffer.from([value >> 24, value >> 16, value >> 8, value]);
const SASL = Buffer.concat([int32(Backend.AuthenticationSASL), Buffer.from('SCRAM-SHA-256\0\0')]);

function begin(): (type: number, body: Buffer) => unknown {
  const secret = { password: 'secret', md5: null, scram: null };
  const login = new ServerLogin({ name: 'alice', secret, limits: null, isListed: true }, {
    scramKeys: new LearntScramKeys(),
    tls: () => null,
    send: () => {},
    nonce: () => 'abcdefghijklmnopqrstuvwx',
    deriveKey: () => {},
  } as ConstructorParameters<typeof ServerLogin>[1]);
  return (type, body) => login.message(type, body, 0, body.length);
}

describe('a login to a server', () => {
  test('is over with ReadyForQuery behind AuthenticationOk', () => {
    const take = begin();
    assert.equal(take(Backend.Authentication, int32(Backend.AuthenticationOk)), 'more');
    assert.equal(take(Backend.ParameterStatus, Buffer.from('TimeZone\0UTC\0')), 'more');
    assert.equal(take(Backend.ReadyForQuery, Buffer.from('I')), 'ready');
  });

  for (const [name, type, body] of [
    ['ReadyForQuery', Backend.ReadyForQuery, Buffer.from('I')],
    ['ParameterStatus', Backend.ParameterStatus, Buffer.from('TimeZone\0UTC\0')],
    ['BackendKeyData', Backend.BackendKeyData, Buffer.alloc(8)],
  ] as const) {
    test(`does not take ${name} in place of the proof that the server owes`, () => {
      const take = begin();
      assert.equal(take(Backend.Authentication, SASL), 'more');
      assert.equal((take(type, body) as { severity: string }).severity, 'FATAL');
    });
  }

  test('is asked for a password no more when it is admitted', () => {
    const take = begin();
    assert.equal(take(Backend.Authentication, int32(Backend.AuthenticationOk)), 'more');
    const again = take(Backend.Authentication, int32(Backend.AuthenticationCleartextPassword));
    assert.equal((again as { severity: string }).severity, 'FATAL');
  });
});
