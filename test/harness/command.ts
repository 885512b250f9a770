import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { forgetProcess, noteProcess } from './scratch.js';

/** What a finished program left. */
export interface Finished {
  /** null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** The program is killed then, and `run` throws. Default 60 s. */
  readonly limitMs?: number;
  /** Called once the program runs, e.g. to signal it. */
  readonly started?: (child: ChildProcess) => void;
}

const DEFAULT_LIMIT_MS = 60_000;

/** Starts a program whose end is noted, so that none is left behind. */
export function start(program: string, args: readonly string[], options: SpawnOptions): ChildProcess {
  const child = spawn(program, args, options);
  const { pid } = child;
  if (pid !== undefined) {
    noteProcess(pid);
    child.once('exit', () => forgetProcess(pid));
  }
  return child;
}

/** Runs a program to its end, whatever its exit code is. */
export function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = start(program, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(options.uid === undefined ? {} : { uid: options.uid }),
      ...(options.gid === undefined ? {} : { gid: options.gid }),
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let late = false;
    const limitMs = options.limitMs ?? DEFAULT_LIMIT_MS;
    const limit = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, limitMs);
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
    // A program that ends before it has read its input is judged by its exit code.
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.input ?? '');
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(limit);
      const stdout = Buffer.concat(out).toString();
      const stderr = Buffer.concat(err).toString();
      if (late) {
        reject(new Error(`${program} ${args.join(' ')} ran longer than ${limitMs} ms\n${stdout}\n${stderr}`));
      } else resolve({ code, signal, stdout, stderr });
    });
    options.started?.(child);
  });
}

/** Runs a program that has to succeed; throws with what it printed otherwise. Returns its standard output. */
export async function succeed(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, signal, stdout, stderr } = await run(program, args, options);
  if (code === 0) return stdout;
  throw new Error(`${program} ${args.join(' ')} ended with ${code ?? signal}\n${stdout}\n${stderr}`);
}
