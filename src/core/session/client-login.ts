/**
 * How a client logs in: the untyped packets (SSLRequest, GSSENCRequest, CancelRequest, StartupMessage), then the
 * authentication that the settings ask for (protocol chapter, "Start-up" and "SASL Authentication").
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { readPassword, readSaslInitialResponse } from '../../wire/client-messages.js';
import type { ErrorFields } from '../../wire/error-fields.js';
import * as Frontend from '../../wire/frontend.js';
import { md5Password, verifyMd5Response } from '../../wire/md5.js';
import { mockScramVerifier, ScramServer } from '../../wire/scram.js';
import {
  buildAuthenticationCleartextPassword,
  buildAuthenticationMD5Password,
  buildAuthenticationSASL,
  buildAuthenticationSASLContinue,
  buildAuthenticationSASLFinal,
} from '../../wire/server-messages.js';
import { SqlState } from '../../wire/sqlstate.js';
import { buildNegotiateProtocolVersion, readStartupPacket, type StartupMessage } from '../../wire/startup.js';
import { STARTUP_PARAMETERS_MAX } from '../limits.js';
import type { GatewaySettings, UserSecret } from '../settings.js';
import type { ClientEncryption } from './client-encryption.js';

/** What the dialogue needs from outside. */
export interface ClientLoginServices {
  readonly settings: GatewaySettings;
  /** Random for the process; makes the mock exchange of unknown users the same each time. */
  readonly mockKey: Uint8Array;
  /** Whether the client speaks TLS, and what is known of it by that. */
  readonly encryption: ClientEncryption;
  /** The operating system has said who it is: the user of the gateway itself, at its console. */
  isOwner(startup: StartupMessage): boolean;
  send(message: Buffer | Uint8Array): void;
  randomBytes(length: number): Uint8Array;
}

/** What a step of the dialogue led to. */
export type LoginStep =
  | 'more'
  | { readonly kind: 'cancel'; readonly processId: number; readonly secret: Uint8Array }
  /** The startup packet was accepted; authentication may follow. */
  | { readonly kind: 'authenticated'; readonly startup: StartupMessage }
  | { readonly kind: 'fail'; readonly error: ErrorFields };

const SALT_BYTES = 4;
const NONCE_BYTES = 18;
const DEFAULT_SCRAM_ITERATIONS = 4096;

export class ClientLogin {
  startup: StartupMessage | null = null;
  private readonly services: ClientLoginServices;
  private md5Salt: Uint8Array | null = null;
  private scram: ScramServer | null = null;
  private awaiting: 'startup' | 'plain' | 'md5' | 'sasl-initial' | 'sasl-final' = 'startup';

  constructor(services: ClientLoginServices) {
    this.services = services;
  }

  get awaitsStartup(): boolean {
    return this.awaiting === 'startup';
  }

  get encryption(): ClientEncryption {
    return this.services.encryption;
  }

  /** Takes one whole untyped packet, with so many bytes behind it in the same chunk. */
  startupPacket(bytes: Uint8Array, start: number, end: number, bytesBehind: number): LoginStep {
    const packet = readStartupPacket(bytes, start, end);
    switch (packet.kind) {
      case 'ssl':
      case 'gssenc': {
        const error = this.encryption.request(packet.kind, bytesBehind);
        return error === null ? 'more' : { kind: 'fail', error };
      }
      case 'cancel':
        return packet;
      case 'invalid':
        return fail(packet.code, packet.message);
      case 'startup':
        return this.begin(packet);
    }
  }

  private begin(startup: StartupMessage): LoginStep {
    const unencrypted = this.encryption.refusal;
    if (unencrypted !== null) return { kind: 'fail', error: unencrypted };
    if (startup.parameters.size > STARTUP_PARAMETERS_MAX) {
      return fail(SqlState.protocol_violation, `more than ${STARTUP_PARAMETERS_MAX} startup parameters`);
    }
    this.startup = startup;
    if (startup.minor > 0 || startup.protocolOptions.length > 0) {
      this.services.send(buildNegotiateProtocolVersion(0, [...startup.protocolOptions]));
    }
    const replication = startup.parameters.get('replication');
    if (replication !== undefined && !/^(0|false|off|no)$/i.test(replication)) {
      return fail(
        SqlState.feature_not_supported,
        'replication connections are not supported by this gateway',
      );
    }
    if (this.services.isOwner(startup)) return { kind: 'authenticated', startup };
    return this.requestAuthentication(startup);
  }

