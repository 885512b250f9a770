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
import { ParameterSets } from '../parameters.js';
import { StatementCatalogue } from '../statements.js';
import { type TravellingClient, travellingUnit } from './pipelined-unit.js';
import { UnnamedStatement } from './unnamed-statement.js';

const sets = new ParameterSets();
const UNREADABLE = sets.of(new Map([['client_encoding', 'SJIS']]));
const catalogue = new StatementCatalogue();
const scope = { database: { redefinedAt: 0 }, searchPath: undefined };
const defined = (text: string) => {
  const body = Buffer.from(`${text}\0\0\0`);
  return catalogue.define(scope, body, 0, body.length);
};

const isPlain = (text: Uint8Array) => !Buffer.from(text).includes('mine');

/** Has prepared `s`, a plain read, and `f`, which calls a function of somebody's own. */
function client(parameters = sets.empty): TravellingClient {
  const statements = new Map([
    ['s', defined('select 1')],
    ['f', defined('select mine()')],
  ]);
  return {
    ...{ parameters, settings: sets.empty, prepared: sets.empty },
    parseEffects: (bytes, start, end) => (isPlain(bytes.subarray(start, end)) ? 0 : 1),
    statements: {
      find: (name) => statements.get(name),
      queryComes: () => null,
      unnamed: new UnnamedStatement(),
    },
  };
}

function travels(messages: readonly Uint8Array[], who = client()): boolean {
  const unit = Buffer.concat(messages);
  return travellingUnit.read(who, Buffer.concat([unit, buildQuery('select 2')]), unit.length, isPlain(unit));
}

const READ = buildParse('', 'select 1');
const BIND = buildBind();
const NAMED = buildBind({ statement: 's' });
const PORTAL = buildDescribe('P', '');
const EXECUTE = buildExecute();
const SYNC = buildSync();

describe('what may be sent together with the reads of others', () => {
  test('a simple query, one statement parsed and used, or one that was prepared', () => {
    for (const messages of [
      [buildQuery('select 1')],
      [READ, BIND, EXECUTE, SYNC],
      [READ, BIND, PORTAL, EXECUTE, SYNC],
      [NAMED, EXECUTE, SYNC],
      [NAMED, PORTAL, EXECUTE, SYNC],
    ]) {
      assert.ok(travels(messages));
    }
  });

  test('nothing that may leave something behind, by whatever way it comes', () => {
    for (const messages of [
      [buildQuery('select mine()')],
      [buildParse('', 'select mine()'), BIND, EXECUTE, SYNC],
      [buildBind({ statement: 'f' }), EXECUTE, SYNC],
      [buildParse('n', 'select 1'), buildBind({ statement: 'n' }), EXECUTE, SYNC],
    ]) {
      assert.ok(!travels(messages));
    }
  });

  test('nothing that depends on what a server connection has, or that it would keep', () => {
    for (const messages of [
      // The unnamed statement of an earlier unit, a name that nobody has prepared, and portals that are kept.
      [BIND, EXECUTE, SYNC],
      [buildBind({ statement: 'unknown' }), EXECUTE, SYNC],
      [buildBind({ portal: 'p', statement: 's' }), buildExecute('p'), SYNC],
      [NAMED, buildExecute('', 10), SYNC],
      // More than one use, and what is answered before the end.
      [NAMED, EXECUTE, NAMED, EXECUTE, SYNC],
      [READ, NAMED, EXECUTE, SYNC],
      [READ, BIND, buildFlush(), EXECUTE, SYNC],
      [NAMED, buildDescribe('S', 's'), EXECUTE, SYNC],
      [NAMED, EXECUTE, buildClose('S', 's'), SYNC],
      [READ, buildDescribe('S', ''), SYNC],
    ]) {
      assert.ok(!travels(messages));
    }
  });

  test('nothing long, and no prepared text that can’t be read', () => {
    assert.ok(!travels([buildQuery(`select '${'x'.repeat(9000)}'`)]));
    assert.ok(!travels([NAMED, EXECUTE, SYNC], client(UNREADABLE)));
  });
});
