import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildBind, buildExecute, buildParse, buildSync, readQuery } from '../../wire/client-messages.js';
import { HEADER_BYTES } from '../../wire/framing.js';
import { Parse, Query } from '../../wire/frontend.js';
import type { ParameterSet } from '../parameters.js';
import { TOO_LONG, UNIT_BYTES_MAX } from './routed-unit.js';
import { UnitJudge } from './unit-judge.js';

const setOf = (values: Record<string, string>): ParameterSet =>
  ({ values: new Map(Object.entries(values)) }) as unknown as ParameterSet;
const READ = { kind: 'read', mayRunOnStandby: true, reason: 'it only reads', transaction: null };

/** Judges simple Queries of a client with these settings; what the shapes were asked is in `asked`. */
function newJudge(shape: object | null = READ) {
  const asked: { path: string | null; user: string }[] = [];
  const texts: string[] = [];
  const shapes = {
    look: (_b: unknown, _s: unknown, _e: unknown, _std: unknown, path: string | null, user: string) => {
      asked.push({ path, user });
      return shape;
    },
  };
  const client = {
    parameters: setOf({ client_encoding: 'UTF8', standard_conforming_strings: 'on' }),
    settings: setOf({}),
    tracksState: true,
    listener: null,
    effectsOf: (bytes: Uint8Array, start: number, end: number) => {
      texts.push(Buffer.from(bytes.subarray(start, end)).toString());
      return texts.length - 1;
    },
    statements: null as unknown,
  };
  const pool = { shapes, consistency: 'strong', balancesLeadingReads: false, searchPath: null, user: 'ann' };
  const judge = new UnitJudge(client as never, pool as never);
  const read = (settings: Record<string, string>, sql = 'SELECT 1') => {
    client.settings = setOf(settings);
    const text = Buffer.from(`Q\0\0\0\0${sql}\0`);
    return judge.mayRead && judge.read(Query, text.length, text, 0, text.length, false) === text.length;
  };
  const readBatch = (renames: boolean) => {
    client.statements = { renames, find: () => undefined, unnamedDefinition: null };
    const batch = Buffer.concat([buildParse('', 'SELECT 1'), buildBind(), buildExecute(), buildSync()]);
    return judge.read(Parse, 0, batch, 0, batch.length, false) === batch.length;
  };
  return { judge, asked, texts, read, readBatch };
}

