/**
 * TLS for both sides, made ready on the main thread: files are read and everything is tried out with OpenSSL, so that a
 * mistake is told with the setting and the file, and a reactor gets only what works. The values are PEM texts and words.
 */
import { constants, createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  createSecureContext,
  rootCertificates,
  type SecureContextOptions,
  type SecureVersion,
} from 'node:tls';
import type { TlsMode, TlsSettings } from '../core/settings.js';
import type { OriginMap } from './origin-map.js';
import type { Problem } from './problem.js';
import type { ConfigValues } from './schema.js';

/** One side's configuration, as a driver takes it. */
export interface TlsMaterial {
  /** PEM, with the chain behind it; null: none is shown. */
  readonly certificate: string | null;
  readonly key: string | null;
  /** PEM; null: nothing is verified. */
  readonly authorities: string | null;
  /** `optional`: a certificate that is shown must be good. */
  readonly verify: 'none' | 'optional' | 'required';
  /** The peer's certificate must name the host that was dialled. */
  readonly verifyHost: boolean;
  readonly minVersion: SecureVersion;
  readonly maxVersion: SecureVersion;
  /** Versions between those two that are not allowed: OpenSSL's `SSL_OP_NO_...` bits. */
  readonly versionOptions: number;
  /** For TLS 1.2 and older, in OpenSSL's syntax. */
  readonly ciphers: string;
  /** For TLS 1.3; null: OpenSSL's defaults. */
  readonly cipherSuites: string | null;
  /** Null: OpenSSL's choice. */
  readonly curves: string | null;
  /** Whether ciphers with DHE (not ECDHE) may be used. */
  readonly finiteFieldDh: boolean;
}

/** Null: that side speaks no TLS. */
export interface TlsConfiguration {
  readonly client: TlsMaterial | null;
  readonly server: TlsMaterial | null;
}

type Side = keyof TlsConfiguration;

export const NO_TLS: TlsConfiguration = Object.freeze({ client: null, server: null });

/** The settings of one side, without their `client_tls_` or `server_tls_`. */
interface SideValues {
  readonly sslmode: TlsMode;
  readonly keyFile: string;
  readonly certFile: string;
  readonly caFile: string;
  readonly protocols: string;
  readonly ciphers: string;
  readonly ciphers13: string;
  readonly dheparams: 'auto' | 'none' | 'legacy';
  readonly ecdhcurve: string;
}

/** What is in use while settings change one at a time. */
export interface FormerTls {
  readonly values: ConfigValues;
  readonly tls: TlsConfiguration;
}

export interface LoadedTls {
  readonly tls: TlsConfiguration;
  /** Why a side goes on with its former configuration; nothing: none does. */
  readonly unapplied: readonly Problem[];
}

/**
 * Reads and tries out what the settings name. Adds to `problems`: the setting, the file and OpenSSL's reason. With a
 * `former` configuration, a side whose settings don't fit together (yet) goes on with what it had; but not with
 * another sslmode, which would promise what isn't done.
 */
export async function loadTls(
  values: ConfigValues,
  origins: OriginMap,
  problems: Problem[],
  former: FormerTls | null = null,
): Promise<LoadedTls> {
  const unapplied: Problem[] = [];
  const load = async (side: Side): Promise<TlsMaterial | null> => {
    const found: Problem[] = [];
    const wanted = VALUES_OF[side](values);
    const material = await new SideLoader(side, wanted, origins, found).load();
    if (found.length === 0) return material;
    const isKept = former?.tls[side] && VALUES_OF[side](former.values).sslmode === wanted.sslmode;
    (isKept ? unapplied : problems).push(...found);
    return isKept ? former.tls[side] : null;
  };
  const client = await load('client');
  const server = await load('server');
  return { tls: Object.freeze({ client, server }), unapplied };
}

/** What the core is told of a configuration. */
export function tlsSettings(values: ConfigValues, loaded: TlsConfiguration): TlsSettings {
  const { client_tls_sslmode: clientMode, server_tls_sslmode: serverMode } = values;
  const described = JSON.stringify([serverMode, loaded.server]);
  const serverRevision = createHash('sha256').update(described).digest('hex');
  return Object.freeze({ clientMode, serverMode, serverRevision });
}

