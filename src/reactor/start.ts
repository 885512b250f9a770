/** Starts a reactor on a thread of its own, and does for it on the main thread what would hold it up. */
import { pbkdf2 } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { closeSync, writeSync } from 'node:fs';
import { isIP } from 'node:net';
import { Worker } from 'node:worker_threads';
import type { KeyRequest, Report } from '../core/io.js';
import type { GatewaySettings } from '../core/settings.js';
import type { Snapshot } from '../core/snapshot.js';
import { chooseDriver, type DriverChoice, type DriverName } from './choose-driver.js';
import { type ListenAddress, ListenError } from './listen.js';
import { loadAddon } from './load-addon.js';
import type { FromWorker, ToWorker, WorkerStart } from './messages.js';

export type { ListenAddress } from './listen.js';
export { ListenError } from './listen.js';

export interface ReactorOptions {
  readonly io: DriverChoice;
  readonly listen: readonly ListenAddress[];
  readonly settings: GatewaySettings;
  onReport(report: Report): void;
}

/** A running reactor. */
export interface ReactorHandle {
  readonly driver: DriverName;
  /** Why a faster driver was not taken; empty when there is none. */
  readonly driverReason: string;
  /** With the ports that the system chose where 0 was asked for. */
  readonly listening: readonly ListenAddress[];
  applySettings(settings: GatewaySettings): void;
  snapshot(): Promise<Snapshot>;
  /** Closes everything; resolves when the thread has ended. */
  shutdown(): Promise<void>;
  /** Resolves when the thread ends in whatever way: with the error if it broke down, else null. */
  readonly ended: Promise<Error | null>;
}

const SALTED_PASSWORD_BYTES = 32;

/**
 * @throws {ListenError} when an address can't be listened on
 * @throws {Error} when a driver that was asked for can't be used here
 */
export async function startReactor(options: ReactorOptions): Promise<ReactorHandle> {
  const { name, reason } = chooseDriver(options.io);
  const listen = await Promise.all(options.listen.map(withAddress));
  const wakeDescriptor = name === 'node' ? -1 : createWakeDescriptor();
  const workerData: WorkerStart = {
    driver: name,
    listen,
    settings: options.settings,
    wakeDescriptor,
  };
  const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData });
  const reactor = new Reactor(worker, wakeDescriptor, options);
  const listening = await reactor.listening;
  return Object.assign(reactor, { driver: name, driverReason: reason, listening });
}

/** The reactor listens on addresses; names are looked up here. */
async function withAddress(listen: ListenAddress): Promise<ListenAddress> {
  if ('socketPath' in listen || isIP(listen.host) !== 0) return listen;
  try {
    return { ...listen, host: (await lookup(listen.host)).address };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ListenError(code ?? 'ENOTFOUND', message, listen);
  }
}

function createWakeDescriptor(): number {
  const loaded = loadAddon();
  if ('reason' in loaded) throw new Error(loaded.reason);
  return loaded.addon.createWakeDescriptor();
}

class Reactor {
  readonly listening: Promise<readonly ListenAddress[]>;
  readonly ended: Promise<Error | null>;
  readonly #worker: Worker;
  readonly #wakeDescriptor: number;
  readonly #options: ReactorOptions;
  readonly #snapshots = new Map<number, { resolve(snapshot: Snapshot): void; reject(error: Error): void }>();
  #lastSnapshot = 0;
  #alive = true;

  constructor(worker: Worker, wakeDescriptor: number, options: ReactorOptions) {
    this.#worker = worker;
    this.#wakeDescriptor = wakeDescriptor;
    this.#options = options;
    let broken: Error | null = null;
    worker.on('error', (error) => {
      broken = error instanceof Error ? error : new Error(String(error));
    });
    this.ended = new Promise((resolve) => worker.once('exit', () => resolve(this.#end(broken))));
    this.listening = new Promise((resolve, reject) => {
      worker.on('message', (message: FromWorker) => {
        if (message.kind === 'listening') resolve(message.addresses);
        else if (message.kind === 'failed') {
          const { code, message: text, address } = message.failure;
          reject(new ListenError(code, text, address));
        } else this.#receive(message);
      });
      void this.ended.then((error) => reject(error ?? new Error('the reactor ended before it listened')));
    });
  }

  applySettings(settings: GatewaySettings): void {
    this.#tell({ kind: 'settings', settings });
  }

  snapshot(): Promise<Snapshot> {
    if (!this.#alive) return Promise.reject(new Error('the reactor has ended'));
    this.#lastSnapshot += 1;
    const id = this.#lastSnapshot;
    return new Promise((resolve, reject) => {
      this.#snapshots.set(id, { resolve, reject });
      this.#tell({ kind: 'snapshot', id });
    });
  }

  async shutdown(): Promise<void> {
    this.#tell({ kind: 'shutdown' });
    const error = await this.ended;
    if (error !== null) throw error;
  }

  #tell(message: ToWorker): void {
    if (!this.#alive) return;
    this.#worker.postMessage(message);
    // A native driver waits in the kernel: the descriptor ends that, and the message is found then.
    if (this.#wakeDescriptor >= 0) writeSync(this.#wakeDescriptor, ONE);
  }

  #receive(message: FromWorker): void {
    switch (message.kind) {
      case 'reports':
        for (const report of message.reports) this.#options.onReport(report);
        break;
      case 'snapshot':
        this.#snapshots.get(message.id)?.resolve(message.snapshot);
        this.#snapshots.delete(message.id);
        break;
      case 'deriveKey':
        this.#deriveKey(message.request);
        break;
      case 'resolveHost':
        void this.#resolveHost(message.id, message.host);
    }
  }

  #deriveKey({ id, password, salt, iterations }: KeyRequest): void {
    pbkdf2(password, salt, iterations, SALTED_PASSWORD_BYTES, 'sha256', (error, key) => {
      this.#tell({ kind: 'keyDerived', id, key: error ? null : Uint8Array.from(key) });
    });
  }

  async #resolveHost(id: number, host: string): Promise<void> {
    try {
      const found = await lookup(host, { all: true, verbatim: true });
      this.#tell({ kind: 'hostResolved', id, answer: { addresses: found.map(({ address }) => address) } });
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      this.#tell({ kind: 'hostResolved', id, answer: { error: text } });
    }
  }

  #end(broken: Error | null): Error | null {
    this.#alive = false;
    if (this.#wakeDescriptor >= 0) closeSync(this.#wakeDescriptor);
    for (const { reject } of this.#snapshots.values()) reject(broken ?? new Error('the reactor has ended'));
    this.#snapshots.clear();
    return broken;
  }
}

/** What is written to an eventfd: a number of 8 bytes in the machine's order. */
const ONE = new Uint8Array(new BigUint64Array([1n]).buffer);
