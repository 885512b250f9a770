/** Authentication where TLS is spoken: channel binding on both sides, and certificates of clients. */
import assert from 'node:assert/strict';
import { chownSync, copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { BoundLogin } from '../harness/bound-login.js';
import { type Certificate, CertificateAuthority, noCertificates } from '../harness/certificates.js';
import { ask, type PsqlOptions, psql } from '../harness/client-programs.js';
import { describeDrivers } from '../harness/drivers.js';
import { GatewayUnderTest, withGateway } from '../harness/gateway-under-test.js';
import { serverIdentity } from '../harness/postgres-binaries.js';
import { PostgresServer } from '../harness/postgres-server.js';
import { scratchFolder } from '../harness/scratch.js';
import { until } from '../harness/until.js';

const PASSWORD = 'correct horse';
const WHO = 'SELECT current_user';
const SSL = 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()';

let authority: CertificateAuthority;
let certificate: Certificate;
let server: PostgresServer;
/** What `pg_authid` keeps of alice's password. */
let verifier: string;

before(async () => {
  if (noCertificates) return;
  authority = new CertificateAuthority('gateway');
  certificate = authority.issue('localhost', ['DNS:localhost', 'IP:127.0.0.1']);
  server = await PostgresServer.start({
    settings: { ssl: 'on', ...serverFiles(authority.issue('server', ['IP:127.0.0.1'])) },
    hba: [
      'local all all trust',
      'host all postgres 127.0.0.1/32 trust',
      'hostssl all alice 127.0.0.1/32 scram-sha-256',
      'hostssl all asker 127.0.0.1/32 scram-sha-256',
      'hostnossl all asker 127.0.0.1/32 reject',
      'hostssl all carol 127.0.0.1/32 cert',
      'hostssl all all 127.0.0.1/32 trust',
    ],
  });
  await server.query(
    `CREATE ROLE alice LOGIN PASSWORD '${PASSWORD}'; CREATE ROLE bob LOGIN; CREATE ROLE carol LOGIN; CREATE ROLE asker LOGIN SUPERUSER PASSWORD 'asks'`,
  );
  const [row] = await server.query("SELECT rolpassword FROM pg_authid WHERE rolname = 'alice'");
  verifier = row!.rolpassword;
});
after(() => server?.discard());

/** PostgreSQL, under an account of its own, insists that its key is its own. */
function serverFiles({ certFile, keyFile }: Certificate) {
  const { uid, gid } = serverIdentity();
  const key = join(scratchFolder('server-key'), 'server.key');
  copyFileSync(keyFile, key);
  if (uid !== undefined && gid !== undefined) chownSync(key, uid, gid);
  return { ssl_cert_file: certFile, ssl_key_file: key, ssl_ca_file: authority.certFile };
}

function clientTls({ certFile, keyFile }: Certificate = certificate): Record<string, string> {
  return {
    client_tls_sslmode: 'prefer',
    client_tls_cert_file: certFile,
    client_tls_key_file: keyFile,
    client_tls_ca_file: authority.certFile,
  };
}

const serverTls = (mode = 'verify-full') => ({
  server_tls_sslmode: mode,
  server_tls_ca_file: authority.certFile,
});

/** psql's environment: TLS with a verified gateway, and what else is asked for. */
function secure(user: string, more: PsqlOptions['env'] = {}, password?: string): PsqlOptions {
  const env = { PGSSLMODE: 'verify-full', PGSSLROOTCERT: authority.certFile, ...more };
  return { user, env, ...(password !== undefined && { password }) };
}

/** What is said in the log comes from another thread than what the client is told. */
async function logged(gateway: GatewayUnderTest, line: RegExp): Promise<void> {
  await until(`${line} in the log`, () => line.test(gateway.log));
}

const withCertificate = ({ certFile, keyFile }: Certificate) => ({ PGSSLCERT: certFile, PGSSLKEY: keyFile });
const BOUND = { PGCHANNELBINDING: 'require' };

async function assertRefused(gateway: GatewayUnderTest, options: PsqlOptions, reason: RegExp): Promise<void> {
  const { code, stderr } = await psql(gateway, ['-c', WHO], options);
  assert.equal(code, 2);
  assert.match(stderr, reason);
}

describeDrivers('authentication over TLS', (io) => {
  const options = { skip: noCertificates };

  test('SCRAM is bound to the session, from psql to the gateway and on to the server', options, async () => {
    const settings = { auth_type: 'scram-sha-256', ...clientTls(), ...serverTls() };
    await withGateway({ io, server, users: { alice: PASSWORD }, settings }, async (gateway) => {
      assert.equal(await ask(gateway, WHO, secure('alice', BOUND, PASSWORD)), 'alice');
      assert.equal(await ask(gateway, SSL, secure('alice', BOUND, PASSWORD)), 't');
      await assertRefused(gateway, secure('alice', BOUND, 'wrong'), /SASL authentication failed/);
      await assertRefused(gateway, secure('nobody', BOUND, PASSWORD), /SASL authentication failed/);
      const plain = { user: 'alice', password: PASSWORD, env: { ...BOUND, PGSSLMODE: 'disable' } };
      await assertRefused(gateway, plain, /channel binding required/);
      const unbound = secure('alice', { PGCHANNELBINDING: 'disable' }, PASSWORD);
      assert.equal(await ask(gateway, WHO, unbound), 'alice');
    });
  });

  test(
    "with the server's verifier alone, the keys of a client's login serve for the server",
    options,
    async () => {
      const settings = { auth_type: 'scram-sha-256', ...clientTls(), ...serverTls() };
      await withGateway({ io, server, users: { alice: verifier }, settings }, async (gateway) => {
        assert.equal(await ask(gateway, WHO, secure('alice', BOUND, PASSWORD)), 'alice');
        assert.equal(await ask(gateway, WHO, { user: 'alice', password: PASSWORD }), 'alice');
        assert.ok(!gateway.log.includes('SCRAM-SHA-256$') && !gateway.log.includes('horse'));
      });
    },
  );

  test('auth_query runs over TLS, with a verified server', options, async () => {
    const settings = { auth_type: 'scram-sha-256', auth_user: 'asker', ...clientTls(), ...serverTls() };
    await withGateway({ io, server, users: { asker: 'asks' }, settings }, async (gateway) => {
      assert.equal(await ask(gateway, WHO, secure('alice', BOUND, PASSWORD)), 'alice');
      const [row] = await server.query(
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'sluice auth_query'",
      );
      assert.equal(row?.ssl, true);
    });
    const other = new CertificateAuthority('another');
    const untrusted = { ...settings, server_tls_ca_file: other.certFile };
    await withGateway({ io, server, users: { asker: 'asks' }, settings: untrusted }, async (gateway) => {
      await assertRefused(
        gateway,
        secure('alice', {}, PASSWORD),
        /could not ask the authentication database/,
      );
    });
  });

  test('a certificate that is replaced does not break a login that is under way', options, async () => {
    const folder = scratchFolder('own');
    const own = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') };
    const use = ({ certFile, keyFile }: Certificate): void => {
      copyFileSync(certFile, own.certFile);
      copyFileSync(keyFile, own.keyFile);
    };
    use(certificate);
    const file = join(folder, 'sluice.json');
    writeFileSync(
      file,
      JSON.stringify({
        ...clientTls(own),
        server_tls_sslmode: 'require',
        users: { alice: { password: PASSWORD } },
        databases: { '*': { host: server.host, port: server.port, user: 'bob' } },
      }),
    );
    const gateway = await GatewayUnderTest.start({
      io,
      server: [],
      file,
      settings: { auth_type: 'scram-sha-256' },
    });
    try {
      const login = await BoundLogin.start(gateway, 'alice', PASSWORD);
      use(authority.issue('localhost', ['DNS:localhost', 'IP:127.0.0.1']));
      gateway.signal('SIGHUP');
      await login.untilCertificateIsNot(login.certificate);
      await login.finish();
    } finally {
      await gateway.stop();
    }
  });

  test('a certificate and its key are SET one after the other', options, async () => {
    const settings = { admin_users: 'bob', ...clientTls(), ...serverTls() };
    await withGateway({ io, server, settings }, async (gateway) => {
      const set = async (name: string, value: string) => {
        const statement = `SET ${name} = '${value}'`;
        const { code, stderr } = await psql(gateway, ['-c', statement], {
          user: 'bob',
          database: 'pgbouncer',
        });
        return { code, stderr };
      };
      const unapplied =
        /TLS settings could not be applied, still using old configuration: client_tls_key_file/;
      const other = new CertificateAuthority('another');
      const next = other.issue('localhost', ['IP:127.0.0.1']);
      const first = await set('client_tls_key_file', next.keyFile);
      assert.equal(first.code, 0);
      assert.match(first.stderr, unapplied);
      // Nothing is promised that isn't done.
      assert.equal((await set('client_tls_sslmode', 'require')).code, 1);
      assert.equal(await ask(gateway, WHO, secure('bob')), 'bob');
      assert.deepEqual(await set('client_tls_cert_file', next.certFile), { code: 0, stderr: '' });
      await assertRefused(gateway, secure('bob'), /certificate verify failed/);
      assert.equal(await ask(gateway, WHO, secure('bob', { PGSSLROOTCERT: other.certFile })), 'bob');
      await logged(gateway, /client_tls_key_file/);
    });
  });

  test('cert: the certificate names the user', options, async () => {
    const settings = { auth_type: 'cert', ...clientTls(), client_tls_sslmode: 'require', ...serverTls() };
    const bob = withCertificate(authority.issue('bob'));
    await withGateway({ io, server, settings }, async (gateway) => {
      assert.equal(await ask(gateway, WHO, secure('bob', bob)), 'bob');
      const refused = /certificate authentication failed/;
      await assertRefused(gateway, secure('alice', bob), refused);
      await assertRefused(gateway, secure('bob', { PGSSLCERT: '/nonexistent' }), refused);
      await logged(gateway, /TLS certificate name mismatch/);
      await logged(gateway, /TLS client certificate required/);
      // The gateway has no certificate of its own for the server.
      await assertRefused(gateway, secure('carol', withCertificate(authority.issue('carol'))), /certificate/);
    });
  });

  test('cert by an HBA line with a name map', options, async () => {
    const folder = scratchFolder('hba');
    const [hba, ident] = [join(folder, 'hba.conf'), join(folder, 'ident.conf')];
    writeFileSync(ident, 'people "Some Body" bob\npeople host.example.org all\n');
    writeFileSync(hba, 'hostssl all all 127.0.0.1/32 cert map=people\n');
    const files = { auth_type: 'hba', auth_hba_file: hba, auth_ident_file: ident };
    const settings = { ...files, ...clientTls(), ...serverTls() };
    await withGateway({ io, server, settings }, async (gateway) => {
      const person = withCertificate(authority.issue('Some Body'));
      assert.equal(await ask(gateway, WHO, secure('bob', person)), 'bob');
      await assertRefused(gateway, secure('carol', person), /certificate authentication failed/);
      await logged(gateway, /ident map: people does not have a match/);
      const host = withCertificate(authority.issue('x', ['DNS:host.example.org']));
      assert.equal(await ask(gateway, WHO, secure('bob', host)), 'bob');
      const without = { user: 'bob', env: { PGSSLMODE: 'disable' } };
      await assertRefused(gateway, without, /no authentication method is found/);
    });
  });
});