  private requestAuthentication(startup: StartupMessage): LoginStep {
    const { settings } = this.services;
    if (settings.authType === 'trust') return { kind: 'authenticated', startup };
    if (settings.authType === 'plain') {
      this.awaiting = 'plain';
      this.services.send(buildAuthenticationCleartextPassword());
      return 'more';
    }
    const secret = this.secret();
    // A user of whom only a SCRAM verifier is known gets SCRAM also where auth_type is md5, as in PostgreSQL.
    const onlyScram =
      secret !== null && secret.md5 === null && secret.password === null && secret.scram !== null;
    if (settings.authType === 'md5' && !onlyScram) {
      this.awaiting = 'md5';
      this.md5Salt = this.services.randomBytes(SALT_BYTES);
      this.services.send(buildAuthenticationMD5Password(this.md5Salt));
      return 'more';
    }
    this.awaiting = 'sasl-initial';
    this.services.send(buildAuthenticationSASL(['SCRAM-SHA-256']));
    return 'more';
  }

  /** Takes the body of one whole message of the client during authentication. */
  message(type: number, bytes: Uint8Array, start: number, end: number): LoginStep {
    if (type !== Frontend.Password) {
      return fail(SqlState.protocol_violation, `expected password response, got message type ${type}`);
    }
    switch (this.awaiting) {
      case 'plain':
        return this.checkPlain(readPassword(bytes, start, end));
      case 'md5':
        return this.checkMd5(readPassword(bytes, start, end));
      case 'sasl-initial':
        return this.scramFirst(bytes, start, end);
      case 'sasl-final':
        return this.scramFinal(bytes, start, end);
      case 'startup':
        throw new Error('invariant: typed message before the startup packet');
    }
  }

  private checkPlain(answer: string): LoginStep {
    const user = this.userName();
    const secret = this.secret();
    // Against the hash where only that is known; an unknown user costs the same as a wrong password.
    const expected = secret?.password ?? secret?.md5 ?? '';
    const given = secret?.password != null ? answer : md5Password(user, answer);
    const equal = constantTimeEqual(given, expected);
    return secret !== null && expected !== '' && equal ? this.authenticated() : this.wrongPassword();
  }

  private checkMd5(answer: string): LoginStep {
    const user = this.userName();
    const secret = this.secret();
    const known = secret?.md5 ?? (secret?.password != null ? md5Password(user, secret.password) : null);
    const stored = known ?? md5Password(user, Buffer.from(this.services.mockKey).toString('hex'));
    const equal = verifyMd5Response(stored, this.md5Salt as Uint8Array, answer);
    return known !== null && equal ? this.authenticated() : this.wrongPassword();
  }

  private scramFirst(bytes: Uint8Array, start: number, end: number): LoginStep {
    const initial = readSaslInitialResponse(bytes, start, end);
    if (initial.mechanism !== 'SCRAM-SHA-256') {
      return fail(SqlState.protocol_violation, 'client selected an invalid SASL authentication mechanism');
    }
    if (initial.data === null) return fail(SqlState.protocol_violation, 'empty SCRAM message');
    const verifier = this.secret()?.scram ?? null;
    const mock = mockScramVerifier(this.userName(), this.services.mockKey, DEFAULT_SCRAM_ITERATIONS);
    const nonce = Buffer.from(this.services.randomBytes(NONCE_BYTES)).toString('base64');
    this.scram = new ScramServer(verifier ?? mock, nonce, verifier === null);
    const step = this.scram.first(initial.data);
    if (step.kind === 'fail') return fail(step.code, step.message);
    this.awaiting = 'sasl-final';
    this.services.send(buildAuthenticationSASLContinue(step.data));
    return 'more';
  }

  private scramFinal(bytes: Uint8Array, start: number, end: number): LoginStep {
    const step = (this.scram as ScramServer).final(bytes.subarray(start, end));
    if (step.kind === 'fail') {
      return step.code === SqlState.invalid_password ? this.wrongPassword() : fail(step.code, step.message);
    }
    this.services.send(buildAuthenticationSASLFinal(step.data));
    return this.authenticated();
  }

  private authenticated(): LoginStep {
    return { kind: 'authenticated', startup: this.startup as StartupMessage };
  }

  private wrongPassword(): LoginStep {
    return fail(SqlState.invalid_password, `password authentication failed for user "${this.userName()}"`);
  }

  private userName(): string {
    return (this.startup as StartupMessage).parameters.get('user') ?? '';
  }

  private secret(): UserSecret | null {
    return this.services.settings.users.get(this.userName())?.secret ?? null;
  }
}

function fail(code: SqlState, message: string): LoginStep {
  return { kind: 'fail', error: { severity: 'FATAL', code, message } };
}

/** Takes the same time whatever the lengths and the first difference are. */
function constantTimeEqual(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
