import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readNegotiateProtocolVersion } from './server-messages.js';
import {
  buildCancelRequest,
  buildGssEncRequest,
  buildNegotiateProtocolVersion,
  buildSslRequest,
  buildStartup,
  MAX_STARTUP_PACKET_LENGTH,
  readStartupPacket,
  type StartupPacket,
} from './startup.js';

const read = (packet: Uint8Array): StartupPacket => readStartupPacket(packet, 0, packet.length);

/** A packet with its right length word, a code, and a body in latin1. */
function packet(code: number, body: string): Buffer {
  const bytes = Buffer.alloc(8 + body.length);
  bytes.writeInt32BE(bytes.length, 0);
  bytes.writeUInt32BE(code, 4);
  bytes.write(body, 8, 'latin1');
  return bytes;
}

function assertInvalid(bytes: Uint8Array, code: string, message: RegExp): void {
  const read = readStartupPacket(bytes, 0, bytes.length);
  assert.equal(read.kind, 'invalid');
  assert.equal(read.kind === 'invalid' && read.code, code);
  assert.match(read.kind === 'invalid' ? read.message : '', message);
}

const V3 = 0x30000;
const LAYOUT = /^invalid startup packet layout: expected terminator as last byte$/;
const LENGTH = /^invalid length of startup packet$/;

