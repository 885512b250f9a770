/** A primary and its streaming standbys on this machine, for trying out: made, started, and stopped as one. */
import { AgentError, explainFileError } from './agent-error.js';
import { initialise, type ServerSettings, SUPERUSER } from './data-directory.js';
import {
  type DemoFolder,
  deleteNodes,
  existingNodes,
  makeSocketFolder,
  nodeName,
  openDemoFolder,
  removeSockets,
  type SocketFolder,
  writeState,
} from './demo-folder.js';
import { DemoNode, type NodeSurroundings } from './demo-node.js';
import { startStandby } from './demo-standby.js';
import { clearLeftovers } from './leftover-postgres.js';
import { type DataState, inspectData, nodeFolder, requireUsable } from './node-folder.js';
import { choosePorts, LOOPBACK, portUnusable } from './ports.js';
import { findPostgres, type PostgresBinaries } from './postgres-binaries.js';
import type { Progress } from './progress.js';
import { dropSlots, withConnection } from './replication.js';

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
}

export interface DemoCluster {
  readonly folder: string;
  readonly binaries: PostgresBinaries;
  readonly nodes: readonly DemoNodeInfo[];
  /** Stops standbys, then the primary, and gives the folder back. Never rejects halfway: all nodes are stopped. */
  stop(): Promise<void>;
  /** Makes a stop that is under way immediate. */
  hurry(): void;
}

/**
 * Starts the cluster, making what is missing of it. When this rejects, for whatever reason, nothing of it runs, and
 * the folder is unlocked.
 */
export async function startDemoCluster(options: DemoClusterOptions): Promise<DemoCluster> {
  options.signal.throwIfAborted();
  const folder = await openDemoFolder(options.folder, options.now);
  if (folder.remark !== null) options.progress.note(folder.remark);
  const start = new ClusterStart(options, folder);
  try {
    return await start.run();
  } catch (error) {
    await start.stop();
    throw explainFileError(error, folder.path);
  }
}

/** The start of a cluster, step by step, and what there is to undo. */
class ClusterStart {
  readonly #options: DemoClusterOptions;
  readonly #folder: DemoFolder;
  #sockets: SocketFolder | null = null;
  #nodes: readonly DemoNode[] = [];

  constructor(options: DemoClusterOptions, folder: DemoFolder) {
    this.#options = options;
    this.#folder = folder;
  }

  async run(): Promise<DemoCluster> {
    const { progress, signal, standbys, reset, binDirectory, preflight } = this.#options;
    const { path, user, state } = this.#folder;
    await preflight();
    for (const node of await existingNodes(path)) await clearLeftovers(node, progress);
    if (state.outsideSocketFolder !== null)
      await removeSockets({ path: state.outsideSocketFolder, outside: true });
    if (reset) await this.#deleteAll();

    const primaryFolder = nodeFolder(path, nodeName(0));
    const primaryData = requireUsable(await inspectData(primaryFolder), primaryFolder, 'primary');
    if (primaryData.kind !== 'whole') await this.#requireNoCopies();
    progress.begin('looking for PostgreSQL');
    const binaries = await findPostgres({
      binDirectory,
      wantedMajor: primaryData.kind === 'whole' ? primaryData.major : null,
      user,
      copiesFolder: path,
    });
    const as = user === null ? '' : `, run as user ${user.name}`;
    progress.end(`PostgreSQL ${binaries.version} (${binaries.origin}: ${binaries.binDirectory})${as}`);

    const ports = await this.#choosePorts();
    this.#sockets = await makeSocketFolder(path, user);
    await this.#remember(ports);

    const surroundings: NodeSurroundings = { binaries, user, signal, progress };
    this.#nodes = ports.map(
      (port, index) => new DemoNode(nodeFolder(path, nodeName(index)), port, surroundings),
    );
    const [primary, ...followers] = this.#nodes;
    if (primary === undefined) throw new RangeError(`a cluster of ${standbys} standbys has no primary`);

