import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ParameterSets } from '../parameters.js';
import { UnnamedStatement } from './unnamed-statement.js';

const sets = new ParameterSets();

function client() {
  const searched: string[] = [];
  return {
    parameters: sets.empty,
    searched,
    parseEffects(bytes: Uint8Array, start: number, end: number): number {
      const text = Buffer.from(bytes.subarray(start, end)).toString();
      searched.push(text);
      return text.startsWith('SET') ? 1 : 0;
    },
  };
}

const parse = (statement: UnnamedStatement, by: ReturnType<typeof client>, text: string) =>
  statement.parse(by, Buffer.from(text), 0, text.length, 0);

test('the same text is searched once, and anew when the client reads texts in another way', () => {
  const [statement, by] = [new UnnamedStatement(), client()];
  const first = parse(statement, by, 'SELECT 1');
  assert.equal(parse(statement, by, 'SELECT 1'), first);
  assert.deepEqual(by.searched, ['SELECT 1']);
  by.parameters = sets.with(sets.empty, 'standard_conforming_strings', 'off');
  assert.notEqual(parse(statement, by, 'SELECT 1'), first);
  assert.equal(by.searched.length, 2);
});

test('behind a Parse that was skipped, what a Bind would run is the one before', () => {
  const [statement, by] = [new UnnamedStatement(), client()];
  parse(statement, by, 'SET work_mem = 1');
  statement.answered('parsed');
  parse(statement, by, 'SELECT 1');
  assert.equal(statement.now?.effects, 0);
  statement.answered('skipped');
  assert.equal(statement.now?.effects, 1);
});
