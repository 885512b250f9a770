/**
 * The dialogue with which the gateway logs in to a server: StartupMessage, authentication, parameters, until the
 * first ReadyForQuery (protocol chapter, "Start-up"). Bytes in, bytes out; no I/O.
 */
import * as Backend from '../../wire/backend.js';
import { buildPassword, buildSaslInitialResponse, buildSaslResponse } from '../../wire/client-messages.js';
import { type ErrorFields, readErrorFields } from '../../wire/error-fields.js';
import { md5Password, md5Response } from '../../wire/md5.js';
import { ProtocolViolation } from '../../wire/protocol-violation.js';
import {
  type ClientBinding,
  SCRAM_SHA_256,
  SCRAM_SHA_256_PLUS,
  ScramClient,
  type ScramFailure,
  saslPrep,
} from '../../wire/scram.js';
import {
  type AuthenticationRequest,
  readAuthentication,
  readBackendKeyData,
  readParameterStatus,
} from '../../wire/server-messages.js';
import { SqlState } from '../../wire/sqlstate.js';
import type { TlsFacts } from '../io.js';
import type { LearntScramKeys } from '../scram-keys.js';
import type { UserSettings } from '../settings.js';

/** What the dialogue needs from outside. */
export interface LoginServices {
  send(message: Buffer): void;
  /** Asks for PBKDF2; answered by {@link ServerLogin.keyDerived}. */
  deriveKey(password: string, salt: Uint8Array, iterations: number): void;
  nonce(): string;
  /** What TLS has settled; null: the connection is not encrypted. */
  tls(): TlsFacts | null;
  /** For a user of whom only a verifier is known. */
  readonly scramKeys: LearntScramKeys;
}

export type LoginProgress = 'more' | 'ready' | ErrorFields;

/** How a session is opened, as the connection sees it: whole messages in, `ready` when it can serve. */
export interface LoginDialogue {
  /** As the server reported them. */
  readonly parameters: ReadonlyMap<string, string>;
  readonly processId: number;
  readonly secret: Uint8Array;
  /** Non-null: the server has been asked to end the connection, and why. */
  readonly farewell: string | null;
  /** Takes one whole message, its body being `bytes[start, end)`. */
  message(type: number, bytes: Uint8Array, start: number, end: number): LoginProgress;
  /** The answer to a key derivation. */
  keyDerived(saltedPassword: Uint8Array | null): LoginProgress;
}

export class ServerLogin implements LoginDialogue {
  readonly farewell = null;
  /** As the server reported them. */
  readonly parameters = new Map<string, string>();
  processId = 0;
  secret: Uint8Array = new Uint8Array(0);
  private readonly user: UserSettings;
  private readonly services: LoginServices;
  private scram: ScramClient | null = null;
  /** The server has proved that it knows the password too (SCRAM), or needn't. */
  private serverProved = true;
  /** AuthenticationOk has come. */
  private isAdmitted = false;

  constructor(user: UserSettings, services: LoginServices) {
    this.user = user;
    this.services = services;
  }

  /** Takes one whole message, its body being `bytes[start, end)`. */
  message(type: number, bytes: Uint8Array, start: number, end: number): LoginProgress {
    try {
      return this.understand(type, bytes, start, end);
    } catch (error) {
      if (error instanceof ProtocolViolation) return refusal(error.message);
      throw error;
    }
  }

  private understand(type: number, bytes: Uint8Array, start: number, end: number): LoginProgress {
    // An impostor could otherwise leave out the proof that it owes.
    if (this.isAdmitted ? type === Backend.Authentication : BEHIND_ADMISSION.has(type))
      return unexpected(type);
    switch (type) {
      case Backend.Authentication:
        return this.authenticate(readAuthentication(bytes, start, end));
      case Backend.ParameterStatus: {
        const { name, value } = readParameterStatus(bytes, start, end);
        this.parameters.set(name, value);
        return 'more';
      }
      case Backend.BackendKeyData: {
        const key = readBackendKeyData(bytes, start, end);
        this.processId = key.processId;
        this.secret = Uint8Array.from(key.secret);
        return 'more';
      }
      case Backend.NoticeResponse:
      case Backend.NegotiateProtocolVersion:
        return 'more';
      case Backend.ErrorResponse:
        return readErrorFields(bytes, start, end);
      case Backend.ReadyForQuery:
        return end - start === 1 && bytes[start] === Backend.Idle ? 'ready' : unexpected(type);
      default:
        return unexpected(type);
    }
  }

