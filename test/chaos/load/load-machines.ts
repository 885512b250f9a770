/** Machines of clients: a process each, whose operations are collected here. */
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { until } from '../../harness/until.js';
import type { Place } from '../ground/ground.js';
import type { ClientKind, Operation } from './history.js';
import type { LoadOrder, Target } from './workload.js';

const PROGRAM = fileURLToPath(new URL('machine-main.js', import.meta.url));

export interface LoadShape {
  readonly database: string;
  readonly user: string;
  /** Per machine. */
  readonly clients: Readonly<Record<ClientKind, number>>;
  readonly paceMs: number;
}

/** Some 150 writes a second on each of two machines while nothing is in the way. */
export const ORDINARY_CLIENTS: Readonly<Record<ClientKind, number>> = {
  autocommit: 6,
  transaction: 4,
  idle: 6,
  open: 2,
};

export class LoadMachines {
  readonly history: Operation[] = [];
  readonly #processes: ChildProcess[];

  private constructor(processes: ChildProcess[]) {
    this.#processes = processes;
  }

  /** `first` makes their numbers differ from those of others: each machine has one, counted from there. */
  static start(
    places: readonly Place[],
    targets: readonly Target[],
    shape: LoadShape,
    first = 1,
  ): LoadMachines {
    const processes = places.map((place, index) => {
      const child = place.start({
        program: process.execPath,
        args: [PROGRAM],
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      });
      // Each machine begins with another of the targets.
      const turned = targets.map((_, i) => targets[(i + index) % targets.length]!);
      const order: LoadOrder = { machine: first + index, targets: turned, ...shape };
      child.send({ start: order });
      return child;
    });
    const machines = new LoadMachines(processes);
    for (const child of processes) {
      child.on('message', (operation) => machines.history.push(operation as Operation));
    }
    return machines;
  }

  /** Hands over what has ended so far, and forgets it. */
  take(): Operation[] {
    return this.history.splice(0);
  }

  /** Lets every client end what it is at, for at most `limitMs`; who hangs is ended. */
  async stop(limitMs = 15_000): Promise<void> {
    for (const child of this.#processes) if (child.connected) child.send({ stop: true });
    const over = () =>
      this.#processes.every(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null);
    await until('the clients to end', over, limitMs).catch(() => {
      for (const child of this.#processes) child.kill('SIGKILL');
    });
  }
}
