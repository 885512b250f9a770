import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DEFAULT_TIMING } from '../cluster/settings.js';
import { type AgentIdentity, loadAgentConfig } from './agent-config.js';
import { ConfigError } from './problem.js';

const STORE = 'cluster: { store: { etcd: ["http://e:2379"] } }\n';
const NODE = `node: db1\naddress: 127.0.0.1\n${STORE}postgresql: { data: pgdata }\n`;
let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-agent-file-'));
});
after(() => rm(folder, { recursive: true, force: true }));

async function load(text: string, identity?: AgentIdentity) {
  const file = join(folder, 'agent.yaml');
  await writeFile(file, text);
  return loadAgentConfig(file, identity);
}

async function refusal(text: string): Promise<string> {
  const error = await load(text).then(
    () => assert.fail('it was taken'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConfigError);
  return error.message.replaceAll(`${folder}/`, '');
}

describe("an agent's file", () => {
  test('needs a name, an address, a store and a folder; the rest has defaults that were simulated', async () => {
    const config = await load(NODE);
    assert.equal(config.node, 'db1');
    assert.equal(config.postgresql.data, join(folder, 'pgdata'));
    assert.deepEqual(config.timing, DEFAULT_TIMING);
    assert.equal(config.durability, 'durable');
    assert.equal(config.priority, 1);
  });

  test('may leave the name and the address to flags, so that it is the same on all nodes', async () => {
    const shared = `${STORE}postgresql: { data: pgdata }\n`;
    const { node, address } = await load(shared, { node: 'db2', address: 'localhost' });
    assert.deepEqual([node, address], ['db2', 'localhost']);
    assert.equal(
      await refusal(shared),
      [
        'node: no name: write it here, or use --node NAME or SLUICE_NODE',
        'address: where do others reach this machine? Write it here, or use --address HOST or SLUICE_ADDRESS',
      ].join('\n'),
    );
  });

  test('has durations in proportion to the lease, and within what keeps it safe', async () => {
    const { timing } = await load(NODE.replace('cluster: {', 'cluster: { lease: 10s,'));
    assert.deepEqual([timing.renewMs, timing.renewRetryMs, timing.fenceMs], [2000, 500, 1000]);
    assert.match(
      await refusal(`${NODE}timing: { renew: 2s }\n`),
      /agent\.yaml:5:11: timing\.renew: 2000 ms are too long: at most a third of the lease/,
    );
    assert.match(await refusal(`${NODE}timing: { grace: 3s }\n`), /timing\.grace: longer than patience/);
  });

  test('names another node as the one to receive from', async () => {
    assert.equal((await load(`${NODE}replicate_from: db7\n`)).replicateFrom, 'db7');
    assert.match(await refusal(`${NODE}replicate_from: db1\n`), /replicate_from: this is the node itself/);
  });

  test('never leads with nofailover', async () => {
    assert.equal((await load(`${NODE}priority: 7\n`)).priority, 7);
    assert.equal((await load(`${NODE}nofailover: yes\n`)).priority, 0);
  });

  test('has the password of replication from a file', async () => {
    await writeFile(join(folder, 'secret'), 's3cret\n');
    const config = await load(NODE.replace('pgdata', 'pgdata, replication_password_file: secret'));
    assert.equal(config.replicationPassword, 's3cret');
  });

  test('is refused where it would take from the agent what it has to decide', async () => {
    const text = NODE.replace(
      'pgdata',
      'pgdata, settings: { max_connections: 9, primary_conninfo: x, "a b": 1 }',
    );
    const message = await refusal(text);
    assert.match(message, /settings\.primary_conninfo: the agent decides this itself/);
    assert.match(message, /settings\."a b": this is no name of a setting/);
    assert.match(await refusal(NODE.replace('db1', 'DB_1')), /node: found "DB_1", expected a name/);
    assert.match(
      await refusal(NODE.replace('127.0.0.1', '/run/postgresql')),
      /reached from this machine alone/,
    );
    assert.match(
      await refusal(NODE.replace('127.0.0.1', '10.0.0.11')),
      /postgresql: .* add replication_password_file/,
    );
    assert.match(await refusal(`${NODE}priorty: 1\n`), /priorty: no such setting; did you mean priority\?/);
  });
});
