/**
 * A cluster on this machine that keeps itself alive, for trying out: an agent for each node and an embedded store, all in this
 * process. Whichever PostgreSQL is killed, another one leads, and the lost one comes back.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { pino } from 'pino';
import type { Report } from '../cluster/inputs.js';
import { EPOCH, understand } from '../cluster/records.js';
import { type ClusterSettings, DEFAULT_TIMING, type Durability } from '../cluster/settings.js';
import type { ClusterAccess } from '../config/cluster-access.js';
import { sharedClock } from '../reactor/shared-clock.js';
import { EmbeddedServer } from '../stores/embedded/embedded-server.js';
import { openStore } from '../stores/open-store.js';
import type { Store } from '../stores/store.js';
import { setPaused } from '../stores/wishes.js';
import { AgentError, explainFileError } from './agent-error.js';
import { SUPERUSER } from './data-directory.js';
import { existingNodes, nodeName, openDemoFolder } from './demo-folder.js';
import {
  type DemoCluster,
  type DemoClusterOptions,
  DemoGround,
  type DemoNodeInfo,
  type ReadyGround,
} from './demo-ground.js';
import { eventOf } from './event-journal.js';
import { NodeAgent } from './node-agent.js';
import { inspectData, lastLines, nodeFolder } from './node-folder.js';
import { LOOPBACK, probePort } from './ports.js';
import { initializeData, inspectData as inspectStopped } from './postgres/initialize.js';
import { openPostgresSide } from './postgres/local-postgres.js';
import { CANARY_MS, type PostgresSettings } from './postgres/postgres-side.js';
import { nodePaths } from './postgres/state-folder.js';
import { readPostmasterFile } from './postmaster-file.js';
import { readLogTail } from './server-log.js';
import { handOver } from './server-user.js';

/** What the cluster is called in its store. */
const CLUSTER = 'demo';
/** Whom standbys log in as. */
const REPLICATION = 'sluice_replication';
/** How long nothing new may happen on the way to a cluster that is whole. ms. */
const START_MS = 60_000;
/** How long the last primary is waited for before another one may be elected. ms. */
const LAST_PRIMARY_MS = 10_000;
/** How long a PostgreSQL may take to stop in order. ms. */
const STOP_MS = 10_000;
const LOOK_MS = 100;
const ANSWER_MS = 2_000;

/** One node of the demo. */
interface Node {
  readonly name: string;
  readonly postgres: PostgresSettings;
  readonly agent: NodeAgent;
  readonly mayBegin: boolean;
}

/** What all agents stand on. */
interface Base {
  readonly ready: ReadyGround;
  readonly access: ClusterAccess;
  readonly store: Store;
}

/** Whether agents can run here. */
export function canRunAgents(): boolean {
  return process.platform === 'linux';
}

/** Starts the cluster, making what is missing of it. When this rejects, nothing of it runs, and the folder is unlocked. */
export async function startAgentCluster(options: DemoClusterOptions): Promise<DemoCluster> {
  options.signal.throwIfAborted();
  const folder = await openDemoFolder(options.folder, options.now);
  if (folder.remark !== null) options.progress.note(folder.remark);
  const demo = new AgentDemo(options, new DemoGround(options, folder));
  try {
    return await demo.run();
  } catch (error) {
    await demo.stop();
    throw explainFileError(error, folder.path);
  }
}

class AgentDemo {
  readonly #options: DemoClusterOptions;
  readonly #ground: DemoGround;
  readonly #nodes: Node[] = [];
  #server: EmbeddedServer | null = null;
  #store: Store | null = null;
  #readyBase: Base | null = null;
  /** By node: the last that its agent has warned of. */
  readonly #warnings = new Map<string, string>();
  #isReady = false;
  #isEnding = false;

  constructor(options: DemoClusterOptions, ground: DemoGround) {
    this.#options = options;
    this.#ground = ground;
  }

