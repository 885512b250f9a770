import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ParameterSets } from './parameters.js';
import { pinReasons } from './pin-words.js';
import { differenceBetween, Pin, type StateHolder } from './session-state.js';

const sets = new ParameterSets();
const set = (values: Record<string, string>) => sets.of(new Map(Object.entries(values)));
const holder = (parameters: Record<string, string>, settings: Record<string, string> = {}) => ({
  parameters: set(parameters),
  settings: set(settings),
  prepared: set({}),
});

/** Name and value of each call, in order. */
function calls(query: string | null): string[] {
  return [...(query ?? '').matchAll(/set_config\('(\w[\w.]*)', (.*?), false\)/g)].map(
    ([, name, value]) => `${name}=${value}`,
  );
}

/** The query alone. */
const differenceQuery = (wanted: StateHolder, actual: StateHolder) =>
  differenceBetween(wanted, actual)?.query ?? null;

describe('differenceBetween', () => {
  test('names only what differs', () => {
    const query = differenceQuery(holder({ TimeZone: 'UTC', DateStyle: 'ISO' }), holder({ TimeZone: 'UTC' }));
    assert.equal(query, "SELECT pg_catalog.set_config('DateStyle', 'ISO', false)");
    const none = differenceQuery(holder({ TimeZone: 'UTC' }), holder({ TimeZone: 'UTC', DateStyle: 'ISO' }));
    assert.equal(none, null);
  });

  test('leaves alone what no client can set', () => {
    assert.equal(differenceQuery(holder({ server_version: '15' }), holder({ server_version: '16' })), null);
  });

  test('a value cannot leave its literal, whatever standard_conforming_strings is', () => {
    const query = differenceQuery(holder({ application_name: "a'b\\'c" }), holder({}));
    assert.equal(query, "SELECT pg_catalog.set_config('application_name', E'a''b\\\\''c', false)");
  });

  test('takes back what others have set', () => {
    const query = differenceQuery(
      holder({}, { work_mem: '64' }),
      holder({}, { search_path: 'theirs', work_mem: '8192' }),
    );
    assert.deepEqual(calls(query), ['search_path=NULL', "work_mem='64'"]);
  });

  test('changes settings as the login user, and becomes somebody else behind that', () => {
    const query = differenceQuery(
      holder({}, { role: 'mine', log_min_messages: 'error' }),
      holder({}, { role: 'theirs', session_authorization: 'somebody' }),
    );
    const expected = ['role=NULL', 'session_authorization=NULL', "log_min_messages='error'", "role='mine'"];
    assert.deepEqual(calls(query), expected);
  });

  test('the role that both have is taken again when something else is changed', () => {
    const query = differenceQuery(holder({}, { role: 'r', work_mem: '64' }), holder({}, { role: 'r' }));
    assert.deepEqual(calls(query), ['role=NULL', "work_mem='64'", "role='r'"]);
  });

  test('is not bound to the time that another client has given itself', () => {
    const others = holder({}, { statement_timeout: '1', work_mem: '64' });
    const query = differenceQuery(holder({}, { work_mem: '64' }), others);
    assert.match(query ?? '', /^SET LOCAL statement_timeout = '0'; SELECT/);
    assert.deepEqual(calls(query), ['statement_timeout=NULL']);
  });

  test('what is not ASCII is written so that no encoding changes it', () => {
    const query = differenceQuery(holder({}, { 'app.name': 'é' }), holder({}));
    assert.match(query ?? '', /convert_from\(pg_catalog\.decode\('c3a9', 'hex'\), 'UTF8'\)/);
  });
});

test('the reasons of a pin are words', () => {
  assert.equal(pinReasons(Pin.NONE), '');
  assert.equal(pinReasons(Pin.TEMPORARY | Pin.CHANNEL), 'temporary objects, listening');
});
