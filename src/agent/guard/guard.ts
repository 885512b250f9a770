/** The agent's end of its guard: see guard-process.ts. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { AgentError } from '../agent-error.js';
import { isAlive, startIdentity } from '../process-facts.js';
import type { ServerUser } from '../server-user.js';

const PROGRAM = fileURLToPath(new URL('./guard-process.js', import.meta.url));
/** It holds next to nothing, and lives as long as the agent. */
const NODE_OPTIONS = ['--max-old-space-size=32', '--max-semi-space-size=1', '--no-warnings'];
const READY_MS = 10_000;
/** Its environment: nothing of ours, so that no NODE_OPTIONS can change what it does. */
const ENVIRONMENT = { PATH: process.env.PATH ?? '' };

export interface GuardSettings {
  /** The data folder, without symbolic links. */
  readonly data: string;
  readonly user: ServerUser | null;
  /** A file that remembers which guard there is, so that the next agent can end it. */
  readonly noteFile: string;
}

/** A running guard. */
export class Guard {
  readonly pid: number;
  /** Resolves when it has ended, however that came. */
  readonly exited: Promise<void>;
  readonly #child: ChildProcess;
  #isAlive = true;

  /** Use {@link startGuard}. */
  constructor(child: ChildProcess, pid: number) {
    this.pid = pid;
    this.#child = child;
    this.exited = new Promise((resolve) => {
      child.once('exit', () => {
        this.#isAlive = false;
        resolve();
      });
    });
    child.stdin?.on('error', () => {});
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** A postmaster was started. */
  watch(postmaster: number): void {
    this.#say(`watch ${postmaster}`);
  }

  /** It may be a primary until then. ms of CLOCK_MONOTONIC. */
  permit(until: number): void {
    this.#say(`permit ${until}`);
  }

  /** It has ended. */
  forget(): void {
    this.#say('forget');
  }

  /** Ends the guard, which ends what still works in the folder. */
  async close(): Promise<void> {
    this.#child.stdin?.end();
    await this.exited;
  }

  #say(line: string): void {
    if (this.#isAlive) this.#child.stdin?.write(`${line}\n`);
  }
}

/** Starts a guard, and ends one that an earlier life has left: it could end what we start. */
export async function startGuard(settings: GuardSettings): Promise<Guard> {
  const { data, user, noteFile } = settings;
  await endEarlierGuard(noteFile);
  const identity = user === null ? [] : [String(user.uid), String(user.gid)];
  const child = spawn(process.execPath, [...NODE_OPTIONS, PROGRAM, data, ...identity], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: ENVIRONMENT,
    cwd: '/',
    detached: true,
  });
  const isReady = new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), READY_MS);
    const done = (answer: boolean) => {
      clearTimeout(timer);
      resolve(answer);
    };
    createInterface({ input: child.stdout }).once('line', (line) => done(line === 'ready'));
    child.once('exit', () => done(false));
    child.once('error', () => done(false));
  });
  if (!(await isReady) || child.pid === undefined) {
    child.kill('SIGKILL');
    throw new AgentError(`the guard of ${data} can't be started`, [
      `Without it PostgreSQL is not started. It is run by: ${process.execPath} ${PROGRAM}`,
    ]);
  }
  await writeFile(noteFile, `${child.pid} ${startIdentity(child.pid) ?? ''}\n`, { mode: 0o600 });
  return new Guard(child, child.pid);
}

async function endEarlierGuard(noteFile: string): Promise<void> {
  const note = await readFile(noteFile, 'utf8').catch(() => '');
  const [pid, identity] = note.trim().split(' ');
  if (pid === undefined || !/^\d+$/.test(pid)) return;
  const id = Number(pid);
  if (isAlive(id) && startIdentity(id) === identity) {
    try {
      process.kill(id, 'SIGKILL');
    } catch {
      // It has just ended by itself.
    }
  }
  await rm(noteFile, { force: true });
}
