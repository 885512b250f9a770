/**
 * Foreign test suites run in a process group of their own: whatever they leave running ends with them, and a suite that
 * hangs is ended.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync } from 'node:fs';
import { serverIdentity } from './postgres-binaries.js';

/** How a suite's program is run. */
export interface GroupOptions {
  readonly cwd: string;
  /** The whole environment. */
  readonly env: NodeJS.ProcessEnv;
  /** The group is killed then, in ms. Default: never. */
  readonly limitMs?: number;
  /** Called with what was printed on standard output and standard error, as it comes. */
  readonly output: (text: string) => void;
}

/** How it ended. */
export interface GroupEnd {
  /** null when a signal ended it. */
  readonly code: number | null;
  /** It was killed at its limit. */
  readonly late: boolean;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const leader of running) endGroup(leader);
});

/**
 * Runs a program to its end, as an unprivileged user when we are root: PostgreSQL refuses to run as root. Rejects when it
 * can't be started.
 */
export function runGroup(program: string, args: readonly string[], options: GroupOptions): Promise<GroupEnd> {
  const { cwd, env, limitMs, output } = options;
  return new Promise((resolve, reject) => {
    const leader = spawn(program, args, {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      ...serverIdentity(),
    });
    running.add(leader);
    let late = false;
    const expire = () => {
      late = true;
      endGroup(leader);
    };
    const timer = limitMs === undefined ? undefined : setTimeout(expire, limitMs);
    for (const stream of [leader.stdout, leader.stderr]) stream.setEncoding('utf8').on('data', output);
    // Before the streams close: processes that are left behind hold them open.
    leader.once('exit', () => endGroup(leader));
    leader.once('error', reject);
    leader.once('close', (code) => {
      clearTimeout(timer);
      running.delete(leader);
      resolve({ code, late });
    });
  });
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Gives a folder and what is in it to whom {@link runGroup} runs programs as. */
export function handOver(folder: string): void {
  chmodSync(folder, 0o755);
  const { uid, gid } = serverIdentity();
  if (uid !== undefined) execFileSync('chown', ['-R', `${uid}:${gid}`, folder]);
}

/** The environment without libpq's variables, which would lead a suite elsewhere. */
export function plainEnvironment(extra: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env)) if (!/^PG[A-Z]+$/.test(name)) env[name] = value;
  return { ...env, ...extra };
}
