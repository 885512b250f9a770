/**
 * `scram-sha-256`: the client proves that it knows its password, and we that we have its verifier (protocol chapter,
 * "SASL Authentication"; RFC 5802). With TLS the exchange can be bound to the session (SCRAM-SHA-256-PLUS).
 */
import { readSaslInitialResponse } from '../../../wire/client-messages.js';
import {
  mockScramVerifier,
  SCRAM_SHA_256,
  SCRAM_SHA_256_PLUS,
  type ScramFailure,
  ScramServer,
  type ScramVerifier,
} from '../../../wire/scram.js';
import {
  buildAuthenticationSASL,
  buildAuthenticationSASLContinue,
  buildAuthenticationSASLFinal,
} from '../../../wire/server-messages.js';
import { SqlState } from '../../../wire/sqlstate.js';
import {
  type AuthenticationStep,
  type Claim,
  type Dialogue,
  type DialogueServices,
  fail,
  proved,
  unproved,
} from './dialogue.js';

const NONCE_BYTES = 18;

export class ScramExchange implements Dialogue {
  private readonly claim: Claim;
  private readonly services: DialogueServices;
  /** The best first. */
  private readonly offered: readonly string[];
  /** Null before the client's first message. */
  private exchange: ScramServer | null = null;

  constructor(claim: Claim, services: DialogueServices) {
    this.claim = claim;
    this.services = services;
    this.offered = this.endPoint === null ? [SCRAM_SHA_256] : [SCRAM_SHA_256_PLUS, SCRAM_SHA_256];
    services.send(buildAuthenticationSASL(this.offered));
  }

  /** The hash of the certificate that this very connection was secured with. */
  private get endPoint(): Uint8Array | null {
    return this.services.tls?.serverEndPoint ?? null;
  }

  message(bytes: Uint8Array, start: number, end: number): AuthenticationStep {
    return this.exchange === null ? this.first(bytes, start, end) : this.final(bytes, start, end);
  }

  private first(bytes: Uint8Array, start: number, end: number): AuthenticationStep {
    const { mechanism, data } = readSaslInitialResponse(bytes, start, end);
    if (!this.offered.includes(mechanism)) {
      return fail(SqlState.protocol_violation, 'client selected an invalid SASL authentication mechanism');
    }
    if (data === null) return fail(SqlState.protocol_violation, 'empty SCRAM message');
    const { verifier } = this;
    const { context } = this.services;
    const mock = mockScramVerifier(this.claim.name, context.mockKey, context.settings.scramIterations);
    const nonce = Buffer.from(context.io.randomBytes(NONCE_BYTES)).toString('base64');
    this.exchange = new ScramServer(verifier ?? mock, nonce, verifier === null, this.endPoint);
    const step = this.exchange.first(data, mechanism);
    if (step.kind === 'fail') return this.failed(step);
    this.services.send(buildAuthenticationSASLContinue(step.data));
    return 'more';
  }

  private final(bytes: Uint8Array, start: number, end: number): AuthenticationStep {
    const step = (this.exchange as ScramServer).final(bytes.subarray(start, end));
    if (step.kind === 'fail') return this.failed(step);
    this.services.send(buildAuthenticationSASLFinal(step.data));
    const { verifier, claim } = this;
    // Of a user whose password is known we need no keys.
    if (verifier !== null && claim.secret?.password === null) {
      const keys = { clientKey: step.clientKey, serverKey: verifier.serverKey };
      this.services.context.scramKeys.learn(claim.name, verifier, keys);
    }
    return proved(claim);
  }

  private get verifier(): ScramVerifier | null {
    return this.claim.secret?.scram ?? null;
  }

  private failed({ code, message }: ScramFailure): AuthenticationStep {
    if (code !== SqlState.invalid_password) return fail(code, message);
    return unproved('SASL authentication failed', code);
  }
}
