import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  buildBind,
  buildClose,
  buildDescribe,
  buildExecute,
  buildFlush,
  buildParse,
  buildQuery,
  buildSync,
} from '../../wire/client-messages.js';
import { eachPreparedName, readBatch, TOO_LONG, UNIT_BYTES_MAX, type UnitReader } from './routed-unit.js';

/** Takes every text that begins with `select`, and every statement that is named in `known`. */
class Reader implements UnitReader {
  keepsPortals = true;
  readonly texts: string[] = [];
  readonly known: ReadonlySet<string>;

  constructor(known: readonly string[] = []) {
    this.known = new Set(known);
  }

  text(bytes: Uint8Array, start: number, end: number): boolean {
    this.texts.push(Buffer.from(bytes.subarray(start, end)).toString());
    return this.texts.at(-1)!.startsWith('select');
  }

  prepared(bytes: Uint8Array, start: number, end: number): boolean {
    return this.known.has(Buffer.from(bytes.subarray(start, end)).toString());
  }
}

function lengthRead(messages: readonly Uint8Array[], reader = new Reader(), cut = 0): number {
  const before = buildSync();
  const bytes = Buffer.concat([before, ...messages]);
  const end = readBatch(bytes, before.length, bytes.length - cut, reader);
  return end < 0 ? end : end - before.length;
}

const BIND = buildBind();
const EXECUTE = buildExecute();
const SYNC = buildSync();
const READ = [buildParse('', 'select 1'), BIND, buildDescribe('P', ''), EXECUTE];

describe('a batch', () => {
  const whole = [...READ, SYNC];
  const { length } = Buffer.concat(whole);

  test('of reads ends behind its Sync, whatever follows', () => {
    const reader = new Reader();
    assert.equal(lengthRead([...whole, buildQuery('insert')], reader), length);
    assert.deepEqual(reader.texts, ['select 1']);
  });

  test('of which something has not come yet is not one, wherever it is cut', () => {
    for (let cut = 1; cut <= length; cut += 1) assert.equal(lengthRead(whole, new Reader(), cut), -1);
  });

  test('is not one if any of its texts is refused', () => {
    assert.equal(lengthRead([...READ, buildParse('', 'insert'), BIND, EXECUTE, SYNC]), -1);
    assert.equal(lengthRead([buildParse('', 'insert'), BIND, ...READ, SYNC]), -1);
  });

  test('may use what it has parsed itself, and what is known', () => {
    const named = [buildParse('a', 'select 2'), buildBind({ statement: 'a' }), EXECUTE, SYNC];
    assert.ok(lengthRead(named) > 0);
    const used = [buildBind({ statement: 'b' }), buildDescribe('S', 'b'), EXECUTE, SYNC];
    assert.ok(lengthRead(used, new Reader(['b'])) > 0);
    assert.equal(lengthRead(used, new Reader(['bb', ''])), -1);
    assert.equal(
      lengthRead([buildParse('b', 'select 2'), buildBind({ statement: 'bb' }), EXECUTE, SYNC]),
      -1,
    );
    assert.equal(lengthRead([BIND, EXECUTE, SYNC]), -1);
    assert.ok(lengthRead([BIND, EXECUTE, SYNC], new Reader([''])) > 0);
  });

  test('that only prepares or closes needs no standby', () => {
    assert.equal(lengthRead([buildParse('a', 'select 1'), SYNC]), -1);
    assert.equal(lengthRead([buildClose('S', 'a'), buildFlush(), SYNC]), -1);
  });

  test('with anything else in it is not one', () => {
    assert.equal(lengthRead([...READ, buildQuery('select 1'), SYNC]), -1);
    const long = buildParse('', `select ${' '.repeat(UNIT_BYTES_MAX)}`);
    assert.equal(lengthRead([...READ, long, SYNC]), TOO_LONG);
    // That is known before all of it is there.
    assert.equal(lengthRead([...READ, long.subarray(0, 100)]), TOO_LONG);
  });

  test('must leave no portal where none may be left', () => {
    const reader = new Reader();
    reader.keepsPortals = false;
    assert.equal(lengthRead(whole, reader), length);
    const parse = buildParse('', 'select 1');
    assert.equal(lengthRead([parse, buildBind({ portal: 'c' }), EXECUTE, SYNC], reader), -1);
    assert.equal(lengthRead([parse, BIND, buildExecute('', 10), SYNC], reader), -1);
  });

  test('with lengths that fit nowhere is not one', () => {
    for (const lie of [0, 3, 0x7fffffff, -1]) {
      for (const place of [0, 1, 2, 3]) {
        const bytes = Buffer.concat(whole);
        let at = 0;
        for (let skipped = 0; skipped < place; skipped += 1) at += bytes.readInt32BE(at + 1) + 1;
        bytes.writeInt32BE(lie, at + 1);
        const expected = lie > UNIT_BYTES_MAX ? TOO_LONG : -1;
        assert.equal(readBatch(bytes, 0, bytes.length, new Reader()), expected);
      }
    }
  });
});

test('the names that a unit prepares', () => {
  const unit = Buffer.concat([buildParse('a', 'select 1'), ...READ, buildParse('bc', 'select 2'), SYNC]);
  const names: string[] = [];
  eachPreparedName(unit, unit.length, (start, end) => names.push(unit.toString('latin1', start, end)));
  assert.deepEqual(names, ['a', 'bc']);
  eachPreparedName(buildQuery('select 1'), buildQuery('select 1').length, () => assert.fail());
});
