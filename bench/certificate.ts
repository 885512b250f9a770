/** A certificate for the poolers under test, made by openssl(1). */
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { runOrThrow } from './child-process.js';

/** The key's kind: what a handshake costs is mostly the signature with it. */
export type KeyKind = 'ec' | 'rsa';
export const KEY_KINDS: readonly KeyKind[] = ['ec', 'rsa'];

export interface Certificate {
  readonly kind: KeyKind;
  readonly certificateFile: string;
  readonly keyFile: string;
}

const NEW_KEY = {
  ec: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  rsa: ['-newkey', 'rsa:2048'],
} as const;

/** Makes a self-signed certificate in `folder`. Throws with openssl's output where there is none. */
export async function makeCertificate(folder: string, kind: KeyKind): Promise<Certificate> {
  const certificateFile = join(folder, 'server.crt');
  const keyFile = join(folder, 'server.key');
  await runOrThrow('openssl', [
    ...['req', '-x509', '-nodes', '-days', '2', '-subj', '/CN=localhost'],
    ...NEW_KEY[kind],
    ...['-keyout', keyFile, '-out', certificateFile],
  ]);
  await chmod(keyFile, 0o644); // PgBouncer may run as somebody else; the key is of no worth to anybody
  return { kind, certificateFile, keyFile };
}
