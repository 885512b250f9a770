import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ConsoleError } from './console-error.js';
import { readFilter } from './filter.js';
import { countParameters, readStatements, type Statement } from './statement.js';
import { columns } from './table.js';
import { TABLES } from './tables.js';
import { TokenReader } from './token-reader.js';
import { tokenize } from './tokens.js';

const read = (text: string): Statement[] => [...readStatements(text, [])];
const only = (text: string): Statement => read(text)[0]!;

describe('statements of the console', () => {
  const cases: readonly [string, Partial<Statement>][] = [
    ['PAUSE', { kind: 'command', command: 'PAUSE', database: null }],
    ['pause app;', { kind: 'command', command: 'PAUSE', database: 'app' }],
    ['Resume "My App"', { kind: 'command', command: 'RESUME', database: 'My App' }],
    ['KILL 7up -- why', { kind: 'command', command: 'KILL', database: '7up' }],
    ['kill_client 0x1f', { kind: 'killClient', client: '0x1f' }],
    ['SHUTDOWN wait_for_clients', { kind: 'shutdown', wait: 'clients' }],
    ['SET pool_mode = session', { kind: 'set', name: 'pool_mode', value: 'session' }],
    [
      "set server_reset_query to 'DISCARD ALL'",
      { kind: 'set', name: 'server_reset_query', value: 'DISCARD ALL' },
    ],
    ['SET admin_users = a, b', { kind: 'set', name: 'admin_users', value: 'a, b' }],
    ['SET extra_float_digits = 3', { kind: 'nothing', tag: 'SET' }],
    ['/* a */ SELECT 1', { kind: 'select', value: '1', type: 'int4' }],
    ['BEGIN', { kind: 'nothing', tag: 'BEGIN' }],
    ['SHOW transaction isolation level', { kind: 'parameter', name: 'transaction_isolation' }],
    ['SHOW', { kind: 'help' }],
    ["SHOW ROUTE 'SELECT ''a'''", { kind: 'route', database: null, sql: "SELECT 'a'" }],
    ["show route App 'SELECT 1';", { kind: 'route', database: 'app', sql: 'SELECT 1' }],
  ];
  for (const [text, expected] of cases) {
    test(text, () => {
      const statement = only(text) as unknown as Record<string, unknown>;
      for (const [key, value] of Object.entries(expected)) assert.deepEqual(statement[key], value, key);
    });
  }

  test('come one by one, and what is before a mistake is read', () => {
    const statements = readStatements('PAUSE; nonsense', []);
    assert.equal(statements.next().value?.kind, 'command');
    assert.throws(() => statements.next(), ConsoleError);
    assert.deepEqual(read(' ; ;'), []);
  });

  for (const text of [
    'PAUSE a b',
    'SET x',
    'SHOW POOLS WHERE',
    'SHOW ROUTE',
    'SHOW ROUTE app',
    "SHOW ROUTE 'SELECT 1' app",
    "SELECT 'x",
    'KILL_CLIENT',
    'DROP TABLE t',
    '\\',
  ]) {
    test(`refuses ${text}`, () => assert.throws(() => read(text), ConsoleError));
  }

  test('SHOW ROUTE takes its statement as a parameter, too', () => {
    const [statement] = readStatements('SHOW ROUTE $1', ['SELECT 2']);
    assert.deepEqual(statement, { kind: 'route', database: null, sql: 'SELECT 2' });
  });

  test('count their parameters', () =>
    assert.equal(countParameters('SHOW POOLS WHERE user = $2 LIMIT $1'), 2));
});

describe('WHERE, ORDER BY and LIMIT', () => {
  const shape = columns('name size:i note');
  const rows = [
    ['a', '9', null],
    ['b', '10', 'x%y'],
    ['c', null, 'xyz'],
  ] as const;
  const cases: readonly [string, string][] = [
    ["WHERE name = 'b'", 'b'],
    ['WHERE size > 9', 'b'],
    ["WHERE size >= '9' ORDER BY size DESC", 'ba'],
    ['WHERE size IS NULL', 'c'],
    ["WHERE note LIKE 'x_z' OR size = 9", 'ac'],
    ["WHERE NOT (name IN ('a', 'c'))", 'b'],
    ["WHERE note NOT LIKE 'xy%'", 'b'],
    ['WHERE size <> 9', 'b'],
    ['ORDER BY size', 'abc'],
    ['ORDER BY 2 DESC', 'cba'],
    ['ORDER BY name DESC LIMIT 1', 'c'],
    ['LIMIT 0', ''],
    ['WHERE name = $1 LIMIT $2', 'a'],
  ];
  for (const [clauses, expected] of cases) {
    test(clauses, () => {
      const filter = readFilter(new TokenReader(tokenize(clauses)), shape, ['a', '5']);
      assert.equal(
        filter
          .apply(rows)
          .map(([name]) => name)
          .join(''),
        expected,
      );
    });
  }

  for (const clauses of [
    'WHERE nosuch = 1',
    'ORDER BY',
    'LIMIT -1',
    'WHERE size =',
    'WHERE name = 1 nonsense',
  ]) {
    test(`refuses ${clauses}`, () => {
      assert.throws(() => readFilter(new TokenReader(tokenize(clauses)), shape, []), ConsoleError);
    });
  }
});

/** What pgbouncer_exporter and other tools read by name (PgBouncer 1.25). */
test('tables have the columns that tools read', () => {
  const needed: Readonly<Record<string, string>> = {
    POOLS:
      'database user cl_active cl_waiting sv_active sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode',
    STATS_TOTALS:
      'database xact_count query_count bytes_received bytes_sent xact_time query_time wait_time server_assignment_count',
    DATABASES: 'name host port database pool_size max_connections current_connections paused disabled',
    LISTS: 'list items',
    CONFIG: 'key value default changeable',
    CLIENTS: 'type user database state addr port connect_time ptr link remote_pid tls application_name id',
  };
  for (const [table, names] of Object.entries(needed)) {
    const present = TABLES.get(table)!.columns.map(({ name }) => name);
    for (const name of names.split(' ')) assert.ok(present.includes(name), `${table}.${name}`);
  }
});
