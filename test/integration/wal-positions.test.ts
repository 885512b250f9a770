/** What a primary calls its position, and its standby, of the same records: at ends of pages and of segments too. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { formatPosition, parsePosition, recordEnd } from '../../src/core/route/wal-position.js';
import { PostgresServer } from '../harness/postgres-server.js';
import { until } from '../harness/until.js';

const PAGE = 8192;
const SEGMENT = 16 * 1024 * 1024;
const SHORT_HEADER = 24;
const LONG_HEADER = 40;

describe('positions of a primary and its standby', () => {
  let primary: PostgresServer;
  let standby: PostgresServer | undefined;
  before(async () => {
    // What is not committed reaches the disk soon, and nothing is written by the way.
    const settings = { wal_writer_delay: '10ms', checkpoint_timeout: '1h', bgwriter_lru_maxpages: 0 };
    primary = await PostgresServer.start({ settings });
    standby = await primary.startStandby();
  });
  after(async () => {
    await standby?.discard();
    await primary.discard();
  });

  const inserted = async (): Promise<number> => {
    const [row] = await primary.query('SELECT pg_current_wal_insert_lsn()::text AS lsn');
    return parsePosition(row?.lsn)!;
  };
  const replayed = async (): Promise<number> => {
    const [row] = await standby!.query('SELECT pg_last_wal_replay_lsn()::text AS lsn');
    return parsePosition(row?.lsn)!;
  };
  /** One record with a message of so many bytes. Returns the position behind it. */
  const write = async (bytes: number): Promise<number> => {
    await primary.query(`SELECT pg_logical_emit_message(false, '', repeat('x', ${bytes}))`);
    return inserted();
  };
  /** Writes one record that ends at `end`: what it needs beside its message is found by trying on the way there. */
  const writeUpTo = async (end: (from: number) => number): Promise<number> => {
    const from = await write(1000);
    const to = await write(1000);
    const isOnePage = Math.floor(from / PAGE) === Math.floor(to / PAGE);
    if (!isOnePage) return writeUpTo(end);
    const overhead = to - from - 1000;
    const target = end(to);
    // Each page in between begins with a header.
    const pages = Math.ceil(target / PAGE) - Math.ceil(to / PAGE);
    return write(target - to - overhead - pages * SHORT_HEADER);
  };
  const endOf = (unit: number) => (from: number) => (Math.floor(from / unit) + 1) * unit;
  const meet = async (position: number): Promise<number> => {
    await until(`the standby to reach ${formatPosition(position)}`, async () => {
      return (await replayed()) >= recordEnd(position, PAGE);
    });
    return replayed();
  };

  test('within a page they are the same', async () => {
    const position = await writeUpTo((from) => from + 2000 - (from % 8));
    assert.equal(await meet(position), position);
    assert.equal(recordEnd(position, PAGE), position);
  });

  test('at the end of a page the primary is behind the next header', async () => {
    const position = await writeUpTo(endOf(PAGE));
    assert.equal(position % PAGE, SHORT_HEADER);
    const replay = await meet(position);
    assert.ok(replay < position, 'otherwise nobody needs to care');
    assert.equal(replay, recordEnd(position, PAGE));
  });

  test('a record that goes on behind a header by as much as the longer one has', async () => {
    const position = await writeUpTo((from) => endOf(PAGE)(from) + LONG_HEADER);
    assert.equal(position % PAGE, LONG_HEADER);
    // The standby says more than that, since the record is whole only then.
    assert.equal(await meet(position), position);
  });

  test('at the end of a segment the primary is behind the longer header', async () => {
    await primary.query('SELECT pg_switch_wal()');
    const position = await writeUpTo(endOf(SEGMENT));
    assert.equal(position % SEGMENT, LONG_HEADER);
    assert.equal(await meet(position), recordEnd(position, PAGE));
  });

  test('behind a switch of segments', async () => {
    await write(10);
    await primary.query('SELECT pg_switch_wal()');
    const position = await inserted();
    assert.equal(position % SEGMENT, LONG_HEADER);
    assert.equal(await meet(position), recordEnd(position, PAGE));
  });

  test('positions are read and written as PostgreSQL does', async () => {
    for (const text of ['0/0', '0/16B3748', '16/B374D848', 'FFFF/FFFFFFF8', '1FFFFF/FFFFFFFF']) {
      assert.equal(formatPosition(parsePosition(text)!), text);
      const [row] = await primary.query(`SELECT ('${text}'::pg_lsn - '0/0')::text AS n`);
      assert.equal(`${parsePosition(text)}`, row?.n);
    }
    assert.equal(parsePosition('16'), null);
  });
});
