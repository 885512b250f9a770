import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import type { ShapeFacts } from '../../core/route/route-questions.js';
import { Verdicts } from './verdicts.js';

const RELATIONS = [
  { schema: 'public', name: 'plain', trouble: null },
  { schema: 'ann', name: 'twice', trouble: null },
  { schema: 'public', name: 'twice', trouble: 'is a foreign table' },
];
const FUNCTIONS = [
  {
    schema: 'public',
    name: 'writes',
    arguments_min: 0,
    arguments_max: 1,
    volatile: true,
    volatile_of_row: false,
  },
];

describe('the verdicts for reactors', () => {
  let verdicts: Verdicts;
  let warnings: string[];
  beforeEach(() => {
    warnings = [];
    verdicts = new Verdicts((message) => warnings.push(message));
  });

  async function load(database = 'app', facts = JSON.stringify(RELATIONS)): Promise<number> {
    const parts = [
      ['relations', facts],
      ['functions', JSON.stringify(FUNCTIONS)],
    ] as const;
    const answer = await verdicts.answer({ kind: 'catalogue', database, parts });
    assert.ok(answer.kind === 'catalogue');
    return answer.version;
  }

  async function ask(sql: string, path: string | null = null, user = 'ann') {
    const text = Buffer.from(sql);
    const answer = await verdicts.answer({
      kind: 'statement',
      database: 'app',
      text,
      standardStrings: true,
      path,
      user,
    });
    assert.ok(answer.kind === 'statement');
    return answer;
  }

  async function factsOf(sql: string, path: string | null = null, user = 'ann'): Promise<ShapeFacts> {
    const { facts } = await ask(sql, path, user);
    assert.ok(facts !== null, sql);
    return facts;
  }

  test('the parser is not made anew without need', async () => {
    await load();
    await ask('SELECT 1');
    assert.equal(verdicts.parserReplacements, 0);
  });

  test('nothing is said of a database whose catalogue is not known', async () => {
    assert.deepEqual(await ask('SELECT 1'), { kind: 'statement', version: 0, facts: null });
    await load('other');
    assert.equal((await ask('SELECT 1')).version, 0);
    const version = await load();
    assert.equal((await ask('SELECT 1')).version, version);
    assert.ok((await load()) > version);
  });

  test('reads are told from all else', async () => {
    await load();
    const read = await factsOf("/* a */ SELECT * FROM plain WHERE a = 'secret'");
    assert.deepEqual(read, {
      kind: 'read',
      mayRunOnStandby: true,
      reason: 'it only reads',
      transaction: null,
      changesCatalogue: false,
      text: 'SELECT * FROM plain WHERE a = ?',
    });
    const call = await factsOf('SELECT writes()');
    assert.deepEqual([call.kind, call.mayRunOnStandby], ['read', false]);
    assert.match(call.reason, /volatile/);
    assert.equal((await factsOf('SELECT * FROM plain FOR UPDATE')).kind, 'other');
    const failed = await factsOf("SELECT 1 FROM 'secret'");
    assert.deepEqual([failed.kind, failed.mayRunOnStandby], ['other', false]);
    assert.ok(!JSON.stringify(failed).includes('secret'));
  });

  test('how a transaction begins', async () => {
    await load();
    const begin = await factsOf('START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    assert.equal(begin.kind, 'begin');
    assert.deepEqual(begin.transaction, { readOnly: true, isolation: 'repeatable read', deferrable: null });
    assert.equal((await factsOf('BEGIN; SELECT 1')).kind, 'other');
    assert.equal((await factsOf('COMMIT')).transaction, null);
  });

  test('what changes the catalogue without saying so at once', async () => {
    await load();
    for (const sql of [
      'SELECT 1 INTO t',
      'SELECT 1; DROP TABLE t',
      'EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1',
    ])
      assert.ok((await factsOf(sql)).changesCatalogue, sql);
    for (const sql of ['SELECT 1', 'INSERT INTO t VALUES (1)', 'BEGIN'])
      assert.ok(!(await factsOf(sql)).changesCatalogue, sql);
  });

  test('the path decides whose table it is', async () => {
    await load();
    const may = async (...scope: [string | null, string]) =>
      (await factsOf('TABLE twice', ...scope)).mayRunOnStandby;
    assert.ok(await may('"$user", public', 'ann'));
    assert.ok(!(await may('"$user", public', 'bob')));
    assert.ok(!(await may(null, 'ann')));
    assert.ok(!(await may('a b', 'ann')));
  });

  test('a catalogue that is none, or too large, sends reads to the primary', async () => {
    assert.equal(await load('app', '[{'), 0);
    assert.match(warnings[0]!, /not as it should be/);
    const many = Array.from({ length: 200_001 }, () => RELATIONS[0]);
    assert.ok((await load('app', JSON.stringify(many))) > 0);
    const read = await factsOf('SELECT 1');
    assert.deepEqual([read.kind, read.mayRunOnStandby], ['read', false]);
    assert.match(read.reason, /more than 200000/);
    assert.equal((await factsOf('BEGIN READ ONLY')).transaction?.readOnly, true);
  });

  test('catalogues are bounded; one that has left must be read again', async () => {
    await load();
    for (let n = 0; n < 99; n += 1) await load(`other ${n}`);
    assert.ok((await ask('SELECT 1')).version > 0);
    await load('one more');
    assert.ok((await ask('SELECT 1')).version > 0, 'it was used last');
    for (let n = 0; n < 100; n += 1) await load(`another ${n}`);
    assert.equal((await ask('SELECT 1')).version, 0);
  });

  test('explains, with what comments ask for', async () => {
    assert.match((await verdicts.explain('app', 'SELECT 1')).decision.reason, /not been read yet/);
    await load();
    const reason = async (sql: string) => (await verdicts.explain('app', sql)).decision.reason;
    assert.equal(await reason('SELECT 1'), 'it only reads');
    assert.equal(await reason('/* sluice: primary */ SELECT 1'), 'a comment asks for the primary');
    assert.match(await reason('SELECT writes()'), /volatile/);
  });
});
