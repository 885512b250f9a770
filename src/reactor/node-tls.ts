/** TLS for the driver over node:net: node:tls around the socket of a connection. */
import { X509Certificate } from 'node:crypto';
import type net from 'node:net';
import { isIP } from 'node:net';
import tls from 'node:tls';
import type { TlsMaterial } from '../config/tls.js';
import type { TlsFacts } from '../core/io.js';
import { APPLICATION_PROTOCOL } from '../core/session/client-encryption.js';
import { endPointHash, HANDSHAKE_ERROR, hostMismatch, tlsFacts } from './tls-facts.js';

/** One side's configuration, ready for use. Connections keep the one that they began with. */
export interface NodeTlsContext {
  readonly material: TlsMaterial;
  readonly secure: tls.SecureContext;
  /** {@link endPointHash} of our certificate. */
  readonly endPoint: Uint8Array | null;
}

/** @throws what OpenSSL says */
export function nodeTlsContext(material: TlsMaterial): NodeTlsContext {
  const { certificate, key, authorities, cipherSuites, curves, versionOptions } = material;
  const ciphers = material.finiteFieldDh ? material.ciphers : `${material.ciphers}:!DHE`;
  const secure = tls.createSecureContext({
    ...(certificate !== null && { cert: certificate }),
    ...(key !== null && { key }),
    ca: authorities ?? [],
    minVersion: material.minVersion,
    maxVersion: material.maxVersion,
    ciphers: cipherSuites === null ? ciphers : `${ciphers}:${cipherSuites}`,
    ...(curves !== null && { ecdhCurve: curves }),
    ...(material.finiteFieldDh && { dhparam: 'auto' }),
    secureOptions: versionOptions,
  });
  const endPoint = certificate === null ? null : endPointHash(new X509Certificate(certificate).raw);
  return { material, secure, endPoint };
}

/** TLS's server, over the socket of a client. */
export function acceptTls(socket: net.Socket, { secure, material }: NodeTlsContext): tls.TLSSocket {
  return new tls.TLSSocket(socket, {
    isServer: true,
    secureContext: secure,
    requestCert: material.verify !== 'none',
    rejectUnauthorized: false, // judged by handshakeFacts()
    ALPNProtocols: [APPLICATION_PROTOCOL],
  });
}

/** TLS's client, over the socket of a connection to a server. */
export function connectTls(
  socket: net.Socket,
  { secure }: NodeTlsContext,
  serverName: string | null,
): tls.TLSSocket {
  return tls.connect({
    socket,
    secureContext: secure,
    ...(serverName !== null && isIP(serverName) === 0 && { servername: serverName }),
    rejectUnauthorized: false, // judged by handshakeFacts()
    checkServerIdentity: () => undefined,
  });
}

/** What a finished handshake has settled, or why it must not stand. */
export function handshakeFacts(
  socket: tls.TLSSocket,
  { material, endPoint }: NodeTlsContext,
  serverName: string | null,
  isAccepted: boolean,
): TlsFacts | { readonly error: string } {
  const peerCertificate = socket.getPeerX509Certificate()?.raw ?? null;
  const isVerified = material.verify !== 'none';
  if (isVerified && (peerCertificate !== null || material.verify === 'required')) {
    const reason = peerCertificate === null ? 'peer did not return a certificate' : verifyError(socket);
    if (reason !== null) return { error: `${HANDSHAKE_ERROR}certificate verify failed: ${reason}` };
  }
  const mismatch =
    material.verifyHost && serverName !== null ? hostMismatch(peerCertificate, serverName) : null;
  if (mismatch !== null) return { error: HANDSHAKE_ERROR + mismatch };
  const serverHash = peerCertificate === null ? null : endPointHash(peerCertificate);
  return tlsFacts({
    protocol: socket.getProtocol() ?? '',
    cipher: socket.getCipher().name,
    applicationProtocol: socket.alpnProtocol || null,
    peerCertificate,
    isPeerVerified: isVerified,
    serverEndPoint: isAccepted ? endPoint : serverHash,
  });
}

/** OpenSSL's verdict on the peer's chain: `authorized` is set on sockets of a `tls.Server` and of `tls.connect` only. */
function verifyError(socket: tls.TLSSocket): string | null {
  const { ssl } = socket as unknown as { ssl: { verifyError(): Error | null } };
  return ssl.verifyError()?.message ?? null;
}

/** Why a handshake has failed. */
export function handshakeError(error: NodeJS.ErrnoException & { reason?: string }, short: string): string {
  return HANDSHAKE_ERROR + (error.reason ?? short);
}
