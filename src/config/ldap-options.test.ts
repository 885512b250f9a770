import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLdapOptions } from './ldap-options.js';

const SEARCH = { kind: 'search', baseDn: 'dc=x', scope: 'sub', bindDn: '', bindPassword: '' };

test('options and URLs name a server and a way to find the user', () => {
  assert.deepEqual(parseLdapOptions('ldapserver=h ldapprefix="uid=" ldapsuffix=",dc=x" ldaptls=1'), {
    scheme: 'ldap',
    hosts: ['h'],
    port: 389,
    startTls: true,
    bind: { kind: 'simple', prefix: 'uid=', suffix: ',dc=x' },
  });
  assert.deepEqual(parseLdapOptions('ldapserver="a b", "ldapport"=1 ldapbasedn="dc=x"'), {
    scheme: 'ldap',
    hosts: ['a', 'b'],
    port: 1,
    startTls: false,
    bind: { ...SEARCH, filter: '(uid=$username)' },
  });
  assert.deepEqual(parseLdapOptions('ldapurl="ldaps://[::1]:77/dc=x?cn,sn?one" ldapbindpasswd="a ""b"""'), {
    scheme: 'ldaps',
    hosts: ['::1'],
    port: 77,
    startTls: false,
    bind: { ...SEARCH, scope: 'one', bindPassword: 'a "b"', filter: '(cn=$username)' },
  });
  const url = parseLdapOptions('ldapurl="ldap://h/dc%3Dx??sub?(|(uid=$username)(mail=$username))"');
  assert.deepEqual(typeof url === 'object' && url.bind, {
    ...SEARCH,
    filter: '(|(uid=$username)(mail=$username))',
  });
  // As in OpenLDAP, a URL without a scope means the entry itself.
  const base = parseLdapOptions('ldapurl="ldap://h/dc=x"');
  assert.equal(typeof base === 'object' && base.bind.kind === 'search' && base.bind.scope, 'base');
});

test('what is wrong is said, and no value is shown', () => {
  const bad: Record<string, RegExp> = {
    '': /ldapbasedn, ldapprefix, or ldapsuffix is missing/,
    'ldapserver=h': /is missing/,
    'ldapbasedn="dc=x"': /ldapserver is missing/,
    'ldapserver=h ldapprefix=a ldapbasedn=b': /cannot mix/,
    'ldapserver=h ldapbasedn=b ldapsearchattribute=a ldapsearchfilter=f': /cannot use ldapsearchattribute/,
    'ldapserver=h ldapbasedn=b ldapport=0': /ldapport/,
    'ldapserver=h ldapbasedn=b ldapscheme=http': /ldapscheme/,
    'ldapserver=h ldapbasedn=b ldapfoo=s3cret': /invalid LDAP option: "ldapfoo"/,
    'ldapserver=h ldapbindpasswd="s3cret': /key=value/,
    'ldapserver=h ldapbasedn = b': /key=value/,
    'ldapurl="http://h/dc=x"': /ldapurl cannot be read/,
    'ldapurl="ldap://h/dc=x?uid?every"': /ldapurl cannot be read/,
  };
  for (const [text, reason] of Object.entries(bad)) {
    const answer = parseLdapOptions(text);
    assert.match(String(answer), reason, text);
    assert.doesNotMatch(String(answer), /s3cret/);
  }
});
