/**
 * A base backup without pg_basebackup: PostgreSQL's low-level API (its documentation, "Making a Base Backup Using
 * the Low Level API") around a copy of the primary's files, for a primary on the same machine.
 */

import { constants, type Dirent } from 'node:fs';
import { copyFile, mkdir, readdir, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { AgentError, errorCode } from './agent-error.js';
import { runToEnd } from './child-process.js';
import type { CopyOrder } from './clone-order.js';
import { writeServerFile } from './data-directory.js';
import { programFailed } from './node-folder.js';
import { handOver, type ServerUser } from './server-user.js';

/** Before this version the functions are called pg_start_backup and pg_stop_backup. */
const RENAMED_IN_MAJOR = 15;

/** Folders whose content belongs to the running server alone. The folders themselves must exist. */
const EMPTIED = new Set([
  'pg_wal',
  'pg_replslot',
  'pg_dynshmem',
  'pg_notify',
  'pg_serial',
  'pg_snapshots',
  'pg_stat_tmp',
  'pg_subtrans',
]);
/** Files at the top of the data folder that are the running server's, or those of an earlier backup. */
const LEFT_OUT_AT_TOP = new Set([
  'postmaster.pid',
  'postmaster.opts',
  'backup_label',
  'backup_label.old',
  'tablespace_map',
  'tablespace_map.old',
  'backup_manifest',
  'standby.signal',
  'recovery.signal',
  'postgresql.auto.conf.tmp',
  'current_logfiles',
  'current_logfiles.tmp',
]);

/** Copies the running primary's data to the standby's folder, together with the files that recovery starts from. */
export async function copyOnline(order: CopyOrder): Promise<void> {
  const { standby, binaries, user, signal } = order;
  // PostgreSQL ends the backup when this connection ends, so it stays open all the while.
  const files = await order.withPrimary(async (client) => {
    await startBackup(client, binaries.major, `sluice clone ${standby.name}`);
    const tablespaces = await copyFiles(order);
    return { ...(await stopBackup(client, binaries.major)), tablespaces };
  });
  await writeServerFile(join(standby.data, 'backup_label'), files.label, user);
  const map = mapTablespaces(files.tablespaceMap, files.tablespaces);
  if (map !== '') await writeServerFile(join(standby.data, 'tablespace_map'), map, user);

  // A clone that a crash of the machine could damage would still look whole.
  const synced = await runToEnd(binaries.initdb, ['--sync-only', `--pgdata=${standby.data}`], {
    user,
    signal,
  });
  if (synced.code !== 0)
    throw programFailed('initdb', `writing ${standby.name} to disk`, synced.output, standby.folder);
}

async function startBackup(client: pg.Client, major: number, label: string): Promise<void> {
  const sql =
    major >= RENAMED_IN_MAJOR
      ? 'SELECT pg_backup_start($1, true)'
      : 'SELECT pg_start_backup($1, true, false)';
  await client.query(sql, [label]);
}

interface BackupFiles {
  /** Must be written as it is, byte for byte. */
  readonly label: string;
  readonly tablespaceMap: string;
}

async function stopBackup(client: pg.Client, major: number): Promise<BackupFiles> {
  // No archive to wait for: the standby streams what it needs, and its slot holds it.
  const call = major >= RENAMED_IN_MAJOR ? 'pg_backup_stop(false)' : 'pg_stop_backup(false, false)';
  const { rows } = await client.query<{ labelfile: string; spcmapfile: string | null }>(
    `SELECT labelfile, spcmapfile FROM ${call}`,
  );
  const row = rows[0];
  if (row === undefined) throw new AgentError('PostgreSQL ended the backup without telling where it began');
  return { label: row.labelfile, tablespaceMap: row.spcmapfile ?? '' };
}

/** Returns the new locations of tablespaces by their object id. */
async function copyFiles(order: CopyOrder): Promise<ReadonlyMap<string, string>> {
  const { primaryData, standby, user, signal } = order;
  const copy: CopyRun = { user, signal, copied: 0, total: await countFiles(primaryData), order };
  await copyFolder(primaryData, standby.data, copy, true);
  await makeFolder(join(standby.data, 'pg_wal', 'archive_status'), user);

  const moved = new Map<string, string>();
  for (const oid of await readdir(join(primaryData, 'pg_tblspc'))) {
    const location = await linkTarget(join(primaryData, 'pg_tblspc', oid));
    if (location === null) continue;
    await makeFolder(standby.tablespaces, user);
    moved.set(oid, join(standby.tablespaces, oid));
    await copyFolder(location, join(standby.tablespaces, oid), copy, false);
  }
  // As pg_basebackup does it: the control file comes last, so that it isn't older than anything copied.
  await copyOne(join(primaryData, 'global', 'pg_control'), join(standby.data, 'global', 'pg_control'), copy);
  return moved;
}

interface CopyRun {
  readonly user: ServerUser | null;
  readonly signal: AbortSignal;
  readonly order: CopyOrder;
  copied: number;
  /** As of the start; the number may change while we copy. */
  readonly total: number;
}

async function copyFolder(from: string, to: string, run: CopyRun, atTop: boolean): Promise<void> {
  await makeFolder(to, run.user);
  for (const entry of await entriesOf(from)) {
    run.signal.throwIfAborted();
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (isLeftOut(entry.name, atTop)) continue;
    if (atTop && (EMPTIED.has(entry.name) || entry.name === 'pg_tblspc')) {
      await makeFolder(target, run.user);
    } else if (entry.isDirectory()) {
      await copyFolder(source, target, run, false);
    } else if (entry.name !== 'pg_control') {
      await copyOne(source, target, run);
    }
  }
}

/** Whether a base backup leaves this file or folder out (PostgreSQL's documentation lists them). */
export function isLeftOut(name: string, atTop: boolean): boolean {
  return (
    name.startsWith('pgsql_tmp') ||
    name.startsWith('pg_internal.init') ||
    (atTop && LEFT_OUT_AT_TOP.has(name))
  );
}

/** Files may grow, shrink and vanish while they are copied: replaying the WAL since the start of the backup mends it. */
async function copyOne(source: string, target: string, run: CopyRun): Promise<void> {
  try {
    if (!(await stat(source)).isFile()) return;
    await copyFile(source, target, constants.COPYFILE_FICLONE);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return;
    throw error;
  }
  await handOver(target, run.user);
  run.copied++;
  run.order.onPercent(Math.min(100, Math.floor((100 * run.copied) / Math.max(1, run.total))));
}

async function makeFolder(path: string, user: ServerUser | null): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await handOver(path, user);
}

/** A folder may vanish, too: with a database that is dropped. */
async function entriesOf(folder: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

async function countFiles(folder: string): Promise<number> {
  let count = 0;
  for (const entry of await entriesOf(folder)) {
    count += entry.isDirectory() ? await countFiles(join(folder, entry.name)) : 1;
  }
  return count;
}

async function linkTarget(path: string): Promise<string | null> {
  try {
    return await readlink(path);
  } catch {
    // A tablespace "in place" is an ordinary folder; it exists in tests of PostgreSQL itself.
    return null;
  }
}

/**
 * The content of `tablespace_map` with new locations. Each line is `OID PATH`; the server creates the links in
 * pg_tblspc from it.
 */
export function mapTablespaces(map: string, moved: ReadonlyMap<string, string>): string {
  return map
    .split('\n')
    .map((line) => {
      const oid = line.split(' ', 1)[0] ?? '';
      const location = moved.get(oid);
      return location === undefined ? line : `${oid} ${location.replaceAll('\\', '\\\\')}`;
    })
    .join('\n');
}
