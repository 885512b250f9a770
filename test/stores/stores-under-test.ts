/** The stores that the conformance suite is run on: a server each, and clients that reach it directly or through faults. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { EmbeddedServer } from '../../src/stores/embedded/embedded-server.js';
import { EmbeddedStore } from '../../src/stores/embedded/embedded-store.js';
import type { EtcdSettings } from '../../src/stores/etcd/etcd-endpoints.js';
import { EtcdStore } from '../../src/stores/etcd/etcd-store.js';
import type { KubernetesSettings } from '../../src/stores/kubernetes/kubernetes-settings.js';
import { KubernetesStore } from '../../src/stores/kubernetes/kubernetes-store.js';
import type { Store, StoreSettings } from '../../src/stores/store.js';
import { FaultProxy } from '../harness/fault-proxy.js';
import { forgetProcess, freePort, noteProcess, scratchFolder } from '../harness/scratch.js';
import { until } from '../harness/until.js';
import { ApiServer } from './api-server.js';

/** One store's server, with a cluster of its own in it. */
export interface StoreUnderTest {
  readonly settings: StoreSettings;
  /** In front of the server, for the clients of `openThroughFaults`. */
  readonly faults: FaultProxy;
  /** A client of its own, with a lease that lasts for longer than a test, and time for answers on a busy machine. */
  open(): Store;
  /** One with the lease of `settings`, and a clock of this rate. */
  openShort(clockRate?: number): Store;
  /** One that soon gives up waiting for an answer; with a long lease, or with that of `settings`. */
  openThroughFaults(isShort?: boolean): Store;
  /** Stops the server, as a crash would, and starts it on what it has left. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** A kind of store. */
export interface StoreKind {
  readonly name: string;
  /** Why it can't be tested here; false: it can. */
  readonly missing: string | false;
  start(): Promise<StoreUnderTest>;
}

function clockOf(rate: number): () => number {
  return () => performance.now() * rate;
}

/** Closes what was opened. */
class Opened {
  readonly #stores: Store[] = [];

  add(store: Store): Store {
    this.#stores.push(store);
    return store;
  }

  async close(): Promise<void> {
    for (const store of this.#stores) await store.close();
  }
}

/** For clients that are not about leases running out, or answers that don't come. ms. */
const PATIENT = { leaseMs: 20_000, requestMs: 10_000 };

/** How fast the embedded server's clock runs, by a perfect one: as fast as is allowed for. */
const SERVER_CLOCK_RATE = 1.02;

export const EMBEDDED: StoreKind = { name: 'embedded', missing: false, start: startEmbedded };

async function startEmbedded(): Promise<StoreUnderTest> {
  const folder = scratchFolder('store');
  const paths = { socketPath: join(folder, 'socket'), journalPath: join(folder, 'journal') };
  const startServer = () =>
    EmbeddedServer.start({ ...paths, clock: clockOf(SERVER_CLOCK_RATE), say: () => {} });
  let server = await startServer();
  const faults = await FaultProxy.start({ path: paths.socketPath });
  const settings = { leaseMs: 600, memberMs: 600, requestMs: 500, refreshMs: 400, clock: clockOf(1) };
  const opened = new Opened();
  const at = (socketPath: string, change: Partial<StoreSettings>) =>
    opened.add(new EmbeddedStore(socketPath, { ...settings, ...change }));
  return {
    settings,
    faults,
    open: () => at(paths.socketPath, PATIENT),
    openShort: (rate = 1) => at(paths.socketPath, { requestMs: PATIENT.requestMs, clock: clockOf(rate) }),
    openThroughFaults: (isShort = false) => at(faults.path, isShort ? {} : { leaseMs: PATIENT.leaseMs }),
    async restart() {
      await server.close();
      server = await startServer();
    },
    async stop() {
      await opened.close();
      await faults.stop();
      await server.close();
    },
  };
}

/** One etcd process. */
export class EtcdProcess {
  readonly url: string;
  readonly #args: readonly string[];
  #process: ChildProcess | null = null;

  constructor(url: string, args: readonly string[]) {
    this.url = url;
    this.#args = args;
  }

  /** A cluster of one. */
  static async single(extra: readonly string[] = [], scheme = 'http'): Promise<EtcdProcess> {
    const [client, peer] = [await freePort(), await freePort()];
    const url = `${scheme}://127.0.0.1:${client}`;
    return new EtcdProcess(url, [
      ...memberArgs('one', url, peer),
      `--initial-cluster=one=http://127.0.0.1:${peer}`,
      ...extra,
    ]);
  }

  /** A cluster of `count` members. */
  static async cluster(count: number): Promise<EtcdProcess[]> {
    const members = [];
    for (let i = 0; i < count; i++) {
      members.push({ name: `m${i}`, url: `http://127.0.0.1:${await freePort()}`, peer: await freePort() });
    }
    const all = members.map(({ name, peer }) => `${name}=http://127.0.0.1:${peer}`).join();
    return members.map(
      ({ name, url, peer }) =>
        new EtcdProcess(url, [...memberArgs(name, url, peer), `--initial-cluster=${all}`]),
    );
  }

