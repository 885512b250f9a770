/**
 * The gateway's side of a cluster's store: it reads who leads, tells the reactor, and registers, so that a switchover can wait until
 * every gateway holds new transactions.
 */
import { hostname } from 'node:os';
import { GATEWAY_PREFIX } from '../../cluster/node-facts.js';
import { type ClusterView, understand } from '../../cluster/records.js';
import type { StoreView } from '../../cluster/store-view.js';
import type { ClusterAccess } from '../../config/cluster-access.js';
import type { Report } from '../../core/io.js';
import type { ClusterNews } from '../../core/route/epoch.js';
import type { Store, StoreWatch } from '../../stores/store.js';
import { KnownNodes, newsOf } from './cluster-news.js';

/** Between two registrations. A member is forgotten after a lease. */
const REGISTRATIONS_PER_LEASE = 4;
const NAME_CHARACTERS_MAX = 63;

/** What it has to do with. */
export interface ClusterWatchWorld {
  readonly store: Store;
  /** A monotonic clock, the same in all threads. ms. */
  readonly clock: () => number;
  /** Resolves when the reactor acts by it. @param heardAt by the clock */
  readonly tell: (news: ClusterNews, heardAt: number) => Promise<void>;
  readonly report: (report: Report) => void;
}

/** What is known of the cluster, for people. */
export interface ClusterStatus {
  readonly cluster: string;
  /** Which store, and where. */
  readonly store: string;
  readonly news: ClusterNews | null;
  /** How long ago it was heard. ms; null: never. */
  readonly ageMs: number | null;
  /** Why the store can't be read; null: it can. */
  readonly trouble: string | null;
}

export class ClusterWatch {
  readonly #access: ClusterAccess;
  readonly #world: ClusterWatchWorld;
  readonly #watch: StoreWatch;
  readonly #nodes = new KnownNodes();
  readonly #name = gatewayName();
  readonly #timer: NodeJS.Timeout;
  #news: ClusterNews | null = null;
  #heardAt = 0;
  /** Of which term new transactions wait here; 0: they don't. */
  #holds = 0;
  #trouble: string | null = null;
  #isClosed = false;

  constructor(access: ClusterAccess, world: ClusterWatchWorld) {
    this.#access = access;
    this.#world = world;
    this.#watch = world.store.watch(
      (view) => this.#seen(view),
      ({ message }) => this.#troubled(message),
    );
    this.#timer = setInterval(() => void this.#register(), access.leaseMs / REGISTRATIONS_PER_LEASE);
    this.#timer.unref();
    void this.#register();
  }

  get status(): ClusterStatus {
    const { store, clock } = this.#world;
    return {
      cluster: this.#access.name,
      store: store.description,
      news: this.#news,
      ageMs: this.#news === null ? null : clock() - this.#heardAt,
      trouble: this.#trouble,
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#watch.close();
    const { store } = this.#world;
    // Otherwise a switchover would wait for it until the registration has run out.
    await store.withdraw(this.#name).catch(() => {});
    await store.close();
  }

  #seen(view: StoreView): void {
    const heardAt = this.#world.clock();
    const understood = understand(view);
    if (understood === null) return this.#troubled('what it holds is not understood');
    if (this.#trouble !== null) this.#report('info', 'store', 'the store can be read again');
    this.#trouble = null;
    void this.#follow(understood, heardAt);
  }

  async #follow(view: ClusterView, heardAt: number): Promise<void> {
    const news = newsOf(this.#access, view, this.#nodes.after(view, heardAt));
    this.#tellChange(news);
    this.#news = news;
    this.#heardAt = heardAt;
    await this.#world.tell(news, heardAt);
    // The last word counts, and is the reactor's last, too.
    if (this.#news !== news) return;
    const holds = news.isHeld ? news.term : 0;
    if (holds === this.#holds) return;
    this.#holds = holds;
    await this.#register();
  }

  #tellChange({ term, epoch, isHeld }: ClusterNews): void {
    const last = this.#news;
    if (last !== null && last.term === term && last.epoch?.term === epoch?.term && last.isHeld === isHeld)
      return;
    const who = epoch === null ? 'nobody leads' : `${epoch.leader} leads on timeline ${epoch.timeline}`;
    const how = isHeld ? ', and is not open to new transactions' : '';
    this.#report('info', 'epoch', `term ${term}: ${who}${how}`);
  }

  /** Once for each trouble: a watch tries again and again. */
  #troubled(message: string): void {
    if (this.#trouble === message) return;
    this.#trouble = message;
    this.#report('warn', 'store', `the store can't be read: ${message}`);
  }

  #report(level: Report['level'], event: NonNullable<Report['event']>, message: string): void {
    this.#world.report({
      ...{ level, event },
      message: `cluster ${this.#access.name}: ${message}`,
      facts: { cluster: this.#access.name },
    });
  }

  /** A failure counts for nothing: the next try follows, and the watch tells of a store that is away. */
  async #register(): Promise<void> {
    if (this.#isClosed) return;
    const text = JSON.stringify({ gateway: this.#name.slice(GATEWAY_PREFIX.length), holds: this.#holds });
    await this.#world.store.register(this.#name, text).catch(() => {});
  }
}

/** Of this process alone, as long as the cluster's machines have names of their own. */
function gatewayName(): string {
  const end = `-${process.pid}`;
  const host = hostname().replace(/[^A-Za-z0-9._-]/g, '-');
  return `${GATEWAY_PREFIX}${host.slice(0, NAME_CHARACTERS_MAX - GATEWAY_PREFIX.length - end.length)}${end}`;
}
