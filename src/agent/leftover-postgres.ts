/**
 * What a killed predecessor left in a data folder: a PostgreSQL that still runs, its orphaned backends, or a
 * postmaster.pid whose process id belongs to somebody else now. Call this only while holding the folder's lock.
 */
import { realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError, errorCode } from './agent-error.js';
import type { NodeFolder } from './node-folder.js';
import { readPostmasterFile } from './postmaster-file.js';
import { isAlive, isPostgresIn, processesIn } from './process-facts.js';
import type { Progress } from './progress.js';

const POLL_MS = 50;
const FAST_STOP_MS = 30_000;
const IMMEDIATE_STOP_MS = 5_000;
/** Backends notice the death of their postmaster as soon as they wait for something. */
const ORPHANS_END_MS = 10_000;

/** Leaves no process in the node's data folder, and no file that would keep PostgreSQL from starting. */
export async function clearLeftovers(node: NodeFolder, progress: Progress): Promise<void> {
  const file = await readPostmasterFile(node.data);
  const data = await realpath(node.data).catch((error) => {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  });
  if (data === null) return;
  if (file !== null && isAlive(file.pid)) {
    const ours = isPostgresIn(file.pid, data);
    if (ours === null) throw unknownHolder(node, file.pid);
    if (ours) await stopLeftover(node, file.pid, progress);
  }
  await untilNoProcess(node, data);
  // No process works in this folder, so the file, if it is still there, is a dead one's. PostgreSQL would take it for
  // a living one's if its process id has been given to another process.
  if (file !== null && processesIn(data) !== null)
    await rm(join(node.data, 'postmaster.pid'), { force: true });
}

async function stopLeftover(node: NodeFolder, pid: number, progress: Progress): Promise<void> {
  progress.note(`${node.name} still runs from an earlier start that was killed (pid ${pid}): stopping it`);
  try {
    process.kill(pid, 'SIGINT');
    if (await endsWithin(pid, FAST_STOP_MS)) return;
    process.kill(pid, 'SIGQUIT');
    if (await endsWithin(pid, IMMEDIATE_STOP_MS)) return;
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return;
    throw unknownHolder(node, pid);
  }
  throw unknownHolder(node, pid);
}

async function endsWithin(pid: number, milliseconds: number): Promise<boolean> {
  const deadline = performance.now() + milliseconds;
  while (isAlive(pid)) {
    if (performance.now() > deadline) return false;
    await sleep(POLL_MS);
  }
  return true;
}

async function untilNoProcess(node: NodeFolder, data: string): Promise<void> {
  const deadline = performance.now() + ORPHANS_END_MS;
  for (;;) {
    const pids = processesIn(data) ?? [];
    const first = pids[0];
    if (first === undefined) return;
    if (performance.now() > deadline) throw unknownHolder(node, first);
    await sleep(POLL_MS);
  }
}

function unknownHolder(node: NodeFolder, pid: number): AgentError {
  return new AgentError(`${node.data} is in use by process ${pid}, which couldn't be stopped`, [
    `If it is a PostgreSQL that works in this folder, stop it: kill -INT ${pid}`,
    `If it is something else, delete ${join(node.data, 'postmaster.pid')}. Then start again.`,
  ]);
}
