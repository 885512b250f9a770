/** Time and network between a gateway's cluster and its model nodes: all from a seed, and all in one thread. */
import { Gateway } from '../../src/core/gateway.js';
import type { ConnectionId, Io, Report, ServerAddress } from '../../src/core/io.js';
import type { PoolLimits } from '../../src/core/pool/pool-limits.js';
import type { Cluster } from '../../src/core/route/cluster.js';
import { Clusters } from '../../src/core/route/clusters.js';
import type { ClusterNews } from '../../src/core/route/epoch.js';
import type { DatabaseSettings, GatewaySettings, UserSettings } from '../../src/core/settings.js';
import { HEADER_BYTES, readInt32 } from '../../src/wire/framing.js';
import type { Random } from '../random.js';
import type { ModelNode, NodeAnswer } from './model-node.js';

interface Session {
  readonly id: ConnectionId;
  readonly node: ModelNode;
  /** What has come and is no whole message yet. */
  unread: Buffer;
  isGreeted: boolean;
  isOpen: boolean;
  /** What is on its way, in order. */
  readonly toNode: (() => void)[];
  readonly toGateway: (() => void)[];
}

interface Due {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

const MEMORY_BYTES = 1 << 16;
const DELAY_MS_MIN = 0.02;
const DELAY_MS_MAX = 0.3;

export class NodeWorld {
  time = 1000;
  readonly nodes: readonly ModelNode[];
  readonly reports: Report[] = [];
  readonly cluster: Cluster;
  /** Nodes to and from which nothing gets through. */
  readonly frozen = new Set<ModelNode>();
  readonly changes: (string | null)[] = [];
  /** When server connections were to be cut, in ms. */
  readonly cuts: number[] = [];
  private readonly random: Random;
  private readonly gateway: Gateway;
  private readonly clusters: Clusters;
  private readonly sessions = new Map<ConnectionId, Session>();
  private readonly memory = new Uint8Array(MEMORY_BYTES);
  private due: Due[] = [];
  private lastId = 0;
  private order = 0;

  constructor(
    random: Random,
    nodes: readonly ModelNode[],
    settings: GatewaySettings,
    join: (clusters: Clusters, gateway: Gateway) => Cluster,
  ) {
    this.random = random;
    this.nodes = nodes;
    this.gateway = new Gateway(this.io(), settings);
    const { context, hosts } = this.gateway;
    this.clusters = new Clusters(context, this.gateway, hosts, {
      primaryChanged: ({ primary }) => this.changes.push(primary?.settings.name ?? null),
      primaryDeposed: () => this.cuts.push(this.time),
      holdChanged: () => {},
      standbyLost: () => {},
      standbysChanged: () => {},
      refused: () => {},
    });
    this.cluster = join(this.clusters, this.gateway);
  }

  /** A pool of another user has come. */
  join(entry: DatabaseSettings, user: UserSettings, limits: PoolLimits): void {
    this.clusters.join(entry, { identity: { database: this.cluster.database, user }, limits });
  }

  /** The store of the nodes' cluster is read. */
  hear(news: ClusterNews, ageMs = 0): void {
    this.clusters.heard(news, ageMs);
  }

  after(ms: number, run: () => void): void {
    this.due.push({ at: this.time + ms, order: ++this.order, run });
  }

  /** Lets so many ms pass. */
  pass(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const wakeAt = this.clusters.turn(this.time);
      this.due.sort((a, b) => a.at - b.at || a.order - b.order);
      const at = Math.min(this.due[0]?.at ?? Number.POSITIVE_INFINITY, Math.max(wakeAt, this.time));
      if (at > end) break;
      // Not one and the same moment for ever.
      this.time = Math.max(at, this.time + 1e-6);
      while (this.due.length > 0 && this.due[0]!.at <= this.time) this.due.shift()!.run();
    }
    this.time = end;
  }

