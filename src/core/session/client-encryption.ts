/**
 * How a client comes to speak TLS: by an SSLRequest that is answered with `S` (protocol chapter, "SSL Session
 * Encryption"), or at once by a ClientHello (direct TLS, with ALPN). What stands before the handshake is not trusted.
 */
import type { ErrorFields } from '../../wire/error-fields.js';
import type { GatewayContext } from '../context.js';
import type { ConnectionId, TlsFacts } from '../io.js';
import { NEGOTIATIONS_MAX } from '../limits.js';
import type { TlsMode } from '../settings.js';
import { violation } from './session-errors.js';

/** The name that direct TLS must be asked for by (IANA, "TLS Application-Layer Protocol Negotiation Protocol IDs"). */
export const APPLICATION_PROTOCOL = 'postgresql';

/** The first byte of a TLS handshake record. As a startup packet's it would announce 369 MB. */
const TLS_HANDSHAKE = 0x16;
const ACCEPT = Uint8Array.of(0x53); // 'S'
const REFUSE = Uint8Array.of(0x4e); // 'N'
const UNIX_ADDRESS = 'unix';

export class ClientEncryption {
  /** What the handshake has settled; null while the connection is not encrypted. */
  facts: TlsFacts | null = null;
  private readonly context: GatewayContext;
  private readonly connection: ConnectionId;
  private readonly mode: TlsMode;
  private requests = 0;
  private isDirect = false;
  private handshaking = false;

  constructor(context: GatewayContext, connection: ConnectionId) {
    this.context = context;
    this.connection = connection;
    this.mode = context.settings.tls.clientMode;
  }

  /** What comes now belongs to the handshake. */
  get isHandshaking(): boolean {
    return this.handshaking;
  }

  /** Unix sockets never leave the machine. */
  private get isOffered(): boolean {
    return this.mode !== 'disable' && !this.isLocal;
  }

  private get isLocal(): boolean {
    return this.context.io.peerAddress(this.connection).startsWith(UNIX_ADDRESS);
  }

  /** True when the client's first bytes were a ClientHello: `memory[start, end)` was taken. */
  takesDirect(bytes: Uint8Array, start: number, end: number): boolean {
    const isFirst = this.requests === 0 && this.facts === null;
    if (bytes[start] !== TLS_HANDSHAKE || !isFirst || !this.isOffered) return false;
    this.isDirect = true;
    this.handshaking = true;
    this.context.io.startTls(this.connection, 'client', null, start, end);
    return true;
  }

  /** Answers an SSLRequest or a GSSENCRequest; non-null: why the client must go. */
  request(kind: 'ssl' | 'gssenc', bytesBehind: number): ErrorFields | null {
    this.requests += 1;
    if (this.requests > NEGOTIATIONS_MAX) return violation('too many encryption requests');
    if (kind === 'ssl' && this.facts !== null) return violation('SSL req inside SSL');
    if (kind === 'gssenc' || !this.isOffered) {
      this.context.io.send(this.connection, REFUSE, 0, REFUSE.length);
      return null;
    }
    // Whoever sits between could have put them there, to be taken for the client's (CVE-2021-3935).
    if (bytesBehind > 0) return violation('received unencrypted data after SSL request');
    this.context.io.send(this.connection, ACCEPT, 0, ACCEPT.length);
    this.handshaking = true;
    this.context.io.startTls(this.connection, 'client', null, 0, 0);
    return null;
  }

  /** The handshake is over; non-null: why the client must go nevertheless. */
  secured(facts: TlsFacts): ErrorFields | null {
    this.handshaking = false;
    this.facts = facts;
    if (!this.isDirect || facts.applicationProtocol === APPLICATION_PROTOCOL) return null;
    return violation('received direct SSL connection request without ALPN protocol negotiation extension');
  }

  /** Non-null: a session may not begin, since it would not be encrypted. */
  get refusal(): ErrorFields | null {
    const isRequired = this.mode === 'require' || this.mode === 'verify-ca' || this.mode === 'verify-full';
    if (!isRequired || this.facts !== null || this.isLocal) return null;
    return violation('SSL required');
  }
}
