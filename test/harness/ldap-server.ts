/** A throw-away LDAP server: OpenLDAP's slapd with one user in it. */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CertificateAuthority } from './certificates.js';
import { start } from './command.js';
import { freePort, scratchFolder } from './scratch.js';
import { until } from './until.js';

const SLAPD = ['/usr/sbin/slapd', '/usr/libexec/slapd', '/usr/local/libexec/slapd'].find((path) =>
  existsSync(path),
);
const SCHEMAS = ['/etc/ldap/schema', '/etc/openldap/schema'].find((path) => existsSync(path));
const SUFFIX = 'dc=example,dc=net';
const ROOT = `cn=Manager,${SUFFIX}`;
const ROOT_PASSWORD = 'secret';

/** Why there is none; false: there is. For `skip`. */
export const noLdapServer: string | false =
  SLAPD === undefined || SCHEMAS === undefined ? 'slapd (OpenLDAP) is not installed' : false;

export class LdapServer {
  readonly port: number;
  readonly tlsPort: number;
  /** Everything is below it. */
  readonly suffix = SUFFIX;
  readonly #child: ChildProcess;

  private constructor(port: number, tlsPort: number, child: ChildProcess) {
    this.port = port;
    this.tlsPort = tlsPort;
    this.#child = child;
  }

  /** With one entry `uid=<user>` under the suffix. It speaks TLS by a certificate for `localhost`. */
  static async start(authority: CertificateAuthority, user: string, password: string): Promise<LdapServer> {
    const folder = scratchFolder('ldap');
    const [port, tlsPort] = [await freePort(), await freePort()];
    mkdirSync(join(folder, 'data'));
    writeFileSync(join(folder, 'slapd.conf'), configuration(folder, authority));
    const urls = `ldap://127.0.0.1:${port} ldaps://127.0.0.1:${tlsPort}`;
    const child = start(SLAPD!, ['-f', join(folder, 'slapd.conf'), '-h', urls, '-d', '0'], {
      stdio: 'ignore',
    });
    const server = new LdapServer(port, tlsPort, child);
    await until('slapd to answer', () => server.#add(organisation()));
    server.#add(person(user));
    const as = ['-x', '-H', server.#url, '-D', ROOT, '-w', ROOT_PASSWORD];
    execFileSync('ldappasswd', [...as, '-s', password, `uid=${user},${SUFFIX}`], { stdio: 'ignore' });
    return server;
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }

  get #url(): string {
    return `ldap://127.0.0.1:${this.port}`;
  }

  #add(entry: string): boolean {
    try {
      const as = ['-x', '-H', this.#url, '-D', ROOT, '-w', ROOT_PASSWORD];
      execFileSync('ldapadd', as, { input: entry, stdio: ['pipe', 'ignore', 'ignore'] });
      return true;
    } catch {
      return false;
    }
  }
}

function configuration(folder: string, authority: CertificateAuthority): string {
  const { certFile, keyFile } = authority.issue('localhost', ['DNS:localhost', 'IP:127.0.0.1']);
  const schemas = ['core', 'cosine', 'nis', 'inetorgperson'].map(
    (name) => `include ${SCHEMAS}/${name}.schema`,
  );
  return `${schemas.join('\n')}
pidfile ${join(folder, 'slapd.pid')}
TLSCACertificateFile ${authority.certFile}
TLSCertificateFile ${certFile}
TLSCertificateKeyFile ${keyFile}
access to * by * read by anonymous auth
database ldif
directory ${join(folder, 'data')}
suffix "${SUFFIX}"
rootdn "${ROOT}"
rootpw ${ROOT_PASSWORD}
`;
}

function organisation(): string {
  return `dn: ${SUFFIX}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n`;
}

function person(user: string): string {
  return [
    `dn: uid=${user},${SUFFIX}`,
    'objectClass: inetOrgPerson',
    `uid: ${user}`,
    'sn: Person',
    'cn: A Person',
    `mail: ${user}@example.net`,
    '',
  ].join('\n');
}
