/**
 * What a process has used, read from Linux's /proc (man page proc(5)). All its threads count, io_uring's kernel
 * workers among them; its children only where that is said.
 */
import { readdir, readFile } from 'node:fs/promises';

/** CPU time since the process began, in ms. */
export interface CpuTime {
  readonly userMs: number;
  readonly systemMs: number;
}

/** The unit of /proc's times: USER_HZ is 100 on every architecture that Node.js runs on. */
const TICK_MS = 10;

/** Reads `utime` and `stime` (fields 14 and 15) from the text of /proc/PID/stat. */
export function parseStat(text: string): CpuTime {
  // The second field is the program's name in parentheses, and may itself contain blanks and parentheses.
  const afterName = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const userTicks = Number(afterName[11]);
  const systemTicks = Number(afterName[12]);
  if (!Number.isInteger(userTicks) || !Number.isInteger(systemTicks)) {
    throw new Error(`not the text of /proc/PID/stat: ${JSON.stringify(text.slice(0, 80))}`);
  }
  return { userMs: userTicks * TICK_MS, systemMs: systemTicks * TICK_MS };
}

/** Reads `Rss:` from the text of /proc/PID/smaps_rollup, in bytes. */
export function parseResident(text: string): number {
  const match = /^Rss:\s+(\d+) kB$/m.exec(text);
  if (match === null) throw new Error('no "Rss:" in /proc/PID/smaps_rollup');
  return Number(match[1]) * 1024;
}

/** CPU time of a running process. */
export async function cpuTime(pid: number): Promise<CpuTime> {
  return parseStat(await readFile(`/proc/${pid}/stat`, 'latin1'));
}

/**
 * CPU time of a running process with all its descendants: of those that run, and not of those that have ended. A process that
 * ends while this looks is left out.
 */
export async function cpuTimeOfTree(pid: number): Promise<CpuTime> {
  let { userMs, systemMs } = await cpuTime(pid);
  for (const child of await childrenOf(pid)) {
    const used = await cpuTimeOfTree(child).catch(() => ({ userMs: 0, systemMs: 0 }));
    userMs += used.userMs;
    systemMs += used.systemMs;
  }
  return { userMs, systemMs };
}

async function childrenOf(pid: number): Promise<number[]> {
  const threads = await readdir(`/proc/${pid}/task`);
  const lists = await Promise.all(
    threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/children`, 'latin1').catch(() => '')),
  );
  return lists
    .flatMap((list) => list.trim().split(' '))
    .flatMap((text) => (text === '' ? [] : [Number(text)]));
}

/**
 * Resident memory of a running process, in bytes. From smaps_rollup, which walks the page tables: the counter in
 * /proc/PID/status is kept per processor and can be off by as much as a thousand idle clients take.
 */
export async function residentBytes(pid: number): Promise<number> {
  return parseResident(await readFile(`/proc/${pid}/smaps_rollup`, 'latin1'));
}
