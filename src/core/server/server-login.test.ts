import assert from 'node:assert/strict';
import { pbkdf2Sync } from 'node:crypto';
import { describe, test } from 'node:test';
import { readSaslInitialResponse, readSaslResponse } from '../../wire/client-messages.js';
import { HEADER_BYTES } from '../../wire/framing.js';
import { clientKeyOf, makeScramVerifier, ScramServer, serverKeyOf } from '../../wire/scram.js';
import {
  buildAuthenticationSASL,
  buildAuthenticationSASLContinue,
  buildAuthenticationSASLFinal,
} from '../../wire/server-messages.js';
import type { TlsFacts } from '../io.js';
import { LearntScramKeys } from '../scram-keys.js';
import type { UserSecret } from '../settings.js';
import { type LoginProgress, ServerLogin } from './server-login.js';

const SALT = Uint8Array.from({ length: 16 }, (_, at) => at);
const ITERATIONS = 2;
const SALTED = pbkdf2Sync('secret', SALT, ITERATIONS, 32, 'sha256');
const VERIFIER = makeScramVerifier(SALTED, SALT, ITERATIONS);
const HASH = new Uint8Array(32).fill(9);
const BOTH = ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256'];

const withPassword: UserSecret = { password: 'secret', md5: null, scram: null };
const withVerifier: UserSecret = { password: null, md5: null, scram: VERIFIER };
const tls = (serverEndPoint: Uint8Array | null): TlsFacts => ({
  description: 'TLSv1.3/x',
  applicationProtocol: null,
  peer: null,
  serverEndPoint,
});

/** A login at a server that has the verifier; the server's side of the exchange is made here. */
class Stage {
  readonly sent: Buffer[] = [];
  readonly keys = new LearntScramKeys();
  readonly login: ServerLogin;

  constructor(secret: UserSecret, facts: TlsFacts | null) {
    const user = { name: 'alice', secret, limits: null, isListed: true };
    this.login = new ServerLogin(user, {
      send: (message) => this.sent.push(message),
      deriveKey: () => {},
      nonce: () => 'ourNonce',
      tls: () => facts,
      scramKeys: this.keys,
    });
  }

  tell(message: Buffer): LoginProgress {
    return this.login.message(message[0]!, message, HEADER_BYTES, message.length);
  }

  /** The mechanism that is chosen, and the first message of the exchange. */
  begin(mechanisms: readonly string[]): { readonly mechanism: string; readonly first: Uint8Array } {
    assert.equal(this.tell(buildAuthenticationSASL(mechanisms)), 'more');
    const message = this.sent.shift()!;
    const { mechanism, data } = readSaslInitialResponse(message, HEADER_BYTES, message.length);
    return { mechanism, first: data! };
  }

  /** Runs the exchange; the server has offered channel binding with a hash, or not. */
  exchange(mechanisms: readonly string[], offered: Uint8Array | null): LoginProgress {
    const { mechanism, first } = this.begin(mechanisms);
    const server = new ScramServer(VERIFIER, 'serverNonce', false, offered);
    const challenge = server.first(first, mechanism);
    assert.ok(challenge.kind === 'continue', JSON.stringify(challenge));
    const progress = this.tell(buildAuthenticationSASLContinue(challenge.data));
    if (progress !== 'more') return progress;
    if (this.sent.length === 0) this.login.keyDerived(SALTED);
    const message = this.sent.shift()!;
    const end = server.final(readSaslResponse(message, HEADER_BYTES, message.length));
    assert.ok(end.kind === 'ok', JSON.stringify(end));
    return this.tell(buildAuthenticationSASLFinal(end.data));
  }
}

describe('SCRAM towards a server', () => {
  test('is bound to the TLS session where the server offers that', () => {
    const stage = new Stage(withPassword, tls(HASH));
    assert.equal(stage.exchange(BOTH, HASH), 'more');
  });

  test('says that binding was not offered, so that a server which has offered it finds out', () => {
    const { mechanism, first } = new Stage(withPassword, tls(HASH)).begin(['SCRAM-SHA-256']);
    assert.equal(mechanism, 'SCRAM-SHA-256');
    assert.match(Buffer.from(first).toString(), /^y,,/);
  });

  test('goes without where there is no TLS, or the certificate defines no hash', () => {
    for (const facts of [null, tls(null)]) {
      const { mechanism, first } = new Stage(withPassword, facts).begin(BOTH);
      assert.equal(mechanism, 'SCRAM-SHA-256');
      assert.match(Buffer.from(first).toString(), /^n,,/);
    }
  });

  test('takes keys that a client has shown, if they belong to the same verifier', () => {
    const stage = new Stage(withVerifier, null);
    const keys = { clientKey: clientKeyOf(SALTED), serverKey: serverKeyOf(SALTED) };
    stage.keys.learn('alice', VERIFIER, keys);
    assert.equal(stage.exchange(['SCRAM-SHA-256'], null), 'more');
    const other = new Stage(withVerifier, null);
    other.keys.learn('alice', { salt: SALT, iterations: ITERATIONS + 1 }, keys);
    const refused = other.exchange(['SCRAM-SHA-256'], null);
    assert.ok(typeof refused === 'object' && /wrong password type/.test(refused.message));
  });

  test('fails where nothing is known but a verifier', () => {
    const refused = new Stage(withVerifier, null).tell(buildAuthenticationSASL(['SCRAM-SHA-256']));
    assert.ok(typeof refused === 'object');
    assert.equal(refused.message, 'server login failed: wrong password type');
    assert.equal(refused.code, '28P01');
  });
});
