import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { AuthorityAnswer, AuthorityQuestion } from '../authority.js';
import { CATALOGUE_MS_MAX, CATALOGUE_MS_MIN, STATEMENT_QUESTIONS_MAX } from '../limits.js';
import type { QueryTaker } from './catalogue-reading.js';
import type { ShapeFacts, StatementQuestion } from './route-questions.js';
import { Shapes } from './shapes.js';

const READ: ShapeFacts = {
  kind: 'read',
  mayRunOnStandby: true,
  reason: 'it only reads',
  transaction: null,
  changesCatalogue: false,
  text: 'SELECT ?',
};

/** A database of which one can be asked what its shapes ask of others. */
function newShapes({ hasCatalogue = true } = {}) {
  const world = { now: 0, digest: 'a', version: 0 };
  const asked: { question: AuthorityQuestion; answer: (answer: AuthorityAnswer) => void }[] = [];
  const queries: QueryTaker[] = [];
  const io = {
    now: () => world.now,
    randomBytes: (length: number) => new Uint8Array(length),
    report: () => {},
  };
  const slow = {
    ask: (question: AuthorityQuestion, answer: (answer: AuthorityAnswer) => void) =>
      asked.push({ question, answer }),
  };
  const database = { name: 'app', definitionChanges: 0 };
  const source = { query: (_sql: string, done: QueryTaker) => void queries.push(done) };
  const shapes = new Shapes({ io, slow } as never, database as never, source);
  /** Lets the catalogue be read, if it is time; returns whether it was looked at. */
  const readCatalogue = (): boolean => {
    shapes.advance(world.now);
    if (queries.length === 0) return false;
    queries.pop()?.([['pg_catalog, pg_temp'], [world.digest]]);
    if (queries.length > 0) {
      queries.pop()?.([['pg_catalog, pg_temp'], ['functions', '[]']]);
      asked.pop()?.answer({ kind: 'catalogue', version: ++world.version });
    }
    return true;
  };
  const look = (sql: string, path: string | null = null, user = 'ann') => {
    const bytes = Buffer.from(`<${sql}>`);
    return shapes.look(bytes, 1, bytes.length - 1, true, path, user);
  };
  const answer = (facts: ShapeFacts | null = READ, version = world.version) =>
    asked.shift()?.answer({ kind: 'statement', version, facts });
  const questions = () => asked.map(({ question }) => question as StatementQuestion);
  if (hasCatalogue) readCatalogue();
  return { world, shapes, database, queries, asked, look, answer, questions, readCatalogue };
}

