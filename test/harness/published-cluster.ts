/** A cluster's store in which a test says who leads, in place of agents. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Control, Epoch } from '../../src/cluster/records.js';
import type { StateName } from '../../src/cluster/states.js';
import type { Holding } from '../../src/cluster/store-view.js';
import { EmbeddedServer } from '../../src/stores/embedded/embedded-server.js';
import { openStore } from '../../src/stores/open-store.js';
import type { Store } from '../../src/stores/store.js';
import type { PostgresServer } from './postgres-server.js';
import { scratchFolder } from './scratch.js';

const NAME = 'main';
/** Longer than any test, unless it is about that. */
const LEASE_MS = 60_000;

export class PublishedCluster {
  readonly socketPath: string;
  readonly store: Store;
  readonly #server: EmbeddedServer;
  readonly #leaseMs: number;
  #holding: Holding | null = null;
  #epochVersion = 0;

  private constructor(server: EmbeddedServer, socketPath: string, leaseMs: number) {
    this.#server = server;
    this.#leaseMs = leaseMs;
    this.socketPath = socketPath;
    this.store = openStore({ name: NAME, leaseMs: LEASE_MS, store: { kind: 'embedded', socketPath } });
  }

  static async start(leaseMs = LEASE_MS): Promise<PublishedCluster> {
    const folder = scratchFolder('store');
    const socketPath = join(folder, 'store.sock');
    const journalPath = join(folder, 'journal');
    const clock = () => performance.now();
    const server = await EmbeddedServer.start({ socketPath, journalPath, clock, say: () => {} });
    return new PublishedCluster(server, socketPath, leaseMs);
  }

  /** A gateway's configuration file: these databases belong to the cluster. */
  configuration(...databases: readonly string[]): string {
    const path = join(scratchFolder('gateway'), 'sluice.yaml');
    const entries = databases.map((name) => `  ${name}: { cluster: ${NAME}, dbname: app }`);
    const lease = Math.min(this.#leaseMs, LEASE_MS);
    const section = `cluster:\n  name: ${NAME}\n  lease: ${lease}ms\n  store: { embedded: ${this.socketPath} }`;
    writeFileSync(path, `${section}\ndatabases:\n${entries.join('\n')}\n`);
    return path;
  }

  /** Registers a node, as its agent would in this state. */
  async register(name: string, server: PostgresServer, state: StateName): Promise<void> {
    const member = {
      contact: { host: server.host, port: server.port, api: null },
      ...{ holder: `${name}/1`, state, priority: 1, systemIdentifier: null, mayBegin: false, vote: null },
    };
    await this.store.register(name, JSON.stringify(member));
  }

  /** A new term begins, led by this node. */
  async lead(name: string, server: PostgresServer, state: StateName = 'leading'): Promise<number> {
    await this.vacate();
    const { term: last } = await this.store.read();
    this.#holding = await this.store.acquire(`${name}/1`, last);
    const term = this.#holding!.term;
    await this.register(name, server, state);
    const [found] = await server.query(`SELECT system_identifier, ('x' || left(pg_walfile_name(
      pg_current_wal_insert_lsn()), 8))::bit(32)::int AS timeline FROM pg_control_system()`);
    const history = [{ timeline: Number(found!.timeline), term, from: 0 }];
    const rule = { term, primary: name, standbys: [], quorum: 0, mayLose: true, history };
    const systemIdentifier = String(found!.system_identifier);
    const epoch: Epoch = { term, primary: name, systemIdentifier, history, rule };
    const version = this.#epochVersion;
    this.#epochVersion = (await this.store.publish('epoch', JSON.stringify(epoch), { version }))!;
    return term;
  }

  /** The leader gives its lease back. */
  async vacate(): Promise<void> {
    if (this.#holding !== null) await this.store.release(this.#holding);
    this.#holding = null;
  }

  async control(control: Control): Promise<void> {
    const version = (await this.store.read()).values.get('control')?.version ?? 0;
    await this.store.publish('control', JSON.stringify(control), { version });
  }

  /** What gateways say of themselves. */
  async gateways(): Promise<{ readonly gateway: string; readonly holds: number }[]> {
    const { members } = await this.store.read();
    return [...members].filter(([name]) => name.startsWith('gateway.')).map(([, text]) => JSON.parse(text));
  }

  /** The store is away from now on. */
  async stop(): Promise<void> {
    await this.#server.close();
    await this.store.close();
  }
}
