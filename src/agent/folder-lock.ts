/** A lock file: at most one living process holds a folder. Holders that died without a word are recognised. */
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { AgentError, errorCode, explainFileError } from './agent-error.js';
import { isAlive, startIdentity } from './process-facts.js';

interface Holder {
  readonly pid: number;
  /** Tells the holder from a later process with its id; null where the system doesn't say. */
  readonly startIdentity: string | null;
  readonly host: string;
  readonly since: string;
}

export interface FolderLock {
  /** Gives the lock back. Idempotent. */
  release(): Promise<void>;
}

/** Attempts when several processes find the same dead holder at once. */
const ATTEMPTS = 5;

/**
 * Takes the lock at `path`, or throws an AgentError that names the holder. `since` is the time to write into it, `otherwise` what
 * can be done without ending the holder.
 */
export async function lockFolder(
  path: string,
  since: Date,
  otherwise = 'Two of them on the same data would destroy them.',
): Promise<FolderLock> {
  const own: Holder = {
    pid: process.pid,
    startIdentity: startIdentity(process.pid),
    host: hostname(),
    since: since.toISOString(),
  };
  const draft = `${path}.${process.pid}`;
  try {
    await writeFile(draft, `${JSON.stringify(own)}\n`);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (await linkExclusively(draft, path)) return { release: () => releaseOwn(path, own) };
      await removeIfDead(path, otherwise);
    }
  } catch (error) {
    throw explainFileError(error, path);
  } finally {
    await rm(draft, { force: true });
  }
  throw new AgentError(`the lock ${path} changes hands all the time`, ['Try again.']);
}

/** A link either appears with its whole content or not at all, on every file system that has links. */
async function linkExclusively(draft: string, path: string): Promise<boolean> {
  try {
    await link(draft, path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

async function removeIfDead(path: string, otherwise: string): Promise<void> {
  const holder = await readHolder(path);
  if (holder === 'gone') return;
  refuseIfLiving(holder, path, otherwise);
  // Another process may have come to the same conclusion and taken the lock since: look at what is moved away.
  const aside = `${path}.${process.pid}.dead`;
  await rename(path, aside).catch((error) => {
    if (errorCode(error) !== 'ENOENT') throw error;
  });
  const moved = await readHolder(aside);
  if (moved === 'gone') return;
  if (moved !== null && JSON.stringify(moved) !== JSON.stringify(holder)) {
    await linkExclusively(aside, path);
  }
  await rm(aside, { force: true });
}

function refuseIfLiving(holder: Holder | null, path: string, otherwise: string): void {
  if (holder === null) return;
  if (holder.host !== hostname()) {
    throw new AgentError(
      `${dirname(path)} is in use by process ${holder.pid} on ${holder.host}, since ${holder.since}`,
      [`Stop it there; or, if you are certain that it runs no more, delete ${path} and start again.`],
    );
  }
  if (!isAlive(holder.pid)) return;
  // A process that began at another moment only inherited the number.
  const known = holder.startIdentity !== null && startIdentity(holder.pid) !== null;
  if (known && startIdentity(holder.pid) !== holder.startIdentity) return;
  throw new AgentError(
    `${dirname(path)} is in use by another process of sluice (pid ${holder.pid}) since ${holder.since}`,
    [`Stop that one first, with Ctrl-C in its terminal or with: kill ${holder.pid}`, otherwise],
  );
}

async function releaseOwn(path: string, own: Holder): Promise<void> {
  const holder = await readHolder(path);
  if (holder !== 'gone' && holder?.pid === own.pid && holder.startIdentity === own.startIdentity) {
    await rm(path, { force: true });
  }
}

/** null: the file is there, and says nothing that we understand (cut off by a crash of the machine). */
async function readHolder(path: string): Promise<Holder | null | 'gone'> {
  try {
    const parsed: unknown = JSON.parse(await readFile(path, 'utf8'));
    return isHolder(parsed) ? parsed : null;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 'gone';
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function isHolder(value: unknown): value is Holder {
  if (typeof value !== 'object' || value === null) return false;
  const { pid, startIdentity: start, host, since } = value as Partial<Record<keyof Holder, unknown>>;
  return (
    typeof pid === 'number' &&
    (start === null || typeof start === 'string') &&
    typeof host === 'string' &&
    typeof since === 'string'
  );
}
