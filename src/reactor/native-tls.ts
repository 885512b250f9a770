/** TLS of the native drivers: contexts, and handshakes under way. The bytes are native/tls.c's. */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { constants } from 'node:os';
import type { TlsConfiguration, TlsMaterial } from '../config/tls.js';
import type { ConnectionId, TlsFacts, TlsSide } from '../core/io.js';
import { APPLICATION_PROTOCOL } from '../core/session/client-encryption.js';
import type { NativeReactor, NativeTlsOptions } from './native-addon.js';
import { endPointHash, HANDSHAKE_ERROR, hostMismatch, tlsFacts } from './tls-facts.js';

interface Context {
  readonly id: number;
  readonly material: TlsMaterial;
  /** Of our certificate. */
  readonly endPoint: Uint8Array | null;
}

/** The context is the one of the handshake's beginning: a reload doesn't change what the peer has seen. */
interface PendingHandshake {
  readonly side: TlsSide;
  readonly context: Context;
  readonly serverName: string | null;
}

/** The errno of what OpenSSL has given up. */
const EPROTO = constants.errno.EPROTO;
const VERSION_NUMBERS = { TLSv1: 0x0301, 'TLSv1.1': 0x0302, 'TLSv1.2': 0x0303, 'TLSv1.3': 0x0304 } as const;
const VERIFY_WORDS = { none: 0, optional: 1, required: 2 } as const;

export class NativeTls {
  readonly #native: NativeReactor;
  #contexts: { readonly client: Context | null; readonly server: Context | null } = {
    client: null,
    server: null,
  };
  readonly #pending = new Map<ConnectionId, PendingHandshake>();

  constructor(native: NativeReactor) {
    this.#native = native;
  }

  /** @throws what OpenSSL says, or that the addon has no TLS */
  configure({ client, server }: TlsConfiguration): void {
    const before = this.#contexts;
    const made = { client: this.#make('client', client), server: this.#make('server', server) };
    this.#contexts = made;
    // Connections hold on to what they use.
    for (const context of [before.client, before.server]) {
      if (context !== null) this.#native.tlsContextFree!(context.id);
    }
  }

  /** Begins a handshake; a reason where that is impossible. `at`: the start of the `received` event being handled. */
  start(
    connection: ConnectionId,
    side: TlsSide,
    serverName: string | null,
    at: number,
    start: number,
    end: number,
  ): string | null {
    const context = this.#contexts[side];
    if (context === null) return `${HANDSHAKE_ERROR}TLS is not configured`;
    const indicated = serverName !== null && isIP(serverName) === 0 ? serverName : '';
    const result = this.#native.startTls!(connection, context.id, indicated, at, start, end - start);
    if (result < 0) return `${HANDSHAKE_ERROR}out of memory`;
    this.#pending.set(connection, { side, context, serverName });
    return null;
  }

  /** What a finished handshake has settled, or why it must not stand. */
  secured(connection: ConnectionId): TlsFacts | { readonly error: string } {
    const { side, context, serverName } = this.#pending.get(connection)!;
    this.#pending.delete(connection);
    const [protocol, cipher, applicationProtocol, der] = this.#native.tlsFacts!(connection);
    const peerCertificate = der === null ? null : new Uint8Array(der);
    const { material, endPoint } = context;
    const mismatch =
      material.verifyHost && serverName !== null ? hostMismatch(peerCertificate, serverName) : null;
    if (mismatch !== null) return { error: HANDSHAKE_ERROR + mismatch };
    const serverHash = peerCertificate === null ? null : endPointHash(peerCertificate);
    return tlsFacts({
      protocol,
      cipher,
      applicationProtocol,
      peerCertificate,
      isPeerVerified: material.verify !== 'none',
      serverEndPoint: side === 'client' ? endPoint : serverHash,
    });
  }

  /** A connection is gone with this errno: why, where that was TLS's doing. */
  closed(connection: ConnectionId, errno: number): string | null {
    const wasHandshaking = this.#pending.size > 0 && this.#pending.delete(connection);
    const reason = errno === EPROTO ? (this.#native.tlsError?.(connection) ?? null) : null;
    if (reason === null) return null;
    return wasHandshaking ? HANDSHAKE_ERROR + reason : `TLS error: ${reason}`;
  }

  #make(side: TlsSide, material: TlsMaterial | null): Context | null {
    if (material === null) return null;
    if (this.#native.tlsContext === undefined) {
      throw new Error('the native addon was built without TLS: the headers of OpenSSL were not found');
    }
    const { certificate } = material;
    const endPoint = certificate === null ? null : endPointHash(new X509Certificate(certificate).raw);
    return { id: this.#native.tlsContext(nativeOptions(side, material)), material, endPoint };
  }
}

function nativeOptions(side: TlsSide, material: TlsMaterial): NativeTlsOptions {
  return {
    accepts: side === 'client' ? 1 : 0,
    certificate: material.certificate ?? '',
    key: material.key ?? '',
    authorities: material.authorities ?? '',
    verify: VERIFY_WORDS[material.verify],
    minVersion: VERSION_NUMBERS[material.minVersion],
    maxVersion: VERSION_NUMBERS[material.maxVersion],
    versionOptions: material.versionOptions,
    ciphers: material.finiteFieldDh ? material.ciphers : `${material.ciphers}:!DHE`,
    cipherSuites: material.cipherSuites ?? '',
    curves: material.curves ?? '',
    applicationProtocol: APPLICATION_PROTOCOL,
  };
}