function clientValues(values: ConfigValues): SideValues {
  return {
    sslmode: values.client_tls_sslmode,
    keyFile: values.client_tls_key_file,
    certFile: values.client_tls_cert_file,
    caFile: values.client_tls_ca_file,
    protocols: values.client_tls_protocols,
    ciphers: values.client_tls_ciphers,
    ciphers13: values.client_tls13_ciphers,
    dheparams: values.client_tls_dheparams,
    ecdhcurve: values.client_tls_ecdhcurve,
  };
}

function serverValues(values: ConfigValues): SideValues {
  return {
    sslmode: values.server_tls_sslmode,
    keyFile: values.server_tls_key_file,
    certFile: values.server_tls_cert_file,
    caFile: values.server_tls_ca_file,
    protocols: values.server_tls_protocols,
    ciphers: values.server_tls_ciphers,
    ciphers13: values.server_tls13_ciphers,
    dheparams: 'auto',
    ecdhcurve: 'auto',
  };
}

const VALUES_OF: Readonly<Record<Side, (values: ConfigValues) => SideValues>> = {
  client: clientValues,
  server: serverValues,
};

const VERSIONS = ['tlsv1.0', 'tlsv1.1', 'tlsv1.2', 'tlsv1.3'] as const;
const SECURE_VERSIONS: readonly SecureVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];
const WITHOUT_VERSION = [
  constants.SSL_OP_NO_TLSv1,
  constants.SSL_OP_NO_TLSv1_1,
  constants.SSL_OP_NO_TLSv1_2,
  constants.SSL_OP_NO_TLSv1_3,
] as const;
const VERSION_WORDS: Readonly<Record<string, readonly string[]>> = {
  all: VERSIONS,
  legacy: VERSIONS,
  secure: ['tlsv1.2', 'tlsv1.3'],
};
/** PgBouncer's words for OpenSSL's own choice. */
const DEFAULT_CIPHERS: ReadonlySet<string> = new Set([
  '',
  'default',
  'secure',
  'fast',
  'normal',
  'compat',
  'legacy',
]);

class SideLoader {
  private readonly side: Side;
  private readonly values: SideValues;
  private readonly origins: OriginMap;
  private readonly problems: Problem[];
  private readonly before: number;

  constructor(side: Side, values: SideValues, origins: OriginMap, problems: Problem[]) {
    this.side = side;
    this.values = values;
    this.origins = origins;
    this.problems = problems;
    this.before = problems.length;
  }

  async load(): Promise<TlsMaterial | null> {
    const { values } = this;
    if (values.sslmode === 'disable') return null;
    const certificate = await this.read('cert_file', values.certFile);
    const key = await this.read('key_file', values.keyFile);
    const ca = await this.read('ca_file', values.caFile);
    this.checkTogether();
    const verify = this.verification();
    const isVerified = verify !== 'none';
    const material: TlsMaterial = {
      certificate,
      key,
      authorities: isVerified ? (ca ?? rootCertificates.join('\n')) : null,
      verify,
      verifyHost: this.side === 'server' && values.sslmode === 'verify-full',
      ...this.versions(),
      ciphers: DEFAULT_CIPHERS.has(values.ciphers)
        ? 'DEFAULT'
        : values.ciphers === 'all'
          ? 'ALL'
          : values.ciphers,
      cipherSuites: values.ciphers13 === '' ? null : values.ciphers13,
      curves: values.ecdhcurve === 'auto' || values.ecdhcurve === 'none' ? null : values.ecdhcurve,
      finiteFieldDh: values.dheparams !== 'none',
    };
    if (this.problems.length === this.before) this.tryOut(material);
    return this.problems.length === this.before ? Object.freeze(material) : null;
  }

  /** A client's certificate is asked for only where it could be checked, and must be good if it is shown. */
  private verification(): TlsMaterial['verify'] {
    const { sslmode, caFile } = this.values;
    if (sslmode === 'verify-ca' || sslmode === 'verify-full') return 'required';
    return this.side === 'client' && caFile !== '' ? 'optional' : 'none';
  }