describe('untyped packets', () => {
  test('StartupMessage, byte by byte', () => {
    const parameters = new Map([
      ['user', 'alice'],
      ['database', 'app'],
    ]);
    const built = buildStartup(parameters, 2);
    assert.equal(built.toString('latin1'), '\0\0\0\x21\0\x03\0\x02user\0alice\0database\0app\0\0');
    assert.deepEqual(read(built), { kind: 'startup', major: 3, minor: 2, parameters, protocolOptions: [] });
  });

  test('SSLRequest, GSSENCRequest and CancelRequest, byte by byte', () => {
    assert.equal(buildSslRequest().toString('hex'), '0000000804d2162f');
    assert.deepEqual(read(buildSslRequest()), { kind: 'ssl' });
    assert.equal(buildGssEncRequest().toString('hex'), '0000000804d21630');
    assert.deepEqual(read(buildGssEncRequest()), { kind: 'gssenc' });
    const cancel = buildCancelRequest(258, Uint8Array.of(1, 2, 3, 4));
    assert.equal(cancel.toString('hex'), '0000001004d2162e0000010201020304');
    assert.deepEqual(read(cancel), { kind: 'cancel', processId: 258, secret: Uint8Array.of(1, 2, 3, 4) });
  });

  test('a cancel key has 4 to 256 bytes, and is copied', () => {
    for (const length of [4, 5, 255, 256]) {
      const secret = new Uint8Array(length).fill(7);
      assert.deepEqual(read(buildCancelRequest(-1, secret)), { kind: 'cancel', processId: -1, secret });
    }
    for (const length of [0, 3, 257]) {
      assertInvalid(buildCancelRequest(1, new Uint8Array(length)), '08P01', /cancel/);
    }
    assertInvalid(packet(80877102, ''), '08P01', /cancel/);
    const memory = buildCancelRequest(1, Uint8Array.of(9, 9, 9, 9));
    const cancel = read(memory);
    memory.fill(0);
    assert.deepEqual(cancel.kind === 'cancel' && cancel.secret, Uint8Array.of(9, 9, 9, 9));
  });

  test('protocol options are told apart from parameters', () => {
    const startup = read(packet(0x3270f, 'user\0u\0_pq_.grease\0x\0app\0y\0_pq_.b\0\0\0'));
    assert.deepEqual(startup, {
      kind: 'startup',
      major: 3,
      minor: 9999,
      parameters: new Map([
        ['user', 'u'],
        ['app', 'y'],
      ]),
      protocolOptions: ['_pq_.grease', '_pq_.b'],
    });
  });

  test('of a repeated parameter the last value counts', () => {
    const startup = read(packet(V3, 'user\0a\0user\0b\0\0'));
    assert.equal(startup.kind === 'startup' && startup.parameters.get('user'), 'b');
  });

  test('names that are object members are only names', () => {
    const startup = read(packet(V3, 'user\0__proto__\0__proto__\0x\0constructor\0y\0\0'));
    assert.equal(startup.kind === 'startup' && startup.parameters.get('__proto__'), 'x');
  });

  test('a bad layout is refused as PostgreSQL refuses it', () => {
    for (const body of [
      '',
      'user',
      'user\0',
      'user\0u',
      'user\0u\0',
      'user\0u\0\0x',
      'user\0u\0\0\0',
      '\0\0',
    ]) {
      assertInvalid(packet(V3, body), '08P01', LAYOUT);
    }
  });

  test('a user is needed', () => {
    for (const body of ['\0', 'database\0d\0\0', 'user\0\0\0']) {
      assertInvalid(packet(V3, body), '28000', /^no PostgreSQL user name specified in startup packet$/);
    }
  });

  test('other major versions are refused', () => {
    for (const [code, version] of [
      [0x20000, '2.0'],
      [0x40001, '4.1'],
      [0xffff0000, '65535.0'],
      [0, '0.0'],
    ] as const) {
      assertInvalid(
        packet(code, 'user\0u\0\0'),
        '0A000',
        new RegExp(`^unsupported frontend protocol ${version}:`),
      );
    }
  });

  test('lengths: the word must tell the truth, and be neither tiny nor giant', () => {
    const user = 'user\0u\0o\0\0\0';
    const most = packet(
      V3,
      user.replace('o\0', `o\0${'x'.repeat(MAX_STARTUP_PACKET_LENGTH - 4 - user.length)}`),
    );
    assert.equal(most.length, MAX_STARTUP_PACKET_LENGTH + 4);
    assert.equal(read(most).kind, 'startup');
    assertInvalid(packet(V3, 'x'.repeat(MAX_STARTUP_PACKET_LENGTH - 3)), '08P01', LENGTH);
    for (let length = 0; length < 8; length += 1) {
      const tiny = Buffer.alloc(length);
      if (length >= 4) tiny.writeInt32BE(length);
      assertInvalid(tiny, '08P01', LENGTH);
    }
    for (const lie of [-1, -2147483648, 0, 7, 2147483647]) {
      const bytes = packet(V3, 'user\0u\0\0');
      bytes.writeInt32BE(lie);
      assertInvalid(bytes, '08P01', LENGTH);
    }
  });

  test('cut anywhere, with the length word put right, nothing behind the end is read', () => {
    const whole = packet(V3, 'user\0alice\0database\0app\0_pq_.x\0y\0\0');
    for (let end = 8; end < whole.length; end += 1) {
      whole.writeInt32BE(end);
      assert.equal(readStartupPacket(whole, 0, end).kind, 'invalid', `cut at ${end}`);
    }
  });

  test('random packets are read or refused, and never throw', () => {
    const code = fc.constantFrom(V3, 0x30002, 0x30001, 80877102, 80877103, 80877104);
    const body = fc.array(fc.constantFrom('\0', 'user', 'a', '_pq_.', '\xff', 'database'), { maxLength: 20 });
    fc.assert(
      fc.property(code, body, (code, body) => {
        const bytes = packet(code, body.join(''));
        const inside = Buffer.concat([Buffer.from('user\0u\0\0'), bytes, Buffer.from('user\0u\0\0')]);
        assert.deepEqual(readStartupPacket(inside, 8, 8 + bytes.length), read(bytes));
      }),
      { numRuns: 1000 },
    );
  });

  test('parameters of any text go through', () => {
    const text = fc.string({ unit: 'binary', maxLength: 20 }).map((text) => text.replaceAll('\0', ''));
    const name = text.filter((name) => name !== '' && !name.startsWith('_pq_.'));
    fc.assert(
      fc.property(fc.array(fc.tuple(name, text), { maxLength: 8 }), (entries) => {
        const parameters = new Map([...entries, ['user', 'u'] as const]);
        const startup = read(buildStartup(parameters));
        assert.deepEqual(startup.kind === 'startup' && startup.parameters, parameters);
      }),
    );
  });
});

describe('NegotiateProtocolVersion', () => {
  test('byte by byte, with the whole version', () => {
    const message = buildNegotiateProtocolVersion(0, ['_pq_.a', '_pq_.b']);
    assert.equal(message.toString('latin1'), 'v\0\0\0\x1a\0\x03\0\0\0\0\0\x02_pq_.a\0_pq_.b\0');
    assert.deepEqual(readNegotiateProtocolVersion(message, 5, message.length), {
      newestMinor: 0,
      unrecognisedOptions: ['_pq_.a', '_pq_.b'],
    });
  });

  test('a minor version alone is understood too', () => {
    const body = Buffer.from('0000000200000000', 'hex');
    assert.equal(readNegotiateProtocolVersion(body, 0, 8).newestMinor, 2);
  });
});
