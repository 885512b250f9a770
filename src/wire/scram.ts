/**
 * Both sides of a SCRAM-SHA-256 exchange (RFC 5802, RFC 7677; PostgreSQL documentation, "SASL Authentication"), as machines
 * that take the other side's messages and give ours. No randomness and no PBKDF2 in them: the nonce and the salted
 * password are handed in. Expected outcomes, a wrong password among them, are return values.
 *
 * Channel binding (SCRAM-SHA-256-PLUS) is not offered. Its place is {@link ScramServer.first}, where the gs2 flag is judged,
 * and the `c=` attribute of the final message.
 */
import { timingSafeEqual } from 'node:crypto';
import {
  MAX_CLIENT_SASL_MESSAGE_BYTES,
  MAX_SCRAM_ITERATIONS,
  MAX_SERVER_SASL_MESSAGE_BYTES,
} from './limits.js';
import {
  clientKeyOf,
  decodeBase64,
  encodeBase64,
  hmac,
  SCRAM_KEY_BYTES,
  type ScramVerifier,
  serverKeyOf,
  sha256,
  xorKeys,
} from './scram-verifier.js';
import { SqlState } from './sqlstate.js';
import { decodeText, encodeText } from './text.js';

export { saslPrep } from './saslprep.js';
export * from './scram-verifier.js';

/** The mechanism's name in AuthenticationSASL and SASLInitialResponse. */
export const SCRAM_SHA_256 = 'SCRAM-SHA-256';

/** The exchange is over. */
export interface ScramFailure {
  readonly kind: 'fail';
  /** In PostgreSQL's style; from {@link ScramServer} it may be sent to the client as it is. */
  readonly message: string;
  /** 08P01 for a malformed message, 0A000 for what isn't supported, 28P01 for a wrong proof. */
  readonly code: SqlState;
}

/** Printable ASCII without a comma (RFC 5802, section 7). */
const NONCE = /^[\x21-\x2b\x2d-\x7e]+$/;
/** gs2 flag, authorization identity, then the bare message: name, nonce, extensions that are ignored. */
const CLIENT_FIRST = /^([ny]|p=[A-Za-z0-9.-]+),(a=[^,]*)?,(n=[^,]*,r=([^,]*)(?:,.*)?)$/s;
const CLIENT_FINAL = /^(c=([^,]*),r=([^,]*)(?:,.*)?),p=([^,]*)$/s;
const SERVER_FIRST = /^r=([^,]*),s=([^,]*),i=([1-9][0-9]{0,9})(?:,.*)?$/s;
const SERVER_FINAL = /^v=([^,]*)(?:,.*)?$/s;
const MANDATORY_EXTENSION = /^(?:[ny]|p=[^,]*),(?:a=[^,]*)?,m=/;

/** The side of the server towards one client. Each call is good for once, in this order: `first`, `final`. */
export class ScramServer {
  readonly #verifier: ScramVerifier;
  readonly #nonce: string;
  readonly #mock: boolean;
  #expects: 'first' | 'final' | 'nothing' = 'first';
  #gs2Header = '';
  #clientFirstBare = '';
  #serverFirst = '';
  #wholeNonce = '';

  /**
   * @param nonce our part: printable ASCII without commas, at least 18 random bytes in base64.
   * @param mock the user doesn't exist: the exchange goes its way and fails at its end.
   */
  constructor(verifier: ScramVerifier, nonce: string, mock: boolean) {
    if (!NONCE.test(nonce)) throw new TypeError('a SCRAM nonce is printable ASCII without commas');
    this.#verifier = verifier;
    this.#nonce = nonce;
    this.#mock = mock;
  }

