/**
 * What stands before a session on a server: an SSLRequest, its one-byte answer and the handshake, as `server_tls_sslmode`
 * asks (protocol chapter, "SSL Session Encryption"). A cancel request takes the same way as the session it is for.
 */
import type { ErrorFields } from '../../wire/error-fields.js';
import { buildSslRequest } from '../../wire/startup.js';
import type { ConnectionId, Io, ServerAddress, TlsFacts } from '../io.js';
import type { TlsMode } from '../settings.js';

/** Whose connection it is. */
export interface EncryptionOwner {
  readonly connection: ConnectionId;
  /** The session may begin, encrypted or not. */
  opened(): void;
  /** There will be no session: the connection is to be closed. */
  encryptionFailed(reason: string): void;
}

const ACCEPTED = 0x53; // 'S'
const REFUSED = 0x4e; // 'N'
const ERROR_RESPONSE = 0x45; // 'E'
const NOT_THE_SERVERS = "the process at the unix socket is not the server's";
const SSL_REQUEST = buildSslRequest();

export class ServerEncryption {
  /** What the handshake has settled; null while the connection is not encrypted. */
  facts: TlsFacts | null = null;
  private readonly io: Io;
  readonly mode: TlsMode;
  readonly address: ServerAddress;
  private readonly host: string | null;
  private awaitsAnswer = false;

  /** Sockets in the file system are never encrypted. */
  constructor(io: Io, mode: TlsMode, address: ServerAddress) {
    this.io = io;
    this.address = address;
    this.host = 'socketPath' in address ? null : (address.name ?? address.host);
    this.mode = this.host === null ? 'disable' : mode;
  }

  /** The connection is there. */
  begin(owner: EncryptionOwner): void {
    if (!this.isGenuine(owner)) return owner.encryptionFailed(NOT_THE_SERVERS);
    if (this.mode === 'disable' || this.mode === 'allow') return owner.opened();
    this.awaitsAnswer = true;
    this.io.send(owner.connection, SSL_REQUEST, 0, SSL_REQUEST.length);
  }

  /** A socket that nobody has configured must be the server's: whoever sits there gets to see a password. */
  private isGenuine({ connection }: EncryptionOwner): boolean {
    const shortcut = 'socketPath' in this.address ? this.address.shortcut : undefined;
    return shortcut === undefined || this.io.peerCredentials(connection)?.uid === shortcut.ownerUid;
  }

  /** Bytes from the server before the session has begun. */
  receive(owner: EncryptionOwner, bytes: Uint8Array, start: number, end: number): void {
    if (!this.awaitsAnswer) return owner.encryptionFailed('server sent data before it was asked');
    this.awaitsAnswer = false;
    const answer = bytes[start];
    if (answer === ERROR_RESPONSE)
      return owner.encryptionFailed('server sent an error response during SSL exchange');
    if (answer !== ACCEPTED && answer !== REFUSED) return owner.encryptionFailed('bad sslreq answer');
    // Whoever sits between could have put them there, to be taken for the server's (CVE-2021-23222).
    if (end - start > 1) return owner.encryptionFailed('received unencrypted data after SSL response');
    if (answer === ACCEPTED) return this.io.startTls(owner.connection, 'server', this.host, 0, 0);
    if (this.mode !== 'prefer') return owner.encryptionFailed('server refused SSL');
    owner.opened();
  }

  secured(owner: EncryptionOwner, facts: TlsFacts): void {
    this.facts = facts;
    owner.opened();
  }
}

/**
 * How the connections of one pool are to be encrypted. With `allow` the first ones are plain, until the server has
 * refused one: then TLS is tried, as libpq does.
 */
export class EncryptionPolicy {
  private plainRefused = false;

  /** The mode for the next connection. */
  next(configured: TlsMode): TlsMode {
    if (configured !== 'allow' || !this.plainRefused) return configured;
    return 'require';
  }

  /**
   * A login has failed with this error; true when the other way is to be tried at once, instead of telling anybody. What
   * pg_hba.conf has against a connection without TLS is of class 28 (invalid_authorization_specification).
   */
  triesOtherWay(encryption: ServerEncryption, error: ErrorFields | null): boolean {
    this.plainRefused = encryption.mode === 'allow' && error?.code.startsWith('28') === true;
    return this.plainRefused;
  }
}
