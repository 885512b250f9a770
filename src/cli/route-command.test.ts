import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

function route(args: readonly string[], input?: string) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'route', ...args], {
    encoding: 'utf8',
    ...(input === undefined ? {} : { input }),
  });
  return { status, stdout, stderr };
}

test('a read may run on a standby, and what was assumed is told', () => {
  const { status, stdout } = route(['SELECT now() FROM accounts']);
  assert.equal(status, 0);
  assert.match(
    stdout,
    /^standby: it only reads\n {2}kind: read\n {2}relations: accounts\n {2}functions: now\/0\n/,
  );
  assert.match(stdout, /assumed: accounts is an ordinary table/);
});

test('everything else goes to the primary, with the reason', () => {
  const { status, stdout } = route(['-'], 'DELETE\nFROM accounts');
  assert.equal(status, 1);
  assert.match(stdout, /^primary: it is a DELETE\n/);
});

test('comments in front of it are followed, but never with a write to a standby', () => {
  assert.match(
    route(['/* sluice: primary */ SELECT 1']).stdout,
    /^primary: a comment asks for the primary\n/,
  );
  assert.match(route(['/*NO LOAD BALANCE*/ SELECT 1']).stdout, /^primary: a comment/);
  const { status, stdout } = route(['/* sluice: standby */ SELECT report(1)']);
  assert.equal(status, 0);
  assert.match(stdout, /^standby: a comment asks for a standby\n/);
  assert.match(stdout, /assumed: it is harmless, although it calls report\(\), which is not known here/);
  assert.match(route(['/* sluice: standby */ DELETE FROM t']).stdout, /^primary: it is a DELETE/);
  assert.match(route(['/* sluice: slave */ SELECT 1']).stderr, /no hint/);
});

test('programs get JSON', () => {
  const { status, stdout } = route(['--json', '--search-path', 'app, public', 'SELECT f(1) FROM a.b']);
  assert.equal(status, 1);
  const answer = JSON.parse(stdout);
  assert.equal(answer.target, 'primary');
  assert.equal(answer.reason, 'it calls f(), which is not known here');
  assert.deepEqual(answer.searchPath, ['app', 'public']);
  assert.deepEqual(answer.verdict.relations, [{ schema: 'a', name: 'b' }]);
});

test('a wrong call, and a database that does not answer, end with 2', () => {
  assert.match(route([]).stderr, /give a statement, or - for standard input/);
  assert.equal(route([]).status, 2);
  assert.equal(route(['SELECT 1', '--timeout', 'x']).status, 2);
  const wrong = route(['SELECT 1', '--catalogue-from', 'db.example']);
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /--catalogue-from: expected a URL like/);
  const silent = route(['SELECT 1', '--catalogue-from', 'postgres://app:secret@127.0.0.1:1/app']);
  assert.equal(silent.status, 2);
  assert.match(silent.stderr, /the catalogue could not be read: .*ECONNREFUSED/);
  assert.doesNotMatch(silent.stderr, /secret/);
});
