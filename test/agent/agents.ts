/** Agents in one process, with a real store and PostgreSQLs that are fakes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { NodeAgent } from '../../src/agent/node-agent.js';
import type { Report } from '../../src/cluster/inputs.js';
import { type ClusterSettings, DEFAULT_TIMING } from '../../src/cluster/settings.js';
import { EmbeddedServer } from '../../src/stores/embedded/embedded-server.js';
import { openStore } from '../../src/stores/open-store.js';
import type { Store } from '../../src/stores/store.js';
import { FakeNetwork, FakePostgres } from './fake-postgres.js';

const clock = () => performance.now();
const LEASE_MS = 2000;
/** Nothing here takes longer, on a busy machine either. ms. */
const LIMIT_MS = 20_000;

/** What agents agree in. */
export interface StoreServer {
  open(leaseMs: number): Store;
  close(): Promise<void>;
}

/** A cluster of agents. */
export class FakeCluster {
  readonly network = new FakeNetwork();
  readonly agents = new Map<string, NodeAgent>();
  readonly reports: (Report & { readonly node: string })[] = [];
  readonly broken: unknown[] = [];
  readonly store: Store;
  readonly #server: StoreServer;
  #lives = 0;

  private constructor(server: StoreServer) {
    this.#server = server;
    this.store = server.open(LEASE_MS);
  }

  /** Around that store; by default an embedded one. */
  static async start(server?: StoreServer): Promise<FakeCluster> {
    return new FakeCluster(server ?? (await startEmbedded()));
  }

  /** The first node begins the cluster. */
  async startAgent(node: string, change: Partial<ClusterSettings> = {}): Promise<NodeAgent> {
    const mayBegin = this.network.nodes.size === 0;
    const postgres =
      this.network.nodes.get(node) ?? new FakePostgres(this.network, node, mayBegin ? 'whole' : 'none');
    const agent = await NodeAgent.start({
      settings: {
        ...{ node, priority: 1, mayBegin, replicateFrom: null, durability: 'durable', quorum: 1 },
        contact: { host: '127.0.0.1', port: 5432, api: null },
        timing: {
          ...DEFAULT_TIMING,
          leaseMs: LEASE_MS,
          renewMs: 400,
          registerMs: 600,
          retryMs: 100,
          fenceMs: 200,
          // On a busy machine others take longer to answer than the last primary to come back.
          graceMs: 2000,
        },
        ...change,
      },
      life: `${++this.#lives}`,
      store: this.#server.open(LEASE_MS),
      answerMs: 800,
      clock,
      logger: pino({ level: 'silent' }),
      openPostgres: async (world) => postgres.open(world),
      onReport: (report) => this.reports.push({ ...report, node }),
      onStoreTrouble: () => {},
      onLate: () => {},
      onBroken: (error) => this.broken.push(error),
    });
    this.agents.set(node, agent);
    return agent;
  }

  postgres(node: string): FakePostgres {
    return this.network.nodes.get(node) as FakePostgres;
  }

  /** Resolves when one leads with the others behind it, and returns its name. */
  async settled(): Promise<string> {
    const isSettled = () => {
      const states = [...this.agents.values()].map(({ state }) => state.name);
      const leading = states.filter((state) => state === 'leading').length;
      return leading === 1 && states.filter((state) => state === 'following').length === states.length - 1;
    };
    await this.until(isSettled, 'one leads, and the others follow');
    return [...this.agents].find(([, { state }]) => state.name === 'leading')![0];
  }

  /** Resolves when it is so after a step of any agent. */
  async until(condition: () => boolean, what: string): Promise<void> {
    const waits = [...this.agents.values()].map((agent) => agent.until(condition, LIMIT_MS));
    if (await Promise.race(waits)) return;
    const states = [...this.agents].map(([name, { state }]) => `${name} ${state.name}`);
    throw new Error(`not within ${LIMIT_MS} ms: ${what} (${states.join(', ')})`);
  }

  async close(): Promise<void> {
    for (const agent of this.agents.values()) await agent.end('immediate', 100);
    await this.store.close();
    await this.#server.close();
  }
}

async function startEmbedded(): Promise<StoreServer> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-agents-'));
  const socketPath = join(folder, 'store.sock');
  const server = await EmbeddedServer.start({
    ...{ socketPath, clock, journalPath: join(folder, 'store') },
    say: () => {},
  });
  return {
    open: (leaseMs) => openStore({ name: 'main', leaseMs, store: { kind: 'embedded', socketPath } }, clock),
    async close() {
      await server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
