/** Running PostgreSQL's programs that end by themselves: initdb, pg_basebackup, `postgres --version`. */
import { spawn } from 'node:child_process';
import { identity, type ServerUser } from './server-user.js';

/** Of a program's output only the end is kept: errors stand there. */
const OUTPUT_LIMIT_BYTES = 64 * 1024;
/** How long a program may take to tidy up after SIGTERM before it is killed. */
const TERMINATION_GRACE_MS = 3_000;

const POSIX = process.platform !== 'win32';

export interface RunOptions {
  readonly user: ServerUser | null;
  /** Ends the program, with all that it has started, and rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  readonly onOutput?: (text: string) => void;
}

export interface RunResult {
  /** null when a signal ended it. */
  readonly code: number | null;
  /** The end of standard output and standard error, in the order of arrival. */
  readonly output: string;
}

/**
 * The environment for PostgreSQL's programs: ours without libpq's variables (PGDATA, PGPORT, PGHOST, ... would
 * redirect them) and in the C locale, so that messages are in English and recognisable.
 */
export function postgresEnvironment(user: ServerUser | null): NodeJS.ProcessEnv {
  const kept: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (!/^(PG|LC_|LANG)/.test(name)) kept[name] = value;
  }
  // Our home holds another user's files; PostgreSQL then asks the user database.
  if (user !== null) delete kept.HOME;
  return { ...kept, LC_ALL: 'C' };
}

/** How every child is started: as the server's user, in its own session, in a folder that any user can enter. */
export function childOptions(user: ServerUser | null) {
  return {
    ...identity(user),
    env: postgresEnvironment(user),
    // A Ctrl-C at the terminal goes to its whole process group; we stop our children ourselves, in order.
    detached: POSIX,
    windowsHide: true,
    ...(POSIX ? { cwd: '/' } : {}),
  };
}

/** Runs a program to its end. Rejects when it can't be started, or when `signal` fires. */
export function runToEnd(command: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
  const { user, signal, onOutput } = options;
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...childOptions(user), stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let killTimer: NodeJS.Timeout | undefined;
    const keep = (chunk: Buffer) => {
      const text = chunk.toString('utf8');
      output = (output + text).slice(-OUTPUT_LIMIT_BYTES);
      onOutput?.(text);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);

    const end = () => {
      signalGroup(child.pid, 'SIGTERM');
      killTimer = setTimeout(() => signalGroup(child.pid, 'SIGKILL'), TERMINATION_GRACE_MS);
    };
    signal?.addEventListener('abort', end, { once: true });
    const settle = () => {
      signal?.removeEventListener('abort', end);
      clearTimeout(killTimer);
    };
    child.once('error', (error) => {
      settle();
      reject(error);
    });
    child.once('close', (code) => {
      settle();
      if (signal?.aborted) reject(signal.reason);
      else resolve({ code, output });
    });
  });
}

/** Signals a child and its descendants, which share its process group. A group that is gone is fine. */
function signalGroup(pid: number | undefined, name: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(POSIX ? -pid : pid, name);
  } catch {
    // Ended in the meantime.
  }
}
