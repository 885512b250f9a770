/** A session while its client logs in: what arrives goes to the login, and its steps become of the session. */
import type { ErrorFields } from '../../wire/error-fields.js';
import { BLOCK, END, HEADER_BYTES, SWALLOW, type Verdict, WHOLE } from '../../wire/framing.js';
import { ProtocolViolation } from '../../wire/protocol-violation.js';
import type { StartupMessage } from '../../wire/startup.js';
import type { GatewayContext } from '../context.js';
import type { ReportSubject } from '../io.js';
import { type Recorded, recordLoginAttempt } from '../journal.js';
import type { ClientLogin, LoggingIn, LoginStep } from './client-login.js';
import { violation } from './session-errors.js';
import { takeStartupPacket } from './startup-packet.js';
import { readReplication } from './startup-parameters.js';

type Step<Kind extends string> = Extract<LoginStep, { kind: Kind }>;

/** What becomes of the session. */
export interface LoginTarget extends Recorded {
  readonly phase: string;
  /** Whom the startup packet names. */
  asked: { readonly database: string; readonly user: string } | null;
  fail(error: ErrorFields): void;
  /** `reason` is for the log alone. */
  close(reason: string): void;
  /** Nothing more is judged until {@link goOn}. */
  hold(): void;
  goOn(): void;
  cancelRequested(step: Step<'cancel'>): void;
  /** Null: the client is let in. */
  refusal(step: Step<'authenticated'>): ErrorFields | null;
  admitted(step: Step<'authenticated'>): void;
}

/** What the log says of `replication` (PgBouncer's words). */
const WORDS = { none: 'no', physical: 'yes', logical: 'database' } as const;

export class SessionLogin implements LoggingIn {
  private readonly context: GatewayContext;
  private readonly target: LoginTarget;
  private readonly login: ClientLogin;
  /** Bytes of an untyped packet that is not complete. */
  private kept: Buffer | null = null;
  /** An answer from outside is to come. */
  private waits = false;

  constructor(context: GatewayContext, target: LoginTarget, login: ClientLogin) {
    this.context = context;
    this.target = target;
    this.login = login;
    login.client = this;
  }

  get subject(): ReportSubject {
    return this.target.subject;
  }

  get awaitsStartup(): boolean {
    return this.login.awaitsStartup && this.isOpen;
  }

  get isOpen(): boolean {
    return this.target.phase === 'login';
  }

  /** Takes untyped bytes; returns where the next packet begins. */
  receiveStartup(bytes: Uint8Array, start: number, end: number): number {
    if (this.kept === null && this.login.encryption.takesDirect(bytes, start, end)) return end;
    const taken = takeStartupPacket(this.kept, bytes, start, end);
    this.kept = taken.kept;
    if (taken.kind === 'invalid') this.target.fail(violation('invalid length of startup packet'));
    // PostgreSQL says nothing, either: an error would reach an application that has no use for it any more.
    if (taken.kind === 'terminate') this.target.close('client close request');
    if (taken.kind !== 'packet') return end;
    const { packet, next } = taken;
    this.step(() => this.login.startupPacket(packet, 0, packet.length, end - next));
    return next;
  }

  /** A message of the client's. */
  message(type: number, total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    if (this.waits) return BLOCK;
    if (end - position < total) return WHOLE;
    this.step(() => this.login.message(type, bytes, position + HEADER_BYTES, position + total));
    return this.target.phase === 'closed' ? END : SWALLOW;
  }

  /** What the login had to wait for is known. */
  loginAnswered(step: LoginStep): void {
    this.waits = false;
    this.take(step);
    if (step === 'more') this.target.goOn();
  }

  /** It has said who it wants to be, whether or not it can prove it. */
  named({ parameters }: StartupMessage): void {
    const user = parameters.get('user') ?? '';
    this.target.asked = { database: parameters.get('database') || user, user };
    const tls = this.login.encryption.facts?.description ?? null;
    const replication = WORDS[readReplication(parameters.get('replication')) ?? 'none'];
    recordLoginAttempt(this.context, this.target, { tls, replication });
  }

  private step(run: () => LoginStep): void {
    let step: LoginStep;
    try {
      step = run();
    } catch (error) {
      if (!(error instanceof ProtocolViolation)) throw error;
      step = { kind: 'fail', error: violation(error.message) };
    }
    this.take(step);
  }

  private take(step: LoginStep): void {
    if (step === 'more') return;
    if (step === 'wait') {
      this.waits = true;
      this.target.hold();
    } else if (step.kind === 'cancel') {
      this.target.cancelRequested(step);
    } else if (step.kind === 'fail') {
      this.failed(step.error);
    } else {
      const refusal = this.target.refusal(step);
      if (refusal === null) this.target.admitted(step);
      else this.failed(refusal);
    }
  }

  private failed(error: ErrorFields): void {
    this.context.counters.loginFailures += 1;
    this.target.fail(error);
  }
}
