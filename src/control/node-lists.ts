/** Who says which nodes a database has, where its entry doesn't: the store of a cluster, and sources that `nodes_from` names. */
import type { SluiceConfig } from '../config/load.js';
import type { Report, ServerAddress } from '../core/io.js';
import type { ReactorHandle } from '../reactor/start.js';
import type { ClusterStatus } from './cluster/cluster-watch.js';
import { Following } from './cluster/following.js';
import { Discoveries } from './discovery/discoveries.js';
import type { DiscoveryStatus } from './discovery/discovery.js';

export class NodeLists {
  #following: Following | null = null;
  #discoveries: Discoveries | null = null;

  /** What the store of the cluster says of who leads; null: no database belongs to one. */
  get cluster(): ClusterStatus | null {
    return this.#following?.status ?? null;
  }

  get sources(): readonly DiscoveryStatus[] {
    return this.#discoveries?.status ?? [];
  }

  /** From now on this reactor is told what is known. */
  serve(reactor: Pick<ReactorHandle, 'hear' | 'find'>, report: (report: Report) => void): void {
    this.#following = new Following({ tell: (news, heardAt) => reactor.hear(news, heardAt), report });
    this.#discoveries = new Discoveries({ tell: (found) => reactor.find(found), report });
  }

  configure(config: SluiceConfig): void {
    this.#following?.configure(config);
    this.#discoveries?.configure(config);
  }

  close(): void {
    this.#following?.close();
    this.#discoveries?.close();
  }

  /** The servers of a cluster, or of a source, by its name: the one that is said to lead first. */
  addressesOf(name: string): readonly ServerAddress[] {
    const news = this.cluster?.news;
    if (news?.cluster === name) return leaderFirst(news.nodes, news.epoch?.leader);
    const found = this.#discoveries?.find(name);
    return found === undefined ? [] : leaderFirst(found.nodes, found.word?.leader);
  }
}

interface Node {
  readonly name: string;
  readonly address: ServerAddress;
}

function leaderFirst(nodes: readonly Node[], leader: string | undefined): readonly ServerAddress[] {
  const first = nodes.filter(({ name }) => name === leader);
  return [...first, ...nodes.filter(({ name }) => name !== leader)].map(({ address }) => address);
}
