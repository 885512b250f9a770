/**
 * How a client logs in: the untyped packets (SSLRequest, GSSENCRequest, CancelRequest, StartupMessage), then the
 * authentication that the settings ask for (protocol chapter, "Start-up").
 */
import type { ErrorFields } from '../../wire/error-fields.js';
import * as Frontend from '../../wire/frontend.js';
import { SqlState } from '../../wire/sqlstate.js';
import {
  buildNegotiateProtocolVersion,
  NEWEST_MINOR,
  readStartupPacket,
  type StartupMessage,
} from '../../wire/startup.js';
import type { GatewayContext } from '../context.js';
import type { Databases } from '../databases.js';
import type { ConnectionId, ReportSubject } from '../io.js';
import { STARTUP_PARAMETERS_MAX } from '../limits.js';
import type { UserSettings } from '../settings.js';
import { type AuthenticationStep, type DialogueServices, NO_SECRET } from './authentication/dialogue.js';
import { type Applicant, Identification } from './authentication/identification.js';
import type { ClientEncryption } from './client-encryption.js';
import { invalidReplication, readReplication } from './startup-parameters.js';

/** What the dialogue needs from outside. */
export interface ClientLoginServices {
  readonly context: GatewayContext;
  readonly connection: ConnectionId;
  readonly databases: Databases;
  /** Whether the client speaks TLS, and what is known of it by that. */
  readonly encryption: ClientEncryption;
  /** The operating system has said who it is: the user of the gateway itself, at its console. */
  isOwner(startup: StartupMessage): boolean;
}

/** What a step of the dialogue led to. */
export type LoginStep =
  | 'more'
  /** The next step comes by itself, by {@link LoggingIn.loginAnswered}. */
  | 'wait'
  | { readonly kind: 'cancel'; readonly processId: number; readonly secret: Uint8Array }
  /** It is proved that the client is this user. */
  | { readonly kind: 'authenticated'; readonly startup: StartupMessage; readonly user: UserSettings }
  | { readonly kind: 'fail'; readonly error: ErrorFields };

/** The client that logs in. */
export interface LoggingIn {
  readonly subject: ReportSubject;
  /** It is still logging in. */
  readonly isOpen: boolean;
  /** Its startup packet has come. */
  named(startup: StartupMessage): void;
  /** The step that follows `wait`; never within a call of {@link ClientLogin}. */
  loginAnswered(step: LoginStep): void;
}

export class ClientLogin {
  startup: StartupMessage | null = null;
  private readonly services: ClientLoginServices;
  /** Null before the startup packet. */
  private identification: Identification | null = null;
  /** Set before the first packet. */
  client: LoggingIn | null = null;

  constructor(services: ClientLoginServices) {
    this.services = services;
  }

  get awaitsStartup(): boolean {
    return this.identification === null;
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
    this.client?.named(startup);
    if (startup.minor > NEWEST_MINOR || startup.protocolOptions.length > 0) {
      const minor = Math.min(startup.minor, NEWEST_MINOR);
      this.send(buildNegotiateProtocolVersion(minor, [...startup.protocolOptions]));
    }
    const replication = startup.parameters.get('replication');
    if (readReplication(replication) === null) {
      return { kind: 'fail', error: invalidReplication(replication ?? '') };
    }
    const throttled = this.throttle();
    if (throttled !== null) return throttled;
    return this.identify(startup);
  }

  private identify(startup: StartupMessage): LoginStep {
    const user = startup.parameters.get('user') ?? '';
    if (this.services.isOwner(startup)) {
      const owner = { name: user, secret: NO_SECRET, limits: null, isListed: false };
      return { kind: 'authenticated', startup, user: owner };
    }
    const { context, connection, databases } = this.services;
    const applicant: Applicant = {
      user,
      database: startup.parameters.get('database') || user,
      isPhysicalReplication: readReplication(startup.parameters.get('replication')) === 'physical',
      peerAddress: this.peerAddress,
      peerCredentials: () => context.io.peerCredentials(connection),
    };
    this.identification = new Identification(applicant, this.dialogueServices(), databases);
    return this.settle(this.identification.begin());
  }

  private dialogueServices(): DialogueServices {
    const { context } = this.services;
    return {
      context,
      tls: this.encryption.facts,
      send: (message) => this.send(message),
      deriveKey: (password, salt, iterations, then) => {
        context.slow.deriveKey(password, salt, iterations, (key) => this.goOn(() => then(key)));
        return 'wait';
      },
      ask: (question, then) => {
        context.slow.ask(question, (answer) => this.goOn(() => then(answer)));
        return 'wait';
      },
      untilResumed: (database, then) => {
        const { client } = this;
        database.whenResumed({
          get isOpen() {
            return client?.isOpen === true;
          },
          goOn: () => this.goOn(then),
        });
        return 'wait';
      },
      report: (level, message) => this.report(level, message),
    };
  }

  private goOn(run: () => AuthenticationStep): void {
    if (this.client?.isOpen === true) this.client.loginAnswered(this.settle(run()));
  }

  /** Takes the body of one whole message of the client during authentication. */
  message(type: number, bytes: Uint8Array, start: number, end: number): LoginStep {
    if (type !== Frontend.Password) {
      return fail(SqlState.protocol_violation, `expected password response, got message type ${type}`);
    }
    if (this.identification === null) throw new Error('invariant: typed message before the startup packet');
    return this.settle(this.identification.message(bytes, start, end));
  }

  // --- Failed logins of one address ---------------------------------------------------------------------------

  /** Non-null: too many logins from there have failed, and nothing is checked for the moment. */
  private throttle(): LoginStep | null {
    const { context } = this.services;
    const rate = context.settings.failedLoginRate;
    const admission = context.failedLogins.admit(this.peerAddress, context.io.now(), rate);
    if (admission === 'admit') return null;
    context.counters.loginsThrottled += 1;
    if (admission === 'refuse-and-report') {
      const message = `too many failed logins from one address: more are refused for now (failed_login_rate = ${rate})`;
      this.report('warn', message);
    }
    return {
      kind: 'fail',
      error: {
        severity: 'FATAL',
        code: SqlState.configuration_limit_exceeded,
        message: 'too many failed logins from this address',
        hint: 'Try again in some seconds; failed_login_rate is the limit.',
      },
    };
  }

  private settle(step: AuthenticationStep): LoginStep {
    if (step === 'more' || step === 'wait') return step;
    const { context } = this.services;
    const now = context.io.now();
    if (step.kind === 'proved') {
      context.failedLogins.succeeded(this.peerAddress, now);
      return { kind: 'authenticated', startup: this.startup as StartupMessage, user: step.user };
    }
    if (step.isUnproved) {
      context.failedLogins.failed(this.peerAddress, now, context.settings.failedLoginRate);
      this.identification?.failed();
    }
    return { kind: 'fail', error: step.error };
  }

  private report(level: 'info' | 'warn' | 'error', message: string): void {
    const subject = this.client?.subject;
    this.services.context.io.report({ level, message, ...(subject && { subject }) });
  }

  private get peerAddress(): string {
    return this.services.context.io.peerAddress(this.services.connection);
  }

  private send(message: Uint8Array): void {
    this.services.context.io.send(this.services.connection, message, 0, message.length);
  }
}

function fail(code: SqlState, message: string): LoginStep {
  return { kind: 'fail', error: { severity: 'FATAL', code, message } };
}
