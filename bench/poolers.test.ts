import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Surroundings, sluiceArguments } from './poolers.js';

describe('sluiceArguments', () => {
  const around: Surroundings = {
    postgres: {
      host: '127.0.0.1',
      port: 5555,
      socketFolder: '/tmp/a b',
      binaries: '',
      version: '',
      stop: async () => {},
    },
    serverWay: 'own',
    account: null,
    certificate: null,
    folder: '',
  };

  function valueAfter(args: readonly string[], flag: string): string | undefined {
    return args[args.indexOf(flag) + 1];
  }

  test('name the server, the listener and the driver', () => {
    const args = sluiceArguments('epoll', 6666, '/u', around);
    assert.equal(args[0], 'serve');
    assert.equal(valueAfter(args, '--database'), 'postgres://postgres@127.0.0.1:5555/bench');
    assert.equal(valueAfter(args, '--listen'), '127.0.0.1:6666');
    assert.equal(valueAfter(args, '--io'), 'epoll');
    assert.ok(args.includes('default_pool_size=20'));
  });

  test('let it find the unix socket by itself, unless TCP is to be measured', () => {
    assert.ok(sluiceArguments('uring', 1, '/u', around).includes('server_unix_socket=/tmp/a b'));
    const tcp = sluiceArguments('uring', 1, '/u', { ...around, serverWay: 'tcp' });
    assert.ok(tcp.includes('server_unix_socket=off'));
  });

  test('name the certificate where clients speak TLS', () => {
    const certificate = { kind: 'ec', certificateFile: '/c', keyFile: '/k' } as const;
    const args = sluiceArguments('uring', 1, '/u', { ...around, certificate });
    assert.ok(args.includes('client_tls_sslmode=require'));
    assert.ok(args.includes('client_tls_key_file=/k'));
  });

  test('reach a unix socket by its folder', () => {
    const url = valueAfter(sluiceArguments('uring', 1, '/u', { ...around, serverWay: 'unix' }), '--database');
    assert.equal(url, 'postgres://postgres@/bench?host=%2Ftmp%2Fa%20b&port=5555');
  });
});
