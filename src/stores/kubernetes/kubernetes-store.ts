/**
 * The Kubernetes API as a store: Leases, changed by compare-and-swap on their resourceVersion.
 *
 * - Nobody there measures time. Who finds that the leader's Lease hasn't been renewed for as long as it lasts, by its own clock,
 *   writes into it that it is vacant, and only then shows nobody as leader: from that write on the old holder's renewals,
 *   those that are under way too, find another resourceVersion and fail. One that may not write (a gateway) shows
 *   the leader until somebody else has done it.
 * - The values lie in the leader's Lease itself, so that holding it and publishing are one compare-and-swap.
 * - A Lease that is deleted takes the term along. Who has known it goes on with nothing (`protocol`) until it is restarted; and
 *   a new one is held by nobody for as long as the old leader may act.
 * - Revisions are resourceVersions, as numbers: since Kubernetes 1.35 the API promises that they can be compared (KEP-5504), and
 *   servers did before.
 */
import type { Holding, Leader, StoreView } from '../../cluster/store-view.js';
import {
  checkEntry,
  type PublishCondition,
  renewalLimit,
  type Store,
  StoreError,
  type StoreSettings,
  type StoreWatch,
} from '../store.js';
import { ViewWatch } from '../view-watch.js';
import {
  CLUSTER_LABEL,
  type ClusterChange,
  type ClusterLease,
  changedCluster,
  type MemberLease,
  memberLease,
  memberLeaseName,
  newClusterLease,
  readCluster,
  readMember,
} from './cluster-leases.js';
import { KubernetesApi } from './kubernetes-api.js';
import { checked, type KubernetesSettings } from './kubernetes-settings.js';
import { LEASE, type LeaseObject, WATCH_EVENT } from './lease-object.js';
import { Expiry, ObservedLeases } from './observed-leases.js';

/** How often a change is tried again that others were faster than. */
const RACES_MAX = 8;

/** What a view was made of, by the Leases' names. */
type Shown = Map<string, string>;

/** A {@link Store} in Leases of a namespace. */
export class KubernetesStore implements Store {
  readonly description: string;
  readonly #kubernetes: KubernetesSettings;
  readonly #settings: StoreSettings;
  readonly #api: KubernetesApi;
  readonly #observed: ObservedLeases;
  /** The leader's Lease as it was seen last: a guess that spares a read, and is never believed when it says no. */
  #guess: ClusterLease | null = null;
  /** The highest term that was seen. -1: there was no Lease yet. */
  #knownTerm = -1;

  constructor(kubernetes: KubernetesSettings, settings: StoreSettings) {
    this.#kubernetes = checked(kubernetes);
    this.#settings = settings;
    const { namespace, name } = kubernetes;
    const selector = `${CLUSTER_LABEL}=${name}`;
    this.#api = new KubernetesApi(kubernetes, selector, settings.requestMs, settings.clock);
    this.#observed = new ObservedLeases(settings.clock);
    this.description = `${this.#api.description} (Lease ${namespace}/${name})`;
  }

