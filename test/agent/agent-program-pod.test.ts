/** `sluice agent` in a pod: its cluster and its label lie in the Kubernetes API. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chooseServerUser } from '../../src/agent/server-user.js';
import { start } from '../harness/command.js';
import { postgresProgram } from '../harness/postgres-binaries.js';
import { freePort, scratchFolder } from '../harness/scratch.js';
import { until } from '../harness/until.js';
import { ApiServer, PODS } from '../stores/api-server.js';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
/** On a busy machine. ms. */
const PATIENCE_MS = 60_000;

const server = await ApiServer.start();
const folder = scratchFolder('pod');
after(() => server.stop());

async function writeFile(): Promise<string> {
  const sockets = join(folder, 'sockets');
  mkdirSync(sockets);
  const user = await chooseServerUser(join(folder, 'data'));
  if (user !== null) chownSync(sockets, user.uid, user.gid);
  const lines = [
    'node: main-0',
    'address: 127.0.0.1',
    `cluster: { lease: 2s, store: { kubernetes: { server: "${server.url}", namespace: test } } }`,
    'durability: asynchronous',
    'label_pod: true',
    `postgresql:`,
    '  data: data',
    `  bin: ${dirname(postgresProgram('pg_basebackup'))}`,
    `  port: ${await freePort()}`,
    '  socket_dir: sockets',
    '  bootstrap: initdb',
    '  settings: { shared_buffers: 16MB, fsync: off }',
  ];
  writeFileSync(join(folder, 'agent.yaml'), `${lines.join('\n')}\n`);
  return join(folder, 'agent.yaml');
}

test('an agent labels its pod as primary when it leads, and not when it has ended', async () => {
  const pods = server.folder(PODS);
  pods.create({ metadata: { name: 'main-0' } });
  const isPrimary = () =>
    (pods.get('main-0').body as { metadata: { labels?: object } }).metadata.labels !== undefined &&
    JSON.stringify(pods.get('main-0').body).includes('"sluice/role":"primary"');
  const log: string[] = [];
  const child = start(process.execPath, [MAIN, 'agent', await writeFile(), '--log-format', 'json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (chunk) => log.push(String(chunk)));
  const ended = once(child, 'exit');
  try {
    await until('the label', isPrimary, PATIENCE_MS);
  } finally {
    child.kill('SIGTERM');
  }
  assert.deepEqual(await ended, [0, null], log.join(''));
  assert.ok(!isPrimary(), log.join(''));
});
