/** One connection of ours to a database in which `auth_query` is run. */
import pg from 'pg';
import type { TlsMaterial } from '../../config/tls.js';
import type { AuthTarget } from '../../core/authority.js';
import type { ServerAddress } from '../../core/io.js';
import type { TlsMode } from '../../core/settings.js';
import { nodeTlsContext } from '../../reactor/node-tls.js';
import { hostMismatch } from '../../reactor/tls-facts.js';
import { md5Response } from '../../wire/md5.js';

/** What of the configuration concerns such connections. Times are in ms. */
export interface AuthConnectionSettings {
  readonly tlsMode: TlsMode;
  readonly tls: TlsMaterial | null;
  /** Empty: what the server has set for the user. */
  readonly searchPath: string;
  readonly connectTimeoutMs: number;
  readonly queryTimeoutMs: number;
  /** Among the server's sessions; missing: that of `auth_query`. */
  readonly applicationName?: string;
}

/** One row and its width; null: no row. */
export type Answer = { readonly columns: number; readonly row: readonly (string | null)[] | null };

/** pg's word for a server that has answered an SSLRequest with N. */
const TLS_REFUSED = 'The server does not support SSL connections';
/** Class of SQLSTATEs by which pg_hba.conf refuses a connection for not being encrypted, among other reasons. */
const NOT_AUTHORIZED = /^28/;

/**
 * Connects to the first address that accepts it.
 * @throws the error of the last one
 */
export async function openAuthConnection(
  target: AuthTarget,
  settings: AuthConnectionSettings,
): Promise<AuthConnection> {
  let reason: unknown = new Error('no address is known');
  for (const address of target.addresses) {
    for (const encrypted of waysOf(address, settings.tlsMode)) {
      const connection = new AuthConnection(address, target, settings, encrypted);
      try {
        await connection.open();
        return connection;
      } catch (error) {
        connection.close();
        reason = error;
        if (!triesOtherWay(error, encrypted)) break;
      }
    }
  }
  throw reason;
}

/** Whether TLS is spoken, in the order in which it is tried; sockets in the file system are never encrypted. */
function waysOf(address: ServerAddress, mode: TlsMode): readonly boolean[] {
  if ('socketPath' in address || mode === 'disable') return [false];
  if (mode === 'allow') return [false, true];
  return mode === 'prefer' ? [true, false] : [true];
}

function triesOtherWay(error: unknown, encrypted: boolean): boolean {
  const { message, code = '' } = error as Error & { code?: string };
  return encrypted ? message === TLS_REFUSED : NOT_AUTHORIZED.test(code);
}

export class AuthConnection {
  /** It has been closed, by us or the server. */
  isClosed = false;
  readonly #client: pg.Client;
  readonly #target: AuthTarget;

  constructor(
    address: ServerAddress,
    target: AuthTarget,
    settings: AuthConnectionSettings,
    encrypted: boolean,
  ) {
    const { tls, searchPath } = settings;
    const { host, port } = placeOf(address);
    if (encrypted && tls === null) throw new Error('TLS is not configured');
    this.#target = target;
    this.#client = new pg.Client({
      // A client's startup parameters have no place here (CVE-2025-12819), nor has our environment.
      options: searchPath === '' ? '' : `-c search_path=${escapeOption(searchPath)}`,
      host,
      port,
      user: target.user,
      database: target.database,
      password: target.secret.password ?? '',
      application_name: settings.applicationName ?? 'sluice auth_query',
      ssl: encrypted ? tlsOptions(tls as TlsMaterial, host) : false,
      connectionTimeoutMillis: settings.connectTimeoutMs,
      query_timeout: settings.queryTimeoutMs,
    });
    const closed = (): void => {
      this.isClosed = true;
    };
    this.#client.on('error', closed);
    this.#client.on('end', closed);
  }

  /** @throws the server's error, or the system's */
  async open(): Promise<void> {
    const opened = this.#client.connect();
    this.#answerMd5();
    await opened;
  }

  /**
   * Runs a query with one parameter; of several rows the last one counts, as in PgBouncer.
   * @throws the server's error; the connection may serve on unless it is closed
   */
  async ask(query: string, parameter: string): Promise<Answer> {
    const text = { text: query, values: [parameter], rowMode: 'array' as const, types: AS_TEXT };
    try {
      const { fields, rows } = await this.#client.query<(string | null)[]>(text);
      return { columns: fields.length, row: rows.at(-1) ?? null };
    } catch (error) {
      // Without an SQLSTATE it is not the server that speaks: what the connection is in can't be known.
      if ((error as { code?: string }).code === undefined) this.close();
      throw error;
    }
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#client.end().catch(() => {});
  }

  /** The library wants the password; a server that asks for MD5 is content with its hash, which may be all we know. */
  #answerMd5(): void {
    const { password, md5 } = this.#target.secret;
    if (password !== null || md5 === null) return;
    const { connection } = this.#client as unknown as { connection: PgConnection };
    connection.removeAllListeners('authenticationMD5Password');
    connection.on('authenticationMD5Password', ({ salt }) => connection.password(md5Response(md5, salt)));
  }
}

/** What of pg's inner connection is needed. */
interface PgConnection {
  removeAllListeners(event: string): void;
  on(event: string, listener: (message: { readonly salt: Uint8Array }) => void): void;
  password(answer: string): void;
}

/** Values as the server writes them. */
const AS_TEXT = { getTypeParser: () => (value: string) => value } as unknown as pg.CustomTypesConfig;

function tlsOptions(material: TlsMaterial, host: string) {
  return {
    secureContext: nodeTlsContext(material).secure,
    rejectUnauthorized: material.verify !== 'none',
    checkServerIdentity: (_: string, certificate: { readonly raw: Buffer }): Error | undefined => {
      const mismatch = material.verifyHost ? hostMismatch(certificate.raw, host) : null;
      return mismatch === null ? undefined : new Error(mismatch);
    },
  };
}

/** As the library wants it: a host that begins with `/` is the folder of a unix socket, and the port names the file. */
function placeOf(address: ServerAddress): { readonly host: string; readonly port: number } {
  if (!('socketPath' in address)) return address;
  const [, folder, port] = /^(.*)\/\.s\.PGSQL\.(\d+)$/s.exec(address.socketPath) ?? [];
  return { host: folder || '/', port: Number(port) };
}

/** In the startup parameter `options` a backslash keeps spaces together. */
function escapeOption(value: string): string {
  return value.replace(/[\\\s]/g, '\\$&');
}
