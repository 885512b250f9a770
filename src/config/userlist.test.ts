import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatProblem } from './problem.js';
import { parseUserlist } from './userlist.js';

const read = (source: string) =>
  parseUserlist(source, 'userlist.txt').entries.map(({ name, secret }) => [name, secret]);

test('reads users and secrets, with doubled quotes, comments and whatever follows', () => {
  const source = [
    '"alice" "secret"',
    '',
    '; "old" "gone"',
    '  "bo""b"\t"say ""hi"""  and more',
    '"carol" ""',
    '"dave" "SCRAM-SHA-256$4096:c2FsdA==$a:b"\r',
  ].join('\n');
  assert.deepEqual(read(source), [
    ['alice', 'secret'],
    ['bo"b', 'say "hi"'],
    ['carol', ''],
    ['dave', 'SCRAM-SHA-256$4096:c2FsdA==$a:b'],
  ]);
  assert.deepEqual(read(''), []);
});

test('names every line that it cannot read, and shows no secret', () => {
  const source = ['"alice" "hunter2', '"alice" "x"', 'bob hunter2', '"" "hunter2"', '"alice" "hunter2"'].join(
    '\n',
  );
  const { entries, problems } = parseUserlist(source, 'userlist.txt');
  const message = problems.map(formatProblem).join('\n');
  assert.deepEqual(
    message.split('\n').map((line) => /^userlist\.txt:(\d+):1: /.exec(line)?.[1]),
    ['1', '3', '4', '5'],
  );
  assert.match(message, /:5:1: "alice": this user stands in line 2 already/);
  assert.doesNotMatch(message, /hunter2/);
  assert.ok(entries.some(({ name, secret }) => name === 'alice' && secret === 'x'));
});
