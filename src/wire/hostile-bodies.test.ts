/** Every message of both directions against its reader: literal bytes, cut at every byte, and damaged. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import * as Client from './client-messages.js';
import { ProtocolViolation } from './protocol-violation.js';
import * as Server from './server-messages.js';
import { buildNegotiateProtocolVersion } from './startup.js';

type Reader = (bytes: Uint8Array, start: number, end: number) => unknown;

interface Sample {
  readonly name: string;
  readonly message: Buffer;
  readonly reader: Reader;
  readonly value: unknown;
  /** The whole message in latin1. */
  readonly literal: string;
  /** Its last field has no end of its own, so that a shorter body may be valid too. */
  readonly open?: true;
}

const bytes = (...values: number[]) => Uint8Array.of(...values);
const text = (value: string) => new Uint8Array(Buffer.from(value));

const COLUMN = {
  name: 'id',
  tableOid: 0xfffffffe,
  columnNumber: 2,
  typeOid: 23,
  typeSize: 4,
  typeModifier: -1,
  format: 1,
};

const CLIENT: readonly Sample[] = [
  {
    name: 'Query',
    message: Client.buildQuery('SELECT 1'),
    reader: Client.readQuery,
    value: 'SELECT 1',
    literal: 'Q\0\0\0\x0dSELECT 1\0',
  },
  {
    name: 'Parse',
    message: Client.buildParse('s', 'SELECT $1', [23, 0xffffffff]),
    reader: Client.readParse,
    value: { name: 's', query: 'SELECT $1', parameterTypes: [23, 0xffffffff] },
    literal: 'P\0\0\0\x1as\0SELECT $1\0\0\x02\0\0\0\x17\xff\xff\xff\xff',
  },
  {
    name: 'Bind',
    message: Client.buildBind({
      portal: 'p',
      statement: 's',
      parameterFormats: [0, 1],
      parameters: ['12', null, bytes(255), ''],
      resultFormats: [1],
    }),
    reader: Client.readBind,
    value: {
      portal: 'p',
      statement: 's',
      parameterFormats: [0, 1],
      parameters: [text('12'), null, bytes(255), bytes()],
      resultFormats: [1],
    },
    literal:
      'B\0\0\0\x27p\0s\0\0\x02\0\0\0\x01\0\x04\0\0\0\x0212\xff\xff\xff\xff\0\0\0\x01\xff\0\0\0\0\0\x01\0\x01',
  },
  {
    name: 'Describe',
    message: Client.buildDescribe('S', 'x'),
    reader: Client.readDescribe,
    value: { target: 'S', name: 'x' },
    literal: 'D\0\0\0\x07Sx\0',
  },
  {
    name: 'Close',
    message: Client.buildClose('P', ''),
    reader: Client.readClose,
    value: { target: 'P', name: '' },
    literal: 'C\0\0\0\x06P\0',
  },
  {
    name: 'Execute',
    message: Client.buildExecute('p', 258),
    reader: Client.readExecute,
    value: { portal: 'p', maxRows: 258 },
    literal: 'E\0\0\0\x0ap\0\0\0\x01\x02',
  },
  {
    name: 'Sync',
    message: Client.buildSync(),
    reader: Client.readEmpty,
    value: undefined,
    literal: 'S\0\0\0\x04',
  },
  {
    name: 'Flush',
    message: Client.buildFlush(),
    reader: Client.readEmpty,
    value: undefined,
    literal: 'H\0\0\0\x04',
  },
  {
    name: 'Terminate',
    message: Client.buildTerminate(),
    reader: Client.readEmpty,
    value: undefined,
    literal: 'X\0\0\0\x04',
  },
  {
    name: 'CopyDone',
    message: Client.buildCopyDone(),
    reader: Client.readEmpty,
    value: undefined,
    literal: 'c\0\0\0\x04',
  },
  {
    name: 'CopyData',
    message: Client.buildCopyData('1\ta\n'),
    reader: Client.readCopyData,
    value: text('1\ta\n'),
    literal: 'd\0\0\0\x081\ta\n',
    open: true,
  },
  {
    name: 'CopyFail',
    message: Client.buildCopyFail('no'),
    reader: Client.readCopyFail,
    value: 'no',
    literal: 'f\0\0\0\x07no\0',
  },
  {
    name: 'FunctionCall',
    message: Client.buildFunctionCall({
      functionOid: 957,
      argumentFormats: [1],
      arguments: [bytes(0, 1), null],
      resultFormat: 1,
    }),
    reader: Client.readFunctionCall,
    value: { functionOid: 957, argumentFormats: [1], arguments: [bytes(0, 1), null], resultFormat: 1 },
    literal: 'F\0\0\0\x1a\0\0\x03\xbd\0\x01\0\x01\0\x02\0\0\0\x02\0\x01\xff\xff\xff\xff\0\x01',
  },
  {
    name: 'PasswordMessage',
    message: Client.buildPassword('pw'),
    reader: Client.readPassword,
    value: 'pw',
    literal: 'p\0\0\0\x07pw\0',
  },
  {
    name: 'SASLInitialResponse',
    message: Client.buildSaslInitialResponse('M', text('n,,')),
    reader: Client.readSaslInitialResponse,
    value: { mechanism: 'M', data: text('n,,') },
    literal: 'p\0\0\0\x0dM\0\0\0\0\x03n,,',
  },
  {
    name: 'SASLInitialResponse without a response',
    message: Client.buildSaslInitialResponse('M', null),
    reader: Client.readSaslInitialResponse,
    value: { mechanism: 'M', data: null },
    literal: 'p\0\0\0\x0aM\0\xff\xff\xff\xff',
  },
  {
    name: 'SASLResponse',
    message: Client.buildSaslResponse(text('c=')),
    reader: Client.readSaslResponse,
    value: text('c='),
    literal: 'p\0\0\0\x06c=',
    open: true,
  },
];

