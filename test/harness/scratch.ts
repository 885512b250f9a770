/**
 * The one folder of a test run: everything that tests write lies in it, and every process that they start is noted in
 * it, so that the runner can remove both even when a test was killed in the middle.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Below the range from which Linux picks ports of outgoing connections, so that none of those is in the way. */
const FIRST_PORT = 20_000;
const PORT_COUNT = 12_000;

let root: string | null = null;
let folders = 0;

/** The run's folder. Its owner alone may list it, but others may pass through (PostgreSQL runs as another user). */
export function scratchRoot(): string {
  if (root !== null) return root;
  const given = process.env.SLUICE_TEST_ROOT;
  if (given !== undefined && given !== '') {
    root = given;
  } else {
    const made = mkdtempSync(join(tmpdir(), 'sluice-test-'));
    chmodSync(made, 0o711);
    process.once('exit', () => discardRun(made));
    root = made;
  }
  for (const name of ['pids', 'ports']) mkdirSync(join(root, name), { recursive: true });
  return root;
}

/** A new folder of this process within the run's one. The path is short: sockets lie in some of them. */
export function scratchFolder(label: string): string {
  const folder = join(scratchRoot(), `${label}-${process.pid}-${++folders}`);
  mkdirSync(folder);
  chmodSync(folder, 0o711);
  return folder;
}

/** Notes a process that must not outlive the run. */
export function noteProcess(pid: number): void {
  writeFileSync(join(scratchRoot(), 'pids', String(pid)), startTime(pid));
}

/** To be called when a noted process has ended: its number may soon be another's. */
export function forgetProcess(pid: number): void {
  rmSync(join(scratchRoot(), 'pids', String(pid)), { force: true });
}

/** A loopback port that nobody listens on, and that no other test of this run is given. */
export async function freePort(): Promise<number> {
  const taken = join(scratchRoot(), 'ports');
  for (let attempt = 0; attempt < 200; attempt++) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORT_COUNT);
    try {
      writeFileSync(join(taken, String(port)), '', { flag: 'wx' });
    } catch {
      continue;
    }
    if (await canListen(port)) return port;
  }
  throw new Error('no free port was found in 200 attempts');
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

/** Ends what still runs of a test run, and removes its folder. Synchronous: it is called when a process exits. */
export function discardRun(folder: string): void {
  endNoted(folder);
  rmSync(folder, { recursive: true, force: true });
}

/** What tells a process from a later one with the same number (Linux; elsewhere the number alone has to do). */
function startTime(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

/** Ends noted processes that still run. SIGQUIT lets a postmaster remove its shared memory; SIGKILL would not. */
function endNoted(folder: string): void {
  const notes = join(folder, 'pids');
  if (!existsSync(notes)) return;
  for (const name of readdirSync(notes)) {
    const pid = Number(name);
    if (startTime(pid) !== readFileSync(join(notes, name), 'latin1')) continue;
    try {
      process.kill(pid, 'SIGQUIT');
    } catch {
      continue;
    }
    for (let i = 0; i < 50 && startTime(pid) !== ''; i++) execFileSync('sleep', ['0.1']);
    if (startTime(pid) !== '') process.kill(pid, 'SIGKILL');
  }
}
