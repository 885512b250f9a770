import assert from 'node:assert/strict';
import { pbkdf2Sync } from 'node:crypto';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  formatScramVerifier,
  makeScramVerifier,
  mockScramVerifier,
  parseScramVerifier,
  ScramClient,
  ScramServer,
  type ScramVerifier,
  serverKeyOf,
  verifySaltedPassword,
} from './scram.js';

const ascii = (text: string) => Buffer.from(text, 'latin1');
const derive = (password: string, salt: Uint8Array, iterations: number) =>
  pbkdf2Sync(password, salt, iterations, 32, 'sha256');

/** RFC 7677, section 3. */
const RFC = {
  password: 'pencil',
  clientNonce: 'rOprNGfwEbeRWgbNEkqO',
  serverNonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  salt: Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'),
  clientFirst: 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
  serverFirst: 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  clientFinal:
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  serverFinal: 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
};
const RFC_SALTED = derive(RFC.password, RFC.salt, 4096);
const RFC_VERIFIER = makeScramVerifier(RFC_SALTED, RFC.salt, 4096);

const SALT = Uint8Array.from({ length: 16 }, (_, at) => at);
const SALTED = derive('secret', SALT, 1);
const VERIFIER = makeScramVerifier(SALTED, SALT, 1);

function newServer(verifier: ScramVerifier = VERIFIER, mock = false): ScramServer {
  return new ScramServer(verifier, 'serverNonce', mock);
}

/** Runs a whole exchange; gives what both sides made of it. */
function exchange(server: ScramServer, client: ScramClient, salted: Uint8Array) {
  const first = server.first(client.first());
  if (first.kind === 'fail') return { server: first, trusted: false };
  const key = client.receiveFirst(first.data);
  assert.equal(key.kind, 'key');
  const final = server.final(client.final(salted));
  return { server: final, trusted: final.kind === 'ok' && client.verify(final.data) };
}

describe('the example of RFC 7677', () => {
  test('as the client', () => {
    const client = new ScramClient('user', RFC.clientNonce);
    assert.equal(client.first().toString(), RFC.clientFirst);
    const key = client.receiveFirst(ascii(RFC.serverFirst));
    assert.deepEqual(key, { kind: 'key', salt: RFC.salt, iterations: 4096 });
    assert.equal(client.final(RFC_SALTED).toString(), RFC.clientFinal);
    assert.ok(client.verify(ascii(RFC.serverFinal)));
  });

  test('as the server', () => {
    const server = new ScramServer(RFC_VERIFIER, RFC.serverNonce, false);
    const first = server.first(ascii(RFC.clientFirst));
    assert.equal(first.kind === 'continue' && first.data.toString(), RFC.serverFirst);
    const final = server.final(ascii(RFC.clientFinal));
    assert.equal(final.kind === 'ok' && final.data.toString(), RFC.serverFinal);
  });
});

describe('verifiers', () => {
  test('have the form in which PostgreSQL stores them', () => {
    const text = formatScramVerifier(RFC_VERIFIER);
    assert.match(text, /^SCRAM-SHA-256\$4096:W22ZaJ0SNY7soEsUEjb6gQ==\$[\w+/]{43}=:[\w+/]{43}=$/);
    const parsed = parseScramVerifier(text);
    assert.equal(parsed?.iterations, 4096);
    assert.equal(formatScramVerifier(parsed!), text);
  });

  test('anything else is no verifier', () => {
    const good = formatScramVerifier(VERIFIER);
    const bad = [
      '',
      'md53175bce1d3201d16594cebf9d7eb3f9d',
      good.replace('SHA-256', 'SHA-1'),
      good.replace('$1:', '$0:'),
      good.replace('$1:', '$-1:'),
      good.replace('$1:', '$9999999999:'),
      good.slice(0, -1),
      `${good}=`,
      `${good}\n`,
      good.replace(/=:/, ':'),
      good.replace(/\$1:[^$]*/, '$1:'),
      good.replace(/\$1:[^$]*/, '$1:AAA'),
    ];
    for (const text of bad) assert.equal(parseScramVerifier(text), null, text);
    for (let end = 0; end < good.length; end += 1) assert.equal(parseScramVerifier(good.slice(0, end)), null);
  });

  test('a password that was derived elsewhere is checked against one', () => {
    assert.ok(verifySaltedPassword(VERIFIER, SALTED));
    assert.ok(!verifySaltedPassword(VERIFIER, derive('Secret', SALT, 1)));
  });

  test('the mock of an unknown user is always the same, and differs by user and by key', () => {
    const key = Uint8Array.of(1, 2, 3);
    const mock = mockScramVerifier('nobody', key, 4096);
    assert.deepEqual(mockScramVerifier('nobody', key, 4096), mock);
    assert.equal(mock.salt.length, 16);
    assert.equal(mock.storedKey.length, 32);
    assert.equal(mock.serverKey.length, 32);
    assert.notDeepEqual(mockScramVerifier('nobody2', key, 4096).salt, mock.salt);
    assert.notDeepEqual(mockScramVerifier('nobody', Uint8Array.of(1), 4096).salt, mock.salt);
  });
});

