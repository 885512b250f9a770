import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Server } from './server.js';
import { anyOf } from './server-files.js';
import { synchronize } from './synchronous.js';

/**
 * A primary as syncrep.c and walsender.c have it, with one standby, `b`, that reports new WAL alone: what waits is let go when it
 * reports, if it counts then.
 */
class ModelPrimary {
  changing = { synchronousStandbyNames: anyOf(1, ['b']) };
  /** Commits that nobody has let go. */
  waiting = 0;
  /** Called whenever the list has become another one. */
  onReload: () => void = () => {};

  get #counts(): boolean {
    return this.changing.synchronousStandbyNames.includes('"b"');
  }

  /** Somebody commits. */
  commit(): void {
    this.waiting += 1;
    this.#report();
  }

  async reload(changing: { synchronousStandbyNames: string }): Promise<void> {
    this.changing = changing;
    this.onReload();
  }

  readonly reloadSoon = this.reload;

  async query(sql: string): Promise<readonly object[]> {
    if (sql.includes('pg_logical_emit_message')) this.#report();
    if (sql.includes('pg_current_wal_flush_lsn')) return [{ lsn: '7' }];
    return [];
  }

  #report(): void {
    if (this.#counts) this.waiting = 0;
  }
}

test('commits that wait while the list changes are let go by the new one, also where nobody commits behind them', async () => {
  const primary = new ModelPrimary();
  primary.onReload = () => {
    if (!primary.changing.synchronousStandbyNames.includes('"b"')) primary.commit();
  };
  const lsn = await synchronize(primary as unknown as Server, { standbys: ['b', 'c'], quorum: 1 });
  assert.equal(lsn, 7);
  assert.equal(primary.changing.synchronousStandbyNames, anyOf(1, ['b', 'c']));
  assert.equal(primary.waiting, 0);
});
