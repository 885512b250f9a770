/**
 * A program that the benchmark starts and is responsible for ending: its output is kept for error messages, and
 * it can be waited for.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { identity, type ServerUser } from '../src/agent/server-user.js';

export interface ChildOptions {
  /** Whom to run it as; null: whoever runs the benchmark. */
  readonly account?: ServerUser | null;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** What asks the program to end at once; SIGTERM unless given. */
  readonly stopSignal?: NodeJS.Signals;
}

/** A program that ran to its end. */
export interface Finished {
  /** null: ended by a signal. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const KEPT_OUTPUT_CHARACTERS = 20_000;
const STOP_MS = 15_000;

/** What is to be ended when the benchmark is interrupted, in the order in which it was started. */
const running = new Set<{ stop(): Promise<void> }>();

/** The environment without libpq's variables, which would redirect psql and pgbench. */
function environment(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (!/^PG[A-Z]+$/.test(name)) env[name] = value;
  }
  return { ...env, ...extra };
}

function start(command: string, args: readonly string[], options: ChildOptions): ChildProcess {
  return spawn(command, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment(options.env),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...identity(options.account ?? null),
  });
}

/** Ends every program that was started and still runs, the newest first. */
export async function stopAll(): Promise<void> {
  for (const program of [...running].reverse()) await program.stop();
}

/** Sends `signal`, and SIGKILL if that has no effect within 15 s. `ended` resolves when the program has ended. */
async function end(child: ChildProcess, signal: NodeJS.Signals, ended: Promise<unknown>): Promise<void> {
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(timer);
}

/** Runs a program to its end. Rejects only if it can't be started; a failing exit code is a value. */
export async function run(
  command: string,
  args: readonly string[],
  options: ChildOptions = {},
): Promise<Finished> {
  const child = start(command, args, options);
  let stdout = '';
  let stderr = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-KEPT_OUTPUT_CHARACTERS);
  });
  const closed = once(child, 'close') as Promise<[number | null]>;
  const entry = { stop: () => end(child, options.stopSignal ?? 'SIGTERM', closed) };
  running.add(entry);
  try {
    const [exitCode] = await closed;
    return { exitCode, stdout, stderr };
  } finally {
    running.delete(entry);
  }
}

/** Runs a program to its end, and throws with its output unless it succeeds. Returns its standard output. */
export async function runOrThrow(
  command: string,
  args: readonly string[],
  options: ChildOptions = {},
): Promise<string> {
  const { exitCode, stdout, stderr } = await run(command, args, options);
  if (exitCode !== 0) {
    throw new Error(`${command} ${args.join(' ')} failed (exit code ${exitCode}):\n${stderr || stdout}`);
  }
  return stdout;
}

/** A program that goes on running until {@link stop}. */
export class Daemon {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #stopSignal: NodeJS.Signals;
  readonly #ended: Promise<void>;
  #output = '';
  #running = true;
  #startError: Error | null = null;
  readonly #watchers = new Set<() => void>();

  constructor(name: string, command: string, args: readonly string[], options: ChildOptions = {}) {
    this.name = name;
    this.#stopSignal = options.stopSignal ?? 'SIGTERM';
    this.#child = start(command, args, options);
    running.add(this);
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-KEPT_OUTPUT_CHARACTERS);
        this.#notify();
      });
    }
    this.#ended = new Promise((resolve) => {
      const ended = (error?: Error): void => {
        this.#running = false;
        running.delete(this);
        if (error !== undefined) this.#startError = error;
        this.#notify();
        resolve();
      };
      this.#child.once('error', ended);
      this.#child.once('close', () => ended());
    });
  }

  #notify(): void {
    for (const watcher of this.#watchers) watcher();
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.name} was not started`);
    return this.#child.pid;
  }

  get running(): boolean {
    return this.#running;
  }

  /** The last of what it wrote, to both streams. */
  get output(): string {
    return this.#output;
  }

  /** An error that tells what went wrong with this program, and what it wrote. */
  failure(what: string): Error {
    const reason = this.#startError === null ? '' : ` (${this.#startError.message})`;
    return new Error(`${this.name} ${what}${reason}. Its output:\n${this.#output.trim() || '(none)'}`);
  }

  /** Resolves when what it wrote matches; rejects with its output when it ends before, or takes too long. */
  async outputMatches(pattern: RegExp, timeoutMs: number): Promise<void> {
    let wake: () => void = () => {};
    const watcher = (): void => wake();
    this.#watchers.add(watcher);
    const deadline = Date.now() + timeoutMs;
    const timer = setTimeout(watcher, timeoutMs + 1);
    try {
      while (!pattern.test(this.#output)) {
        if (!this.#running) throw this.failure('ended before it was ready');
        if (Date.now() > deadline) throw this.failure(`was not ready after ${timeoutMs / 1000} s`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
      this.#watchers.delete(watcher);
    }
  }

  /** Ends it, and resolves when it has ended. */
  async stop(): Promise<void> {
    if (this.#running) await end(this.#child, this.#stopSignal, this.#ended);
  }
}
