/** What the machine allows this process. */
import { readFile } from 'node:fs/promises';
import type { MachineLimits } from '../config/advice.js';

/** Reads the limits from Linux's /proc; elsewhere they are unknown. (Node raises the soft limit to the hard one.) */
export async function readMachineLimits(): Promise<MachineLimits> {
  try {
    return { openFiles: parseOpenFiles(await readFile('/proc/self/limits', 'utf8')) };
  } catch {
    return { openFiles: null };
  }
}

/** The soft limit of open files in the text of /proc/PID/limits; null for "unlimited". */
export function parseOpenFiles(limits: string): number | null {
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  return soft === undefined ? null : Number(soft);
}
