import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { logReport, openLog } from './logging.js';
import { formatPgbouncerLine } from './pgbouncer-log.js';

const TIME = new Date(2026, 0, 31, 2, 45, 1, 7);
const line = (level: number, message: string) => formatPgbouncerLine({ level, message }, TIME, 4711);

test("lines have PgBouncer's form", () => {
  assert.match(line(30, 'a'), /^2026-01-31 02:45:01\.007 \S+ \[4711\] LOG a$/);
  assert.match(line(20, 'a'), / DEBUG a$/);
  assert.match(line(40, 'a'), / WARNING a$/);
  assert.match(line(50, 'a'), / ERROR a$/);
  assert.match(line(60, 'a'), / FATAL a$/);
  assert.match(line(30, 'a\nb\n'), / LOG a\n\tb$/);
});

test('lines begin with the connection that they are about', () => {
  const about = (database: string | null, user: string | null) =>
    formatPgbouncerLine(
      {
        level: 30,
        message: 'closing because: x (age=3s)',
        subject: { side: 'client', id: 26, database, user, address: '127.0.0.1:51234' },
      },
      TIME,
      1,
    );
  assert.match(
    about('app', 'alice'),
    / LOG C-0x1a: app\/alice@127\.0\.0\.1:51234 closing because: x \(age=3s\)$/,
  );
  assert.match(about(null, null), / LOG C-0x1a: \(nodb\)\/\(nouser\)@127\.0\.0\.1:51234 closing/);
});

test('what is known of a line about no connection stands behind it', () => {
  const facts = { database: 'app', count: 2 };
  assert.match(
    formatPgbouncerLine({ level: 40, message: 'a', facts }, TIME, 1),
    / WARNING a \(database=app, count=2\)$/,
  );
});

test('the time has the short name of its zone', () => {
  const script = `import('${new URL('./pgbouncer-log.js', import.meta.url)}').then(({ formatPgbouncerLine }) =>
    console.log(formatPgbouncerLine({ level: 30, message: 'a' }, new Date(0), 1)));`;
  const output = execFileSync(process.execPath, ['-e', script], { env: { TZ: 'UTC' }, encoding: 'utf8' });
  assert.equal(output, '1970-01-01 00:00:00.000 UTC [1] LOG a\n');
});

test('a log file gets the lines, with verbose the details too, and can be rotated', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'sluice-log-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const logfile = path.join(folder, 'a.log');
  const settings = { logfile, syslog: false, syslog_ident: 'x', syslog_facility: 'daemon' } as const;
  const options = { level: 'info', format: 'pgbouncer', terminal: false, colours: false } as const;
  const log = await openLog({ ...options, quiet: true });
  log.configure({ ...settings, verbose: 0 });
  const subject = { side: 'server', id: 1, database: 'app', user: 'u', address: '[::1]:5432' } as const;
  logReport(log.logger, { level: 'info', message: 'one', facts: { fact: 1 }, subject });
  logReport(log.logger, { level: 'debug', message: 'unseen' });
  renameSync(logfile, `${logfile}.1`);
  log.configure({ ...settings, verbose: 1 });
  logReport(log.logger, { level: 'debug', message: 'two' });
  log.close();
  assert.match(
    readFileSync(`${logfile}.1`, 'utf8'),
    /^\S+ \S+ \S+ \[\d+\] LOG S-0x1: app\/u@\[::1\]:5432 one\n$/,
  );
  assert.match(readFileSync(logfile, 'utf8'), /^[^\n]* DEBUG two\n$/);
  assert.throws(() => log.configure({ ...settings, verbose: 0, logfile: folder }), /Cannot open logfile/);
});
