/**
 * Ending everything that works in a data folder. Backends outlive a postmaster that was killed, until they wait for
 * something next; a commit that is under way could still be acknowledged by one.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { processesIn } from '../process-facts.js';

const POLL_MS = 2;
/** The kernel may take so long to end a process that writes to a slow disk. */
const PATIENCE_MS = 10_000;

/**
 * Kills every PostgreSQL process in the folder, the postmaster first, since it could start others.
 * @param data the folder, without symbolic links
 * @returns how many there were
 */
export function killProcessesIn(data: string, postmaster: number | null): number {
  if (postmaster !== null) kill(postmaster);
  const found = processesIn(data) ?? [];
  for (const pid of found) kill(pid);
  return found.length;
}

/**
 * Kills until nothing works in the folder any more.
 * @returns false: something is there that can't be ended, or it can't be known whether there is
 */
export async function endProcessesIn(data: string, patienceMs = PATIENCE_MS): Promise<boolean> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const left = killProcessesIn(data, null);
    if (left === 0 && !isMemoryAttached(data)) return true;
    if (performance.now() > deadline) return false;
    await pause(POLL_MS);
  }
}

/**
 * Whether a process has the folder's shared memory attached: PostgreSQL's own test for backends that were left behind. It
 * sees those too whose working folder we may not look at.
 */
export function isMemoryAttached(data: string): boolean {
  const id = sharedMemoryOf(data);
  if (id === null) return false;
  try {
    // proc_pid_sysvipc: key, shmid, perms, size, cpid, lpid, nattch.
    const rows = readFileSync('/proc/sysvipc/shm', 'latin1').split('\n');
    const row = rows.map((line) => line.trim().split(/\s+/)).find((fields) => fields[1] === id);
    return row !== undefined && Number(row[6]) > 0;
  } catch {
    return false;
  }
}

/** The segment's id, from line 7 of postmaster.pid: its key and its id. */
function sharedMemoryOf(data: string): string | null {
  try {
    const line = readFileSync(join(data, 'postmaster.pid'), 'latin1').split('\n')[6] ?? '';
    return /^\s*\d+\s+(\d+)/.exec(line)?.[1] ?? null;
  } catch {
    return null;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended, or isn't ours to end: what is left is looked at again.
  }
}
