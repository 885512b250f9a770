import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DATABASE_KEYS } from './schema.js';
import { hidePassword, parseDatabaseFlag, parseServerUrl, UrlError } from './server-url.js';

describe('connection URLs', () => {
  test('every part may be there, and every part may be missing', () => {
    assert.deepEqual(parseServerUrl('postgres://alice:secret@db1:5433/app'), {
      user: 'alice',
      password: 'secret',
      host: 'db1',
      port: '5433',
      dbname: 'app',
    });
    assert.deepEqual(parseServerUrl('postgresql://'), {});
    assert.deepEqual(parseServerUrl('postgres:///app'), { dbname: 'app' });
    assert.deepEqual(parseServerUrl('postgres://db1'), { host: 'db1' });
    assert.deepEqual(parseServerUrl('postgres://db1:/'), { host: 'db1' });
    assert.deepEqual(parseServerUrl('postgres://alice@/'), { user: 'alice' });
    assert.deepEqual(parseServerUrl('postgres://alice:@db1'), { user: 'alice', password: '', host: 'db1' });
    assert.deepEqual(parseServerUrl('postgres://[::1]:5433/app'), {
      host: '::1',
      port: '5433',
      dbname: 'app',
    });
    assert.deepEqual(parseServerUrl('postgres://db1?dbname=x'), { host: 'db1', dbname: 'x' });
  });

  test('texts are percent-decoded', () => {
    assert.deepEqual(parseServerUrl('postgres://al%69ce:p%40ss%2Fw%3Ard%25@db1/my%20app'), {
      user: 'alice',
      password: 'p@ss/w:rd%',
      host: 'db1',
      dbname: 'my app',
    });
    assert.equal(parseServerUrl('postgres://a:p@ss@db1').password, 'p@ss');
    assert.throws(() => parseServerUrl('postgres://a:50%@db1'), /the password has a broken percent-encoding/);
  });

  test('a unix socket is a host that begins with a slash', () => {
    assert.deepEqual(parseServerUrl('postgres:///app?host=/run/postgresql&port=5433'), {
      dbname: 'app',
      host: '/run/postgresql',
      port: '5433',
    });
    assert.equal(parseServerUrl('postgres://%2Frun%2Fpostgresql/app').host, '/run/postgresql');
  });

  test('parameters other than ours are refused', () => {
    assert.deepEqual(parseServerUrl('postgres://db1/?pool_size=5&pool_mode=session&sslmode=prefer'), {
      host: 'db1',
      pool_size: '5',
      pool_mode: 'session',
    });
    assert.throws(() => parseServerUrl('postgres://db1/?poolsize=5'), /"poolsize"; did you mean pool_size\?/);
    assert.throws(
      () => parseServerUrl('postgres://db1/?sslmode=verify-full'),
      /sslmode=verify-full is not supported/,
    );
  });

  test('may name several hosts, each with its port', () => {
    assert.deepEqual(parseServerUrl('postgres://h1,h2/x'), { host: 'h1,h2', dbname: 'x' });
    assert.deepEqual(parseServerUrl('postgres://u@h1,[::1]:7/x'), {
      user: 'u',
      host: 'h1,::1',
      port: '5432,7',
      dbname: 'x',
    });
  });

  test('takes every key of a database as a parameter', () => {
    const url = `postgres://h/?${DATABASE_KEYS.map((key) => `${key}=1`).join('&')}`;
    assert.deepEqual(Object.keys(parseServerUrl(url)).toSorted(), [...DATABASE_KEYS].toSorted());
  });

  test('what is no URL is refused without showing a secret', () => {
    for (const url of ['', 'db1', 'mysql://a:secret@b/c', 'postgres://a:se/cret@b/c', 'postgres://h:12x/']) {
      assert.throws(
        () => parseServerUrl(url),
        (error) => error instanceof UrlError && !error.message.includes('secret'),
        url,
      );
    }
  });
});

describe('the forms of --database', () => {
  test('the name is the given one, else the database, else any', () => {
    assert.equal(parseDatabaseFlag('sales=postgres://db1/prod').name, 'sales');
    assert.equal(parseDatabaseFlag('sales=postgres://db1/prod').server.dbname, 'prod');
    assert.equal(parseDatabaseFlag('*=postgres://db1/prod').name, '*');
    assert.equal(parseDatabaseFlag('postgres://db1/prod').name, 'prod');
    assert.equal(parseDatabaseFlag('postgres://db1/?dbname=prod').name, 'prod');
    assert.equal(parseDatabaseFlag('postgres://db1').name, '*');
    assert.throws(() => parseDatabaseFlag('=postgres://db1'), /name before = is empty/);
  });
});

describe('URLs in messages', () => {
  test('never show a password', () => {
    const urls = [
      'postgres://alice:hunter2@db1/app',
      'app=postgres://alice:hunter2@db1/app',
      'postgres://alice:hun@ter2@db1',
      'postgres://alice:hun/ter2@db1',
      'mysql://alice:hunter2@db1',
      'alice:hunter2@db1',
      'postgres://alice@db1/app?password=hunter2&port=1',
    ];
    for (const url of urls) assert.doesNotMatch(hidePassword(url), /hun|ter2/, url);
    assert.equal(hidePassword(urls[0]!), 'postgres://alice:***@db1/app');
    assert.equal(hidePassword('postgres://db1:5432/app'), 'postgres://db1:5432/app');
    assert.equal(hidePassword('127.0.0.1'), '127.0.0.1');
  });
});
