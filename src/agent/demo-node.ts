/** One node of the demo cluster: its process, kept running until it is stopped. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ServerSettings, writeSettings } from './data-directory.js';
import type { NodeFolder } from './node-folder.js';
import type { PostgresBinaries } from './postgres-binaries.js';
import { type PostgresExit, type PostgresProcess, startPostgres } from './postgres-process.js';
import type { Progress } from './progress.js';
import type { ServerUser } from './server-user.js';

/** A node that ends by itself is started again so often within this time; then it stays down. */
const RESTARTS_MAX = 5;
const RESTART_WINDOW_MS = 60_000;
/** Backends of a killed postmaster must end before a new one can start. */
const RESTART_DELAY_MS = 500;

/** What all nodes of a cluster have in common. */
export interface NodeSurroundings {
  readonly binaries: PostgresBinaries;
  readonly user: ServerUser | null;
  readonly signal: AbortSignal;
  readonly progress: Progress;
}

export class DemoNode {
  readonly folder: NodeFolder;
  /** May be changed while the node is stopped, and takes effect with the settings of the next start. */
  port: number;
  readonly #surroundings: NodeSurroundings;
  #process: PostgresProcess | null = null;
  #stopping = false;
  /** Resolved when a restart that is under way has come to its end. */
  #restarting: Promise<void> = Promise.resolve();
  readonly #restarts: number[] = [];

  constructor(folder: NodeFolder, port: number, surroundings: NodeSurroundings) {
    this.folder = folder;
    this.port = port;
    this.#surroundings = surroundings;
  }

  get name(): string {
    return this.folder.name;
  }

  get running(): PostgresProcess | null {
    return this.#process?.exit === null ? this.#process : null;
  }

  /** Writes the settings, starts PostgreSQL and waits until it accepts connections. */
  async start(settings: ServerSettings): Promise<void> {
    const { user } = this.#surroundings;
    await writeSettings(this.folder.data, settings, user);
    this.#stopping = false;
    await this.#launch();
  }

  /** Stops PostgreSQL, and stays stopped. Resolves when the process is gone. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#process?.stop();
    await this.#restarting;
    await this.#process?.stop();
  }

  /** Makes a stop that is under way, or about to begin, immediate. */
  hurry(): void {
    this.#stopping = true;
    this.#process?.hurry();
  }

  /** From now on, a node that ends by itself is started again. Call it once, after the start. */
  keepRunning(): void {
    const watched = this.#process;
    void watched?.exited.then((exit) => {
      if (!this.#stopping && watched === this.#process) this.#restarting = this.#restart(exit);
    });
  }

  async #launch(): Promise<void> {
    const { binaries, user, signal } = this.#surroundings;
    const launched = await startPostgres({ node: this.folder, binaries, user, signal });
    this.#process = launched;
    await launched.untilReady();
  }

  async #restart(exit: PostgresExit): Promise<void> {
    const { progress, signal } = this.#surroundings;
    const how = exit.signal === null ? `with exit code ${exit.code}` : `by ${exit.signal}`;
    progress.note(`${this.name} ended unexpectedly (${how}): starting it again`);
    while (!this.#stopping && !signal.aborted) {
      const now = performance.now();
      while ((this.#restarts[0] ?? now) < now - RESTART_WINDOW_MS) this.#restarts.shift();
      if (this.#restarts.length >= RESTARTS_MAX) {
        progress.note(`${this.name} stays down: it ended too often. Its log is ${this.folder.log}`);
        return;
      }
      this.#restarts.push(now);
      await sleep(RESTART_DELAY_MS);
      if (this.#stopping) return;
      try {
        await this.#launch();
        progress.note(`${this.name} runs again`);
        this.keepRunning();
        return;
      } catch (error) {
        if (this.#stopping || signal.aborted) return;
        progress.note(`${this.name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }
}
