/**
 * Both sides of a SCRAM-SHA-256 exchange (RFC 5802, RFC 7677; PostgreSQL documentation, "SASL Authentication"), as machines
 * that take the other side's messages and give ours. No randomness and no PBKDF2 in them: the nonce and the salted
 * password are handed in. Expected outcomes, a wrong password among them, are return values.
 *
 * Channel binding (SCRAM-SHA-256-PLUS) is of the type `tls-server-end-point` (RFC 5929): both sides put the hash of the
 * server's certificate into what they sign, so that nobody in between can pass the exchange on over another TLS session.
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
/** The same, bound to the TLS session. */
export const SCRAM_SHA_256_PLUS = 'SCRAM-SHA-256-PLUS';

const BINDING_TYPE = 'tls-server-end-point';

/** The exchange is over. */
export interface ScramFailure {
  readonly kind: 'fail';
  /** In PostgreSQL's style; from {@link ScramServer} it may be sent to the client as it is. */
  readonly message: string;
  /** 08P01 for a malformed message, 0A000 for what isn't supported, 28P01 for a wrong proof, 28000 for a wrong binding. */
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

/** What a client says of channel binding: its gs2 flag, and the bytes behind the header in `c=`. */
interface Binding {
  readonly flag: string;
  readonly data: Uint8Array;
}

const NOTHING = new Uint8Array(0);

/** The side of the server towards one client. Each call is good for once, in this order: `first`, `final`. */
export class ScramServer {
  readonly #verifier: ScramVerifier;
  readonly #nonce: string;
  readonly #mock: boolean;
  readonly #endPoint: Uint8Array | null;
  #expects: 'first' | 'final' | 'nothing' = 'first';
  /** What `c=` of the client's final message must hold. */
  #binding = '';
  #isBound = false;
  #clientFirstBare = '';
  #serverFirst = '';
  #wholeNonce = '';

  /**
   * @param nonce our part: printable ASCII without commas, at least 18 random bytes in base64.
   * @param mock the user doesn't exist: the exchange goes its way and fails at its end.
   * @param endPoint the hash of our certificate; null: SCRAM-SHA-256-PLUS was not offered.
   */
  constructor(verifier: ScramVerifier, nonce: string, mock: boolean, endPoint: Uint8Array | null = null) {
    if (!NONCE.test(nonce)) throw new TypeError('a SCRAM nonce is printable ASCII without commas');
    this.#verifier = verifier;
    this.#nonce = nonce;
    this.#mock = mock;
    this.#endPoint = endPoint;
  }

  /**
   * Takes client-first-message, gives server-first-message.
   * @param mechanism one of those that were offered: the client's choice
   */
  first(
    clientFirst: Uint8Array,
    mechanism: string = SCRAM_SHA_256,
  ): { readonly kind: 'continue'; readonly data: Buffer } | ScramFailure {
    if (this.#expects !== 'first') return malformed('message out of order');
    this.#expects = 'nothing';
    if (clientFirst.length > MAX_CLIENT_SASL_MESSAGE_BYTES) return malformed('message too long');
    const text = decodeText(clientFirst, 0, clientFirst.length);
    if (MANDATORY_EXTENSION.test(text)) return unsupported('client requires an unsupported SCRAM extension');
    const match = CLIENT_FIRST.exec(text);
    if (match === null) return malformed('client-first-message expected');
    const [, flag, authzid, bare, clientNonce] = match;
    this.#isBound = mechanism === SCRAM_SHA_256_PLUS;
    const contradiction = this.#judgeFlag(flag);
    if (contradiction !== null) return contradiction;
    if (authzid !== undefined) {
      return unsupported('client uses authorization identity, but it is not supported');
    }
    if (!NONCE.test(clientNonce)) return malformed('non-printable characters in nonce');
    this.#binding = bindingText({ flag, data: this.#isBound ? (this.#endPoint ?? NOTHING) : NOTHING });
    this.#clientFirstBare = bare;
    this.#wholeNonce = clientNonce + this.#nonce;
    const { salt, iterations } = this.#verifier;
    this.#serverFirst = `r=${this.#wholeNonce},s=${encodeBase64(salt)},i=${iterations}`;
    this.#expects = 'final';
    return { kind: 'continue', data: Buffer.from(this.#serverFirst, 'latin1') };
  }

  /** As PostgreSQL does: the flag must agree with the mechanism, and `y` with what was offered. */
  #judgeFlag(flag: string): ScramFailure | null {
    if (this.#isBound) {
      if (!flag.startsWith('p=')) {
        return malformed(
          'the client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel binding data',
        );
      }
      if (flag === `p=${BINDING_TYPE}`) return null;
      return malformed(`unsupported SCRAM channel-binding type "${flag.slice(2)}"`);
    }
    if (flag.startsWith('p')) {
      return malformed(
        'the client selected SCRAM-SHA-256 without channel binding, but sent channel binding data',
      );
    }
    // 'y' says that we didn't offer it: somebody in between has taken the offer away.
    if (flag === 'y' && this.#endPoint !== null) {
      return notAuthorized('SCRAM channel binding negotiation error');
    }
    return null;
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
    if (binding !== this.#binding) {
      if (this.#isBound) return notAuthorized('SCRAM channel binding check failed');
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

/**
 * What a client does about channel binding: the hash of the server's certificate (with SCRAM-SHA-256-PLUS), `unoffered`
 * (it could, but the server didn't offer it), or null (it can't: no TLS, or a certificate that defines no hash).
 */
export type ClientBinding = Uint8Array | 'unoffered' | null;

/** Our side towards a PostgreSQL server: `first`, `receiveFirst`, `final` (or `finalWithKeys`), `verify`. */
export class ScramClient {
  readonly #nonce: string;
  readonly #firstBare: string;
  readonly #binding: Binding;
  #serverFirst = '';
  #wholeNonce = '';
  #expectedSignature: Buffer | null = null;

  /**
   * @param user PostgreSQL ignores it and takes the name of the startup packet; libpq sends an empty one.
   * @param nonce printable ASCII without commas, at least 18 random bytes in base64.
   */
  constructor(user: string, nonce: string, binding: ClientBinding = null) {
    if (!NONCE.test(nonce)) throw new TypeError('a SCRAM nonce is printable ASCII without commas');
    this.#nonce = nonce;
    this.#binding = clientBinding(binding);
    this.#firstBare = `n=${user.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`;
  }

  /** client-first-message. */
  first(): Buffer {
    return encodeText(`${this.#binding.flag},,${this.#firstBare}`);
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
    const withoutProof = `c=${bindingText(this.#binding)},r=${this.#wholeNonce}`;
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

function clientBinding(binding: ClientBinding): Binding {
  if (binding === null) return { flag: 'n', data: NOTHING };
  if (binding === 'unoffered') return { flag: 'y', data: NOTHING };
  return { flag: `p=${BINDING_TYPE}`, data: binding };
}

/** The attribute `c=`: the gs2 header, and behind it the binding's data. */
function bindingText({ flag, data }: Binding): string {
  return encodeBase64(Buffer.concat([Buffer.from(`${flag},,`, 'latin1'), data]));
}

function notAuthorized(message: string): ScramFailure {
  return { kind: 'fail', message, code: SqlState.invalid_authorization_specification };
}

function malformed(what: string): ScramFailure {
  return { kind: 'fail', message: `malformed SCRAM message (${what})`, code: SqlState.protocol_violation };
}

function unsupported(message: string): ScramFailure {
  return { kind: 'fail', message, code: SqlState.feature_not_supported };
}