  /** The answer to `deriveKey`. */
  keyDerived(saltedPassword: Uint8Array | null): LoginProgress {
    if (this.scram === null || saltedPassword === null) return refusal('could not derive the SCRAM key');
    this.services.send(buildSaslResponse(this.scram.final(saltedPassword)));
    return 'more';
  }

  private authenticate(request: AuthenticationRequest): LoginProgress {
    switch (request.kind) {
      case 'ok':
        if (!this.serverProved)
          return refusal('server ended SCRAM without proving that it knows the password');
        this.isAdmitted = true;
        return 'more';
      case 'cleartextPassword':
        return this.sendPassword((password) => password);
      case 'md5Password':
        return this.answerMd5(request.salt);
      case 'sasl':
        return this.beginScram(request.mechanisms);
      case 'saslContinue':
        return this.continueScram(request.data);
      case 'saslFinal':
        if (this.scram?.verify(request.data) !== true) return refusal('server sent a wrong SCRAM signature');
        this.serverProved = true;
        return 'more';
      default:
        return refusal('server asks for an authentication method that is not supported');
    }
  }

  private sendPassword(answer: (password: string) => string): LoginProgress {
    const { password } = this.user.secret;
    if (password === null) return wrongType(this.user, 'a clear-text password');
    this.services.send(buildPassword(answer(password)));
    return 'more';
  }

  private answerMd5(salt: Uint8Array): LoginProgress {
    const { password, md5 } = this.user.secret;
    const stored = md5 ?? (password === null ? null : md5Password(this.user.name, password));
    if (stored === null) return wrongType(this.user, 'a password or its md5 hash');
    this.services.send(buildPassword(md5Response(stored, salt)));
    return 'more';
  }

  private beginScram(mechanisms: readonly string[]): LoginProgress {
    const isPlusOffered = mechanisms.includes(SCRAM_SHA_256_PLUS);
    const binding = this.channelBinding(isPlusOffered);
    const mechanism = binding instanceof Uint8Array ? SCRAM_SHA_256_PLUS : SCRAM_SHA_256;
    if (!mechanisms.includes(mechanism)) {
      return refusal(`server offers no SASL mechanism that is supported: ${mechanisms.join(', ')}`);
    }
    const { name, secret } = this.user;
    if (secret.password === null && !this.services.scramKeys.has(name)) {
      return wrongType(
        this.user,
        'a password, or a login of the client by SCRAM (its keys serve here, too),',
      );
    }
    this.scram = new ScramClient(name, this.services.nonce(), binding);
    this.serverProved = false;
    this.services.send(buildSaslInitialResponse(mechanism, this.scram.first()));
    return 'more';
  }

  /** With a certificate that defines no hash we can't bind, and say so. */
  private channelBinding(isOffered: boolean): ClientBinding {
    const hash = this.services.tls()?.serverEndPoint ?? null;
    return hash === null || isOffered ? hash : 'unoffered';
  }

  private continueScram(data: Uint8Array): LoginProgress {
    const { password } = this.user.secret;
    if (this.scram === null) return refusal('unexpected SASL message from server');
    const next = this.scram.receiveFirst(data);
    if (next.kind === 'fail') return scramRefusal(next);
    if (password !== null) {
      this.services.deriveKey(saslPrep(password), next.salt, next.iterations);
      return 'more';
    }
    const keys = this.services.scramKeys.find(this.user.name, next.salt, next.iterations);
    if (keys === null) {
      return wrongType(this.user, 'the same SCRAM verifier here and on the server, or a password');
    }
    this.services.send(buildSaslResponse(this.scram.finalWithKeys(keys)));
    return 'more';
  }
}

/** PgBouncer's message; what is missing stands in the detail. */
function wrongType({ name }: UserSettings, what: string): ErrorFields {
  return {
    severity: 'FATAL',
    code: SqlState.invalid_password,
    message: 'server login failed: wrong password type',
    detail: `The server login of user "${name}" needs ${what}; the gateway knows none that fits.`,
    hint: 'Give the database entry a user and password, or put the user into auth_file or users.',
  };
}

function scramRefusal({ message }: ScramFailure): ErrorFields {
  return refusal(message);
}

function refusal(message: string): ErrorFields {
  return { severity: 'FATAL', code: SqlState.sqlclient_unable_to_establish_sqlconnection, message };
}

/** What a server sends when it has let the client in. */
const BEHIND_ADMISSION: ReadonlySet<number> = new Set([
  Backend.ParameterStatus,
  Backend.BackendKeyData,
  Backend.ReadyForQuery,
]);

function unexpected(type: number): ErrorFields {
  return refusal(`unexpected message type 0x${type.toString(16)} from server during login`);
}