describe('an exchange', () => {
  test('succeeds with the right password, and gives the key that proves it elsewhere', () => {
    const { server, trusted } = exchange(newServer(), new ScramClient('a=b,c', 'clientNonce'), SALTED);
    assert.ok(trusted);
    assert.equal(server.kind, 'ok');
    if (server.kind !== 'ok') return;

    const passing = new ScramClient('', 'otherNonce');
    const elsewhere = newServer();
    const first = elsewhere.first(passing.first());
    assert.equal(first.kind === 'continue' && passing.receiveFirst(first.data).kind, 'key');
    const keys = { clientKey: server.clientKey, serverKey: VERIFIER.serverKey };
    const final = elsewhere.final(passing.finalWithKeys(keys));
    assert.ok(final.kind === 'ok' && passing.verify(final.data));
  });

  test('fails with a wrong password at its end, with 28P01', () => {
    const { server } = exchange(newServer(), new ScramClient('u', 'n'), derive('Secret', SALT, 1));
    assert.deepEqual(server, { kind: 'fail', message: 'password authentication failed', code: '28P01' });
  });

  test('fails for a mock user even with keys that fit, in the same way', () => {
    const { server } = exchange(newServer(VERIFIER, true), new ScramClient('u', 'n'), SALTED);
    assert.deepEqual(server, { kind: 'fail', message: 'password authentication failed', code: '28P01' });
  });

  test('the client does not trust a server that lacks the verifier', () => {
    const otherServerKey = { ...VERIFIER, serverKey: serverKeyOf(derive('x', SALT, 1)) };
    const { server, trusted } = exchange(newServer(otherServerKey), new ScramClient('u', 'n'), SALTED);
    assert.equal(server.kind, 'ok');
    assert.equal(trusted, false);
  });

  test('messages out of order are refused', () => {
    const server = newServer();
    assert.equal(server.final(ascii('c=biws,r=x,p=x')).kind, 'fail');
    assert.equal(server.first(ascii('n,,n=,r=abc')).kind, 'continue');
    assert.equal(server.first(ascii('n,,n=,r=abc')).kind, 'fail');
    assert.equal(server.final(ascii('')).kind, 'fail');
    const client = new ScramClient('', 'abc');
    assert.equal(client.verify(ascii(RFC.serverFinal)), false);
    assert.throws(() => client.final(SALTED), TypeError);
  });

  test('a second guess in the same exchange is refused', () => {
    const server = newServer();
    const client = new ScramClient('u', 'n');
    const first = server.first(client.first());
    assert.ok(first.kind === 'continue' && client.receiveFirst(first.data).kind === 'key');
    assert.equal(server.final(client.final(derive('wrong', SALT, 1))).kind, 'fail');
    assert.equal(server.final(client.final(SALTED)).kind, 'fail');
  });
});

