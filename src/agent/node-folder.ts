/** The folder of one node: its data, its log, and the mark that says that the data aren't whole yet. */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AgentError, diskFull, errorCode, explainFileError, saysDiskFull } from './agent-error.js';
import { handOver, type ServerUser } from './server-user.js';

export interface NodeFolder {
  readonly name: string;
  readonly folder: string;
  /** PostgreSQL's data directory. */
  readonly data: string;
  readonly log: string;
  /** Tablespaces of a clone: PostgreSQL gives their absolute paths, and those belong to the original. */
  readonly tablespaces: string;
  /** Exists from before the first file of `data` is written until the last one is. */
  readonly unfinishedMark: string;
}

/** Where the parts of a node lie under `parent`. Nothing is created. */
export function nodeFolder(parent: string, name: string): NodeFolder {
  const folder = join(parent, name);
  return {
    name,
    folder,
    data: join(folder, 'data'),
    log: join(folder, 'postgresql.log'),
    tablespaces: join(folder, 'tablespaces'),
    unfinishedMark: join(folder, 'unfinished'),
  };
}

/** What is in a node's data folder. `major` is the PostgreSQL version that made it. */
export type DataState =
  | { readonly kind: 'absent' }
  /** Initialising or cloning was interrupted: certainly ours, and without value. */
  | { readonly kind: 'unfinished' }
  | { readonly kind: 'whole'; readonly major: number; readonly isStandby: boolean }
  /** Something that we didn't make, or that somebody has taken parts from. */
  | { readonly kind: 'foreign' };

/** Looks at the folder without changing anything. */
export async function inspectData(node: NodeFolder): Promise<DataState> {
  try {
    if ((await namesIn(node.folder)).includes('unfinished')) return { kind: 'unfinished' };
    const names = await namesIn(node.data);
    if (names.length === 0) return { kind: 'absent' };
    if (!names.includes('PG_VERSION') || !names.includes('global')) return { kind: 'foreign' };
    const major = Number.parseInt(await readFile(join(node.data, 'PG_VERSION'), 'utf8'), 10);
    if (Number.isNaN(major)) return { kind: 'foreign' };
    return { kind: 'whole', major, isStandby: names.includes('standby.signal') };
  } catch (error) {
    throw explainFileError(error, node.folder);
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Refuses data that we must not touch: somebody else's, and those of a node that was given another role by hand. */
export function requireUsable(data: DataState, node: NodeFolder, role: 'primary' | 'standby'): DataState {
  if (data.kind === 'foreign') {
    throw new AgentError(`${node.data} holds files, but isn't a PostgreSQL data folder that we made`, [
      'Move it away if it is of value, or have everything made anew (the data are deleted!) with --reset.',
    ]);
  }
  if (data.kind !== 'whole' || data.isStandby === (role === 'standby')) return data;
  const [what, remedy] =
    role === 'standby'
      ? [`${node.name} was a standby, and has been promoted since`, 'cloned from the primary again']
      : [`${node.name} was the primary, and has been made a standby since`, 'created empty'];
  throw new AgentError(`${what}: its data may be the only ones of their kind`, [
    `Move ${node.folder} away, and it is ${remedy};`,
    'or have everything made anew (the data are deleted!) with --reset.',
  ]);
}

/**
 * Makes a node's data by `make`, from nothing. Until that has succeeded, a mark stands beside them, so that an
 * interruption at any moment (a crash of the machine too) is recognised. What a failure leaves is deleted.
 */
export async function makeData(
  node: NodeFolder,
  user: ServerUser | null,
  make: () => Promise<void>,
): Promise<void> {
  try {
    await mkdir(node.folder, { recursive: true, mode: 0o700 });
    await handOver(node.folder, user);
    await writeFile(
      node.unfinishedMark,
      'The data beside this file are not whole: sluice makes them anew.\n',
      {
        flush: true,
      },
    );
    await deleteData(node);
  } catch (error) {
    throw explainFileError(error, node.folder);
  }
  try {
    await make();
  } catch (error) {
    await deleteData(node).catch(() => {});
    throw explainFileError(error, node.folder);
  }
  await rm(node.unfinishedMark);
}

async function deleteData(node: NodeFolder): Promise<void> {
  await rm(node.data, { recursive: true, force: true });
  await rm(node.tablespaces, { recursive: true, force: true });
}

/** The error for a PostgreSQL program that failed: its last lines, or that the disk is full. */
export function programFailed(program: string, what: string, output: string, folder: string): AgentError {
  if (saysDiskFull(output)) return diskFull(folder);
  return new AgentError(`${what} failed`, [`The last words of ${program}:`, ...lastLines(output)]);
}

const SHOWN_LINES = 8;

/** The last lines of a program's output or a log, indented for display. */
export function lastLines(text: string): readonly string[] {
  const lines = text.trimEnd().split(/[\r\n]+/);
  return lines.slice(-SHOWN_LINES).map((line) => `  ${line}`);
}