  /** What is there once the store is open. */
  get #base(): Base {
    return this.#readyBase!;
  }

  async run(): Promise<DemoCluster> {
    const { progress } = this.#options;
    const ready = await this.#ground.prepare(false);
    const { path } = this.#ground.folder;
    if (ready.sockets === null) {
      throw new AgentError(`${path} is too long for unix sockets`, ['Choose a shorter one with --data DIR.']);
    }
    const socketPath = join(ready.sockets.path, 'store.sock');
    const access: ClusterAccess = {
      name: CLUSTER,
      leaseMs: DEFAULT_TIMING.leaseMs,
      store: { kind: 'embedded', socketPath },
    };
    const store = await this.#openStore(access, socketPath);
    this.#readyBase = { ready, access, store };
    await this.#requireLastPrimary(store);
    for (const index of this.#ground.ports.keys()) await this.#startNode(index);
    await this.#untilWhole(store);
    progress.end(this.#summary());
    this.#isReady = true;
    return {
      ...{ folder: path, binaries: ready.binaries, storeSocket: socketPath, clusterName: CLUSTER },
      nodes: this.#nodes.map((node) => this.#describe(node, ready)),
      stop: () => this.stop(),
      hurry: () => void this.#hurry(),
    };
  }

  /**
   * The primary ends first, while its standbys still take what it writes last. The cluster is paused before, so that none of them
   * takes its place meanwhile, or at the next start: somebody would have to be rewound.
   */
  async stop(): Promise<void> {
    this.#isEnding = true;
    const leader = this.#nodes.find(({ agent }) => agent.state.holding !== null);
    const isLeading = leader !== undefined && this.#store !== null;
    if (isLeading) await Promise.race([setPaused(this.#store!, true).catch(() => {}), pause(ANSWER_MS)]);
    await leader?.agent.end('fast', STOP_MS);
    const results = await Promise.allSettled(this.#nodes.map(({ agent }) => agent.end('fast', STOP_MS)));
    await this.#store?.close();
    await this.#server?.close();
    await this.#ground.leave();
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  async #hurry(): Promise<void> {
    for (const { postgres } of this.#nodes) {
      const file = await readPostmasterFile(postgres.data).catch(() => null);
      try {
        if (file !== null) process.kill(file.pid, 'SIGQUIT');
      } catch {
        // It has ended meanwhile.
      }
    }
  }

  async #openStore(access: ClusterAccess, socketPath: string): Promise<Store> {
    const { path } = this.#ground.folder;
    const journalPath = join(path, 'store');
    // A store that remembers a cluster of which nothing is left would wait for it.
    if (!(await this.#hasData())) await rm(journalPath, { force: true });
    this.#server = await EmbeddedServer.start({ socketPath, journalPath, clock: sharedClock, say: () => {} });
    this.#store = openStore(access, sharedClock);
    return this.#store;
  }

  async #hasData(): Promise<boolean> {
    for (const node of await existingNodes(this.#ground.folder.path)) {
      if ((await inspectData(node)).kind === 'whole') return true;
    }
    return false;
  }

  /** With fewer nodes than last time it may be missing, and nobody else could lead. */
  async #requireLastPrimary(store: Store): Promise<void> {
    const primary = understand(await store.read())?.epoch?.primary;
    const places = this.#ground.ports.map((_, index) => nodeName(index));
    if (primary === undefined || places.includes(primary)) return;
    throw new AgentError(`${primary} was the primary last, and would not take part`, [
      `Start with --standbys ${Number(primary.slice('node'.length)) - 1} or more, or make everything anew with --reset.`,
    ]);
  }

  /** Makes the data of the very first node, and starts its agent. */
  async #startNode(index: number): Promise<void> {
    const { progress, signal } = this.#options;
    signal.throwIfAborted();
    const name = nodeName(index);
    const postgres = this.#settingsOf(index);
    const { folder } = nodeFolder(this.#ground.folder.path, name);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await handOver(folder, postgres.serverUser);
    const isFirst = index === 0 && !(await this.#base.store.read()).values.has(EPOCH);
    if (isFirst && (await inspectStopped(postgres)).data !== 'whole') {
      progress.begin(`creating ${name}, the first primary`);
      await rm(nodePaths(postgres).folder, { recursive: true, force: true });
      await rm(postgres.data, { recursive: true, force: true });
      await initializeData(postgres);
    }
    progress.begin(`starting the agent of ${name}`);
    this.#nodes.push(await this.#startAgent(index, isFirst));
  }

  async #startAgent(index: number, mayBegin: boolean): Promise<Node> {
    const name = nodeName(index);
    const postgres = this.#settingsOf(index);
    const agent = await NodeAgent.start({
      settings: this.#clusterSettings(name, postgres.port, mayBegin),
      life: randomBytes(8).toString('hex'),
      store: openStore(this.#base.access, sharedClock),
      answerMs: ANSWER_MS,
      clock: sharedClock,
      logger: pino({ level: 'warn' }, { write: (line: string) => this.#keepWarning(name, line) }),
      openPostgres: (world) => openPostgresSide(postgres, world),
      onReport: (report) => this.#report(name, report),
      onStoreTrouble: (error) => error !== null && this.#note(`${name}: ${error.message}`),
      onLate: () => {},
      onBroken: (error) => this.#note(`the agent of ${name} has failed: ${(error as Error).message}`),
    });
    return { name, postgres, agent, mayBegin };
  }

  #settingsOf(index: number): PostgresSettings {
    const { folder, ports } = this.#ground;
    const { path, user } = folder;
    const { binaries, sockets } = this.#base.ready;
    const name = nodeName(index);
    return {
      node: name,
      data: nodeFolder(path, name).data,
      binaries,
      serverUser: user,
      ...{ listen: LOOPBACK, port: ports[index]!, socketFolders: sockets!.path, canaryMs: CANARY_MS },
      superuser: { user: SUPERUSER, password: null },
      replication: { user: REPLICATION, password: null },
      ...{ replicationTls: { mode: 'disable', caFile: null }, auth: null },
      ...{ configFile: null, hbaFile: null },
      parameters: { max_connections: '100', shared_buffers: '32MB', max_slot_wal_keep_size: '1GB' },
      clientRules: ['local all all trust', 'host all all 127.0.0.1/32 trust'],
    };
  }

  #clusterSettings(node: string, port: number, mayBegin: boolean): ClusterSettings {
    return {
      ...{
        node,
        priority: 1,
        mayBegin,
        replicateFrom: null,
        durability: durabilityOf(this.#options.standbys),
        quorum: 1,
      },
      contact: { host: LOOPBACK, port, api: null },
      timing: DEFAULT_TIMING,
    };
  }

  /** Says what happens to a cluster that was whole, as far as somebody who watches wants to know. */
  #report(node: string, report: Report): void {
    if (report.what !== 'state') return this.#note(eventOf(report, node, 0, this.#options.now).text);
    const { to, event } = report;
    if (to === 'fenced' && event === 'PostgreSQL has ended') this.#note(`PostgreSQL of ${node} has ended`);
    if (to === 'rejoining' || to === 'cloning')
      this.#note(`${node} has to be made like the primary: ${event}`);
    if (to === 'following') this.#note(`${node} follows`);
  }

  #keepWarning(node: string, line: string): void {
    const { msg, reason } = JSON.parse(line) as { readonly msg: string; readonly reason?: string };
    this.#warnings.set(node, reason === undefined ? msg : `${msg}: ${reason}`);
  }

  #note(text: string): void {
    if (this.#isReady && !this.#isEnding) this.#options.progress.note(text);
  }

  /** One leads, and all others follow. */
  async #untilWhole(store: Store): Promise<void> {
    const { progress, signal } = this.#options;
    progress.begin('waiting until one leads and the others follow');
    const seen = new Set<string>();
    const began = performance.now();
    let since = began;
    for (let isPaused = true; ; ) {
      signal.throwIfAborted();
      const states = this.#nodes.map(({ name, agent }) => {
        const { doing } = agent.facts;
        return `${name} ${doing ?? agent.state.name}`;
      });
      const now = states.join(', ');
      // What goes round in a circle gets nowhere.
      if (!seen.has(now)) since = performance.now();
      seen.add(now);
      progress.detail(now);
      const isLed = this.#nodes.some(({ agent }) => agent.state.holding !== null);
      if (isPaused && (isLed || performance.now() - began > LAST_PRIMARY_MS)) {
        await setPaused(store, false);
        isPaused = false;
      }
      if (this.#isWhole()) return;
      await this.#leaveBusyPorts();
      if (performance.now() - since > START_MS) throw await this.#stuck(now);
      await pause(LOOK_MS);
    }
  }

  /** Ports were found free some time ago; a node that has cloned its data first may find that another has come before it. */
  async #leaveBusyPorts(): Promise<void> {
    for (const [index, { name, postgres, agent, mayBegin }] of this.#nodes.entries()) {
      if (agent.state.name !== 'fenced' || !this.#warnings.has(name)) continue;
      const problem = await probePort(postgres.port);
      if (problem === null) continue;
      await agent.end('immediate', STOP_MS);
      await this.#ground.replacePort(index, problem);
      this.#warnings.delete(name);
      this.#nodes[index] = await this.#startAgent(index, mayBegin);
    }
  }

  #isWhole(): boolean {
    const states = this.#nodes.map(({ agent }) => agent.state.name);
    const following = states.filter((state) => state === 'following').length;
    return states.includes('leading') && following === states.length - 1;
  }

  async #stuck(states: string): Promise<AgentError> {
    const logs = await Promise.all(
      this.#nodes.map(async ({ name, postgres }) => {
        const { log } = nodePaths(postgres);
        const text = await readLogTail(log, 0).catch(() => '');
        const warning = this.#warnings.get(name);
        return [
          ...(warning === undefined ? [] : [`${name}: ${warning}`]),
          ...[`The end of ${name}'s log, ${log}:`, ...lastLines(text)],
        ];
      }),
    );
    return new AgentError(`the cluster does not come up (${states})`, [
      ...logs.flat(),
      'If the data are of no value, have everything made anew with --reset.',
    ]);
  }

  #summary(): string {
    const leader = this.#nodes.find(({ agent }) => agent.state.name === 'leading')!;
    const others = this.#nodes.filter((node) => node !== leader).map(({ name }) => name);
    const followers =
      others.length === 0 ? '' : `, and ${others.join(' and ')} follow${others.length === 1 ? 's' : ''}`;
    return `${leader.name} leads${followers}`;
  }

  #describe({ name, postgres, agent }: Node, { sockets }: ReadyGround): DemoNodeInfo {
    return {
      name,
      role: agent.state.name === 'leading' ? 'primary' : 'standby',
      port: postgres.port,
      host: LOOPBACK,
      socketFolder: sockets?.path ?? null,
      log: nodePaths(postgres).log,
      data: postgres.data,
    };
  }
}

/** With one standby commits wait for it while it is there; with more they always wait for one. */
function durabilityOf(standbys: number): Durability {
  if (standbys === 0) return 'asynchronous';
  return standbys === 1 ? 'available' : 'durable';
}
