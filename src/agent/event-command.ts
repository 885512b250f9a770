/** The operator's command that is told of events: one at a time, in order, bounded in time and number, and nobody waits for it. */
import { spawn } from 'node:child_process';
import type { ClusterEvent } from '../cluster/history.js';

/** So many events wait for a slow command; then the oldest are left out. */
const WAITING_MAX = 100;

/** The command, and how long it may run. */
export interface EventCommandSettings {
  /** The program and its arguments; empty: there is none. */
  readonly words: readonly string[];
  readonly limitMs: number;
  readonly cluster: string;
  readonly node: string;
  readonly onTrouble: (message: string) => void;
}

/** Runs it. */
export class EventCommand {
  #settings: EventCommandSettings;
  readonly #waiting: ClusterEvent[] = [];
  #running: Promise<void> | null = null;

  constructor(settings: EventCommandSettings) {
    this.#settings = settings;
  }

  /** Another command, for events that come from now on. */
  change(change: Pick<EventCommandSettings, 'words' | 'limitMs'>): void {
    this.#settings = { ...this.#settings, ...change };
  }

  tell(event: ClusterEvent): void {
    if (this.#settings.words.length === 0) return;
    this.#waiting.push(event);
    if (this.#waiting.length > WAITING_MAX) {
      this.#waiting.shift();
      this.#settings.onTrouble(
        `on_event is too slow: more than ${WAITING_MAX} events wait, the oldest is left out`,
      );
    }
    this.#running ??= this.#runAll();
  }

  /** Resolves when it has been told everything. */
  async close(): Promise<void> {
    await this.#running;
  }

  async #runAll(): Promise<void> {
    for (;;) {
      const event = this.#waiting.shift();
      if (event === undefined) break;
      if (this.#settings.words.length > 0) await this.#run(event);
    }
    this.#running = null;
  }

  #run(event: ClusterEvent): Promise<void> {
    const { words, limitMs, cluster, node, onTrouble } = this.#settings;
    const [program, ...args] = words as [string, ...string[]];
    return new Promise((resolve) => {
      const child = spawn(program, args, {
        stdio: ['pipe', 'ignore', 'ignore'],
        env: {
          ...process.env,
          SLUICE_EVENT: event.what,
          SLUICE_CLUSTER: cluster,
          SLUICE_NODE: node,
          SLUICE_TERM: String(event.term),
          SLUICE_TEXT: event.text,
        },
      });
      const limit = setTimeout(() => {
        onTrouble(`on_event: ended after ${limitMs} ms (on_event_timeout), told of: ${event.text}`);
        child.kill('SIGKILL');
      }, limitMs);
      const settle = (problem: string | null) => {
        clearTimeout(limit);
        if (problem !== null) onTrouble(`on_event: ${problem}, told of: ${event.text}`);
        resolve();
      };
      child.once('error', (error) => settle(error.message));
      child.once('exit', (code, signal) =>
        settle(code === 0 || signal !== null ? null : `exit code ${code}`),
      );
      // Who doesn't read is no failure.
      child.stdin.on('error', () => {});
      child.stdin.end(`${JSON.stringify({ cluster, ...event })}\n`);
    });
  }
}
