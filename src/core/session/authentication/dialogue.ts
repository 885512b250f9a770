/** What the methods of authentication have in common: a dialogue with one client, message by message. */
import type { ErrorFields } from '../../../wire/error-fields.js';
import { SqlState } from '../../../wire/sqlstate.js';
import type { AuthorityAnswer, AuthorityQuestion } from '../../authority.js';
import type { GatewayContext } from '../../context.js';
import type { Database } from '../../databases.js';
import type { TlsFacts } from '../../io.js';
import type { UserLimits, UserSecret, UserSettings } from '../../settings.js';

/** Who the client says it is, and what is known of that user. */
export interface Claim {
  readonly name: string;
  /** Null: nobody knows such a user. The dialogue goes its way nevertheless, and fails at its end. */
  readonly secret: UserSecret | null;
  readonly limits: UserLimits | null;
}

/** What a step of a dialogue led to. */
export type AuthenticationStep =
  /** The client has to say more. */
  | 'more'
  /** An answer from outside is awaited; the client isn't read before. */
  | 'wait'
  | { readonly kind: 'proved'; readonly user: UserSettings }
  | AuthenticationFailure;

export interface AuthenticationFailure {
  readonly kind: 'fail';
  readonly error: ErrorFields;
  /** What the client has shown doesn't prove who it is: counted against its address. */
  readonly isUnproved: boolean;
}

/** The method of one login. */
export interface Dialogue {
  /** Takes the body of one whole message of the client. */
  message(bytes: Uint8Array, start: number, end: number): AuthenticationStep;
}

export interface DialogueServices {
  readonly context: GatewayContext;
  /** What TLS has settled; null: the client is not encrypted. */
  readonly tls: TlsFacts | null;
  send(message: Uint8Array): void;
  /** PBKDF2 of a prepared password, and on with the step that its result leads to, unless the client has gone. */
  deriveKey(
    password: string,
    salt: Uint8Array,
    iterations: number,
    then: (saltedPassword: Uint8Array | null) => AuthenticationStep,
  ): 'wait';
  /** Asks the control plane, and goes on likewise. */
  ask(question: AuthorityQuestion, then: (answer: AuthorityAnswer) => AuthenticationStep): 'wait';
  /** Goes on likewise when the database is no longer paused. */
  untilResumed(database: Database, then: () => AuthenticationStep): 'wait';
  /** For operators: why a login fails, in PgBouncer's words. */
  report(level: 'info' | 'warn' | 'error', message: string): void;
}

/** A failure that says nothing about who the client is. */
export function fail(code: SqlState, message: string): AuthenticationFailure {
  return { kind: 'fail', error: { severity: 'FATAL', code, message }, isUnproved: false };
}

/** The client has not proved that it is who it says. */
export function unproved(
  message: string,
  code: SqlState = SqlState.invalid_authorization_specification,
): AuthenticationFailure {
  return { kind: 'fail', error: { severity: 'FATAL', code, message }, isUnproved: true };
}

/** The configuration can't be followed; the log says why, the client isn't told. */
export function configurationError(): AuthenticationFailure {
  return fail(SqlState.config_file_error, 'bouncer config error');
}

export function wrongPassword(): AuthenticationFailure {
  return unproved('password authentication failed', SqlState.invalid_password);
}

/** The claim is true. */
export function proved({ name, secret, limits }: Claim): AuthenticationStep {
  return { kind: 'proved', user: { name, secret: secret ?? NO_SECRET, limits, isListed: false } };
}

export const NO_SECRET: UserSecret = Object.freeze({ password: null, md5: null, scram: null });
