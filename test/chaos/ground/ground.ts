/** What a cluster under test stands on: machines of its own with addresses, and what can go wrong between them. */
import type { ChildProcess, StdioOptions } from 'node:child_process';

/** How a program is run at a place. */
export interface RunAt {
  readonly program: string;
  readonly args: readonly string[];
  /** As the user whom PostgreSQL runs as. Default: as we are. */
  readonly asServer?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly stdio?: StdioOptions;
}

/** A machine. */
export interface Place {
  readonly name: string;
  /** Where all machines reach it. */
  readonly address: string;
  /** Where its programs have to listen. It may be another address: then this one is known to nobody else. */
  readonly listens: string;
  /** Starts a program there; its process id is the program's own. */
  start(run: RunAt): ChildProcess;
}

/** Several machines, and the network between them. Faults stay until they are healed. */
export interface Ground {
  readonly places: ReadonlyMap<string, Place>;
  place(name: string): Place;
  /** The ids of all processes that run on a machine, those too that somebody else than we has started there. */
  processes(name: string): number[];
  /** Takes a machine's interface down: as if its cable were pulled. It still reaches itself. */
  down(name: string): Promise<void>;
  /** Nothing happens if it is up. */
  up(name: string): Promise<void>;
  /** What `from` sends to `to` is lost from now on, without a word. The other direction goes on. */
  cut(from: string, to: string): Promise<void>;
  /** Nothing happens if it isn't cut. */
  heal(from: string, to: string): Promise<void>;
  /** Heals everything. */
  repair(): Promise<void>;
  /** Removes what it made. Programs must have ended. */
  discard(): Promise<void>;
}
