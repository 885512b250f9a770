/** Which cluster a gateway follows, by its configuration: none as long as no database names one. */
import type { ClusterAccess } from '../../config/cluster-access.js';
import type { SluiceConfig } from '../../config/load.js';
import { sharedClock } from '../../reactor/shared-clock.js';
import { openStore } from '../../stores/open-store.js';
import { type ClusterStatus, ClusterWatch, type ClusterWatchWorld } from './cluster-watch.js';

export class Following {
  readonly #world: Pick<ClusterWatchWorld, 'tell' | 'report'>;
  #watch: ClusterWatch | null = null;
  /** Of what is watched. */
  #access: ClusterAccess | null = null;

  constructor(world: Pick<ClusterWatchWorld, 'tell' | 'report'>) {
    // A reactor that has ended acts by nothing any more.
    const tell: ClusterWatchWorld['tell'] = (news, heardAt) => world.tell(news, heardAt).catch(() => {});
    this.#world = { ...world, tell };
  }

  get status(): ClusterStatus | null {
    return this.#watch?.status ?? null;
  }

  /** Begins, goes on or ends, as the configuration wants it. */
  configure({ cluster, values }: Pick<SluiceConfig, 'cluster' | 'values'>): void {
    const isWanted = Object.values(values.databases).some((database) => database.cluster !== undefined);
    const wanted = isWanted ? cluster : null;
    if (JSON.stringify(wanted) === JSON.stringify(this.#access)) return;
    this.close();
    this.#access = wanted;
    if (wanted === null) return;
    const store = openStore(wanted, sharedClock);
    this.#watch = new ClusterWatch(wanted, { ...this.#world, store, clock: sharedClock });
  }

  close(): void {
    void this.#watch?.close();
    this.#watch = null;
    this.#access = null;
  }
}