const SERVER: readonly Sample[] = [
  {
    name: 'AuthenticationOk',
    message: Server.buildAuthenticationOk(),
    reader: Server.readAuthentication,
    value: { kind: 'ok' },
    literal: 'R\0\0\0\x08\0\0\0\0',
  },
  {
    name: 'AuthenticationCleartextPassword',
    message: Server.buildAuthenticationCleartextPassword(),
    reader: Server.readAuthentication,
    value: { kind: 'cleartextPassword' },
    literal: 'R\0\0\0\x08\0\0\0\x03',
  },
  {
    name: 'AuthenticationMD5Password',
    message: Server.buildAuthenticationMD5Password(bytes(1, 2, 3, 4)),
    reader: Server.readAuthentication,
    value: { kind: 'md5Password', salt: bytes(1, 2, 3, 4) },
    literal: 'R\0\0\0\x0c\0\0\0\x05\x01\x02\x03\x04',
  },
  {
    name: 'AuthenticationSASL',
    message: Server.buildAuthenticationSASL(['A', 'B']),
    reader: Server.readAuthentication,
    value: { kind: 'sasl', mechanisms: ['A', 'B'] },
    literal: 'R\0\0\0\x0d\0\0\0\x0aA\0B\0\0',
  },
  {
    name: 'AuthenticationSASLContinue',
    message: Server.buildAuthenticationSASLContinue(text('r=')),
    reader: Server.readAuthentication,
    value: { kind: 'saslContinue', data: text('r=') },
    literal: 'R\0\0\0\x0a\0\0\0\x0br=',
    open: true,
  },
  {
    name: 'AuthenticationSASLFinal',
    message: Server.buildAuthenticationSASLFinal(text('v=')),
    reader: Server.readAuthentication,
    value: { kind: 'saslFinal', data: text('v=') },
    literal: 'R\0\0\0\x0a\0\0\0\x0cv=',
    open: true,
  },
  {
    name: 'BackendKeyData',
    message: Server.buildBackendKeyData(258, bytes(1, 2, 3, 4)),
    reader: Server.readBackendKeyData,
    value: { processId: 258, secret: bytes(1, 2, 3, 4) },
    literal: 'K\0\0\0\x0c\0\0\x01\x02\x01\x02\x03\x04',
  },
  {
    name: 'ParameterStatus',
    message: Server.buildParameterStatus('a', 'b'),
    reader: Server.readParameterStatus,
    value: { name: 'a', value: 'b' },
    literal: 'S\0\0\0\x08a\0b\0',
  },
  {
    name: 'ReadyForQuery',
    message: Server.buildReadyForQuery(0x54),
    reader: Server.readReadyForQuery,
    value: 0x54,
    literal: 'Z\0\0\0\x05T',
  },
  {
    name: 'CommandComplete',
    message: Server.buildCommandComplete('SELECT 1'),
    reader: Server.readCommandComplete,
    value: 'SELECT 1',
    literal: 'C\0\0\0\x0dSELECT 1\0',
  },
  {
    name: 'RowDescription',
    message: Server.buildRowDescription([COLUMN, { name: 'x' }]),
    reader: Server.readRowDescription,
    value: [
      COLUMN,
      { name: 'x', tableOid: 0, columnNumber: 0, typeOid: 25, typeSize: -1, typeModifier: -1, format: 0 },
    ],
    literal:
      'T\0\0\0\x2f\0\x02id\0\xff\xff\xff\xfe\0\x02\0\0\0\x17\0\x04\xff\xff\xff\xff\0\x01' +
      'x\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0',
  },
  {
    name: 'DataRow',
    message: Server.buildDataRow(['é', null, bytes(0)]),
    reader: Server.readDataRow,
    value: [text('é'), null, bytes(0)],
    literal: 'D\0\0\0\x15\0\x03\0\0\0\x02\xc3\xa9\xff\xff\xff\xff\0\0\0\x01\0',
  },
  {
    name: 'ParameterDescription',
    message: Server.buildParameterDescription([25]),
    reader: Server.readParameterDescription,
    value: [25],
    literal: 't\0\0\0\x0a\0\x01\0\0\0\x19',
  },
  {
    name: 'NotificationResponse',
    message: Server.buildNotificationResponse(7, 'c', 'p'),
    reader: Server.readNotificationResponse,
    value: { processId: 7, channel: 'c', payload: 'p' },
    literal: 'A\0\0\0\x0c\0\0\0\x07c\0p\0',
  },
  {
    name: 'NegotiateProtocolVersion',
    message: buildNegotiateProtocolVersion(2, ['_pq_.a']),
    reader: Server.readNegotiateProtocolVersion,
    value: { newestMinor: 2, unrecognisedOptions: ['_pq_.a'] },
    literal: 'v\0\0\0\x13\0\x03\0\x02\0\0\0\x01_pq_.a\0',
  },
  {
    name: 'CopyInResponse',
    message: Server.buildCopyInResponse(0, [0, 0]),
    reader: Server.readCopyResponse,
    value: { format: 0, columnFormats: [0, 0] },
    literal: 'G\0\0\0\x0b\0\0\x02\0\0\0\0',
  },
  {
    name: 'CopyOutResponse',
    message: Server.buildCopyOutResponse(1, [1]),
    reader: Server.readCopyResponse,
    value: { format: 1, columnFormats: [1] },
    literal: 'H\0\0\0\x09\x01\0\x01\0\x01',
  },
  {
    name: 'CopyBothResponse',
    message: Server.buildCopyBothResponse(0, []),
    reader: Server.readCopyResponse,
    value: { format: 0, columnFormats: [] },
    literal: 'W\0\0\0\x07\0\0\0',
  },
  {
    name: 'FunctionCallResponse',
    message: Server.buildFunctionCallResponse(null),
    reader: Server.readFunctionCallResponse,
    value: null,
    literal: 'V\0\0\0\x08\xff\xff\xff\xff',
  },
];