describe('the server against hostile clients', () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['', '08P01', /client-first-message expected/],
    ['n', '08P01', /expected/],
    ['n,,', '08P01', /expected/],
    ['n,,n=', '08P01', /expected/],
    ['n,,n=,r=', '08P01', /nonce/],
    ['n,,n=,r=a\x01b', '08P01', /nonce/],
    ['n,,n=,r=\xe9', '08P01', /nonce/],
    ['x,,n=,r=abc', '08P01', /expected/],
    ['n,,r=abc,n=', '08P01', /expected/],
    ['p=tls-server-end-point,,n=,r=abc', '08P01', /without channel binding/],
    ['n,a=other,n=,r=abc', '0A000', /authorization identity/],
    ['n,,m=ext,n=,r=abc', '0A000', /extension/],
    [`n,,n=,r=${'a'.repeat(1100)}`, '08P01', /too long/],
  ];
  for (const [message, code, text] of cases) {
    test(`refuses ${JSON.stringify(message.slice(0, 40))}`, () => {
      const result = newServer().first(ascii(message));
      assert.equal(result.kind, 'fail');
      if (result.kind !== 'fail') return;
      assert.equal(result.code, code);
      assert.match(result.message, text);
    });
  }

  test("accepts the flags 'n' and 'y', and holds the client to the one it sent", () => {
    for (const [flag, binding, other] of [
      ['n', 'biws', 'eSws'],
      ['y', 'eSws', 'biws'],
    ] as const) {
      const final = (sent: string) => {
        const server = newServer();
        assert.equal(server.first(ascii(`${flag},,n=u,r=abc`)).kind, 'continue');
        return server.final(ascii(`c=${sent},r=abcserverNonce,p=${Buffer.alloc(32).toString('base64')}`));
      };
      const right = final(binding);
      assert.equal(right.kind === 'fail' && right.code, '28P01');
      const wrong = final(other);
      assert.match(wrong.kind === 'fail' ? wrong.message : '', /channel-binding/);
    }
  });

  test('extensions that are not mandatory are passed over', () => {
    assert.equal(newServer().first(ascii('n,,n=u,r=abc,x=1')).kind, 'continue');
  });

  test('refuses a final message with another nonce or a malformed proof', () => {
    const proof = Buffer.alloc(32).toString('base64');
    const finals: readonly (readonly [string, RegExp])[] = [
      [`c=biws,r=abcOther,p=${proof}`, /nonce does not match/],
      [`c=biws,r=abc,p=${proof}`, /nonce does not match/],
      ['c=biws,r=abcserverNonce,p=', /malformed proof/],
      ['c=biws,r=abcserverNonce,p=AAAA', /malformed proof/],
      [`c=biws,r=abcserverNonce,p=${proof.slice(0, -1)}`, /malformed proof/],
      [`c=biws,r=abcserverNonce,p=${proof}\n`, /malformed proof/],
      [`c=biws,r=abcserverNonce,p=${proof},x=1`, /client-final-message expected/],
      [`r=abcserverNonce,c=biws,p=${proof}`, /client-final-message expected/],
      ['c=biws,r=abcserverNonce', /client-final-message expected/],
      [`c=biws,r=abcserverNonce,x=${'y'.repeat(1024)},p=${proof}`, /too long/],
    ];
    for (const [message, text] of finals) {
      const server = newServer();
      server.first(ascii('n,,n=u,r=abc'));
      const result = server.final(ascii(message));
      assert.match(result.kind === 'fail' ? result.message : 'accepted', text, message);
      assert.equal(result.kind === 'fail' && result.code, '08P01');
    }
  });

  test('a final message with any bit changed is refused', () => {
    const client = new ScramClient('u', 'abc');
    client.receiveFirst((newServer().first(client.first()) as { data: Buffer }).data);
    const good = client.final(SALTED);
    for (let at = 0; at < good.length * 8; at += 1) {
      const server = newServer();
      server.first(client.first());
      const changed = Buffer.from(good);
      changed[at >> 3]! ^= 1 << (at & 7);
      assert.equal(server.final(changed).kind, 'fail', `bit ${at}`);
    }
  });

  test('random messages never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.uint8Array({ maxLength: 60 }), (first, final) => {
        const server = newServer();
        server.first(first);
        assert.equal(server.final(final).kind, 'fail');
        const begun = newServer();
        begun.first(ascii('n,,n=u,r=abc'));
        assert.equal(begun.final(final).kind, 'fail');
      }),
      { numRuns: 1000 },
    );
  });
});

