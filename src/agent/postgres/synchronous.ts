/**
 * Changing whom commits wait for, with certainty of when the change is complete.
 *
 * Who lets a waiting commit go? Not its own session: the WAL senders do, each whenever its standby has reported, and each by
 * the list that it has read last (syncrep.c). So an old list is in force until the last WAL sender has read the new one. PostgreSQL
 * shows of each only whether it counts by its list (`sync_priority`), not which list that is. Therefore the list is
 * changed twice: first to one that no standby is on, until no WAL sender counts any more (so each has let go of the old list), then
 * to the new one, until all on it count. A WAL sender that begins meanwhile reads the new list before its stream does. In
 * between commits wait, for some milliseconds.
 *
 * Sessions look at one thing only: whether there is a list at all, a mark in shared memory that the checkpointer sets. It
 * is certain to be set when a commit of our own waits, and to be gone when one doesn't.
 *
 * A commit that was let go by the old list had been flushed by then: so the place up to which WAL is flushed when no WAL
 * sender counts by the old list is one behind all of those.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Lsn } from '../../cluster/position.js';
import { lsnSql } from './position.js';
import type { Server } from './server.js';
import { anyOf, NOBODY } from './server-files.js';

/** A WAL sender that doesn't look at its configuration for so long is ended: its standby connects again. */
const PATIENCE_MS = 1_000;
const LIMIT_MS = 5_000;
const POLL_MS = 3;

/** Lets commits wait for `quorum` of these standbys, and says from where on. Rejects when that isn't certain. */
export async function synchronize(
  server: Server,
  { standbys, quorum }: { readonly standbys: readonly string[]; readonly quorum: number },
): Promise<Lsn> {
  const wasUnwatched = server.changing.synchronousStandbyNames === '';
  const target = anyOf(quorum, standbys);
  const wasNobody = server.changing.synchronousStandbyNames === NOBODY;
  if (!wasNobody && !(wasUnwatched && target === ''))
    await server.reload({ synchronousStandbyNames: NOBODY });
  if (wasUnwatched && target !== '') await untilCommits(server, 'wait');
  await untilCounting(server, []);
  const [row] = await server.query<{ lsn: string }>(`SELECT ${lsnSql('pg_current_wal_flush_lsn()')} AS lsn`);
  // Where that is late commits wait for nobody's standby a little longer, and that is all.
  await server.reloadSoon({ synchronousStandbyNames: target });
  if (target === '') await untilCommits(server, 'pass');
  else {
    await untilCounting(server, standbys);
    await letWaitingGo(server);
  }
  return Number(row!.lsn);
}

/**
 * A WAL sender lets commits go when its standby reports, and standbys report new WAL at once, all else seconds later
 * (`wal_receiver_status_interval`). Where everybody waits for a commit that was reported while nobody counted there is no new
 * WAL. So this makes some: a commit that waits for nobody.
 */
async function letWaitingGo(server: Server): Promise<void> {
  await server.query(`SELECT pg_logical_emit_message(true, 'sluice', '')`);
}

/** Until those WAL senders count whose standbys are named, and no others. */
async function untilCounting(server: Server, names: readonly string[]): Promise<void> {
  const begun = performance.now();
  for (;;) {
    const rows = await server.query<{ pid: number }>(
      `SELECT pid FROM pg_stat_replication
       WHERE state <> 'backup' AND (sync_priority > 0) <> (lower(application_name) = ANY ($1))`,
      [names.map((name) => name.toLowerCase())],
    );
    if (rows.length === 0) return;
    const elapsed = performance.now() - begun;
    if (elapsed > LIMIT_MS)
      throw new Error('WAL senders did not read the list of synchronous standbys again');
    if (elapsed > PATIENCE_MS) {
      const pids = rows.map(({ pid }) => pid);
      await server.query('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid', [pids]);
    }
    await pause(POLL_MS);
  }
}

/** Until commits wait, or pass, whatever standbys say. */
async function untilCommits(server: Server, wanted: 'wait' | 'pass'): Promise<void> {
  const deadline = performance.now() + LIMIT_MS;
  while ((await tryCommit(server)) !== wanted) {
    if (performance.now() > deadline) {
      throw new Error('the checkpointer did not read the list of synchronous standbys again');
    }
    await pause(POLL_MS);
  }
}

/** A commit of our own; one that waits is called off, which leaves it committed here. */
async function tryCommit(server: Server): Promise<'wait' | 'pass'> {
  return server.withConnection({ isSynchronous: true }, async (client) => {
    const { rows } = await client.query('SELECT pg_backend_pid() AS pid');
    let isDone = false;
    const commit = client.query(`SELECT pg_logical_emit_message(true, 'sluice', '')`).then(
      () => {
        isDone = true;
      },
      () => {},
    );
    for (;;) {
      const [row] = await server.query<{ waits: boolean }>(
        `SELECT wait_event IS NOT DISTINCT FROM 'SyncRep' AS waits FROM pg_stat_activity WHERE pid = $1`,
        [rows[0].pid],
      );
      if (isDone) return 'pass';
      if (row === undefined) throw new Error('a commit was broken off');
      if (row.waits) {
        await server.query('SELECT pg_terminate_backend($1)', [rows[0].pid]);
        await commit;
        return 'wait';
      }
      await pause(POLL_MS);
    }
  });
}
