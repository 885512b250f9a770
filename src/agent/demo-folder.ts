/**
 * The folder of a cluster that `sluice up` runs: where it lies, that it is ours, that nobody else works in it, and
 * what we remember in it from one start to the next.
 */
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { AgentError, errorCode, explainFileError } from './agent-error.js';
import { type FolderLock, lockFolder } from './folder-lock.js';
import { type NodeFolder, nodeFolder } from './node-folder.js';
import { canEnter, chooseServerUser, handOver, nearestExisting, type ServerUser } from './server-user.js';

const DEFAULT_FOLDER = '.sluice';
/** Used instead when PostgreSQL's user can't enter the current folder. */
const SYSTEM_FOLDER = '/var/lib/sluice';
const STATE_FILE = 'sluice-up.json';
const LOCK_FILE = 'sluice-up.lock';
const FORMAT = 1;
/** Longest path of a unix socket, without the terminating zero: sun_path has 108 bytes on Linux, 104 on the BSDs. */
const SOCKET_PATH_LIMIT_BYTES = process.platform === 'linux' ? 107 : 103;
const LONGEST_SOCKET_NAME = '.s.PGSQL.65535';
/** PostgreSQL reads a list of folders, in which other characters would need quoting. */
const PLAIN_PATH = /^[\w./-]+$/;

/** What is remembered from one start to the next. */
export interface DemoState {
  readonly format: typeof FORMAT;
  /** By node: the first is the primary's. */
  readonly ports: readonly number[];
  /** A folder outside, made because paths inside would be too long for sockets. */
  readonly outsideSocketFolder: string | null;
}

const NEW_STATE: DemoState = { format: FORMAT, ports: [], outsideSocketFolder: null };

/** The folder, locked by us until `lock` is released. */
export interface DemoFolder {
  readonly path: string;
  readonly user: ServerUser | null;
  readonly lock: FolderLock;
  readonly state: DemoState;
  /** Why it isn't where one would expect it, or null. */
  readonly remark: string | null;
}

/**
 * Finds, creates and locks the folder. `requested` is the operator's choice; null: `.sluice` here, or a folder of the
 * system when PostgreSQL's user can't get here. Throws an AgentError for a folder that isn't ours or is in use.
 */
export async function openDemoFolder(requested: string | null, now: Date): Promise<DemoFolder> {
  const { path, remark } = await locate(requested);
  try {
    await mkdir(path, { recursive: true, mode: 0o755 });
    await requireOurs(path);
  } catch (error) {
    throw explainFileError(error, path);
  }
  const lock = await lockFolder(
    join(path, LOCK_FILE),
    now,
    'Or give this one a folder and a port of its own: --data DIR --port N',
  );
  try {
    const state = (await readState(path)) ?? NEW_STATE;
    await writeState(path, state);
    const user = await chooseServerUser(nodeFolder(path, nodeName(0)).folder);
    return { path, user, lock, state, remark };
  } catch (error) {
    await lock.release();
    throw explainFileError(error, path);
  }
}

/** The folder that {@link openDemoFolder} would use, for questions to the operator before it is locked. */
export async function locate(requested: string | null): Promise<{ path: string; remark: string | null }> {
  const path = resolve(requested ?? DEFAULT_FOLDER);
  const user = await chooseServerUser(nodeFolder(path, nodeName(0)).folder).catch((error) => {
    throw explainFileError(error, path);
  });
  if (user === null || canEnter(user, await nearestExisting(path))) return { path, remark: null };
  if (requested !== null) {
    throw new AgentError(`PostgreSQL must not run as root, and user ${user.name} can't enter ${path}`, [
      'Choose a folder that others can reach with --data DIR, e.g. --data /var/lib/sluice, or start as an ordinary user.',
    ]);
  }
  const parent = canEnter(user, dirname(SYSTEM_FOLDER)) ? dirname(SYSTEM_FOLDER) : tmpdir();
  const elsewhere = join(parent, 'sluice');
  const remark = `user ${user.name}, as whom PostgreSQL must run, can't enter ${dirname(path)}: the data go to ${elsewhere}`;
  return { path: elsewhere, remark };
}

