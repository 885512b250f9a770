/**
 * The entry of a reactor's thread: one driver, one gateway, one loop. The native drivers block in the kernel, so
 * messages of the main thread are fetched when the loop says that it was woken.
 */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';

import type { AuthorityQuestion } from '../core/authority.js';
import type { CommandOutcome, GatewayCommand } from '../core/command.js';
import type { ConsoleQuestion } from '../core/console.js';
import { Gateway } from '../core/gateway.js';
import type { Report } from '../core/io.js';
import type { Snapshot } from '../core/snapshot.js';
import type { Driver, Listener, OpenListener } from './driver.js';
import { loadAddon } from './load-addon.js';
import type { FromWorker, ToWorker, WorkerStart } from './messages.js';
import { NativeIo } from './native-io.js';
import { NodeIo } from './node-io.js';
import { sharedClock } from './shared-clock.js';
import type { SlowWork } from './slow-work.js';
import type { SystemError } from './system-errors.js';

/** This machine has no such address: often IPv6, where a name has one. */
const MISSING_ADDRESS = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT']);
/** Clients that don't take their last message are given up after this time. */
const SHUTDOWN_MS_MAX = 10_000;

class ReactorThread implements SlowWork {
  readonly #port: MessagePort;
  readonly #driver: Driver;
  readonly #gateway: Gateway;
  #reports: Report[] = [];
  /** Driver time at which shutting down is given up; infinite while running. */
  #stopAt = Number.POSITIVE_INFINITY;

  constructor(port: MessagePort, start: WorkerStart) {
    this.#port = port;
    this.#driver = openDriver(start, this);
    this.#driver.configureTls(start.tls);
    this.#driver.configureSockets(start.sockets);
    this.#gateway = new Gateway(this.#driver, start.settings);
  }

  /** Listens and runs. Resolves when everything is closed after a shutdown, or when listening failed. */
  async run(start: WorkerStart): Promise<void> {
    if (!(await this.#listen(start.listeners))) return this.#driver.destroy();
    await this.#driver.run(this.#gateway, {
      woken: () => this.#readMessages(),
      keepRunning: () => this.#betweenTurns(),
    });
    this.#driver.destroy();
  }

  /** False when a place can't be listened on. One of several addresses of a name may be missing on this machine. */
  async #listen(listeners: readonly Listener[]): Promise<boolean> {
    const open: (OpenListener | null)[] = [];
    for (const [position, listener] of listeners.entries()) {
      try {
        open.push(await this.#driver.listen(listener));
      } catch (error) {
        const { code, message } = error as SystemError;
        const isNamesake = ({ index }: Listener): boolean => index === listener.index;
        const isLast = listeners.findLastIndex(isNamesake) === position;
        const others = listeners.some((other, i) => isNamesake(other) && open[i]);
        if (!MISSING_ADDRESS.has(code) || (isLast && !others)) {
          this.#tell({ kind: 'listenFailed', position, code, message });
          return false;
        }
        open.push(null);
      }
    }
    this.#tell({ kind: 'listening', open });
    return true;
  }

  askAuthority(id: number, question: AuthorityQuestion): void {
    this.#tell({ kind: 'askAuthority', id, question });
  }

  askConsole(question: ConsoleQuestion): void {
    this.#tell({ kind: 'askConsole', question });
  }

  deriveKey(request: Parameters<SlowWork['deriveKey']>[0]): void {
    this.#tell({ kind: 'deriveKey', request });
  }

  resolveHost(id: number, host: string): void {
    this.#tell({ kind: 'resolveHost', id, host });
  }

  /** Reports of one turn go out together. */
  report(report: Report): void {
    this.#reports.push(report);
  }

  handle(message: ToWorker): void {
    switch (message.kind) {
      case 'settings':
        return this.#applySettings(message);
      case 'snapshot':
        return this.#answer(message.id, this.#gateway.snapshot(message.detail));
      case 'handOver':
        this.#driver.closeListeners('handedOver');
        return this.#answer(message.id, null);
      case 'command':
        if (message.command.kind === 'drain') this.#stopAccepting(message.command);
        return this.#gateway.execute(message.command, (outcome) => this.#answer(message.id, outcome));
      case 'cluster':
        this.#gateway.clusterHeard(message.news, sharedClock() - message.heardAt);
        return this.#answer(message.id, null);
      case 'found':
        return this.#gateway.nodesFound(message.found);
      case 'console':
        return this.#gateway.consoleAnswered(message.id, message.answer);
      case 'authority':
        return this.#gateway.authorityAnswered(message.id, message.answer);
      case 'key':
        return this.#gateway.keyDerived(message.id, message.key);
      case 'host':
        return this.#driver.hostResolved(message.id, message.answer);
      case 'shutdown':
        this.#stopAt = Math.min(this.#stopAt, this.#driver.now() + SHUTDOWN_MS_MAX);
        this.#driver.closeListeners();
        return this.#gateway.shutdown();
    }
  }

  /** While others leave, operators can still come by the unix socket, as with PgBouncer. */
  #stopAccepting({ until }: Extract<GatewayCommand, { kind: 'drain' }>): void {
    this.#driver.closeListeners(until === 'clients' || until === 'servers' ? 'tcp' : 'all');
  }

  #answer(id: number, answer: Snapshot | CommandOutcome): void {
    this.#tell({ kind: 'answer', id, answer });
  }

  /** Certificates first: whoever begins TLS under the new settings gets the new ones. */
  #applySettings({ settings, tls, sockets }: Extract<ToWorker, { kind: 'settings' }>): void {
    try {
      this.#driver.configureTls(tls);
    } catch (error) {
      const { message } = error as Error;
      this.report({ level: 'error', message: `TLS was not reloaded, and stays as it was: ${message}` });
    }
    this.#driver.configureSockets(sockets);
    this.#gateway.applySettings(settings);
  }

  #readMessages(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#port);
      if (received === undefined) return;
      this.handle(received.message as ToWorker);
    }
  }

  #betweenTurns(): boolean {
    const isDone = this.#stopAt !== Number.POSITIVE_INFINITY && this.#gateway.idle;
    const isLate = this.#driver.now() >= this.#stopAt;
    if (isLate && !isDone)
      this.report({ level: 'warn', message: 'some clients did not take their last message' });
    if (this.#reports.length > 0) {
      this.#tell({ kind: 'reports', reports: this.#reports });
      this.#reports = [];
    }
    return !isDone && !isLate;
  }

  #tell(message: FromWorker): void {
    this.#port.postMessage(message);
  }
}

function openDriver(start: WorkerStart, work: SlowWork): Driver {
  if (start.driver === 'node') return new NodeIo(work);
  const loaded = loadAddon();
  if ('reason' in loaded) throw new Error(loaded.reason);
  return new NativeIo(loaded.addon, start.driver, start.wakeDescriptor, work);
}

async function main(port: MessagePort, start: WorkerStart): Promise<void> {
  const thread = new ReactorThread(port, start);
  if (start.driver === 'node') port.on('message', (message: ToWorker) => thread.handle(message));
  await thread.run(start);
  port.close();
}

await main(parentPort!, workerData as WorkerStart);