    await this.#startPrimary(primary, primaryData, surroundings);
    for (const node of followers) {
      const settings = () => this.#settings(node, primary);
      await this.#onFreePort(node, () => startStandby({ ...surroundings, node, primary, settings }));
    }
    const absent = (await existingNodes(path)).filter(
      ({ name }) => !this.#nodes.some((node) => node.name === name),
    );
    await withConnection(primary.port, (client) =>
      dropSlots(
        client,
        absent.map(({ name }) => name),
      ),
    );
    for (const node of this.#nodes) node.keepRunning();
    return {
      folder: path,
      binaries,
      nodes: this.#nodes.map((node, index) => this.#describe(node, index)),
      stop: () => this.stop(),
      hurry: () => {
        for (const node of this.#nodes) node.hurry();
      },
    };
  }

  /** Standbys first, so that the primary doesn't wait for them. Everything is tried; the first failure is thrown. */
  async stop(): Promise<void> {
    const [primary, ...followers] = this.#nodes;
    const results = await Promise.allSettled(followers.map((node) => node.stop()));
    results.push(...(await Promise.allSettled([primary?.stop()])));
    if (this.#sockets !== null) await removeSockets(this.#sockets);
    await this.#folder.lock.release();
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  async #deleteAll(): Promise<void> {
    this.#options.progress.begin('deleting the data of the last run');
    await deleteNodes(this.#folder.path);
    this.#options.progress.end('the data of the last run are deleted');
  }

  /** The primary's data aren't there: then a standby's may be the only ones, and cloning it would delete them. */
  async #requireNoCopies(): Promise<void> {
    for (const node of await existingNodes(this.#folder.path)) {
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
    return choosePorts({
      count: standbys + 1,
      first: firstPort,
      previous: this.#folder.state.ports,
      avoid: avoidPorts,
    });
  }

  /** Ports were found free some time ago. If one isn't any more, and nobody insisted on it, another one does as well. */
  async #onFreePort(node: DemoNode, start: () => Promise<void>): Promise<void> {
    const { firstPort, avoidPorts, progress } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        return await start();
      } catch (error) {
        if (!(error instanceof AgentError) || error.kind !== 'port-busy') throw error;
        if (firstPort !== null || attempt === PORT_ATTEMPTS)
          throw portUnusable(node.port, 'EADDRINUSE', '--pg-port');
      }
      const avoid = [...avoidPorts, ...this.#nodes.map(({ port }) => port)];
      const [port] = await choosePorts({ count: 1, first: null, previous: [], avoid });
      progress.note(`port ${node.port} was taken in the meantime: ${node.name} gets ${port}`);
      node.port = port ?? node.port;
      await this.#remember(this.#nodes.map((each) => each.port));
    }
  }

  async #remember(ports: readonly number[]): Promise<void> {
    const outsideSocketFolder = this.#sockets?.outside ? this.#sockets.path : null;
    await writeState(this.#folder.path, { ...this.#folder.state, ports, outsideSocketFolder });
  }

  async #startPrimary(node: DemoNode, data: DataState, surroundings: NodeSurroundings): Promise<void> {
    const { progress, signal } = this.#options;
    const { binaries, user } = surroundings;
    if (data.kind !== 'whole') {
      if (data.kind === 'unfinished')
        progress.note(`creating ${node.name} was interrupted last time: it is made anew`);
      progress.begin(`creating ${node.name}, the primary`);
      await initialise(node.folder, binaries, user, signal);
    }
    progress.begin(`starting ${node.name}, the primary`);
    await this.#onFreePort(node, () => node.start(this.#settings(node)));
    progress.end(`${node.name}, the primary, accepts connections on port ${node.port}`);
  }

  #settings(node: DemoNode, primary?: DemoNode): ServerSettings {
    const following = {
      primary_conninfo: `host=${LOOPBACK} port=${primary?.port} user=${SUPERUSER} application_name=${node.name} sslmode=disable`,
      primary_slot_name: node.name,
    };
    return {
      cluster_name: node.name,
      listen_addresses: LOOPBACK,
      port: node.port,
      unix_socket_directories: this.#sockets?.path ?? '',
      max_connections: 100,
      shared_buffers: '32MB',
      wal_level: 'replica',
      wal_log_hints: true,
      max_wal_senders: 10,
      max_replication_slots: 10,
      // A standby that is away for long is cloned anew rather than allowed to fill the disk.
      max_slot_wal_keep_size: '1GB',
      hot_standby: true,
      wal_retrieve_retry_interval: '1s',
      log_destination: 'stderr',
      logging_collector: false,
      log_line_prefix: '%m [%p] %q%u@%d ',
      ...(primary === undefined ? {} : following),
    };
  }

  #describe(node: DemoNode, index: number): DemoNodeInfo {
    return {
      name: node.name,
      role: index === 0 ? 'primary' : 'standby',
      port: node.port,
      host: LOOPBACK,
      socketFolder: this.#sockets?.path ?? null,
      log: node.folder.log,
    };
  }
}
