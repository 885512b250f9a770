import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { reportedName } from '../parameters.js';
import {
  divideStartupParameters,
  readReplication,
  replicationParameters,
  type StartupParameters,
  withHost,
} from './startup-parameters.js';

function divide(asked: Record<string, string>, ignored: string[] = []): StartupParameters {
  const rules = { ignored: new Set(ignored), reportedName };
  const divided = divideStartupParameters(new Map(Object.entries(asked)), rules);
  assert.ok('fixed' in divided, JSON.stringify(divided));
  return divided;
}

describe('startup parameters', () => {
  test('what servers report follows the client, the rest belongs to the pool', () => {
    const { reported, fixed } = divide({
      user: 'u',
      database: 'd',
      replication: 'off',
      timezone: 'UTC',
      Extra_Float_Digits: '3',
      options: '-c datestyle=German -c statement_timeout=5s',
    });
    assert.deepEqual(
      [...reported],
      [
        ['DateStyle', 'German'],
        ['TimeZone', 'UTC'],
      ],
    );
    assert.deepEqual(
      [...fixed],
      [
        ['statement_timeout', '5s'],
        ['extra_float_digits', '3'],
      ],
    );
  });

  test('a parameter of its own overrules the options', () => {
    const { reported, fixed } = divide({
      TimeZone: 'UTC',
      work_mem: '1MB',
      options: '--timezone=x --WORK-MEM=2MB',
    });
    assert.deepEqual([...reported], [['TimeZone', 'UTC']]);
    assert.deepEqual([...fixed], [['work_mem', '1MB']]);
  });

  test('ignored ones are left out, also within options', () => {
    const asked = { extra_float_digits: '2', options: '-c extra_float_digits=3 -c enable_seqscan=off' };
    assert.deepEqual([...divide(asked, ['extra_float_digits']).fixed], [['enable_seqscan', 'off']]);
  });

  test('with options ignored, what is reported still counts', () => {
    const { reported, fixed } = divide(
      { options: '-c enable_seqscan=off -c timezone=UTC', work_mem: '1MB' },
      ['options'],
    );
    assert.deepEqual([...reported], [['TimeZone', 'UTC']]);
    assert.deepEqual([...fixed], [['work_mem', '1MB']]);
  });

  test('options that are no settings are refused', () => {
    const rules = { ignored: new Set<string>(), reportedName };
    const refused = divideStartupParameters(new Map([['options', '-d 5']]), rules);
    assert.ok('code' in refused);
    assert.match(refused.message, /^unsupported options startup parameter: only '-c config=val'/);
  });

  test('a replication connection passes all on, options unread', () => {
    const asked = new Map([
      ['user', 'u'],
      ['database', 'd'],
      ['replication', 'database'],
      ['options', '-d 5'],
      ['work_mem', '1MB'],
      ['TimeZone', 'UTC'],
    ]);
    assert.deepEqual(Object.fromEntries(replicationParameters(asked, new Set(['work_mem'])).fixed), {
      replication: 'database',
      options: '-d 5',
      TimeZone: 'UTC',
    });
  });

  test('replication is a boolean or a database', () => {
    const wanted = {
      t: 'physical',
      YES: 'physical',
      on: 'physical',
      1: 'physical',
      database: 'logical',
    } as const;
    for (const [value, meaning] of Object.entries(wanted)) assert.equal(readReplication(value), meaning);
    for (const value of ['f', 'no', 'of', 'off', '0', undefined])
      assert.equal(readReplication(value), 'none');
    for (const value of ['', 'o', 'yesss', '2', 'Database']) assert.equal(readReplication(value), null);
  });

  test('the host is added to the application name', () => {
    assert.equal(withHost('psql', '10.0.0.7:5000'), 'psql - 10.0.0.7:5000');
    assert.equal(withHost(undefined, 'unix:6432'), 'app - unix:6432');
  });
});