  /** Takes client-first-message, gives server-first-message. */
  first(clientFirst: Uint8Array): { readonly kind: 'continue'; readonly data: Buffer } | ScramFailure {
    if (this.#expects !== 'first') return malformed('message out of order');
    this.#expects = 'nothing';
    if (clientFirst.length > MAX_CLIENT_SASL_MESSAGE_BYTES) return malformed('message too long');
    const text = decodeText(clientFirst, 0, clientFirst.length);
    if (MANDATORY_EXTENSION.test(text)) return unsupported('client requires an unsupported SCRAM extension');
    const match = CLIENT_FIRST.exec(text);
    if (match === null) return malformed('client-first-message expected');
    const [, flag, authzid, bare, clientNonce] = match;
    // 'y' claims that we don't support channel binding, which is true as long as -PLUS is not offered.
    if (flag.startsWith('p')) {
      return malformed(
        'the client selected SCRAM-SHA-256 without channel binding, but sent channel binding data',
      );
    }
    if (authzid !== undefined) {
      return unsupported('client uses authorization identity, but it is not supported');
    }
    if (!NONCE.test(clientNonce)) return malformed('non-printable characters in nonce');
    this.#gs2Header = `${flag},,`;
    this.#clientFirstBare = bare;
    this.#wholeNonce = clientNonce + this.#nonce;
    const { salt, iterations } = this.#verifier;
    this.#serverFirst = `r=${this.#wholeNonce},s=${encodeBase64(salt)},i=${iterations}`;
    this.#expects = 'final';
    return { kind: 'continue', data: Buffer.from(this.#serverFirst, 'latin1') };
  }

  /**
   * Takes client-final-message, gives server-final-message. `clientKey` proves the password towards any server that has the
   * same verifier: keep it as secret as the password.
   */
  final(
    clientFinal: Uint8Array,
  ): { readonly kind: 'ok'; readonly data: Buffer; readonly clientKey: Uint8Array } | ScramFailure {
    if (this.#expects !== 'final') return malformed('message out of order');
    this.#expects = 'nothing';
    if (clientFinal.length > MAX_CLIENT_SASL_MESSAGE_BYTES) return malformed('message too long');
    const match = CLIENT_FINAL.exec(decodeText(clientFinal, 0, clientFinal.length));
    if (match === null) return malformed('client-final-message expected');
    const [, withoutProof, binding, nonce, proofText] = match;
    if (binding !== encodeBase64(Buffer.from(this.#gs2Header))) {
      return malformed('unexpected SCRAM channel-binding attribute in client-final-message');
    }
    if (nonce !== this.#wholeNonce) return malformed('nonce does not match');
    const proof = decodeBase64(proofText);
    if (proof?.length !== SCRAM_KEY_BYTES) return malformed('malformed proof in client-final-message');

    const { storedKey, serverKey } = this.#verifier;
    const authMessage = encodeText(`${this.#clientFirstBare},${this.#serverFirst},${withoutProof}`);
    const clientKey = xorKeys(proof, hmac(storedKey, authMessage));
    const isProven = timingSafeEqual(sha256(clientKey), storedKey);
    if (!isProven || this.#mock) {
      return { kind: 'fail', message: 'password authentication failed', code: SqlState.invalid_password };
    }
    const signature = encodeBase64(hmac(serverKey, authMessage));
    return { kind: 'ok', data: Buffer.from(`v=${signature}`, 'latin1'), clientKey };
  }
}

/** What proves a password to a server without knowing it: from a client's own exchange and the verifier. */
export interface ScramKeys {
  readonly clientKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

/** Our side towards a PostgreSQL server: `first`, `receiveFirst`, `final` (or `finalWithKeys`), `verify`. */
export class ScramClient {
  readonly #nonce: string;
  readonly #firstBare: string;
  #serverFirst = '';
  #wholeNonce = '';
  #expectedSignature: Buffer | null = null;

  /**
   * @param user PostgreSQL ignores it and takes the name of the startup packet; libpq sends an empty one.
   * @param nonce printable ASCII without commas, at least 18 random bytes in base64.
   */
  constructor(user: string, nonce: string) {
    if (!NONCE.test(nonce)) throw new TypeError('a SCRAM nonce is printable ASCII without commas');
    this.#nonce = nonce;
    this.#firstBare = `n=${user.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`;
  }

  /** client-first-message; the flag `n` says that we don't do channel binding. */
  first(): Buffer {
    return encodeText(`n,,${this.#firstBare}`);
  }

  /** Takes server-first-message, and says which key is to be derived from the password. */
  receiveFirst(
    serverFirst: Uint8Array,
  ): { readonly kind: 'key'; readonly salt: Uint8Array; readonly iterations: number } | ScramFailure {
    if (this.#serverFirst !== '') return malformed('message out of order');
    if (serverFirst.length > MAX_SERVER_SASL_MESSAGE_BYTES) return malformed('message too long');
    const text = decodeText(serverFirst, 0, serverFirst.length);
    if (text.startsWith('m=')) return unsupported('server requires an unsupported SCRAM extension');
    const match = SERVER_FIRST.exec(text);
    if (match === null) return malformed('server-first-message expected');
    const [, nonce, saltText, iterationsText] = match;
    if (!NONCE.test(nonce) || !nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      return malformed('nonce does not extend ours');
    }
    const salt = decodeBase64(saltText);
    if (salt === null || salt.length === 0) return malformed('malformed salt');
    const iterations = Number(iterationsText);
    if (iterations > MAX_SCRAM_ITERATIONS) {
      return {
        kind: 'fail',
        message: `server asks for ${iterations} SCRAM iterations, at most ${MAX_SCRAM_ITERATIONS} are done`,
        code: SqlState.program_limit_exceeded,
      };
    }
    this.#serverFirst = text;
    this.#wholeNonce = nonce;
    return { kind: 'key', salt, iterations };
  }

  /** client-final-message, from PBKDF2 of the prepared password. Only after {@link receiveFirst} gave `key`. */
  final(saltedPassword: Uint8Array): Buffer {
    return this.finalWithKeys({
      clientKey: clientKeyOf(saltedPassword),
      serverKey: serverKeyOf(saltedPassword),
    });
  }

  /** The same from keys; they fit only if the server has the verifier that they came from. */
  finalWithKeys(keys: ScramKeys): Buffer {
    if (this.#serverFirst === '') throw new TypeError('the server-first-message has not been received');
    const withoutProof = `c=biws,r=${this.#wholeNonce}`;
    const authMessage = encodeText(`${this.#firstBare},${this.#serverFirst},${withoutProof}`);
    this.#expectedSignature = hmac(keys.serverKey, authMessage);
    const proof = xorKeys(keys.clientKey, hmac(sha256(keys.clientKey), authMessage));
    return Buffer.from(`${withoutProof},p=${encodeBase64(proof)}`, 'latin1');
  }

  /** Whether server-final-message proves that the server knows the verifier. False: don't talk to it. */
  verify(serverFinal: Uint8Array): boolean {
    const expected = this.#expectedSignature;
    if (expected === null || serverFinal.length > MAX_SERVER_SASL_MESSAGE_BYTES) return false;
    const match = SERVER_FINAL.exec(decodeText(serverFinal, 0, serverFinal.length));
    const signature = match === null ? null : decodeBase64(match[1]);
    return signature?.length === SCRAM_KEY_BYTES && timingSafeEqual(signature, expected);
  }
}

function malformed(what: string): ScramFailure {
  return { kind: 'fail', message: `malformed SCRAM message (${what})`, code: SqlState.protocol_violation };
}

function unsupported(message: string): ScramFailure {
  return { kind: 'fail', message, code: SqlState.feature_not_supported };
}
