/**
 * What an agent keeps beside its PostgreSQL's data, in `DATA.sluice`: generated configuration, the terms of timelines, kept
 * WAL, the log, and the mark that says that the data isn't whole.
 */
import {
  chmod,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Stopped } from '../../cluster/inputs.js';
import { AgentError, errorCode, explainFileError } from '../agent-error.js';
import type { NodeFolder } from '../node-folder.js';
import { handOver, type ServerUser } from '../server-user.js';
import { readControlFile } from './control-file.js';
import type { PostgresSettings } from './postgres-side.js';

/** The folder of what an agent keeps: beside the data, since a clone replaces everything in there. */
export function stateFolder(data: string): string {
  return `${resolve(data)}.sluice`;
}

/** Where everything of a node lies. Nothing is created. */
export interface NodePaths extends NodeFolder {
  readonly config: string;
  readonly hba: string;
  readonly ident: string;
  readonly passfile: string;
  readonly terms: string;
  readonly guardNote: string;
  readonly lock: string;
  readonly keptWal: string;
  readonly ownConfiguration: string;
}

export function nodePaths({ node, data }: Pick<PostgresSettings, 'node' | 'data'>): NodePaths {
  const folder = stateFolder(data);
  return {
    name: node,
    folder,
    data: resolve(data),
    log: join(folder, 'postgresql.log'),
    tablespaces: join(folder, 'tablespaces'),
    unfinishedMark: join(folder, 'unfinished'),
    config: join(folder, 'postgresql.conf'),
    hba: join(folder, 'pg_hba.conf'),
    ident: join(folder, 'pg_ident.conf'),
    passfile: join(folder, 'passfile'),
    terms: join(folder, 'terms.json'),
    guardNote: join(folder, 'guard'),
    lock: join(folder, 'lock'),
    keptWal: join(folder, 'kept-wal'),
    ownConfiguration: join(folder, 'own-configuration'),
  };
}

/** Makes the folder, for the agent and PostgreSQL's user alone. */
export async function makeStateFolder(paths: NodePaths, user: ServerUser | null): Promise<void> {
  try {
    await mkdir(paths.folder, { recursive: true, mode: 0o700 });
    await handOver(paths.folder, user);
  } catch (error) {
    throw explainFileError(error, paths.folder);
  }
}

/** Makes the data folder, empty, where it isn't there. PostgreSQL asks for this mode. */
export async function makeDataFolder(paths: NodePaths, user: ServerUser | null): Promise<void> {
  try {
    await mkdir(paths.data, { recursive: true, mode: 0o700 });
    await chmod(paths.data, 0o700);
    await handOver(paths.data, user);
  } catch (error) {
    throw explainFileError(error, paths.data);
  }
}

/** Looks at the data of a PostgreSQL that doesn't run. */
export async function inspectStopped(paths: NodePaths): Promise<Stopped> {
  if ((await readMark(paths)) !== null) {
    return { data: 'damaged', systemIdentifier: null };
  }
  const names = await namesIn(paths.data);
  if (names.filter((name) => name !== 'lost+found').length === 0) {
    return { data: 'none', systemIdentifier: null };
  }
  const systemIdentifier = (await readControlFile(paths.data))?.systemIdentifier ?? null;
  return { data: systemIdentifier === null ? 'damaged' : 'whole', systemIdentifier };
}

/**
 * Whether somebody has removed the data, or a part without which no PostgreSQL starts. False where that can't be known: a disk that
 * can't be read now may be read again.
 */
export async function isDataGone({ data }: NodePaths): Promise<boolean> {
  for (const part of [join('global', 'pg_control'), 'pg_wal']) {
    const code = await lstat(join(data, part)).then(() => null, errorCode);
    if (code === 'ENOENT') return true;
  }
  return false;
}

/** Refuses a folder that is neither empty nor PostgreSQL's: it would be emptied for a clone. */
export async function requireOwnData(paths: NodePaths): Promise<void> {
  const { data } = await inspectStopped(paths);
  if (data !== 'damaged') return;
  if ((await readMark(paths)) !== null) return;
  throw new AgentError(`${paths.data} holds files, and isn't a data folder of PostgreSQL`, [
    'Name another folder, or move those files away.',
  ]);
}

/** From now on, until {@link unmark}, the data counts as damaged, also after a crash of the machine. */
export async function markDamaged(paths: NodePaths, what: string): Promise<void> {
  await writeDurably(paths.unfinishedMark, `The data beside this folder is not whole: ${what}\n`, null);
}

/** What is under way or was broken off; null: the data is whole. */
export async function readMark(paths: NodePaths): Promise<string | null> {
  return readFile(paths.unfinishedMark, 'utf8').catch((error) => {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  });
}

/** Takes everything out of the data folder, which stays: a volume may be mounted there. */
export async function emptyData(paths: NodePaths): Promise<void> {
  await emptyFolder(paths.data);
  await rm(paths.tablespaces, { recursive: true, force: true });
}

export async function emptyFolder(folder: string): Promise<void> {
  for (const name of await namesIn(folder)) {
    if (name !== 'lost+found') await rm(join(folder, name), { recursive: true, force: true });
  }
}

export async function unmark(paths: NodePaths): Promise<void> {
  await rm(paths.unfinishedMark, { force: true });
  await syncFolder(paths.folder);
}

/** Replaces a file at once or not at all, and survives a crash of the machine once it has returned. */
export async function writeDurably(path: string, text: string, user: ServerUser | null): Promise<void> {
  const draft = `${path}.new`;
  const file = await open(draft, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await handOver(draft, user);
  await rename(draft, path);
  await syncFolder(dirname(path));
}

/** Replaces a file at once or not at all. What is written before each start need not survive a crash of the machine. */
export async function writeAtOnce(path: string, text: string, user: ServerUser | null): Promise<void> {
  const draft = `${path}.new`;
  await writeFile(draft, text, { mode: 0o600 });
  await handOver(draft, user);
  await rename(draft, path);
}

/** Makes what was created, renamed or removed in a folder last. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The folder's path without symbolic links, by which processes that work in it are found; null: it isn't there. */
export async function realData(paths: NodePaths): Promise<string | null> {
  return realpath(paths.data).catch((error) => {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  });
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch((error) => {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  });
}
