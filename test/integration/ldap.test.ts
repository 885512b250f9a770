/** `ldap`: the password is checked at a real LDAP server, in every way that an `ldap` line can name. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CertificateAuthority, noCertificates } from '../harness/certificates.js';
import { ask, psql } from '../harness/client-programs.js';
import { availableDrivers } from '../harness/drivers.js';
import { GatewayUnderTest } from '../harness/gateway-under-test.js';
import { LdapServer, noLdapServer } from '../harness/ldap-server.js';
import { PostgresServer } from '../harness/postgres-server.js';
import { scratchFolder } from '../harness/scratch.js';
import { until } from '../harness/until.js';

const USER = 'ldapuser';
const PASSWORD = 'correct horse';
const WHO = 'SELECT current_user';

const skip = noLdapServer || noCertificates;
let ldap: LdapServer;
let postgres: PostgresServer;
let authority: CertificateAuthority;

before(async () => {
  if (skip) return;
  authority = new CertificateAuthority('LDAP');
  ldap = await LdapServer.start(authority, USER, PASSWORD);
  postgres = await PostgresServer.start();
  await postgres.query(`CREATE ROLE ${USER} LOGIN`);
});
after(async () => {
  ldap?.stop();
  await postgres?.discard();
});

/** The options of a line, by what they show. */
function waysToLogIn(): Record<string, string> {
  const { port, tlsPort, suffix } = ldap;
  const at = `ldapserver=127.0.0.1 ldapport=${port}`;
  const url = `ldap://127.0.0.1:${port}/${suffix}`;
  return {
    'simple bind': `${at} ldapprefix="uid=" ldapsuffix=",${suffix}"`,
    'search and bind': `${at} ldapbasedn="${suffix}"`,
    'an attribute to search by': `${at} ldapbasedn="${suffix}" ldapsearchattribute=uid`,
    'a filter': `${at} ldapbasedn="${suffix}" ldapsearchfilter="uid=$username"`,
    'a URL': `ldapurl="${url}?uid?sub"`,
    'a filter in a URL': `ldapurl="${url}??sub?(|(uid=$username)(mail=$username))"`,
    ldaps: `ldapurl="ldaps://127.0.0.1:${tlsPort}/${suffix}?uid?sub"`,
    StartTLS: `${at} ldapbasedn="${suffix}" ldaptls=1`,
    'the second of two servers': `ldapserver="127.0.0.9 127.0.0.1" ldapport=${port} ldapbasedn="${suffix}"`,
    'quoted keys and commas': `ldapserver=127.0.0.1 "ldapport"=${port} ldapbasedn="${suffix}" ,ldapsearchfilter="uid=$username"`,
  };
}

async function withLine(options: string, use: (gateway: GatewayUnderTest) => Promise<void>): Promise<void> {
  const hba = join(scratchFolder('hba'), 'hba.conf');
  writeFileSync(hba, `host all all 0.0.0.0/0 ldap ${options}\n`);
  const settings = { auth_type: 'hba', auth_hba_file: hba, auth_ldap_ca_file: authority.certFile };
  const gateway = await GatewayUnderTest.start({ io: availableDrivers[0]!, server: postgres, settings });
  try {
    await use(gateway);
  } finally {
    await gateway.stop();
  }
}

async function assertRefused(gateway: GatewayUnderTest, user: string, password: string): Promise<void> {
  const { code, stderr } = await psql(gateway, ['-c', WHO], { user, password });
  assert.equal(code, 2);
  assert.match(stderr, /FATAL: {2}LDAP authentication failed/);
}

describe('ldap', { skip }, () => {
  test('every way to find a user and to speak TLS', async () => {
    for (const [name, options] of Object.entries(waysToLogIn())) {
      await withLine(options, async (gateway) => {
        assert.equal(await ask(gateway, WHO, { user: USER, password: PASSWORD }), USER, name);
        await assertRefused(gateway, USER, 'wrong');
        assert.ok(!gateway.log.includes('horse'), 'the password is logged');
      });
    }
  });

  test('auth_ldap_options, unknown users, and names that would be a filter', async () => {
    const auth_ldap_options = `ldapurl="ldap://127.0.0.1:${ldap.port}/${ldap.suffix}?uid?sub"`;
    const settings = { auth_type: 'ldap', auth_ldap_options };
    const gateway = await GatewayUnderTest.start({ io: availableDrivers[0]!, server: postgres, settings });
    try {
      assert.equal(await ask(gateway, WHO, { user: USER, password: PASSWORD }), USER);
      await assertRefused(gateway, 'nobody', PASSWORD);
      await assertRefused(gateway, '*', PASSWORD);
      await until('the reason', () => /LDAP user \\"nobody\\" does not exist/.test(gateway.log));
    } finally {
      await gateway.stop();
    }
  });

  test('a server that does not speak TLS as asked, and one that is not there', async () => {
    const { port, tlsPort, suffix } = ldap;
    const wrong = [
      `ldapurl="ldaps://127.0.0.1:${port}/${suffix}?uid?sub"`,
      `ldapserver=127.0.0.1 ldapport=${tlsPort} ldapbasedn="${suffix}" ldaptls=1`,
      `ldapserver=127.0.0.9 ldapport=${port} ldapbasedn="${suffix}"`,
    ];
    for (const options of wrong) {
      await withLine(options, (gateway) => assertRefused(gateway, USER, PASSWORD));
    }
  });
});
