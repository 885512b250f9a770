/** How a server connection comes about: encryption as the settings ask, then the login, until the server is ready. */
import type { ErrorFields } from '../../wire/error-fields.js';
import { END, HEADER_BYTES, SWALLOW, type Verdict, WHOLE } from '../../wire/framing.js';
import type { GatewayContext } from '../context.js';
import type { ConnectionId, ReportSubject, TlsFacts } from '../io.js';
import type { EncryptionOwner, ServerEncryption } from './server-encryption.js';
import { connectionFailure } from './server-errors.js';
import type { LoginDialogue, LoginProgress } from './server-login.js';

/** The connection that is being opened. */
export interface OpeningConnection {
  readonly connection: ConnectionId;
  readonly subject: ReportSubject;
  readonly phase: string;
  /** Encrypted, where that was asked for: the startup packet is to be sent. */
  startSession(): void;
  /** The server waits for the first query. */
  loggedIn(login: LoginDialogue): void;
  openingFailed(error: ErrorFields): void;
}

export class ServerOpening implements EncryptionOwner {
  readonly encryption: ServerEncryption;
  private readonly context: GatewayContext;
  private readonly target: OpeningConnection;
  private readonly login: LoginDialogue;

  constructor(
    context: GatewayContext,
    target: OpeningConnection,
    encryption: ServerEncryption,
    login: LoginDialogue,
  ) {
    this.context = context;
    this.target = target;
    this.encryption = encryption;
    this.login = login;
  }

  get connection(): ConnectionId {
    return this.target.connection;
  }

  connected(): void {
    this.encryption.begin(this);
  }

  /** Bytes before the session has begun. */
  receive(bytes: Uint8Array, start: number, end: number): void {
    this.encryption.receive(this, bytes, start, end);
  }

  secured(facts: TlsFacts): void {
    if (this.context.settings.logConnections) {
      const { subject } = this.target;
      this.context.io.report({ level: 'info', message: `SSL established: ${facts.description}`, subject });
    }
    this.encryption.secured(this, facts);
  }

  opened(): void {
    this.target.startSession();
  }

  encryptionFailed(reason: string): void {
    this.target.openingFailed(connectionFailure(reason));
  }

  /** A message of the login. */
  message(type: number, total: number, bytes: Uint8Array, position: number, end: number): Verdict {
    if (end - position < total) return WHOLE;
    this.progress(this.login.message(type, bytes, position + HEADER_BYTES, position + total));
    return this.target.phase === 'closed' ? END : SWALLOW;
  }

  keyDerived(key: Uint8Array | null): void {
    this.progress(this.login.keyDerived(key));
  }

  /** Why the server has been asked to end the connection; null: it hasn't. */
  get farewell(): string | null {
    return this.login.farewell;
  }

  /** The login has come so far. */
  progress(progress: LoginProgress): void {
    if (progress === 'more') return;
    if (progress === 'ready') this.target.loggedIn(this.login);
    else this.target.openingFailed(progress);
  }
}
