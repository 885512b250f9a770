import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { loadConfig } from './load.js';
import { ConfigError } from './problem.js';

let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-nodes-from-'));
  await writeFile(join(folder, 'ca.pem'), 'AUTHORITY');
});
after(() => rm(folder, { recursive: true, force: true }));

async function load(entry: string) {
  const file = join(folder, 'sluice.yaml');
  await writeFile(file, `databases: { app: ${entry} }\nauth_type: trust\n`);
  return [...(await loadConfig({ file })).nodesFrom.values()];
}

async function refusal(entry: string): Promise<string> {
  const error = await load(entry).then(
    () => assert.fail('it was taken'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConfigError);
  return error.message.replaceAll(`${folder}/`, '');
}

describe('nodes_from', () => {
  test('may be a name, or the labels of pods', async () => {
    assert.deepEqual(await load('{ nodes_from: { dns: "db-nodes:5433" } }'), [
      { name: 'dns db-nodes:5433', kind: 'dns', host: 'db-nodes', port: 5433 },
    ]);
    assert.deepEqual(
      await load('{ nodes_from: { kubernetes: { namespace: db, selector: cnpg.io/cluster=main } } }'),
      [
        {
          ...{ name: 'kubernetes db/cnpg.io/cluster=main:5432', kind: 'kubernetes', namespace: 'db' },
          ...{ selector: 'cnpg.io/cluster=main', port: 5432, server: null, tokenFile: null, caFile: null },
        },
      ],
    );
  });

  test('may be Patroni, whose files count from the folder of this one', async () => {
    const entry =
      '{ nodes_from: { patroni: ["https://10.0.0.1:8008", "https://10.0.0.2:8008"], ca_file: ca.pem } }';
    const endpoints = ['https://10.0.0.1:8008', 'https://10.0.0.2:8008'];
    assert.deepEqual(await load(entry), [
      {
        ...{ name: `patroni ${endpoints.join(',')}`, kind: 'patroni', endpoints },
        ...{ ca: 'AUTHORITY', cert: null, key: null },
      },
    ]);
  });

  test('may be repmgr, and its name shows no password', async () => {
    const [source] = await load(
      '{ nodes_from: { repmgr: "postgres://sluice:se%20cret@10.0.0.1,10.0.0.2/meta" } }',
    );
    assert.deepEqual(source, {
      ...{ name: 'repmgr sluice@10.0.0.1,10.0.0.2/meta', kind: 'repmgr', host: '10.0.0.1,10.0.0.2' },
      ...{ ports: [5432], database: 'meta', user: 'sluice', password: 'se cret' },
    });
  });

  test('has a short form for places without mappings', async () => {
    const short = async (text: string) => (await load(`"postgres:///app?nodes_from=${text}"`))[0]!.name;
    assert.equal(await short('dns:db-nodes:5432'), 'dns db-nodes:5432');
    assert.equal(await short('kubernetes:a%3Db'), 'kubernetes a=b:5432');
    assert.equal(await short('patroni:http://a:8008,http://b:8008'), 'patroni http://a:8008,http://b:8008');
    assert.equal(await short('repmgr:postgres://r@a/repmgr'), 'repmgr r@a/repmgr');
  });

  test('one source serves all databases that name it', async () => {
    const file = join(folder, 'two.yaml');
    const entry = '{ nodes_from: { dns: "db-nodes:5432" } }';
    await writeFile(file, `databases: { app: ${entry}, web: ${entry} }\nauth_type: trust\n`);
    assert.equal((await loadConfig({ file })).nodesFrom.size, 1);
  });

  for (const [what, entry, message] of [
    ['nothing', '{ nodes_from: {} }', /name one source/],
    ['two sources', '{ nodes_from: { dns: "a:1", patroni: ["http://a:1"] } }', /name one source/],
    ['a host beside it', '{ host: db, nodes_from: { dns: "a:1" } }', /either host and port, or nodes/],
    ['a name without a port', '{ nodes_from: { dns: a } }', /a DNS name with a port/],
    ['a file of nobody', '{ nodes_from: { dns: "a:1", ca_file: ca.pem } }', /belongs to patroni/],
    ['a path behind the endpoint', '{ nodes_from: { patroni: ["http://a:1/cluster"] } }', /a URL like https/],
    ['no user of repmgr', '{ nodes_from: { repmgr: "postgres://a/b" } }', /a URL like postgres/],
    [
      'half a certificate',
      '{ nodes_from: { patroni: ["http://a:1"], cert_file: ca.pem } }',
      /belong together/,
    ],
  ] as const) {
    test(`refuses ${what}`, async () => assert.match(await refusal(entry), message));
  }
});
