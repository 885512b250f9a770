/**
 * The guard: a process of its own beside an agent. It ends PostgreSQL at the moment that the last permit names, whatever
 * has become of the agent (which may hang, stand still, or wait for a disk), and at once when the agent is gone: then
 * the pipe between them ends. It imports as little as it can, and waits for nothing but its clock and the pipe.
 *
 * Started with the data folder (without symbolic links), and the user and group to become. Lines on its standard input:
 * - `watch PID`: a postmaster has been started, which isn't a primary yet
 * - `permit MS`: it may be one until then, on CLOCK_MONOTONIC, which all processes of a machine share
 * - `forget`: it has ended
 */
import { readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import { endProcessesIn, killProcessesIn } from './end-processes.js';

/** As high as is allowed without becoming a danger to the machine. */
const PRIORITY = -15;

const [data, uid, gid] = process.argv.slice(2);
if (data === undefined) throw new Error('no data folder given');
const guarded: string = data;

let postmaster: number | null = null;
let until = Number.POSITIVE_INFINITY;
let timer: NodeJS.Timeout | undefined;

/** ms of CLOCK_MONOTONIC. */
function now(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function check(): void {
  clearTimeout(timer);
  const left = until - now();
  if (left === Number.POSITIVE_INFINITY) return;
  // A timer may fire a little early, and 24 days are the most that it can be set to.
  if (left > 0) timer = setTimeout(check, Math.min(Math.ceil(left), 60_000));
  else void end();
}

/** A process id that has been given to somebody else since then must not be killed. */
function isPostmaster(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').startsWith('postgres');
  } catch {
    return false;
  }
}

async function end(): Promise<void> {
  const known = postmaster !== null && isPostmaster(postmaster) ? postmaster : null;
  killProcessesIn(guarded, known);
  await endProcessesIn(guarded);
  process.stdout.write('ended\n');
}

function obey(line: string): void {
  const [word, value] = line.split(' ');
  if (word === 'watch') {
    postmaster = Number(value);
    until = Number.POSITIVE_INFINITY;
  } else if (word === 'permit') until = Number(value);
  else if (word === 'forget') {
    postmaster = null;
    until = Number.POSITIVE_INFINITY;
  }
  check();
}

function becomeUser(): void {
  try {
    setPriority(PRIORITY);
  } catch {
    // Not allowed to ordinary users.
  }
  if (uid === undefined || gid === undefined || process.getuid?.() !== 0) return;
  process.setgroups?.([]);
  process.setgid?.(Number(gid));
  process.setuid?.(Number(uid));
}

becomeUser();
// Signals of a terminal or a service manager are for the agent: as long as it lives, it is guarded.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
// The agent may have gone without taking what is told to it.
process.stdout.on('error', () => {});
const lines = createInterface({ input: process.stdin });
lines.on('line', obey);
lines.once('close', () => void end().finally(() => process.exit(0)));
process.stdout.write('ready\n');