describe('the shapes of a database', () => {
  test('nothing is known before the catalogue is', () => {
    const { look, questions, readCatalogue } = newShapes({ hasCatalogue: false });
    assert.equal(look('SELECT 1'), null);
    assert.equal(questions().length, 0);
    readCatalogue();
    assert.equal(look('SELECT 1'), null);
    const { text } = questions()[0]!;
    assert.equal(Buffer.from(text).toString(), 'SELECT 1');
    assert.equal(text.buffer.byteLength, text.length, 'nothing else crosses with it');
  });

  test('a shape is asked about once', () => {
    const { look, answer, questions, shapes } = newShapes();
    assert.equal(look('SELECT 1'), null);
    assert.equal(look('SELECT 2'), null);
    assert.equal(questions().length, 1);
    answer();
    const known = look('select 3 -- three');
    assert.equal(known?.mayRunOnStandby, true);
    assert.equal(look('SELECT 4'), known);
    assert.equal(questions().length, 0);
    assert.deepEqual([shapes.figures.questions, shapes.figures.known], [1, 1]);
  });

  test('what can never run on a standby is not asked about', () => {
    const { look, questions } = newShapes();
    for (const sql of [
      'SET a = 1',
      'CREATE TABLE t ()',
      '',
      'SELECT U&"a"',
      `SELECT ${'1+'.repeat(40_000)}1`,
    ]) {
      assert.equal(look(sql)?.mayRunOnStandby, false, sql.slice(0, 20));
    }
    assert.equal(questions().length, 0);
    assert.equal(look('(SELECT 1)'), null);
    assert.equal(look('INSERT INTO t VALUES (1)'), null);
    assert.equal(questions().length, 2);
  });

  test('another search_path is another question, another user only where the path names him', () => {
    const { look, answer, questions } = newShapes();
    const paths = [null, 'a, b', '"$user", public'];
    for (const path of paths) {
      look('SELECT 1', path, 'ann');
      assert.equal(questions()[0]?.path, path);
      answer();
    }
    assert.equal(look('SELECT 1', 'a, b', 'bob')?.kind, 'read');
    assert.equal(look('SELECT 1', null, 'bob')?.kind, 'read');
    assert.equal(look('SELECT 1', '"$user", public', 'bob'), null);
    assert.equal(questions()[0]?.user, 'bob');
  });

  test('questions are bounded; what is left out is asked later', () => {
    const { look, answer, questions, shapes } = newShapes();
    for (let n = 0; n < STATEMENT_QUESTIONS_MAX + 3; n += 1) look(`SELECT a${n}`);
    assert.equal(questions().length, STATEMENT_QUESTIONS_MAX);
    assert.equal(shapes.figures.deferred, 3);
    answer();
    look(`SELECT '${'x'.repeat(60_000)}', a`);
    look(`SELECT '${'x'.repeat(60_000)}', b`);
    assert.equal(questions().length, STATEMENT_QUESTIONS_MAX);
  });

  test('what could not be judged is asked again', () => {
    const { look, answer, questions } = newShapes();
    look('SELECT 1');
    answer(null);
    assert.equal(look('SELECT 1'), null);
    assert.equal(questions().length, 1);
  });

  test('another catalogue makes everything unknown, and keeps what was counted', () => {
    const { look, answer, world, readCatalogue, shapes, questions } = newShapes();
    look('SELECT 1');
    answer();
    const before = look('SELECT 1')!;
    before.statistics.ranOnStandby(2, 2);
    before.refused('25006');
    assert.equal(look('SELECT 1')?.mayRunOnStandby, false);
    world.digest = 'b';
    shapes.suspect();
    world.now += CATALOGUE_MS_MIN;
    look('SELECT 2 + 2');
    assert.ok(readCatalogue());
    assert.equal(before.isValid, false);
    answer(READ, 1);
    assert.equal(look('SELECT 2 + 2'), null, 'it was judged by the old catalogue');
    assert.equal(look('SELECT 1'), null);
    assert.equal(questions().length, 2);
    answer();
    answer();
    const after = look('SELECT 1')!;
    assert.notEqual(after, before);
    assert.ok(after.mayRunOnStandby);
    assert.deepEqual([after.statistics.onStandby, after.statistics.standbyMs], [1, 2]);
  });

  test('is read again when the control plane has forgotten it', () => {
    const { look, answer, world, readCatalogue } = newShapes();
    look('SELECT 1');
    answer(READ, 0);
    assert.equal(look('SELECT 1'), null);
    world.now += CATALOGUE_MS_MIN;
    assert.ok(readCatalogue());
    assert.equal(world.version, 2);
  });
});

describe('the catalogue', () => {
  test('is looked at now and then, and read when it has changed', () => {
    const { world, readCatalogue, shapes } = newShapes();
    for (let waited = 0; waited < 2 * CATALOGUE_MS_MAX; waited += 500) {
      world.now += 500;
      readCatalogue();
    }
    assert.ok(shapes.catalogue.looks >= 6 && shapes.catalogue.looks <= 8, `${shapes.catalogue.looks} looks`);
    assert.equal(shapes.catalogue.reads, 1);
    world.digest = 'b';
    world.now += CATALOGUE_MS_MAX;
    readCatalogue();
    assert.equal(shapes.catalogue.reads, 2);
  });

  test('is looked at when a DDL has passed, however that is noticed', () => {
    const { world, readCatalogue, shapes, look, answer, database } = newShapes();
    const settle = () => {
      world.now += 3 * CATALOGUE_MS_MAX;
      readCatalogue();
      for (let n = 0; n < 8; n += 1) {
        world.now += CATALOGUE_MS_MAX;
        readCatalogue();
      }
    };
    look('SELECT a INTO b FROM c');
    answer({ ...READ, kind: 'other', mayRunOnStandby: false, changesCatalogue: true });
    const signs: (() => void)[] = [
      () => shapes.suspect(),
      () => void look('create table t ()'),
      () => void look('SELECT a INTO b FROM c'),
      () => {
        database.definitionChanges += 1;
      },
    ];
    for (const sign of signs) {
      settle();
      world.now += CATALOGUE_MS_MAX / 2;
      assert.equal(readCatalogue(), false);
      sign();
      assert.equal(readCatalogue(), true, String(sign));
    }
  });

  test('a failure is repeated', () => {
    const { world, readCatalogue, shapes, queries } = newShapes({ hasCatalogue: false });
    shapes.advance(world.now);
    queries.pop()?.(null);
    assert.equal(readCatalogue(), false);
    world.now += 100;
    assert.equal(readCatalogue(), true);
    const {
      world: other,
      shapes: stuck,
      queries: theirs,
      readCatalogue: readTheirs,
    } = newShapes({
      hasCatalogue: false,
    });
    stuck.advance(other.now);
    theirs.pop()?.(null);
    stuck.primaryChanged();
    assert.equal(readTheirs(), true, 'there is a primary now');
  });
});
