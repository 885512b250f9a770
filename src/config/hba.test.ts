import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { findHbaRule } from '../core/hba.js';
import { parseHbaFile } from './hba-file.js';
import { parseIdentFile } from './ident-file.js';

const FILES: Readonly<Record<string, string>> = {
  'dbs.txt': 'one, two\n\n# nothing\nthree "four, five"\n@more.txt\n',
  'more.txt': 'six',
};

function parse(source: string, ident = '') {
  return parseHbaFile(source, {
    file: '/etc/hba.conf',
    maps: parseIdentFile(ident, '/etc/ident.conf').maps,
    readIncluded: (name) => (FILES[name] === undefined ? null : { path: `/etc/${name}`, text: FILES[name]! }),
  });
}

const RULES = `
# comments and empty lines are nothing
local     app         all                           peer      # so is this
local     all         boss                          trust
hostssl   secure      all       10.1.0.0/16         cert
hostnossl clear       all       10.1.0.0/16         md5
host      app         alice     10.0.0.7/32         password
host      app,"all"   "bob ""b"""  10.0.0.0  255.255.255.0  scram-sha-256
host      sameuser    all       10.2.0.0/15         trust
host      @dbs.txt    all       10.4.0.0/16         md5
host      replication rep       all                 md5
host      all         rep       all                 reject
host      v6          all       2001:db8::/33       md5
host      v6          all       ::1/128             trust
host      bits        all       192.168.7.64/26     md5
host      nobody      all       10.9.9.9/8          trust
host      last        all       all                 scram-sha-256
`;

type Row = readonly [
  expected: string,
  database: string,
  user: string,
  address: string | null,
  how?: 'tls' | 'replication',
];

const TABLE: readonly Row[] = [
  ['peer', 'app', 'anybody', null],
  ['trust', 'other', 'boss', null],
  ['none', 'other', 'anybody', null],
  ['cert', 'secure', 'x', '10.1.2.3', 'tls'],
  ['none', 'secure', 'x', '10.1.2.3'],
  ['none', 'clear', 'x', '10.1.2.3', 'tls'],
  ['md5', 'clear', 'x', '10.1.2.3'],
  ['plain', 'app', 'alice', '10.0.0.7'],
  ['none', 'app', 'alice', '10.0.0.8'],
  // What is quoted is a name, not a keyword.
  ['scram-sha-256', 'all', 'bob "b"', '10.0.0.9'],
  ['none', 'other', 'bob "b"', '10.0.0.9'],
  ['none', 'app', 'bob', '10.0.0.9'],
  ['trust', 'x', 'x', '10.3.255.255'],
  ['none', 'x', 'y', '10.3.255.255'],
  ['none', 'x', 'x', '10.4.0.0'],
  ['md5', 'two', 'y', '10.4.0.1'],
  ['none', 'four', 'y', '10.4.0.1'],
  // Physical replication fits the word alone, which is no database.
  ['md5', 'app', 'rep', '10.0.0.7', 'replication'],
  ['reject', 'replication', 'rep', '10.0.0.7'],
  ['none', 'last', 'alice', '10.0.0.7', 'replication'],
  ['md5', 'v6', 'x', '2001:db8:7fff::1'],
  ['none', 'v6', 'x', '2001:db8:8000::1'],
  ['trust', 'v6', 'x', '::1'],
  ['none', 'v6', 'x', '127.0.0.1'],
  ['md5', 'bits', 'x', '192.168.7.127'],
  ['none', 'bits', 'x', '192.168.7.128'],
  ['none', 'nobody', 'x', '10.9.9.9'],
  ['scram-sha-256', 'last', 'x', '1.2.3.4'],
  ['scram-sha-256', 'last', 'x', 'face::1'],
  ['none', 'last', 'x', null],
];

describe('the rules of an HBA file', () => {
  test('decide by database, user, address, TLS and replication: the first that fits', () => {
    const { rules } = parse(RULES);
    for (const row of TABLE) {
      const [expected, database, user, address, how] = row;
      const rule = findHbaRule(rules, {
        address,
        isEncrypted: how === 'tls',
        isPhysicalReplication: how === 'replication',
        database,
        user,
      });
      assert.equal(rule?.method ?? 'none', expected, JSON.stringify(row));
    }
  });

  test('a line that cannot be read is told with its number, and the others hold', () => {
    const bad: Record<string, RegExp> = {
      'remote all all all trust': /unknown type/,
      'host all all trust': /failed to parse address - trust/,
      'host all all 10.0.0.0/33 trust': /invalid mask/,
      'host all all 10.0.0.0/x trust': /invalid mask/,
      'host all all 10.0.0.0 trust': /failed to parse mask: trust/,
      'host all all ::1/129 trust': /invalid mask/,
      'host all all samenet trust': /failed to parse address - samenet/,
      'host samerole all all trust': /samerole is not supported/,
      'host all +admins all trust': /roles \(\+name\)/,
      'host @missing.txt all all trust': /cannot read the file of @missing.txt/,
      'host all all all gss': /unsupported method: gss/,
      'host all all all pam': /unsupported method: pam/,
      'host all all all md5 clientcert=1': /not in map=value format/,
      'host all all all cert map=none': /Ident map none is not found/,
      'host all all all cert map=m more': /unsupported parameters/,
      'host "all all all trust': /a name is expected/,
      'host all all': /did not find address/,
      'host all, # x': /a name is expected/,
    };
    for (const [line, reason] of Object.entries(bad)) {
      const { rules, problems } = parse(`local all all trust\n${line}\nhost last all all md5\n`, 'm a b');
      assert.deepEqual(
        rules.map((rule) => rule.line),
        [1, 3],
        line,
      );
      assert.equal(problems.length, 1, line);
      assert.match(problems[0]!.message, /^could not parse hba config line 2: /);
      assert.match(problems[0]!.message, reason);
    }
  });

  test('an address that does not fit its mask is warned of', () => {
    const { rules, problems } = parse('host all all 10.9.9.9/8 trust');
    assert.equal(rules.length, 1);
    assert.match(problems[0]!.message, /address does not match mask in line 1/);
  });

  test('an ldap line with bad options stays, and lets nobody in', () => {
    const { rules, problems } = parse('host all all all ldap ldapserver=x\nhost all all all trust');
    assert.deepEqual([rules[0]?.method, rules[0]?.ldap], ['ldap', null]);
    assert.match(problems[0]!.message, /hba line 1: nobody can log in .*ldapbasedn/);
  });
});

describe('name maps', () => {
  test('belong to lines by their names', () => {
    const ident = 'm host.example.org alice\n# no\n\nm "Some One" all\nother x "all"\n';
    const { rules, problems } = parse('hostssl all all all cert map=m\nlocal all all peer map=other', ident);
    assert.deepEqual(problems, []);
    assert.deepEqual(rules[0]?.map?.lines, [
      { systemUser: 'host.example.org', user: 'alice' },
      { systemUser: 'Some One', user: null },
    ]);
    assert.deepEqual(rules[1]?.map?.lines, [{ systemUser: 'x', user: 'all' }]);
  });

  test('lines that cannot be read are told', () => {
    const { maps, problems } = parseIdentFile('"m" a b\nm a\nm a b c\nm a b\n', '/etc/ident.conf');
    assert.deepEqual(
      problems.map(({ message }) => message.split(':')[0]),
      [1, 2, 3].map((line) => `could not parse ident config line ${line}`),
    );
    assert.equal(maps.get('m')?.lines.length, 1);
  });
});
