/** What both kinds of drivers make of a finished TLS handshake and of its certificates. */
import { createHash, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { TlsFacts, TlsPeer } from '../core/io.js';

/** Before every reason for which a handshake has failed. */
export const HANDSHAKE_ERROR = 'TLS handshake error: ';

/** A handshake as OpenSSL describes it. */
export interface Handshake {
  readonly protocol: string;
  readonly cipher: string;
  readonly applicationProtocol: string | null;
  /** DER; null: the peer has shown none. */
  readonly peerCertificate: Uint8Array | null;
  /** The peer's certificate was checked against the authorities. */
  readonly isPeerVerified: boolean;
  /** The hash of {@link endPointHash} of the server's certificate of this connection. */
  readonly serverEndPoint: Uint8Array | null;
}

export function tlsFacts(handshake: Handshake): TlsFacts {
  const { protocol, cipher, applicationProtocol, peerCertificate, isPeerVerified, serverEndPoint } =
    handshake;
  const peer = isPeerVerified && peerCertificate !== null ? certificatePeer(peerCertificate) : null;
  return { description: `${protocol}/${cipher}`, applicationProtocol, peer, serverEndPoint };
}

function certificatePeer(der: Uint8Array): TlsPeer {
  const certificate = new X509Certificate(der);
  const names: string[] = [];
  for (const part of splitNames(certificate.subjectAltName ?? '')) {
    const [, kind, value] = /^(DNS|IP Address):(.*)$/s.exec(part) ?? [];
    if (kind !== undefined) names.push(value!);
  }
  return { commonName: commonName(certificate), alternativeNames: names };
}

/** `DNS:a, IP Address:::1, DNS:"a, b"`: what holds a comma is quoted as JSON. */
function splitNames(text: string): string[] {
  const parts = text.match(/[^,"]*("(?:[^"\\]|\\.)*")?[^,"]*/g) ?? [];
  return parts
    .map((part) => part.trim().replace(/"(?:[^"\\]|\\.)*"/, (quoted) => JSON.parse(quoted)))
    .filter((part) => part !== '');
}

/** The last one of the subject is the most specific; a zero byte in it would deceive whoever reads C strings. */
function commonName(certificate: X509Certificate): string | null {
  const found: string | string[] | undefined = certificate.toLegacyObject().subject?.CN;
  const name = Array.isArray(found) ? found.at(-1) : found;
  return name === undefined || name.includes('\0') ? null : name;
}

/**
 * Why a server's certificate isn't that of the host that was dialled; null: it is. As libpq: subject alternative names,
 * and the common name where there are none of the kind.
 */
export function hostMismatch(der: Uint8Array | null, host: string): string | null {
  if (der === null) return `server has shown no certificate`;
  const certificate = new X509Certificate(der);
  const found =
    isIP(host) === 0
      ? certificate.checkHost(host, { subject: 'default', partialWildcards: false })
      : (certificate.checkIP(host) ?? (isCommonName(certificate, host) ? host : undefined));
  if (found !== undefined) return null;
  const name = commonName(certificate) ?? '';
  return `server certificate for "${name}" does not match host name "${host}"`;
}

function isCommonName(certificate: X509Certificate, address: string): boolean {
  return certificate.subjectAltName === undefined && commonName(certificate) === address;
}

/** Signature algorithms by their object identifiers (DER, hexadecimal), and the hash that RFC 5929, 4.1 takes. */
const HASH_OF_SIGNATURE: Readonly<Record<string, string>> = {
  '2a864886f70d010104': 'sha256', // md5WithRSAEncryption: MD5 and SHA-1 are replaced
  '2a864886f70d010105': 'sha256', // sha1WithRSAEncryption
  '2a864886f70d01010e': 'sha224',
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a8648ce3d0401': 'sha256', // ecdsa-with-SHA1
  '2a8648ce3d040301': 'sha224',
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
  '2a8648ce380403': 'sha256', // dsa-with-sha1
  '608648016503040302': 'sha256', // dsa-with-sha256
};

/** `tls-server-end-point` of a certificate; null where its signature names no hash (Ed25519, RSA-PSS). */
export function endPointHash(der: Uint8Array): Uint8Array | null {
  // Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { OBJECT IDENTIFIER, ... }, ... }
  const outer = element(der, 0);
  const body = outer && element(der, outer.content);
  const algorithm = body && element(der, body.end);
  const identifier = algorithm && element(der, algorithm.content);
  if (!identifier || der[algorithm.content] !== OBJECT_IDENTIFIER) return null;
  const name = Buffer.from(der.subarray(identifier.content, identifier.end)).toString('hex');
  const hash = HASH_OF_SIGNATURE[name];
  return hash === undefined ? null : new Uint8Array(createHash(hash).update(der).digest());
}

const OBJECT_IDENTIFIER = 6;

/** Where the content of the DER element at `at` begins, and where the element ends. */
function element(der: Uint8Array, at: number): { content: number; end: number } | null {
  const first = der[at + 1];
  if (first === undefined) return null;
  let content = at + 2;
  let length = first;
  if (first > 0x80) {
    length = 0;
    for (let i = 0; i < first - 0x80; i++) length = length * 256 + (der[content++] ?? 0);
  }
  const end = content + length;
  return end <= der.length ? { content, end } : null;
}