  async read(): Promise<StoreView> {
    return (await this.#read()).view;
  }

  async acquire(holder: string, afterTerm: number): Promise<Holding | null> {
    const term = afterTerm + 1;
    let since = 0;
    const taken = await this.#change((lease) => {
      const isFree = lease.leader === null || this.#hasRunOut(lease);
      if (lease.term !== afterTerm || !isFree) return null;
      since = this.#settings.clock();
      const { leaseMs } = this.#settings;
      return { holder, term, leaseMs, beat: lease.beat + 1, isElection: true };
    });
    if (taken === 'missing' && afterTerm === 0) {
      await this.#api.create(newClusterLease(this.#kubernetes, this.#settings.leaseMs));
    }
    return taken === null || taken === 'missing' ? null : { holder, term, since, lease: leaseName(taken) };
  }

  async renew(holding: Holding): Promise<Holding | null> {
    let since = 0;
    const kept = await this.#change((lease) => {
      if (!leads(lease, holding)) return null;
      since = this.#settings.clock();
      return { beat: lease.beat + 1 };
    }, renewalLimit(this.#settings));
    return kept === null || kept === 'missing' ? null : { ...holding, since };
  }

  async release(leader: Leader): Promise<void> {
    await this.#change((lease) => (leads(lease, leader) ? { holder: '' } : null));
  }

  async publish(name: string, text: string, condition: PublishCondition): Promise<number | null> {
    checkEntry(name, text);
    const { leader, version } = condition;
    const published = await this.#change((lease) => {
      if (leader !== undefined && !leads(lease, leader)) return null;
      if ((lease.values[name]?.version ?? 0) !== version) return null;
      const lastVersion = lease.lastVersion + 1;
      return { lastVersion, values: { ...lease.values, [name]: { text, version: lastVersion } } };
    });
    if (published !== 'missing') return published === null ? null : published.lastVersion;
    if (leader !== undefined || version !== 0) return null;
    const first = newClusterLease(this.#kubernetes, this.#settings.leaseMs, { [name]: { text, version: 1 } });
    return (await this.#api.create(first)) === null ? null : 1;
  }

  async register(member: string, text: string): Promise<void> {
    checkEntry(member, text);
    const lease = memberLease(this.#kubernetes, member, text, this.#settings.memberMs);
    const name = memberLeaseName(this.#kubernetes.name, member);
    for (let race = 0; race < RACES_MAX; race++) {
      if ((await this.#api.merge(name, lease)) !== null) return;
      if ((await this.#api.create(lease)) !== null) return;
    }
    throw this.#lost();
  }

  async withdraw(member: string): Promise<void> {
    await this.#api.remove(memberLeaseName(this.#kubernetes.name, member), null);
  }

  watch(onView: (view: StoreView) => void, onTrouble: (error: StoreError) => void): StoreWatch {
    const { refreshMs } = this.#settings;
    let shown: Shown = new Map();
    const read = async () => {
      const seen = await this.#read();
      shown = seen.shown;
      return seen.view;
    };
    const changeAfter = async (revision: number, signal: AbortSignal) => {
      const expiry = new Expiry(this.#observed);
      const until = AbortSignal.any([signal, expiry.signal]);
      try {
        await this.#api.watch(`${revision}`, (event) => this.#isChange(event, shown), 2 * refreshMs, until);
      } catch (error) {
        if (!expiry.signal.aborted) throw error;
      } finally {
        expiry.stop();
      }
    };
    return new ViewWatch({ read, changeAfter, refreshMs }, onView, onTrouble);
  }

  async close(): Promise<void> {
    this.#api.close();
  }

  async #read(): Promise<{ view: StoreView; shown: Shown }> {
    for (let race = 0; ; race++) {
      const { resourceVersion, items } = await this.#api.list();
      const revision = revisionOf(resourceVersion);
      this.#observed.keepOnly(new Set(items.map(({ metadata }) => metadata.name)));
      const own = items.find(({ metadata }) => metadata.name === this.#kubernetes.name);
      const cluster = own === undefined ? this.#missing(revision) : this.#see(own);
      const isOver = cluster !== null && this.#hasRunOut(cluster);
      // Vacant is what is written down, and shown when it was read.
      if (!isOver || race >= RACES_MAX || !(await this.#vacate(cluster))) {
        return this.#view(revision, cluster, items);
      }
    }
  }

  /** Makes a change of the leader's Lease, as it is; null: it is none to make. */
  async #change(
    changeOf: (lease: ClusterLease) => ClusterChange | null,
    limitMs?: number,
  ): Promise<ClusterLease | null | 'missing'> {
    let isGuess = this.#guess !== null;
    for (let race = 0; race < RACES_MAX; race++) {
      const lease = isGuess ? this.#guess : await this.#get(limitMs);
      const change = lease === null ? null : changeOf(lease);
      if (lease !== null && change !== null) {
        const changed = await this.#api.replace(changedCluster(lease, change), limitMs);
        if (changed !== null) return this.#see(changed);
      } else if (!isGuess) {
        return lease === null ? 'missing' : null;
      }
      isGuess = false;
    }
    throw this.#lost();
  }

  async #get(limitMs?: number): Promise<ClusterLease | null> {
    const object = await this.#api.get(this.#kubernetes.name, limitMs);
    return object === null ? this.#missing(Number.POSITIVE_INFINITY) : this.#see(object);
  }

  /** Whether the record has changed: by us, or by somebody else. */
  async #vacate(lease: ClusterLease): Promise<boolean> {
    try {
      await this.#api.replace(changedCluster(lease, { holder: '' }));
      return true;
    } catch (error) {
      if ((error as StoreError).kind === 'denied') return false;
      throw error;
    }
  }

  /** There is none, or there was none yet at that revision. */
  #missing(revision: number): null {
    if (this.#knownTerm >= 0 && revision >= this.#newest) {
      this.#guess = null;
      throw this.#broken('was deleted');
    }
    return null;
  }

  /** Takes notice of the leader's Lease. What is older than what is known, an answer that was overtaken, tells nothing. */
  #see(object: LeaseObject): ClusterLease {
    const lease = readCluster(object);
    if (revisionOf(object.metadata.resourceVersion) < this.#newest) return lease;
    if (lease.term < this.#knownTerm) throw this.#broken(`has gone back to term ${lease.term}`);
    this.#knownTerm = lease.term;
    this.#guess = lease;
    const { name } = object.metadata;
    if (lease.leader === null) this.#observed.forget(name);
    else this.#observed.see(name, signOf(lease), lease.leaseMs);
    return lease;
  }

  get #newest(): number {
    return this.#guess === null ? 0 : revisionOf(this.#guess.object.metadata.resourceVersion);
  }

  #hasRunOut(lease: ClusterLease): boolean {
    return lease.leader !== null && this.#observed.hasRunOut(this.#kubernetes.name, signOf(lease));
  }

  #view(revision: number, cluster: ClusterLease | null, items: readonly LeaseObject[]) {
    const present = new Map<string, string>();
    const shown = new Map<string, string>();
    if (cluster !== null) shown.set(this.#kubernetes.name, whatShows(cluster));
    for (const object of items) {
      const member = object.metadata.name === this.#kubernetes.name ? null : this.#seeMember(object);
      if (member === null) continue;
      if (this.#observed.hasRunOut(object.metadata.name, object.metadata.resourceVersion)) {
        this.#clearAway(member);
        continue;
      }
      present.set(member.member, member.text);
      shown.set(object.metadata.name, member.text);
    }
    const { term = 0, leader = null, values = {} } = cluster ?? {};
    const view = { revision, term, leader, values: new Map(Object.entries(values)), members: present };
    return { view, shown };
  }

  #seeMember(object: LeaseObject): MemberLease | null {
    const member = readMember(object);
    const { name, resourceVersion } = object.metadata;
    if (member !== null) this.#observed.see(name, resourceVersion, member.memberMs);
    return member;
  }

  /** A pod that is gone leaves its Lease. Not waited for: somebody else may do it, or has the right to. */
  #clearAway({ object }: MemberLease): void {
    this.#api.remove(object.metadata.name, object).catch(() => {});
  }

  /** Whether an event shows something that wasn't shown. Renewals are no changes, but signs of life. */
  #isChange(line: unknown, shown: Shown): boolean {
    const event = WATCH_EVENT.safeParse(line);
    if (!event.success || event.data.type === 'ERROR' || event.data.type === 'DELETED') return true;
    if (event.data.type === 'BOOKMARK') return false;
    const object = LEASE.safeParse(event.data.object);
    if (!object.success) return true;
    const { name } = object.data.metadata;
    if (name === this.#kubernetes.name) return whatShows(this.#see(object.data)) !== shown.get(name);
    return this.#seeMember(object.data)?.text !== shown.get(name);
  }

  #lost(): StoreError {
    return new StoreError('unreachable', `${this.description}: others were faster ${RACES_MAX} times`);
  }

  #broken(what: string): StoreError {
    const remedy = `It was at term ${this.#knownTerm}. Restart the agents and gateways once it is certain that no primary runs`;
    return new StoreError('protocol', `${this.description}: the Lease ${what}. ${remedy}`);
  }
}

function leads({ leader }: ClusterLease, { holder, term }: Leader): boolean {
  return leader !== null && leader.holder === holder && leader.term === term;
}

/** Changes with each renewal, and not by a publication. */
function signOf({ object, term, beat }: ClusterLease): string {
  return `${object.metadata.uid} ${term} ${beat}`;
}

function whatShows({ leader, term, values }: ClusterLease): string {
  return JSON.stringify([leader?.holder, term, values]);
}

function leaseName({ object }: ClusterLease): string {
  return `${object.metadata.name} ${object.metadata.uid}`;
}

function revisionOf(resourceVersion: string): number {
  const revision = /^\d+$/.test(resourceVersion) ? Number(resourceVersion) : Number.NaN;
  if (Number.isSafeInteger(revision)) return revision;
  throw new StoreError('protocol', `resourceVersion ${JSON.stringify(resourceVersion)} is no number`);
}
