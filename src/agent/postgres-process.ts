/**
 * One running PostgreSQL. We are the postmaster's parent, not pg_ctl: so its end is known at once and for certain.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { open, rename, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError, diskFull, explainFileError, saysDiskFull } from './agent-error.js';
import { childOptions, runToEnd } from './child-process.js';
import { lastLines, type NodeFolder } from './node-folder.js';
import type { PostgresBinaries } from './postgres-binaries.js';
import { readPostmasterFile } from './postmaster-file.js';
import { cannotFollowReason, lacksWal, readLogTail } from './server-log.js';
import { handOver, type ServerUser } from './server-user.js';

const POLL_MS = 25;
/** How often the log is looked at while we wait: some servers try in vain for ever, and say why. */
const LOG_CHECK_MS = 500;
/** Recovery after a crash replays all WAL since the last checkpoint, so this is generous. */
const READY_TIMEOUT_MS = 120_000;
/** A fast shutdown writes a checkpoint. */
const FAST_STOP_MS = 30_000;
const IMMEDIATE_STOP_MS = 5_000;
/** A log larger than this is set aside at the next start. */
const LOG_LIMIT_BYTES = 10 * 1024 * 1024;

export interface PostgresExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface PostgresStart {
  readonly node: NodeFolder;
  readonly binaries: PostgresBinaries;
  readonly user: ServerUser | null;
  /** More of its command line, behind `-D`. */
  readonly parameters?: readonly string[];
  /** It receives from nobody: WAL that it doesn't have will never come. */
  readonly isAlone?: boolean;
  /** Gives up waiting, stops what was started, and rejects with the signal's reason. */
  readonly signal: AbortSignal;
}

export class PostgresProcess {
  readonly pid: number;
  /** Resolves when the postmaster has ended, however that came. Never rejects. */
  readonly exited: Promise<PostgresExit>;
  readonly #child: ChildProcess;
  readonly #start: PostgresStart;
  readonly #logOffset: number;
  #exit: PostgresExit | null = null;

  /** Use {@link startPostgres}. */
  constructor(child: ChildProcess, pid: number, start: PostgresStart, logOffset: number) {
    this.pid = pid;
    this.#child = child;
    this.#start = start;
    this.#logOffset = logOffset;
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
  }

  /** How it ended; null while it runs. */
  get exit(): PostgresExit | null {
    return this.#exit;
  }

  /** What it has logged since it was started (the last part of that). */
  logSinceStart(): Promise<string> {
    return readLogTail(this.#start.node.log, this.#logOffset);
  }

  /**
   * Stops it: a fast shutdown (sessions are ended, a checkpoint is written), after a bound an immediate one, after
   * another bound a kill. Resolves when the process is gone. May be called again, and while another call waits.
   */
  async stop(): Promise<void> {
    if (this.#exit !== null) return;
    if (process.platform === 'win32') await this.#stopByPgCtl();
    else this.#child.kill('SIGINT');
    if (await this.#endsWithin(FAST_STOP_MS)) return;
    this.#child.kill('SIGQUIT');
    if (await this.#endsWithin(IMMEDIATE_STOP_MS)) return;
    this.#child.kill('SIGKILL');
    await this.exited;
  }

  /** Sends it a signal; one that has ended gets none. */
  signal(name: NodeJS.Signals): void {
    if (this.#exit === null) this.#child.kill(name);
  }

  /** Makes a stop immediate: no checkpoint, the next start recovers from the WAL. Nothing committed is lost. */
  hurry(): void {
    if (this.#exit === null) this.#child.kill('SIGQUIT');
  }

  /** Windows has no signals: pg_ctl speaks to the postmaster through a named pipe. */
  async #stopByPgCtl(): Promise<void> {
    const { binaries, node, user } = this.#start;
    await runToEnd(binaries.pgCtl, ['stop', '-D', node.data, '-m', 'fast', '--no-wait'], { user });
  }

  async #endsWithin(milliseconds: number): Promise<boolean> {
    const timer = new AbortController();
    const late = sleep(milliseconds, false, { signal: timer.signal }).catch(() => false);
    const ended = await Promise.race([this.exited.then(() => true), late]);
    timer.abort();
    return ended;
  }

  /** Waits until it accepts connections; a standby: until it can answer reads. Stops it if that fails. */
  async untilReady(): Promise<void> {
    const { node, signal } = this.#start;
    const deadline = performance.now() + READY_TIMEOUT_MS;
    let nextLogCheck = performance.now() + LOG_CHECK_MS;
    try {
      for (;;) {
        if (this.#exit !== null)
          throw await this.#startFailed(`PostgreSQL of ${node.name} ended while it started`);
        signal.throwIfAborted();
        const file = await readPostmasterFile(node.data);
        if (file?.pid === this.pid && file.status === 'ready') return;
        if (performance.now() > nextLogCheck) {
          await this.requireHope();
          nextLogCheck = performance.now() + LOG_CHECK_MS;
        }
        if (performance.now() > deadline) {
          throw await this.#startFailed(
            `PostgreSQL of ${node.name} isn't ready after ${READY_TIMEOUT_MS / 1000} s`,
          );
        }
        await sleep(POLL_MS);
      }
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Throws an AgentError if the log says that this server goes on trying something that can't succeed. */
  async requireHope(): Promise<void> {
    const { node } = this.#start;
    const log = await this.logSinceStart();
    if (saysDiskFull(log)) throw diskFull(node.folder);
    if (this.#start.isAlone && lacksWal(log)) throw walMissing(node.name, node.log);
    const reason = cannotFollowReason(log);
    if (reason !== null)
      throw new AgentError(`${node.name} can't follow its primary: ${reason}`, [`Its log: ${node.log}`]);
  }

  async #startFailed(what: string): Promise<AgentError> {
    const { node } = this.#start;
    const log = await this.logSinceStart();
    if (saysDiskFull(log)) return diskFull(node.folder);
    if (this.#start.isAlone && lacksWal(log)) return walMissing(node.name, node.log);
    const kind = /could not bind .*Address already in use/.test(log) ? 'port-busy' : 'other';
    return new AgentError(what, [`The end of its log, ${node.log}:`, ...lastLines(log)], kind);
  }
}

/** Starts PostgreSQL, and returns as soon as the process runs: see {@link PostgresProcess.untilReady}. */
export async function startPostgres(start: PostgresStart): Promise<PostgresProcess> {
  const { node, binaries, user, signal } = start;
  signal.throwIfAborted();
  await setLargeLogAside(node.log);
  const log = await open(node.log, 'a', 0o600).catch((error) => {
    throw explainFileError(error, node.log);
  });
  try {
    await handOver(node.log, user);
    const { size } = await log.stat();
    const child = spawn(binaries.postgres, ['-D', node.data, ...(start.parameters ?? [])], {
      ...childOptions(user),
      stdio: ['ignore', log.fd, log.fd],
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    // A child that was spawned has an id.
    return new PostgresProcess(child, child.pid as number, start, size);
  } finally {
    await log.close();
  }
}

function walMissing(node: string, log: string): AgentError {
  const what = `the data of ${node} need WAL that is gone: they can't be started any more`;
  return new AgentError(what, [`Its log: ${log}`], 'wal-missing');
}

async function setLargeLogAside(log: string): Promise<void> {
  const size = await stat(log).then(
    (found) => found.size,
    () => 0,
  );
  if (size > LOG_LIMIT_BYTES) await rename(log, `${log}.1`);
}
