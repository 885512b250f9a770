import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { loadAgentConfig } from '../config/agent-config.js';
import { mergeReload } from './agent-reload.js';

let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-reload-'));
});
after(() => rm(folder, { recursive: true, force: true }));

async function load(lines: readonly string[], postgresql: readonly string[] = []) {
  const file = join(folder, 'agent.yaml');
  const inner = ['data: pgdata', ...postgresql].map((line) => `  ${line}`);
  await writeFile(
    file,
    ['node: db1', 'address: 127.0.0.1', ...lines, 'postgresql:', ...inner, ''].join('\n'),
  );
  return loadAgentConfig(file);
}

const STORE = 'cluster: { store: { etcd: ["http://e:2379"] } }';

test('what a running agent goes by is taken over, and the rest is named', async () => {
  const running = await load([STORE]);
  const next = await load(
    [
      STORE,
      'priority: 7',
      'replicate_from: db2',
      'timing: { drain: 3s, wedged: 20s }',
      'durability: available',
      'on_event: [tell]',
    ],
    ['port: 5433', 'settings: { work_mem: 8MB }', 'replication_sslmode: require'],
  );
  const { config, live, waiting } = mergeReload(running, next);
  assert.deepEqual(live, [
    'priority',
    'durability',
    'replicate_from',
    'timing',
    'timing.wedged',
    'on_event',
    'postgresql.settings',
    'postgresql.replication_sslmode',
  ]);
  assert.deepEqual(waiting, ['postgresql.port']);
  assert.deepEqual([config.priority, config.timing.drainMs, config.wedgedMs], [7, 3000, 20_000]);
  assert.equal(config.replicateFrom, 'db2');
  assert.deepEqual([config.durability, config.postgresql.port], ['available', 5432]);
  assert.deepEqual(config.postgresql.settings, { work_mem: '8MB' });
  assert.deepEqual(mergeReload(config, next).live, []);
});

test('durations in proportion to another lease wait with it', async () => {
  const running = await load([STORE]);
  const next = await load([STORE.replace('{ store', '{ lease: 20s, store')]);
  const { config, live, waiting } = mergeReload(running, next);
  assert.deepEqual([live, waiting], [[], ['cluster']]);
  assert.deepEqual(config.timing, running.timing);
});
