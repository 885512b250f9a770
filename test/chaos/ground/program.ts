/** A program that runs at a place: its log is a file, and it is signalled by its id alone. */
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { until } from '../../harness/until.js';
import type { Place, RunAt } from './ground.js';

const END_LIMIT_MS = 20_000;

export class Program {
  readonly name: string;
  readonly log: string;
  readonly #child: ChildProcess;

  /** Starts it; what it prints goes to the end of the file `log`. */
  constructor(place: Place, name: string, log: string, run: Omit<RunAt, 'stdio'>) {
    this.name = `${name} at ${place.name}`;
    this.log = log;
    const out = openSync(log, 'a');
    this.#child = place.start({ ...run, stdio: ['ignore', out, out] });
    closeSync(out);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get ended(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  get printed(): string {
    return readFileSync(this.log, 'utf8');
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Waits until its log has such a line. Throws with the log's end if it ends before. */
  async says(pattern: RegExp, limitMs = 30_000): Promise<void> {
    await until(`${this.name} to say ${pattern}`, () => this.ended || pattern.test(this.printed), limitMs);
    if (!pattern.test(this.printed))
      throw new Error(`${this.name} has ended:\n${this.printed.slice(-3_000)}`);
  }

  /** Ends it: by the signal, and by SIGKILL when that is of no use. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.ended) return;
    this.#child.kill('SIGCONT');
    this.#child.kill(signal);
    await until(`${this.name} to end`, () => this.ended, END_LIMIT_MS).catch(() =>
      this.#child.kill('SIGKILL'),
    );
  }
}

/** A process and all that descend from it, itself first (Linux). */
export function processTree(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const parent = parentOf(Number(name));
    if (parent === null) continue;
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const tree = [pid];
  for (let i = 0; i < tree.length; i++) tree.push(...(children.get(tree[i]!) ?? []));
  return tree;
}

function parentOf(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return null;
  }
}

/** Signals processes one after the other; those that have ended meanwhile are left out. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}