  start(): void {
    const child = spawn('etcd', this.#args, { stdio: 'ignore' });
    noteProcess(child.pid as number);
    this.#process = child;
  }

  signal(name: NodeJS.Signals): void {
    this.#process?.kill(name);
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (child === null) return;
    this.#process = null;
    const ended = child.exitCode !== null || child.signalCode !== null ? null : once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    forgetProcess(child.pid as number);
  }
}

function memberArgs(name: string, url: string, peer: number): string[] {
  return [
    `--name=${name}`,
    `--data-dir=${scratchFolder('etcd')}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=http://127.0.0.1:${peer}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
    // Short, for short leases: etcd's shortest one is one and a half election times.
    '--heartbeat-interval=50',
    '--election-timeout=500',
    '--log-level=error',
  ];
}

/** What etcd is asked with in tests: its leases are whole seconds. */
export const ETCD_SETTINGS: StoreSettings = {
  leaseMs: 980,
  memberMs: 1000,
  requestMs: 600,
  refreshMs: 500,
  clock: () => performance.now(),
};

/** Waits until the store can be read. */
export async function untilReadable(store: Store): Promise<void> {
  await until('the store answers', () =>
    store.read().then(
      () => true,
      () => false,
    ),
  );
}

/** Why etcd can't be tested here; false: it can. */
export const noEtcd: string | false = etcdIsMissing();

function etcdIsMissing(): string | false {
  try {
    execFileSync('etcd', ['--version'], { stdio: 'ignore' });
    return false;
  } catch {
    return 'etcd is not installed (Debian: etcd-server)';
  }
}

export const ETCD: StoreKind = { name: 'etcd', missing: noEtcd, start: startEtcd };

async function startEtcd(): Promise<StoreUnderTest> {
  const server = await EtcdProcess.single();
  server.start();
  const settings = ETCD_SETTINGS;
  const faults = await FaultProxy.start({ host: '127.0.0.1', port: Number(new URL(server.url).port) });
  const opened = new Opened();
  const at = (url: string, change: Partial<StoreSettings>) => {
    const etcd: EtcdSettings = { endpoints: [url], prefix: '/sluice/test' };
    return opened.add(new EtcdStore(etcd, { ...settings, ...change }));
  };
  const throughFaults = `http://127.0.0.1:${faults.port}`;
  await untilReadable(at(server.url, {}));
  return {
    settings,
    faults,
    open: () => at(server.url, PATIENT),
    openShort: (rate = 1) => at(server.url, { requestMs: PATIENT.requestMs, clock: clockOf(rate) }),
    openThroughFaults: (isShort = false) => at(throughFaults, isShort ? {} : { leaseMs: PATIENT.leaseMs }),
    async restart() {
      await server.kill();
      server.start();
      await untilReadable(at(server.url, {}));
    },
    async stop() {
      await opened.close();
      await faults.stop();
      await server.kill();
    },
  };
}

/** What Kubernetes is asked with in tests. */
export const KUBERNETES_SETTINGS: StoreSettings = {
  leaseMs: 600,
  memberMs: 600,
  requestMs: 500,
  refreshMs: 400,
  clock: clockOf(1),
};

/** The Leases of a cluster in the namespace of the double. */
export function leasesAt(server: string): KubernetesSettings {
  return { server, tokenFile: null, caFile: null, namespace: 'test', name: 'main' };
}

export const KUBERNETES: StoreKind = { name: 'Kubernetes', missing: false, start: startKubernetes };

async function startKubernetes(): Promise<StoreUnderTest> {
  const server = await ApiServer.start();
  const faults = await FaultProxy.start({ host: '127.0.0.1', port: server.port });
  const settings = KUBERNETES_SETTINGS;
  const opened = new Opened();
  const at = (url: string, change: Partial<StoreSettings>) =>
    opened.add(new KubernetesStore(leasesAt(url), { ...settings, ...change }));
  const throughFaults = `http://127.0.0.1:${faults.port}`;
  // The first one makes the Lease, and is to wait for it to run out: that is asked elsewhere.
  await at(server.url, {}).acquire('first', 0);
  return {
    settings,
    faults,
    open: () => at(server.url, PATIENT),
    openShort: (rate = 1) => at(server.url, { requestMs: PATIENT.requestMs, clock: clockOf(rate) }),
    openThroughFaults: (isShort = false) => at(throughFaults, isShort ? {} : { leaseMs: PATIENT.leaseMs }),
    async restart() {
      await server.restart();
      await untilReadable(at(server.url, {}));
    },
    async stop() {
      await opened.close();
      await faults.stop();
      await server.stop();
    },
  };
}
