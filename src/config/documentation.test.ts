import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { agentJsonSchema, configJsonSchema, configMarkdown } from './documentation.js';
import { CLUSTER_KEYS, DATABASE_KEYS, PEER_KEYS, SETTING_NAMES, SETTINGS, USER_KEYS } from './schema.js';

/** Settings that PgBouncer lacks. */
const OURS: ReadonlySet<string> = new Set([
  'auth_ldap_ca_file',
  'auth_query_cache_time',
  'auth_query_connections',
  'auth_query_search_path',
  'auth_query_tells_unknown',
  'drain_delay',
  'drain_timeout',
  'failed_login_rate',
  'http_listen',
  'http_token_file',
  'io',
  'query_wait_fail_fast',
  'reload_interval',
  'failover_timeout',
  'server_unix_socket',
  'session_state',
  'on_pin',
  'consistency',
  'standby_wait',
  'read_pipeline_length',
  'balance_leading_reads',
  'defer_begin',
  'bounded_staleness',
  'standby_lag_bytes',
  'standby_lag',
  'standby_slow_start',
  'zone',
  'takeover_socket',
]);

test('docs/configuration.md is current (if not: sluice config docs > docs/configuration.md)', () => {
  const committed = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');
  assert.equal(configMarkdown(), committed);
});

test('every setting is documented, with a type and a default', () => {
  const page = configMarkdown();
  for (const name of SETTING_NAMES) assert.match(page, new RegExp(`^##+ ${name}$`, 'm'));
  for (const name of [...DATABASE_KEYS, ...USER_KEYS, ...PEER_KEYS])
    assert.match(page, new RegExp(`^\\| \`${name}\` \\| \\w`, 'm'));
  for (const name of CLUSTER_KEYS) assert.match(page, new RegExp(`^\\| \`${name}(\\.\\w+)?\` \\| \\w`, 'm'));
  assert.doesNotMatch(page, /undefined|\[object/);
  assert.match(page, /### query_wait_timeout\n\nType: duration .*\. Default: `120`\./);
});

test("each key of an agent's file is documented, and unknown ones are refused", () => {
  const { additionalProperties, properties } = agentJsonSchema() as {
    additionalProperties: unknown;
    properties: Record<string, { properties?: object }>;
  };
  assert.equal(additionalProperties, false);
  const page = configMarkdown();
  for (const [name, { properties: inner }] of Object.entries(properties)) {
    const keys =
      inner === undefined || name === 'cluster' ? [name] : Object.keys(inner).map((key) => `${name}.${key}`);
    for (const key of keys) assert.ok(page.includes(`\n| \`${key}\` | `), key);
  }
});

test('the JSON Schema refuses unknown keys and knows the defaults', () => {
  const schema = configJsonSchema() as {
    additionalProperties: unknown;
    properties: Record<string, { default: unknown }>;
  };
  assert.equal(schema.additionalProperties, false);
  assert.deepEqual(Object.keys(schema.properties), [...SETTING_NAMES]);
  assert.equal(schema.properties.pool_mode?.default, 'transaction');
  assert.equal(schema.properties.listen_port?.default, 6432);
});

test("docs/pgbouncer-compatibility.md says what becomes of each of PgBouncer's settings", () => {
  const page = readFileSync(new URL('../../../docs/pgbouncer-compatibility.md', import.meta.url), 'utf8');
  for (const [name, { instead }] of SETTINGS) {
    if (OURS.has(name)) continue;
    const line = page.split('\n').find((row) => row.startsWith(`| \`${name}\` |`));
    assert.match(
      line ?? '',
      instead === undefined ? /\| (honoured|refused|elsewhere) \|/ : /\| elsewhere \|/,
      name,
    );
  }
});
