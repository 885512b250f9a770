/** The certificate of the agent's HTTP: read from files that are replaced from time to time. */
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { Logger } from 'pino';
import type { AgentConfig } from '../../config/agent-config.js';
import type { HttpCertificate } from '../../control/http/http-listener.js';
import { AgentError } from '../agent-error.js';

type CertificateFiles = NonNullable<AgentConfig['httpTls']>;

/** How often the files are looked at. ms. */
const LOOK_MS = 10_000;

/** @throws {AgentError} the files can't be read, or don't belong together */
export async function readCertificate({ certFile, keyFile }: CertificateFiles): Promise<HttpCertificate> {
  try {
    const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')]);
    createSecureContext({ cert, key });
    return { cert, key };
  } catch (error) {
    const { message } = error as Error;
    throw new AgentError(`HTTP can't be answered by TLS with ${certFile} and ${keyFile}: ${message}`, [
      'http_tls_cert_file and http_tls_key_file name a certificate and its key, as PEM.',
    ]);
  }
}

/** Takes over what is written into the files. What can't be used is told once, and the last certificate stays. */
export function followCertificate(
  files: CertificateFiles,
  inUse: HttpCertificate,
  apply: (certificate: HttpCertificate) => void,
  logger: Logger,
): { close(): void } {
  let known = inUse;
  let told = '';
  const look = async () => {
    try {
      const found = await readCertificate(files);
      if (found.cert === known.cert && found.key === known.key) return;
      apply(found);
      known = found;
      told = '';
      logger.info('HTTP: the new certificate is in use');
    } catch (error) {
      const { message } = error as Error;
      if (message !== told) logger.warn(`${message}; the last one stays in use`);
      told = message;
    }
  };
  const timer = setInterval(() => void look(), LOOK_MS);
  timer.unref();
  return { close: () => clearInterval(timer) };
}
