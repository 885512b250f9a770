/** The embedded store's file and socket. */
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { EMBEDDED_NOTICE, EmbeddedServer } from '../../src/stores/embedded/embedded-server.js';
import { EmbeddedStore } from '../../src/stores/embedded/embedded-store.js';
import { readJournal } from '../../src/stores/embedded/journal.js';
import { scratchFolder } from '../harness/scratch.js';

const SETTINGS = {
  leaseMs: 10_000,
  memberMs: 10_000,
  requestMs: 5000,
  refreshMs: 5000,
  clock: () => performance.now(),
};

function settingsIn(folder: string, said: string[] = []) {
  return {
    socketPath: join(folder, 'socket'),
    journalPath: join(folder, 'journal'),
    clock: SETTINGS.clock,
    say: (line: string) => said.push(line),
  };
}

/** Starts a server, lets the work be done, and stops it. */
async function withServer<T>(folder: string, work: (store: EmbeddedStore) => Promise<T>): Promise<T> {
  const server = await EmbeddedServer.start(settingsIn(folder));
  const store = new EmbeddedStore(join(folder, 'socket'), SETTINGS);
  try {
    return await work(store);
  } finally {
    await store.close();
    await server.close();
  }
}

test('it says what it is good for, and keeps its socket and its file to its owner', async () => {
  const folder = scratchFolder('embedded');
  const said: string[] = [];
  const server = await EmbeddedServer.start(settingsIn(folder, said));
  assert.deepEqual(said, [EMBEDDED_NOTICE]);
  for (const name of ['socket', 'journal']) assert.equal(statSync(join(folder, name)).mode & 0o077, 0, name);
  await assert.rejects(EmbeddedServer.start(settingsIn(folder)), /another process serves the store/);
  await server.close();
});

test('a line that was torn at any byte is forgotten, and what was answered before is kept', async () => {
  const folder = scratchFolder('embedded');
  const journal = join(folder, 'journal');
  await withServer(folder, (store) => store.acquire('a', 0));
  const whole = readFileSync(journal);
  await withServer(folder, (store) => store.publish('list', 'torn', { version: 0 }));
  const longer = readFileSync(journal);
  for (let cut = whole.length; cut < longer.length; cut++) {
    const { state } = readJournal(journal, longer.subarray(0, cut));
    assert.equal(state.term, 1);
  }
  writeFileSync(journal, longer.subarray(0, longer.length - 5));
  await withServer(folder, async (store) => {
    const view = await store.read();
    assert.deepEqual(view.leader, { holder: 'a', term: 1 });
    await store.publish('other', 'text', { version: 0 });
  });
  await withServer(folder, async (store) => {
    assert.equal((await store.read()).values.get('other')?.text, 'text');
  });
});

test('damage before the last line is no torn write, and is not guessed at', async () => {
  const folder = scratchFolder('embedded');
  const journal = join(folder, 'journal');
  await withServer(folder, (store) => store.acquire('a', 0));
  const bytes = readFileSync(journal);
  bytes[12] = bytes[12]! ^ 1;
  writeFileSync(journal, bytes);
  await assert.rejects(EmbeddedServer.start(settingsIn(folder)), /journal is damaged at byte 0/);
});

test('its file does not grow for ever', async () => {
  const folder = scratchFolder('embedded');
  const text = 'x'.repeat(60_000);
  await withServer(folder, async (store) => {
    let version = 0;
    for (let i = 0; i < 40; i++) version = (await store.publish('big', `${i}${text}`, { version })) as number;
  });
  assert.ok(statSync(join(folder, 'journal')).size <= 1024 * 1024);
  await withServer(folder, async (store) => {
    assert.ok((await store.read()).values.get('big')?.text.startsWith('39x'));
  });
});

test('a request that it does not understand changes nothing', async () => {
  const folder = scratchFolder('embedded');
  await withServer(folder, async (store) => {
    const { revision } = await store.read();
    await assert.rejects(store.acquire('', 0), { kind: 'protocol' });
    await assert.rejects(store.acquire('a', -1), { kind: 'protocol' });
    assert.equal((await store.read()).revision, revision);
  });
  appendFileSync(join(folder, 'journal'), 'rubbish without an end');
  await withServer(folder, async (store) => assert.equal((await store.read()).term, 0));
});
