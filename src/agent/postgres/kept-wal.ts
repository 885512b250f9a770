/**
 * WAL that goes when a node becomes as its primary is. A copy of it is kept: it is the only trace of commits that were lost, or
 * that nobody has acknowledged.
 */
import { copyFile, mkdir, readdir, readFile, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { Lsn } from '../../cluster/position.js';
import { errorCode } from '../agent-error.js';
import type { PostgresSettings } from './postgres-side.js';
import { type NodePaths, nodePaths, syncFolder, writeDurably } from './state-folder.js';
import { formatLsn, timelineOfSegment } from './timeline-history.js';

/** How much of the WAL that went is kept at most, the newest first; and how many times. */
const KEPT_BYTES = 1024 ** 3;
const KEPT_FOLDERS = 5;
const NOTE = 'note.json';

/** A copy of WAL, and why it is there. */
export interface KeptWal {
  readonly folder: string;
  /** When it was put aside, ISO 8601. */
  readonly at: string;
  readonly node: string;
  /** Whom the node has become like. */
  readonly primary: string;
  /** From here on nobody else has it, as LSN. */
  readonly from: string;
  /** Timelines of the files. */
  readonly timelines: readonly number[];
  /** Not everything could be kept: too much, or no room for it. */
  readonly isPartial: boolean;
}

/** What has been kept, the oldest first. */
export async function keptWal(settings: Pick<PostgresSettings, 'node' | 'data'>): Promise<KeptWal[]> {
  const { keptWal: parent } = nodePaths(settings);
  const found: KeptWal[] = [];
  for (const name of await foldersIn(parent)) {
    try {
      found.push({
        ...JSON.parse(await readFile(join(parent, name, NOTE), 'utf8')),
        folder: join(parent, name),
      });
    } catch {
      // It was not finished.
    }
  }
  return found;
}

/** Copies the WAL from `from` on. What can't be kept is left: the cluster must not wait for room on a disk. */
export async function keepWal(
  paths: NodePaths,
  { from, primary, segmentBytes }: { from: Lsn; primary: string; segmentBytes: number },
): Promise<KeptWal> {
  const wal = join(paths.data, 'pg_wal');
  const first = Math.floor(from / segmentBytes);
  const numberOf = (name: string) =>
    Number.parseInt(name.slice(8, 16), 16) * (2 ** 32 / segmentBytes) + Number.parseInt(name.slice(16), 16);
  const names = (await readdir(wal)).filter(
    (name) => timelineOfSegment(name) !== null && numberOf(name) >= first,
  );
  names.sort((a, b) => numberOf(a) - numberOf(b) || (a < b ? -1 : 1));
  const at = new Date().toISOString();
  const folder = join(paths.keptWal, at.replaceAll(':', '-'));
  await makeRoom(paths.keptWal);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const room = await statfs(folder);
  // Half of what is free: PostgreSQL needs the rest.
  const mostFiles = Math.floor(Math.min(KEPT_BYTES, (room.bavail * room.bsize) / 2) / segmentBytes);
  const kept = names.slice(0, mostFiles);
  for (const name of kept) await copyFile(join(wal, name), join(folder, name));
  const histories = (await readdir(wal)).filter((name) => name.endsWith('.history'));
  for (const name of histories) await copyFile(join(wal, name), join(folder, name));
  const note: KeptWal = {
    ...{ folder, at, node: paths.name, primary, from: formatLsn(from) },
    timelines: [...new Set(kept.map((name) => timelineOfSegment(name)!))],
    isPartial: kept.length < names.length,
  };
  await writeDurably(join(folder, NOTE), `${JSON.stringify(note)}\n`, null);
  await syncFolder(paths.keptWal);
  return note;
}

/** The oldest go. */
async function makeRoom(parent: string): Promise<void> {
  const names = await foldersIn(parent);
  for (const name of names.slice(0, Math.max(0, names.length - KEPT_FOLDERS + 1))) {
    await rm(join(parent, name), { recursive: true, force: true });
  }
}

async function foldersIn(parent: string): Promise<string[]> {
  const names = await readdir(parent).catch((error) => {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  });
  const folders = await Promise.all(
    names.map(async (name) => ((await stat(join(parent, name))).isDirectory() ? name : null)),
  );
  return folders.filter((name) => name !== null).sort();
}
