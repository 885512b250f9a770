/**
 * A primary and its streaming standbys on this machine, without agents: where those can't run. The first node is the primary,
 * and stays it.
 */
import { explainFileError } from './agent-error.js';
import { initialise, type ServerSettings, SUPERUSER } from './data-directory.js';
import { existingNodes, nodeName, openDemoFolder, type SocketFolder } from './demo-folder.js';
import { type DemoCluster, type DemoClusterOptions, DemoGround, type DemoNodeInfo } from './demo-ground.js';
import { DemoNode, type NodeSurroundings } from './demo-node.js';
import { startStandby } from './demo-standby.js';
import { type DataState, nodeFolder } from './node-folder.js';
import { LOOPBACK } from './ports.js';
import { dropSlots, withConnection } from './replication.js';

/**
 * Starts the cluster, making what is missing of it. When this rejects, for whatever reason, nothing of it runs, and
 * the folder is unlocked.
 */
export async function startDemoCluster(options: DemoClusterOptions): Promise<DemoCluster> {
  options.signal.throwIfAborted();
  const folder = await openDemoFolder(options.folder, options.now);
  if (folder.remark !== null) options.progress.note(folder.remark);
  const start = new ClusterStart(options, new DemoGround(options, folder));
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
  readonly #ground: DemoGround;
  #sockets: SocketFolder | null = null;
  #nodes: readonly DemoNode[] = [];

  constructor(options: DemoClusterOptions, ground: DemoGround) {
    this.#options = options;
    this.#ground = ground;
  }

  async run(): Promise<DemoCluster> {
    const { progress, signal, standbys } = this.#options;
    const { path, user } = this.#ground.folder;
    const { binaries, sockets, primaryData } = await this.#ground.prepare(true);
    this.#sockets = sockets;
    const surroundings: NodeSurroundings = { binaries, user, signal, progress };
    this.#nodes = this.#ground.ports.map(
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
      ...{ clusterName: null, storeSocket: null },
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
    await this.#ground.leave();
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  #onFreePort(node: DemoNode, start: () => Promise<void>): Promise<void> {
    const index = this.#nodes.indexOf(node);
    return this.#ground.onFreePort(index, () => {
      node.port = this.#ground.ports[index]!;
      return start();
    });
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
      data: node.folder.data,
    };
  }
}