describe('the client against hostile servers', () => {
  const salt = 'AAAAAAAAAAAAAAAAAAAAAA==';
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['', '08P01', /server-first-message expected/],
    [`r=abc,s=${salt},i=4096`, '08P01', /nonce/],
    [`r=abx123,s=${salt},i=4096`, '08P01', /nonce/],
    [`r=abc\x7f,s=${salt},i=4096`, '08P01', /nonce/],
    ['r=abcdef,s=,i=4096', '08P01', /salt/],
    ['r=abcdef,s=!!!!,i=4096', '08P01', /salt/],
    [`r=abcdef,s=${salt},i=0`, '08P01', /expected/],
    [`r=abcdef,s=${salt},i=-5`, '08P01', /expected/],
    [`r=abcdef,s=${salt},i=1e9`, '08P01', /expected/],
    [`r=abcdef,s=${salt},i=99999999999`, '08P01', /expected/],
    [`r=abcdef,s=${salt},i=1000001`, '54000', /1000001 SCRAM iterations/],
    [`m=x,r=abcdef,s=${salt},i=4096`, '0A000', /extension/],
    [`r=abc${'d'.repeat(2000)},s=${salt},i=4096`, '08P01', /too long/],
  ];
  for (const [message, code, text] of cases) {
    test(`refuses ${JSON.stringify(message.slice(0, 50))}`, () => {
      const client = new ScramClient('', 'abc');
      const result = client.receiveFirst(ascii(message));
      assert.equal(result.kind, 'fail');
      if (result.kind !== 'fail') return;
      assert.equal(result.code, code);
      assert.match(result.message, text);
      assert.throws(() => client.final(SALTED), TypeError);
    });
  }

  test('accepts the highest count of iterations, once', () => {
    const client = new ScramClient('', 'abc');
    const message = ascii(`r=abcdef,s=${salt},i=1000000`);
    assert.equal(client.receiveFirst(message).kind, 'key');
    assert.equal(client.receiveFirst(message).kind, 'fail');
  });

  test('a final message that is an error, or malformed, proves nothing', () => {
    const client = new ScramClient('user', RFC.clientNonce);
    client.receiveFirst(ascii(RFC.serverFirst));
    client.final(RFC_SALTED);
    for (const message of [
      '',
      'e=other-error',
      'v=',
      'v=AAAA',
      `x${RFC.serverFinal}`,
      RFC.serverFinal.slice(0, -1),
    ]) {
      assert.equal(client.verify(ascii(message)), false, message);
    }
    assert.equal(client.verify(ascii(`${RFC.serverFinal},x=1`)), true);
  });

  test('random messages never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (message) => {
        const client = new ScramClient('', 'abc');
        assert.equal(client.receiveFirst(message).kind, 'fail');
        assert.equal(client.verify(message), false);
      }),
      { numRuns: 1000 },
    );
  });
});

test('a nonce that cannot stand in a message is refused', () => {
  for (const nonce of ['', 'a,b', 'a b', 'é']) {
    assert.throws(() => new ScramServer(VERIFIER, nonce, false), TypeError);
    assert.throws(() => new ScramClient('', nonce), TypeError);
  }
});

describe('channel binding', () => {
  const END_POINT = Uint8Array.from({ length: 32 }, (_, at) => 255 - at);
  const PLUS = 'SCRAM-SHA-256-PLUS';

  /** Runs an exchange by one mechanism; gives the server's last word. */
  function bound(client: ScramClient, offered: Uint8Array | null, mechanism: string) {
    const server = new ScramServer(VERIFIER, 'serverNonce', false, offered);
    const first = server.first(client.first(), mechanism);
    if (first.kind === 'fail') return first;
    assert.equal(client.receiveFirst(first.data).kind, 'key');
    return server.final(client.final(SALTED));
  }
  const messageOf = (step: { readonly kind: string; readonly message?: string }) => step.message ?? step.kind;

  test('the hash of the certificate is in what both sides sign', () => {
    const client = new ScramClient('', 'n', END_POINT);
    assert.match(client.first().toString(), /^p=tls-server-end-point,,n=,r=n$/);
    assert.equal(bound(client, END_POINT, PLUS).kind, 'ok');
  });

  test('another certificate in between is noticed', () => {
    const other = END_POINT.map((byte) => byte ^ 1);
    const step = bound(new ScramClient('', 'n', other), END_POINT, PLUS);
    assert.equal(messageOf(step), 'SCRAM channel binding check failed');
    assert.equal(step.kind === 'fail' && step.code, '28000');
  });

  test('an offer that was taken away is noticed', () => {
    const step = bound(new ScramClient('', 'n', 'unoffered'), END_POINT, 'SCRAM-SHA-256');
    assert.equal(messageOf(step), 'SCRAM channel binding negotiation error');
    assert.equal(bound(new ScramClient('', 'n', 'unoffered'), null, 'SCRAM-SHA-256').kind, 'ok');
  });

  test('a client that can do without is let in without', () => {
    assert.equal(bound(new ScramClient('', 'n', null), END_POINT, 'SCRAM-SHA-256').kind, 'ok');
  });

  test('the flag must agree with the mechanism', () => {
    const without = bound(new ScramClient('', 'n', null), END_POINT, PLUS);
    assert.match(
      messageOf(without),
      /selected SCRAM-SHA-256-PLUS, but .* does not include channel binding data/,
    );
    const against = bound(new ScramClient('', 'n', END_POINT), END_POINT, 'SCRAM-SHA-256');
    assert.match(messageOf(against), /selected SCRAM-SHA-256 without channel binding, but sent/);
    const server = new ScramServer(VERIFIER, 'serverNonce', false, END_POINT);
    const unique = server.first(ascii('p=tls-unique,,n=,r=n'), PLUS);
    assert.match(messageOf(unique), /unsupported SCRAM channel-binding type "tls-unique"/);
  });
});
