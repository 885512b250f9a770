/** Certificates for tests, made by openssl(1). */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { scratchFolder } from './scratch.js';

/** A certificate and its key, as files. */
export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
}

/** PEM texts of a certificate's files. */
export function pemOf({ certFile, keyFile }: Certificate): { cert: string; key: string } {
  return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
}

/** Why no certificates can be made here; false: they can. For `skip`. */
export const noCertificates: string | false = openSslIsMissing();

function openSslIsMissing(): string | false {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'openssl(1) is not installed';
  }
}

/** A certificate authority of its own. */
export class CertificateAuthority implements Certificate {
  readonly folder = scratchFolder('certificates');
  readonly certFile: string;
  readonly keyFile: string;
  #issued = 0;

  constructor(name: string) {
    // PostgreSQL, under an account of its own, reads what is made here.
    chmodSync(this.folder, 0o755);
    this.certFile = join(this.folder, 'ca.crt');
    this.keyFile = join(this.folder, 'ca.key');
    this.#openssl(
      'req',
      '-x509',
      ...EC_KEY,
      '-keyout',
      this.keyFile,
      '-out',
      this.certFile,
      ...DAYS,
      '-subj',
      `/CN=${name}`,
    );
  }

  get pem(): string {
    return readFileSync(this.certFile, 'utf8');
  }

  /** @param names e.g. `DNS:localhost`, `IP:127.0.0.1`; none: a certificate without alternative names */
  issue(commonName: string, names: readonly string[] = []): Certificate {
    this.#issued += 1;
    const folder = join(this.folder, String(this.#issued));
    mkdirSync(folder);
    chmodSync(folder, 0o755);
    const [request, extensions] = [join(folder, 'request'), join(folder, 'extensions')];
    const certificate = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') };
    writeFileSync(extensions, names.length === 0 ? '' : `subjectAltName=${names.join(',')}\n`);
    this.#openssl(
      'req',
      '-new',
      ...EC_KEY,
      '-keyout',
      certificate.keyFile,
      '-out',
      request,
      '-subj',
      `/CN=${commonName}`,
    );
    this.#openssl(
      ...['x509', '-req', '-in', request, '-CA', this.certFile, '-CAkey', this.keyFile, '-set_serial'],
      ...[String(this.#issued), '-out', certificate.certFile, ...DAYS, '-extfile', extensions],
    );
    return certificate;
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  }
}

const EC_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
const DAYS = ['-days', '2'];