describe('where a unit may run', () => {
  test('names are looked up along the path of the session, and for its role', () => {
    const { asked, read } = newJudge();
    read({});
    read({ search_path: '"$user", public' });
    read({ search_path: 'a', session_authorization: 'bob', role: 'none' });
    read({ session_authorization: 'bob', role: 'carl' });
    assert.deepEqual(asked, [
      { path: null, user: 'ann' },
      { path: '"$user", public', user: 'ann' },
      { path: 'a', user: 'bob' },
      { path: null, user: 'carl' },
    ]);
  });

  test('whether a shape leaves something is found out once, and not of one that stands for many', () => {
    const shape = { ...READ, leavesNothing: null as boolean | null };
    const { judge, texts, read } = newJudge(shape);
    for (const sql of ['SELECT 1', 'SELECT 2']) {
      assert.ok(read({}, sql));
      judge.lookForEffects(Buffer.from(sql), 0, sql.length);
      assert.equal(shape.leavesNothing, true);
    }
    assert.deepEqual(texts, ['SELECT 1']);
    const other = { ...shape, kind: 'other', leavesNothing: null };
    const others = newJudge(other);
    others.read({});
    others.judge.lookForEffects(Buffer.from('SELECT 1'), 0, 8);
    assert.equal(other.leavesNothing, null);
  });

  test('the session, and comments, say what its reads must see', () => {
    const { judge, read } = newJudge();
    assert.ok(read({}));
    assert.equal(judge.consistency, 'strong');
    assert.ok(read({ 'sluice.consistency': 'Eventual' }));
    assert.equal(judge.consistency, 'eventual');
    assert.ok(read({ 'sluice.consistency': 'eventual' }, '/* sluice: bounded */ SELECT 1'));
    assert.equal(judge.consistency, 'bounded');
    assert.ok(read({ 'sluice.consistency': 'no such word' }));
    assert.equal(judge.consistency, 'strong');
  });

  test('a batch may, if the names of its statements are not the concern of one server connection', () => {
    assert.ok(newJudge().readBatch(true));
    assert.ok(!newJudge().readBatch(false));
  });

  test('what is too long is not looked at', () => {
    const { judge, asked } = newJudge();
    const text = Buffer.from(`Q\0\0\0\0SELECT '${'x'.repeat(UNIT_BYTES_MAX)}'\0`);
    assert.equal(judge.read(Query, text.length, text, 0, 100, false), TOO_LONG);
    assert.deepEqual(asked, []);
    assert.match(judge.reason, /it is longer than/);
  });

  test('what keeps reads on the primary', () => {
    const { read } = newJudge();
    assert.ok(!read({ 'sluice.consistency': 'primary' }));
    assert.ok(!read({ 'sluice.route': 'primary' }));
    assert.ok(!read({ default_transaction_isolation: 'serializable' }));
    assert.ok(!read({}, '/* sluice: primary */ SELECT 1'));
    assert.ok(!newJudge(null).read({}));
    const unsafe = { ...READ, mayRunOnStandby: false };
    assert.ok(!newJudge(unsafe).read({}));
    assert.ok(newJudge(unsafe).read({}, '/* sluice: standby */ SELECT 1'));
    assert.ok(!newJudge({ ...unsafe, kind: 'other' }).read({}, '/* sluice: standby */ DELETE FROM t'));
  });

  test('what its client vouches for must not run twice, nor what begins a transaction', () => {
    const known = newJudge();
    assert.ok(known.read({}, '/* sluice: standby */ SELECT 1'));
    assert.ok(known.judge.mayRunTwice);
    const unknown = newJudge({ ...READ, mayRunOnStandby: false });
    assert.ok(unknown.read({ 'sluice.route': 'standby' }));
    assert.ok(!unknown.judge.mayRunTwice);
    const transaction = { readOnly: true, isolation: null };
    const begin = newJudge({ ...READ, kind: 'begin', mayRunOnStandby: false, transaction });
    assert.ok(begin.read({}, 'BEGIN READ ONLY'));
    assert.ok(!begin.judge.mayRunTwice);
  });

  test('which transactions begin on a standby, and as what they go on', () => {
    const begun = (modes: object, settings: Record<string, string> = {}, comment = '') => {
      const transaction = { readOnly: null, isolation: null, ...modes };
      const { judge, read } = newJudge({ ...READ, kind: 'begin', mayRunOnStandby: false, transaction });
      assert.equal(read(settings, `${comment}BEGIN`), judge.begins !== null);
      if (judge.begins === null) return null;
      const { query } = judge.begins;
      return readQuery(query, HEADER_BYTES, query.length).replace('BEGIN ISOLATION LEVEL ', '');
    };
    const readOnly = true;
    const snapshot = { readOnly, isolation: 'repeatable read' };
    const leading = { 'sluice.balance_leading_reads': 'on' };
    assert.equal(begun({ readOnly }), 'READ COMMITTED, READ ONLY');
    assert.equal(begun({}), null);
    assert.equal(begun({}, leading), 'READ COMMITTED');
    assert.equal(begun({ readOnly: false }, leading), null);
    assert.equal(begun({ isolation: 'repeatable read' }, leading), null);
    assert.equal(begun(snapshot), null);
    assert.equal(begun(snapshot, {}, '/* sluice: standby */ '), 'REPEATABLE READ, READ ONLY');
    assert.equal(begun(snapshot, { 'sluice.route': 'standby' }), 'REPEATABLE READ, READ ONLY');
    const byDefault = { default_transaction_isolation: 'repeatable read' };
    assert.equal(begun({ readOnly }, byDefault, '/* sluice: standby */ '), 'REPEATABLE READ, READ ONLY');
    assert.equal(begun({ readOnly, isolation: 'serializable' }, { 'sluice.route': 'standby' }), null);
  });
});
