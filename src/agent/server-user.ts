/**
 * PostgreSQL refuses to run as root. When we are root, its processes run as another user, and everything that
 * they touch must be reachable for that user.
 */
import { spawnSync } from 'node:child_process';
import { chown, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AgentError, errorCode } from './agent-error.js';

/** Whom PostgreSQL's processes run as. */
export interface ServerUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** In order of preference. */
const CANDIDATES = ['postgres', 'nobody'];

/**
 * The user for PostgreSQL's processes; null: our own, because we are not root (or the system has no users of that
 * kind). An existing data folder keeps its owner: PostgreSQL insists on owning its data.
 */
export async function chooseServerUser(existingData: string): Promise<ServerUser | null> {
  if (process.getuid?.() !== 0) return null;
  const owner = await ownerOf(existingData);
  if (owner !== null) return owner;
  for (const name of CANDIDATES) {
    const user = lookUp(name);
    if (user !== null) return user;
  }
  throw new AgentError(
    'PostgreSQL must not run as root, and this machine has neither a user postgres nor nobody',
    ['Start it as an ordinary user, or create one: useradd --system postgres'],
  );
}

async function ownerOf(path: string): Promise<ServerUser | null> {
  try {
    const { uid, gid } = await stat(path);
    return uid === 0 ? null : { name: printed('id', ['-un', String(uid)]) ?? `uid ${uid}`, uid, gid };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}

function lookUp(name: string): ServerUser | null {
  const uid = printed('id', ['-u', name]);
  const gid = printed('id', ['-g', name]);
  if (uid === null || gid === null || Number(uid) === 0) return null;
  // macOS prints the id of nobody as a signed number.
  return { name, uid: Number(uid) >>> 0, gid: Number(gid) >>> 0 };
}

function printed(command: string, args: readonly string[]): string | null {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8', timeout: 5_000 });
  return status === 0 ? stdout.trim() : null;
}

/**
 * Whether `user` can enter `folder`. The kernel is asked, by a process of that user, since mode bits alone don't
 * tell (access control lists, security modules).
 */
export function canEnter(user: ServerUser | null, folder: string): boolean {
  const { status } = spawnSync('/bin/sh', ['-c', 'cd -- "$1"', 'sh', folder], {
    cwd: '/',
    stdio: 'ignore',
    timeout: 5_000,
    ...identity(user),
  });
  return status === 0;
}

/** The nearest folder at or above `path` that exists. */
export async function nearestExisting(path: string): Promise<string> {
  let candidate = path;
  for (;;) {
    try {
      await stat(candidate);
      return candidate;
    } catch (error) {
      if (errorCode(error) !== 'ENOENT' || dirname(candidate) === candidate) throw error;
      candidate = dirname(candidate);
    }
  }
}

/** The part of spawn's options that switches the user. Node drops supplementary groups along with it. */
export function identity(user: ServerUser | null): { uid?: number; gid?: number } {
  return user === null ? {} : { uid: user.uid, gid: user.gid };
}

/** Hands a file or folder to the user that PostgreSQL runs as. */
export async function handOver(path: string, user: ServerUser | null): Promise<void> {
  if (user !== null) await chown(path, user.uid, user.gid);
}
