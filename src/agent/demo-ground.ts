/** What a demo cluster stands on, however its nodes are run: its folder, PostgreSQL's programs, ports and sockets. */
import { AgentError } from './agent-error.js';
import {
  type DemoFolder,
  deleteNodes,
  existingNodes,
  makeSocketFolder,
  nodeName,
  removeSockets,
  type SocketFolder,
  writeState,
} from './demo-folder.js';
import { clearLeftovers } from './leftover-postgres.js';
import { type DataState, inspectData, nodeFolder, requireUsable } from './node-folder.js';
import { choosePorts, portUnusable } from './ports.js';
import { findPostgres, type PostgresBinaries } from './postgres-binaries.js';
import type { Progress } from './progress.js';

/** How often a node tries another port. */
const PORT_ATTEMPTS = 5;

export interface DemoClusterOptions {
  /** null: `.sluice` in the current folder. */
  readonly folder: string | null;
  readonly standbys: number;
  /** null: 5433 and following, or whatever is free. */
  readonly firstPort: number | null;
  /** Ports that the nodes must not take, free as they may be now. */
  readonly avoidPorts: readonly number[];
  /** The folder of PostgreSQL's programs; null: they are searched for. */
  readonly binDirectory: string | null;
  /** Delete existing data first. */
  readonly reset: boolean;
  /** Called once the folder is ours and before anything is made in it; what it throws ends the start. */
  readonly preflight: () => Promise<void>;
  /** Interrupts the start: what was begun is undone. */
  readonly signal: AbortSignal;
  readonly progress: Progress;
  readonly now: Date;
}

export interface DemoNodeInfo {
  readonly name: string;
  readonly role: 'primary' | 'standby';
  readonly port: number;
  /** Always the loopback address. */
  readonly host: string;
  /** Where its unix socket is; null: it listens on TCP alone. */
  readonly socketFolder: string | null;
  readonly log: string;
  /** Its data folder. */
  readonly data: string;
}

export interface DemoCluster {
  readonly folder: string;
  readonly binaries: PostgresBinaries;
  readonly nodes: readonly DemoNodeInfo[];
  /** What the cluster is called in its store, and that store's socket; null: nobody keeps it alive. */
  readonly clusterName: string | null;
  readonly storeSocket: string | null;
  /** Stops standbys, then the primary, and gives the folder back. Never rejects halfway: all nodes are stopped. */
  stop(): Promise<void>;
  /** Makes a stop that is under way immediate. */
  hurry(): void;
}

/** What is ready when the nodes can be started. */
export interface ReadyGround {
  readonly binaries: PostgresBinaries;
  readonly sockets: SocketFolder | null;
  readonly primaryData: DataState;
}

export class DemoGround {
  readonly folder: DemoFolder;
  /** By node, in order; may change until each node runs. */
  ports: number[] = [];
  readonly #options: DemoClusterOptions;
  #sockets: SocketFolder | null = null;

  constructor(options: DemoClusterOptions, folder: DemoFolder) {
    this.#options = options;
    this.folder = folder;
  }

  /** @param requirePrimary whether the first node has to be the primary */
  async prepare(requirePrimary: boolean): Promise<ReadyGround> {
    const { progress, reset, binDirectory, preflight } = this.#options;
    const { path, user, state } = this.folder;
    await preflight();
    for (const node of await existingNodes(path)) await clearLeftovers(node, progress);
    if (state.outsideSocketFolder !== null)
      await removeSockets({ path: state.outsideSocketFolder, outside: true });
    if (reset) await this.#deleteAll();

    const primaryFolder = nodeFolder(path, nodeName(0));
    const found = await inspectData(primaryFolder);
    const primaryData = requirePrimary ? requireUsable(found, primaryFolder, 'primary') : found;
    if (requirePrimary && primaryData.kind !== 'whole') await this.#requireNoCopies();
    progress.begin('looking for PostgreSQL');
    const wantedMajor = await this.#majorOfData();
    const binaries = await findPostgres({ binDirectory, wantedMajor, user, copiesFolder: path });
    const as = user === null ? '' : `, run as user ${user.name}`;
    progress.end(`PostgreSQL ${binaries.version} (${binaries.origin}: ${binaries.binDirectory})${as}`);

    this.ports = [...(await this.#choosePorts())];
    this.#sockets = await makeSocketFolder(path, user);
    await this.#remember();
    return { binaries, sockets: this.#sockets, primaryData };
  }

  /** Ports were found free some time ago. If one isn't any more, and nobody insisted on it, another one does as well. */
  async onFreePort(index: number, start: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await start();
      } catch (error) {
        if (!(error instanceof AgentError) || error.kind !== 'port-busy') throw error;
        if (attempt === PORT_ATTEMPTS) throw portUnusable(this.ports[index]!, 'EADDRINUSE', '--pg-port');
      }
      await this.replacePort(index, 'EADDRINUSE');
    }
  }

  /** Another port for a node that does not run. Throws if the operator insists on this one. */
  async replacePort(index: number, problem: string): Promise<void> {
    const { firstPort, avoidPorts, progress } = this.#options;
    if (firstPort !== null) throw portUnusable(this.ports[index]!, problem, '--pg-port');
    const avoid = [...avoidPorts, ...this.ports];
    const [port] = await choosePorts({ count: 1, first: null, previous: [], avoid });
    progress.note(`port ${this.ports[index]} was taken in the meantime: ${nodeName(index)} gets ${port}`);
    this.ports[index] = port ?? this.ports[index]!;
    await this.#remember();
  }

  /** Gives the folder back. No node runs any more. */
  async leave(): Promise<void> {
    if (this.#sockets !== null) await removeSockets(this.#sockets);
    await this.folder.lock.release();
  }

  async #deleteAll(): Promise<void> {
    this.#options.progress.begin('deleting the data of the last run');
    await deleteNodes(this.folder.path);
    this.#options.progress.end('the data of the last run are deleted');
  }

  /** Any node's will do: all have the same. */
  async #majorOfData(): Promise<number | null> {
    for (const node of await existingNodes(this.folder.path)) {
      const data = await inspectData(node);
      if (data.kind === 'whole') return data.major;
    }
    return null;
  }

  /** The primary's data aren't there: then a standby's may be the only ones, and cloning it would delete them. */
  async #requireNoCopies(): Promise<void> {
    for (const node of await existingNodes(this.folder.path)) {
      if ((await inspectData(node)).kind !== 'whole') continue;
      throw new AgentError(
        `${nodeName(0)}, the primary, has no data, but ${node.name} has: they may be the last copy`,
        [
          `Put the primary's data back; or move ${node.folder} away to begin with an empty database;`,
          'or have everything made anew (the data are deleted!) with --reset.',
        ],
      );
    }
  }

  #choosePorts(): Promise<readonly number[]> {
    const { standbys, firstPort, avoidPorts } = this.#options;
    const previous = this.folder.state.ports;
    return choosePorts({ count: standbys + 1, first: firstPort, previous, avoid: avoidPorts });
  }

  async #remember(): Promise<void> {
    const outsideSocketFolder = this.#sockets?.outside ? this.#sockets.path : null;
    await writeState(this.folder.path, { ...this.folder.state, ports: this.ports, outsideSocketFolder });
  }
}
