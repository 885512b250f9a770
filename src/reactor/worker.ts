/**
 * A reactor's thread: one driver, one gateway. The native drivers block in the kernel and never run the event loop of
 * Node; the main thread wakes them through an eventfd, and messages are then taken from the port one by one.
 */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { Gateway } from '../core/gateway.js';
import type { Report } from '../core/io.js';
import type { ListenAddress } from './listen.js';
import { loadAddon } from './load-addon.js';
import type { FromWorker, ListenFailure, ToWorker, WorkerStart } from './messages.js';
import type { NativeReactor } from './native-addon.js';
import { NativeIo } from './native-io.js';
import { NodeIo } from './node-io.js';
import type { SlowWork } from './slow-work.js';
import { systemErrorCode, systemErrorMessage } from './system-errors.js';

/** Address space for buffers. Only pages that were touched cost memory. Bytes. */
const ARENA_BYTES = 512 * 1024 * 1024;
const CONNECTIONS_MAX = 131_072;
const HIGH_WATER_BYTES = 256 * 1024;
const LOW_WATER_BYTES = 64 * 1024;
const LISTEN_BACKLOG = 1024;
/** How long a shutdown waits for what was sent last to be taken. Ms. */
const SHUTDOWN_MS_MAX = 5000;

const port = parentPort as MessagePort;
const start = workerData as WorkerStart;
let reports: Report[] = [];
let stopAt: number | null = null;

function tell(message: FromWorker): void {
  port.postMessage(message);
}

/** Reports are sent together, so that a storm of them costs one message a turn. */
function flushReports(): void {
  if (reports.length === 0) return;
  tell({ kind: 'reports', reports });
  reports = [];
}

const work: SlowWork = {
  deriveKey: (request) => tell({ kind: 'deriveKey', request }),
  resolveHost: (id, host) => tell({ kind: 'resolveHost', id, host }),
  report: (report) => void reports.push(report),
};

function handle(message: ToWorker, gateway: Gateway, io: NativeIo | NodeIo): void {
  switch (message.kind) {
    case 'settings':
      return gateway.applySettings(message.settings);
    case 'snapshot':
      return tell({ kind: 'snapshot', id: message.id, snapshot: gateway.snapshot() });
    case 'keyDerived':
      return gateway.keyDerived(message.id, message.key);
    case 'hostResolved':
      return io.hostResolved(message.id, message.answer);
    case 'shutdown':
      stopAt = performance.now() + SHUTDOWN_MS_MAX;
      io.stopListening();
      gateway.shutdown();
  }
}

function isStopped(gateway: Gateway): boolean {
  return stopAt !== null && (gateway.idle || performance.now() > stopAt);
}

// --- Native drivers -------------------------------------------------------------------------------------------

function runNative(driver: 'uring' | 'epoll'): void {
  const loaded = loadAddon();
  if ('reason' in loaded) throw new Error(loaded.reason);
  const native = loaded.addon.create(driver, {
    arenaBytes: ARENA_BYTES,
    maxConnections: CONNECTIONS_MAX,
    highWaterBytes: HIGH_WATER_BYTES,
    lowWaterBytes: LOW_WATER_BYTES,
    wakeDescriptor: start.wakeDescriptor,
  });
  const io = new NativeIo(native, work, CONNECTIONS_MAX, HIGH_WATER_BYTES);
  const gateway = new Gateway(io, start.settings);
  const addresses: ListenAddress[] = [];
  for (const [index, address] of start.listen.entries()) {
    const result = listenNative(native, index, address);
    if ('code' in result) return fail(native, result);
    addresses.push(result);
  }
  tell({ kind: 'listening', addresses });
  const takeMessages = () => {
    for (;;) {
      const received = receiveMessageOnPort(port) as { message: ToWorker } | undefined;
      if (received === undefined) return;
      handle(received.message, gateway, io);
    }
  };
  io.run(gateway, takeMessages, () => {
    flushReports();
    return !isStopped(gateway);
  });
  flushReports();
  native.destroy();
  port.close();
}

function fail(native: NativeReactor, failure: ListenFailure): void {
  native.destroy();
  tell({ kind: 'failed', failure });
  port.close();
}

/** The address with its actual port, or why not. */
function listenNative(
  native: NativeReactor,
  index: number,
  address: ListenAddress,
): ListenAddress | ListenFailure {
  if ('socketPath' in address) {
    const result = native.listenUnix(index, address.socketPath, address.mode ?? -1, LISTEN_BACKLOG);
    return result < 0 ? listenFailure(-result, address) : address;
  }
  const result = native.listenTcp(index, address.host, address.port, LISTEN_BACKLOG, 0);
  return result < 0 ? listenFailure(-result, address) : { host: address.host, port: result };
}

function listenFailure(errno: number, address: ListenAddress): ListenFailure {
  return { code: systemErrorCode(errno), message: systemErrorMessage(errno), address };
}

// --- The node driver ------------------------------------------------------------------------------------------

async function runNode(): Promise<void> {
  const io = new NodeIo(work);
  const gateway = new Gateway(io, start.settings);
  const listened = await io.listen(start.listen, gateway);
  if ('code' in listened) {
    tell({ kind: 'failed', failure: listened });
    return port.close();
  }
  tell({ kind: 'listening', addresses: listened.addresses });
  port.on('message', (message: ToWorker) => handle(message, gateway, io));
  io.run(gateway, () => {
    flushReports();
    if (!isStopped(gateway)) return true;
    port.close();
    return false;
  });
}

if (start.driver === 'node') await runNode();
else runNative(start.driver);