  /** Lets time pass without the gateway's having any of it, as while its process is stopped. */
  stall(ms: number): void {
    this.time += ms;
  }

  /** Ends all of a node's connections; the node itself may go on. */
  cut(node: ModelNode): void {
    for (const session of this.sessions.values()) if (session.node === node) this.close(session, 'reset');
  }

  crash(node: ModelNode): void {
    node.isRunning = false;
    this.cut(node);
  }

  restart(node: ModelNode): void {
    node.isRunning = true;
    node.startedAt = this.time;
  }

  private delay(): number {
    return DELAY_MS_MIN + this.random.fraction() * (DELAY_MS_MAX - DELAY_MS_MIN);
  }

  /** Later, and in the order of the calls; what is frozen waits. */
  private deliver(session: Session, way: 'toNode' | 'toGateway', ms: number, run: () => void): void {
    session[way].push(run);
    const next = (): void => {
      if (!session.isOpen) return;
      if (this.frozen.has(session.node)) this.after(1, next);
      else session[way].shift()?.();
    };
    this.after(ms, next);
  }

  private io(): Io {
    const nothing = (): void => {};
    return {
      memory: this.memory,
      now: () => this.time,
      randomBytes: (length) => this.random.bytes(length),
      send: (connection, bytes, start, end) => this.send(connection, bytes.slice(start, end)),
      connect: (address) => this.connect(address),
      finish: (connection) => this.hangUp(connection),
      reset: (connection) => this.hangUp(connection),
      report: (report) => this.reports.push(report),
      peerCredentials: () => null,
      peerAddress: () => 'node',
      localAddress: () => 'gateway',
      pauseReading: nothing,
      resumeReading: nothing,
      startTls: nothing,
      deriveKey: nothing,
      askAuthority: nothing,
      askConsole: nothing,
    };
  }

  private connect(address: ServerAddress): ConnectionId {
    const id = ++this.lastId;
    const host = 'host' in address ? address.host : '';
    const node = this.nodes.find(({ name }) => name === host)!;
    const ways = { toNode: [], toGateway: [] };
    const session: Session = { id, node, unread: Buffer.alloc(0), isGreeted: false, isOpen: true, ...ways };
    this.sessions.set(id, session);
    this.deliver(session, 'toGateway', this.delay(), () => {
      if (node.isRunning) this.gateway.connected(id);
      else this.close(session, 'connection refused');
    });
    return id;
  }

  private close(session: Session, error: string | null): void {
    if (!session.isOpen) return;
    session.isOpen = false;
    this.sessions.delete(session.id);
    this.after(0, () => this.gateway.closed(session.id, error));
  }

  private hangUp(id: ConnectionId): void {
    const session = this.sessions.get(id);
    if (session !== undefined) this.close(session, null);
  }

  private send(id: ConnectionId, bytes: Uint8Array): boolean {
    const session = this.sessions.get(id);
    if (session !== undefined)
      this.deliver(session, 'toNode', this.delay(), () => this.arrived(session, bytes));
    return false;
  }

  private arrived(session: Session, bytes: Uint8Array): void {
    session.unread = Buffer.concat([session.unread, bytes]);
    for (;;) {
      const { unread, node, isGreeted } = session;
      const head = isGreeted ? 1 : 0;
      if (unread.length < head + 4) return;
      const total = head + readInt32(unread, head);
      if (unread.length < total) return;
      session.unread = unread.subarray(total);
      session.isGreeted = true;
      const message = unread.subarray(0, total);
      this.reply(
        session,
        isGreeted ? node.answer(message[0]!, message, HEADER_BYTES, total) : node.greet(message),
      );
    }
  }

  private reply(session: Session, { bytes, ends }: NodeAnswer): void {
    const { id } = session;
    this.deliver(session, 'toGateway', this.delay(), () => {
      this.memory.set(bytes);
      this.gateway.received(id, 0, bytes.length);
      if (ends) this.close(session, null);
    });
  }
}