const SAMPLES = [
  ...CLIENT.map((sample) => ({ ...sample, peer: 'client' })),
  ...SERVER.map((sample) => ({ ...sample, peer: 'server' })),
];

/** What the reader makes of this body, wherever it stands and whatever stands around it. */
function outcome(reader: Reader, body: Uint8Array, peer: string): { value: unknown } | 'refused' {
  const results = [0x00, 0x41, 0xff].map((around) => {
    const memory = new Uint8Array(body.length + 600).fill(around);
    memory.set(body, 300);
    try {
      return { value: plain(reader(memory, 300, 300 + body.length)) };
    } catch (error) {
      assert.ok(error instanceof ProtocolViolation, String(error));
      assert.equal(error.peer, peer);
      assert.equal(error.sqlstate, '08P01');
      return 'refused';
    }
  });
  assert.deepEqual(results[1], results[0], 'bytes outside the body were read');
  assert.deepEqual(results[2], results[0], 'bytes outside the body were read');
  return results[0]!;
}

/** Views replaced by copies, so that they compare by what they hold. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]));
}

describe('messages', () => {
  for (const { name, message, reader, value, literal, open, peer } of SAMPLES) {
    const body = new Uint8Array(message.subarray(5));

    test(`${name} is written as documented`, () => {
      assert.equal(message.toString('latin1'), literal);
    });

    test(`${name} is read as it was written`, () => {
      assert.deepEqual(outcome(reader, body, peer), { value });
    });

    test(`${name}, cut at any byte, is refused`, () => {
      for (let length = 0; length < body.length; length += 1) {
        const result = outcome(reader, body.subarray(0, length), peer);
        if (open !== true) assert.equal(result, 'refused', `cut to ${length} bytes`);
      }
    });

    test(`${name} with a byte too many is refused`, () => {
      if (open === true || name === 'BackendKeyData') return;
      assert.equal(outcome(reader, Uint8Array.of(...body, 0), peer), 'refused');
    });

    test(`${name}, damaged anywhere, is read inside its bounds or refused`, () => {
      for (let at = 0; at < body.length; at += 1) {
        for (const damage of [0x00, 0x01, 0x7f, 0x80, 0xff]) {
          const damaged = Uint8Array.from(body);
          damaged[at] = damage;
          outcome(reader, damaged, peer);
        }
      }
    });
  }
});

describe('hostile bodies', () => {
  test('random bytes are read inside their bounds or refused, by every reader', () => {
    const byte = fc.oneof(fc.constantFrom(0, 0, 1, 255), fc.nat(255));
    fc.assert(
      fc.property(fc.constantFrom(...SAMPLES), fc.array(byte, { maxLength: 40 }), (sample, values) => {
        outcome(sample.reader, Uint8Array.from(values), sample.peer);
      }),
      { numRuns: 5000 },
    );
  });

  test('counts and lengths that promise more than there is are refused', () => {
    const cases: readonly (readonly [Reader, string])[] = [
      [Client.readParse, '0000ffff'],
      [Client.readBind, '00000000ffff0000'],
      [Client.readBind, '0000000000017fffffff0000'],
      [Client.readBind, '000000000001fffffffe0000'],
      [Client.readBind, '000000000001800000000000'],
      [Client.readSaslInitialResponse, '4d007fffffff'],
      [Client.readSaslInitialResponse, '4d00fffffffe'],
    ];
    for (const [reader, hex] of cases)
      assert.equal(outcome(reader, Buffer.from(hex, 'hex'), 'client'), 'refused');
    const fromServer: readonly (readonly [Reader, string])[] = [
      [Server.readDataRow, 'ffff'],
      [Server.readRowDescription, 'ffff00'],
      [Server.readNegotiateProtocolVersion, '000300007fffffff00'],
      [Server.readNegotiateProtocolVersion, '00030000ffffffff00'],
      [Server.readNegotiateProtocolVersion, '0004000000000000'],
      [Server.readReadyForQuery, '58'],
      [Server.readCopyResponse, '020000'],
    ];
    for (const [reader, hex] of fromServer) {
      assert.equal(outcome(reader, Buffer.from(hex, 'hex'), 'server'), 'refused');
    }
  });

  test('a target other than statement and portal is refused', () => {
    assert.throws(() => Client.readDescribe(Buffer.from('X\0'), 0, 2), /invalid DESCRIBE message subtype 88/);
    assert.throws(() => Client.readClose(Buffer.from('X\0'), 0, 2), /invalid CLOSE message subtype 88/);
  });

  test('cancel keys of protocol 3.2 go up to 256 bytes', () => {
    const key = new Uint8Array(256).fill(9);
    const message = Server.buildBackendKeyData(1, key);
    assert.deepEqual(Server.readBackendKeyData(message, 5, message.length).secret, key);
    assert.throws(() => Server.buildBackendKeyData(1, new Uint8Array(257)), ProtocolViolation);
    assert.throws(() => Server.buildBackendKeyData(1, new Uint8Array(3)), ProtocolViolation);
    assert.equal(outcome(Server.readBackendKeyData, new Uint8Array(4 + 257), 'server'), 'refused');
  });

  test('authentication messages that are too long are refused', () => {
    const long = new Uint8Array(70_000).fill(0x61);
    assert.equal(outcome(Client.readPassword, long, 'client'), 'refused');
    assert.equal(outcome(Client.readSaslResponse, long.subarray(0, 1025), 'client'), 'refused');
    assert.equal(outcome(Client.readSaslInitialResponse, long.subarray(0, 1025), 'client'), 'refused');
    const continued = Server.buildAuthenticationSASLContinue(long.subarray(0, 2001)).subarray(5);
    assert.equal(outcome(Server.readAuthentication, continued, 'server'), 'refused');
  });

  test('authentication requests that are not known are told, not refused', () => {
    for (const code of [2, 7, 8, 9, 99]) {
      const body = Uint8Array.of(0, 0, 0, code, 1, 2, 3);
      assert.deepEqual(outcome(Server.readAuthentication, body, 'server'), {
        value: { kind: 'unsupported', code },
      });
    }
  });

  test('more than 65,535 values cannot be sent', () => {
    assert.throws(() => Server.buildDataRow(new Array(65_536).fill(null)), /does not fit into 16 bits/);
    assert.equal(Server.buildDataRow(new Array(65_535).fill(null)).length, 5 + 2 + 4 * 65_535);
  });
});

test('messages without a body', () => {
  const codes = [
    [Server.buildParseComplete, '1'],
    [Server.buildBindComplete, '2'],
    [Server.buildCloseComplete, '3'],
    [Server.buildEmptyQueryResponse, 'I'],
    [Server.buildNoData, 'n'],
    [Server.buildPortalSuspended, 's'],
    [Server.buildCopyDone, 'c'],
  ] as const;
  for (const [build, code] of codes) {
    assert.equal(build().toString('latin1'), `${code}\0\0\0\x04`);
    assert.equal(build(), build());
  }
});
