import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { readControlFile } from './control-file.js';
import { undoUnfinished } from './promotion.js';
import type { Server } from './server.js';
import { type NodePaths, nodePaths } from './state-folder.js';
import { TermLedger } from './term-ledger.js';
import {
  formatLsn,
  historyPath,
  parseHistory,
  parseLsn,
  placeholderText,
  segmentName,
} from './timeline-history.js';

const SEGMENT = 16 * 2 ** 20;

test('an LSN is read as it is written', () => {
  for (const text of ['0/0', '0/3000198', '1/A0B8', 'FF/FFFFFFFF'])
    assert.equal(formatLsn(parseLsn(text)), text);
  assert.throws(() => parseLsn('0'));
});

test('a WAL file is named by timeline and number', () => {
  assert.equal(segmentName(2, parseLsn('0/3000198'), SEGMENT), '000000020000000000000003');
  assert.equal(segmentName(26, parseLsn('2/FF000000'), SEGMENT), '0000001A00000002000000FF');
});

test('a history names where each timeline begins', () => {
  const text = '1\t0/3000000\tno recovery target specified\n\n# a comment\n2\t0/5000028\tthe same\n';
  assert.deepEqual(parseHistory(text, 7), [
    { timeline: 1, from: 0 },
    { timeline: 2, from: 0x3000000 },
    { timeline: 7, from: 0x5000028 },
  ]);
  assert.throws(() => parseHistory('nonsense\n', 7));
});

describe('a promotion that came to no end', () => {
  let paths: NodePaths;
  let wal: string;
  let ledger: TermLedger;
  const server = () => ({ wal, paths }) as Server;

  beforeEach(async () => {
    const parent = await mkdtemp(join(tmpdir(), 'sluice-terms-'));
    paths = nodePaths({ node: 'a', data: join(parent, 'a') });
    wal = join(paths.data, 'pg_wal');
    ledger = new TermLedger(paths, null);
    await mkdir(wal, { recursive: true });
    await mkdir(join(paths.data, 'global'));
    await mkdir(paths.folder);
    await ledger.learn([{ timeline: 1, term: 0, from: 0 }]);
    await ledger.beginPromotion({ timeline: 3, term: 9 });
    await writeFile(historyPath(wal, 2), placeholderText());
    await writeFile(join(wal, '000000010000000000000001'), '');
  });

  afterEach(() => rm(join(paths.data, '..'), { recursive: true }));

  /** As PostgreSQL has left it. */
  async function leave(controlTimeline: number): Promise<void> {
    const control = Buffer.alloc(8192);
    control.writeBigUInt64LE(7n, 0);
    control.writeUInt32LE(1300, 8);
    control.writeUInt32LE(1, 48);
    control.writeUInt32LE(controlTimeline, 144);
    await writeFile(join(paths.data, 'global', 'pg_control'), control);
    assert.deepEqual(await readControlFile(paths.data), { systemIdentifier: '7', timeline: controlTimeline });
  }

  test('leaves no number behind if PostgreSQL had not begun', async () => {
    await leave(1);
    await undoUnfinished(server(), ledger);
    assert.deepEqual(await readdir(wal), ['000000010000000000000001']);
    assert.equal(await ledger.promotion(), null);
  });

  test('leaves nothing of a timeline on which nothing was written', async () => {
    await leave(1);
    await writeFile(historyPath(wal, 3), '1\t0/1000100\tno recovery target specified\n');
    await writeFile(join(wal, '000000030000000000000001'), '');
    await undoUnfinished(server(), ledger);
    assert.deepEqual(await readdir(wal), ['000000010000000000000001']);
  });

  test('keeps its term if PostgreSQL was promoted', async () => {
    await leave(3);
    await writeFile(historyPath(wal, 3), '1\t0/1000100\tno recovery target specified\n');
    await undoUnfinished(server(), ledger);
    await ledger.beginPromotion({ timeline: 4, term: 12 });
    const starts = parseHistory('1\t0/1000100\t\n', 3);
    assert.deepEqual(await ledger.withTerms(starts), [
      { timeline: 1, term: 0, from: 0 },
      { timeline: 3, term: 9, from: 0x1000100 },
    ]);
    assert.ok((await readdir(wal)).includes('00000002.history'));
  });
});