  private checkTogether(): void {
    const { sslmode, certFile, keyFile, caFile } = this.values;
    if (this.side === 'client') {
      if (certFile === '' || keyFile === '') {
        const missing = certFile === '' ? 'cert_file' : 'key_file';
        this.refuse(
          missing,
          'to allow TLS connections from clients, client_tls_key_file and client_tls_cert_file must be set',
        );
      }
      if ((sslmode === 'verify-ca' || sslmode === 'verify-full') && caFile === '') {
        this.refuse('ca_file', `client_tls_sslmode ${sslmode} requires client_tls_ca_file`);
      }
    } else if ((certFile === '') !== (keyFile === '')) {
      this.refuse(certFile === '' ? 'cert_file' : 'key_file', 'a certificate and its key are set together');
    }
  }

  private async read(setting: string, file: string): Promise<string | null> {
    if (file === '') return null;
    try {
      return await readFile(file, 'utf8');
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const reason =
        code === 'ENOENT'
          ? 'there is no such file'
          : code === 'EACCES'
            ? 'this file may not be read: check its permissions'
            : message;
      this.refuse(setting, `${JSON.stringify(file)}: ${reason}`);
      return null;
    }
  }

  private versions(): Pick<TlsMaterial, 'minVersion' | 'maxVersion' | 'versionOptions'> {
    const words = this.values.protocols
      .toLowerCase()
      .split(/[\s,:]+/)
      .filter((word) => word !== '');
    const wanted = new Set(words.flatMap((word) => VERSION_WORDS[word] ?? [word]));
    const unknown = [...wanted].find((word) => !(VERSIONS as readonly string[]).includes(word));
    if (unknown !== undefined || wanted.size === 0) {
      const expected = `${VERSIONS.join(', ')}, secure or all`;
      this.refuse('protocols', `found ${JSON.stringify(unknown ?? '')}, expected ${expected}`);
      return { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.3', versionOptions: 0 };
    }
    const allowed = VERSIONS.map((version) => wanted.has(version));
    const first = allowed.indexOf(true);
    const last = allowed.lastIndexOf(true);
    let versionOptions = 0;
    for (let i = first; i < last; i++) if (!allowed[i]) versionOptions |= WITHOUT_VERSION[i]!;
    return { minVersion: SECURE_VERSIONS[first]!, maxVersion: SECURE_VERSIONS[last]!, versionOptions };
  }

  /** Part by part, so that the setting at fault is named. */
  private tryOut(material: TlsMaterial): void {
    const { certificate, key, authorities, ciphers, cipherSuites, curves } = material;
    const { certFile, keyFile, caFile } = this.values;
    const attempts: [string, string, SecureContextOptions][] = [];
    if (certificate !== null) attempts.push(['cert_file', certFile, { cert: certificate }]);
    if (key !== null) attempts.push(['key_file', keyFile, { key }]);
    if (certificate !== null && key !== null) {
      attempts.push(['key_file', keyFile, { cert: certificate, key }]);
    }
    if (authorities !== null && caFile !== '') attempts.push(['ca_file', caFile, { ca: authorities }]);
    attempts.push(['ciphers', this.values.ciphers, { ciphers }]);
    if (cipherSuites !== null) {
      attempts.push(['tls13_ciphers', cipherSuites, { ciphers: cipherSuites, minVersion: 'TLSv1.3' }]);
    }
    if (curves !== null) attempts.push(['ecdhcurve', curves, { ecdhCurve: curves }]);
    for (const [setting, value, options] of attempts) {
      const reason = refusedBy(options);
      if (reason === null) continue;
      // libtls's words, which PgBouncer's log has, and OpenSSL's.
      const what = setting === 'tls13_ciphers' ? 'failed to set the TLSv1.3 cipher suites: ' : '';
      return this.refuse(setting, `${JSON.stringify(value)}: ${what}${reason}`);
    }
  }

  private refuse(setting: string, message: string): void {
    const key = setting === 'tls13_ciphers' ? `${this.side}_tls13_ciphers` : `${this.side}_tls_${setting}`;
    this.problems.push({ origin: this.origins.get([key]), key, message });
  }
}

/** Why OpenSSL refuses a part of a configuration, in its words; null: it doesn't. */
function refusedBy(options: SecureContextOptions): string | null {
  try {
    createSecureContext(options);
    return null;
  } catch (error) {
    const { reason, message } = error as Error & { reason?: string };
    return reason ?? message;
  }
}