/** `node1` is created as the primary; the others as its standbys. Roles may change, names don't. */
export function nodeName(index: number): string {
  return `node${index + 1}`;
}

const NODE_NAME = /^node\d+$/;

/** The folders of nodes that exist, whether they take part this time or not. */
export async function existingNodes(path: string): Promise<readonly NodeFolder[]> {
  const names = await readdir(path);
  return names.filter((name) => NODE_NAME.test(name)).map((name) => nodeFolder(path, name));
}

async function requireOurs(path: string): Promise<void> {
  const names = (await readdir(path)).filter((name) => !name.startsWith(LOCK_FILE) && name !== 'lost+found');
  if (names.length === 0 || names.includes(STATE_FILE) || names.every((name) => name.startsWith(STATE_FILE)))
    return;
  throw new AgentError(`${path} isn't empty, and wasn't made by sluice up (it has no ${STATE_FILE})`, [
    'Choose an empty or new folder with --data DIR.',
  ]);
}

async function readState(path: string): Promise<DemoState | null> {
  const file = join(path, STATE_FILE);
  let parsed: unknown;
  try {
    parsed = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    if (!(error instanceof SyntaxError)) throw error;
  }
  if (isState(parsed)) return parsed;
  throw new AgentError(
    `${file} can't be understood: it was changed, or written by another version of sluice`,
    ['Choose another folder with --data DIR; or delete the whole folder, if its data are of no value.'],
  );
}

function isState(value: unknown): value is DemoState {
  if (typeof value !== 'object' || value === null) return false;
  const { format, ports, outsideSocketFolder } = value as Partial<Record<keyof DemoState, unknown>>;
  return (
    format === FORMAT &&
    Array.isArray(ports) &&
    ports.every((port) => Number.isInteger(port)) &&
    (outsideSocketFolder === null || typeof outsideSocketFolder === 'string')
  );
}

/** Replaces the state in one step, so that a crash leaves the old or the new one. */
export async function writeState(path: string, state: DemoState): Promise<void> {
  const draft = join(path, `${STATE_FILE}.draft`);
  await writeFile(draft, `${JSON.stringify(state)}\n`, { flush: true });
  await rename(draft, join(path, STATE_FILE));
}

/** Deletes the nodes' folders and nothing else. No PostgreSQL may run in them. */
export async function deleteNodes(path: string): Promise<void> {
  for (const node of await existingNodes(path)) await rm(node.folder, { recursive: true, force: true });
}

/** A folder for sockets. `outside` is true if it isn't in the data folder, and must be deleted at the end. */
export interface SocketFolder {
  readonly path: string;
  readonly outside: boolean;
}

/** Makes the folder for unix sockets; null where there are none (Windows), or no path is short enough. */
export async function makeSocketFolder(path: string, user: ServerUser | null): Promise<SocketFolder | null> {
  if (process.platform === 'win32') return null;
  const inside = join(path, 'run');
  if (fitsSockets(inside)) {
    await mkdir(inside, { recursive: true, mode: 0o700 });
    await handOver(inside, user);
    return { path: inside, outside: false };
  }
  if (!fitsSockets(join(tmpdir(), 'sluice-XXXXXX'))) return null;
  const outside = await mkdtemp(join(tmpdir(), 'sluice-'));
  await handOver(outside, user);
  return { path: outside, outside: true };
}

/** Whether sockets in this folder can be bound, and the folder be written into PostgreSQL's settings as it is. */
export function fitsSockets(folder: string): boolean {
  return (
    PLAIN_PATH.test(folder) && Buffer.byteLength(join(folder, LONGEST_SOCKET_NAME)) <= SOCKET_PATH_LIMIT_BYTES
  );
}

/** Deletes what PostgreSQL leaves when it is killed, and an outside folder as a whole. */
export async function removeSockets(folder: SocketFolder): Promise<void> {
  const names = await readdir(folder.path).catch(() => []);
  for (const name of names.filter((candidate) => candidate.startsWith('.s.PGSQL.'))) {
    await rm(join(folder.path, name), { force: true });
  }
  if (folder.outside) await rm(folder.path, { recursive: true, force: true });
}
