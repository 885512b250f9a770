/**
 * etcd v3 as a store, by its HTTP JSON gateway (`/v3/...`; etcd 3.4 and newer).
 *
 * - The leader's key hangs on an etcd lease, which etcd's leader measures by its own monotonic clock. A new etcd leader gives
 *   each lease its whole time again: longer, never shorter.
 * - An etcd leader that has lost its majority renews leases all the same (in older releases), which
 * another one may let run out. So a renewal counts
 *   only together with a linearizable read from the same member in the same Raft term: one term has one leader, and that
 *   the read went through proves that it still had its majority after the renewal.
 * - A watch may come from a member that was cut off and says nothing: `refreshMs` ends it, and the next read tells.
 */
import { leaseTimes } from '../../cluster/lease-time.js';
import type { Holding, Leader, StoreView } from '../../cluster/store-view.js';
import { renewByAttempts } from '../renewal.js';
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
  encode,
  GRANT_ANSWER,
  KEEPALIVE_ANSWER,
  RANGE_ANSWER,
  TXN_ANSWER,
  WATCH_LINE,
} from './etcd-answers.js';
import { EtcdApi, type EtcdRequest, revokeRequest, StoreNotFound } from './etcd-api.js';
import type { EtcdSettings } from './etcd-endpoints.js';
import { EtcdKeys, leaderText } from './etcd-keys.js';

/** A condition of a transaction. */
type Compare = Record<string, unknown>;
/** What a transaction does. */
type Change = Record<string, unknown>;

/** A {@link Store} in an etcd cluster. */
export class EtcdStore implements Store {
  readonly description: string;
  readonly #settings: StoreSettings;
  readonly #api: EtcdApi;
  readonly #keys: EtcdKeys;
  /** The leases on which our registrations hang, and what they say. */
  readonly #registrations = new Map<string, { readonly lease: string; readonly text: string }>();

  constructor(etcd: EtcdSettings, settings: StoreSettings) {
    this.#api = new EtcdApi(etcd, settings.requestMs);
    this.#keys = new EtcdKeys(etcd.prefix);
    this.#settings = settings;
    this.description = this.#api.description;
  }

  async read(): Promise<StoreView> {
    const { header, kvs } = await this.#api.ask(this.#readRequest());
    return this.#keys.view(header.revision, kvs);
  }

  async acquire(holder: string, afterTerm: number): Promise<Holding | null> {
    const since = this.#settings.clock();
    const leader = { holder, term: afterTerm + 1 };
    const lease = await this.#grant(leaseTimes(this.#settings.leaseMs).takeoverMs);
    const isAfter: Compare =
      afterTerm === 0
        ? { key: this.#keys.term, target: 'CREATE', result: 'EQUAL', create_revision: '0' }
        : { key: this.#keys.term, target: 'VALUE', result: 'EQUAL', value: encode(`${afterTerm}`) };
    const isVacant: Compare = {
      key: this.#keys.leader,
      target: 'CREATE',
      result: 'EQUAL',
      create_revision: '0',
    };
    try {
      const taken = await this.#transact(
        [isAfter, isVacant],
        [put(this.#keys.leader, leaderText(leader), lease), put(this.#keys.term, `${leader.term}`)],
      );
      if (taken) return { ...leader, since, lease };
    } catch (error) {
      // Should it still arrive, it must find no lease to hang on.
      this.#revoke(lease);
      throw error;
    }
    this.#revoke(lease);
    return null;
  }

  async renew(holding: Holding): Promise<Holding | null> {
    const { requestMs, clock } = this.#settings;
    const times = { nextMs: requestMs, limitMs: renewalLimit(this.#settings), clock };
    const first = this.#api.member;
    const attempt = async (index: number, limitMs: number) => {
      const member = (first + index) % this.#api.memberCount;
      const since = clock();
      try {
        return (await this.#renewAndConfirm(member, holding, limitMs)) ? { ...holding, since } : null;
      } catch (error) {
        this.#api.avoid(member);
        throw error;
      }
    };
    return renewByAttempts(this.#api.memberCount, attempt, times);
  }

  async release(leader: Leader): Promise<void> {
    await this.#transact([this.#leads(leader)], [remove(this.#keys.leader)]);
  }

  async publish(name: string, text: string, condition: PublishCondition): Promise<number | null> {
    checkEntry(name, text);
    const key = this.#keys.value(name);
    const compare: Compare[] = [
      { key, target: 'MOD', result: 'EQUAL', mod_revision: `${condition.version}` },
    ];
    if (condition.leader !== undefined) compare.push(this.#leads(condition.leader));
    const { succeeded, header } = await this.#api.ask(transaction(compare, [put(key, text)]));
    return succeeded ? header.revision : null;
  }

  async register(member: string, text: string): Promise<void> {
    checkEntry(member, text);
    const known = this.#registrations.get(member);
    if (known !== undefined && (await this.#keepAlive(known.lease)) && known.text === text) return;
    const isKept = known !== undefined && this.#registrations.get(member) === known;
    const lease = isKept ? known.lease : await this.#grant(this.#settings.memberMs);
    try {
      await this.#transact([], [put(this.#keys.member(member), text, lease)]);
    } catch (error) {
      this.#registrations.delete(member);
      throw error;
    }
    this.#registrations.set(member, { lease, text });
  }

  async withdraw(member: string): Promise<void> {
    this.#registrations.delete(member);
    await this.#transact([], [remove(this.#keys.member(member))]);
  }

  watch(onView: (view: StoreView) => void, onTrouble: (error: StoreError) => void): StoreWatch {
    const { refreshMs } = this.#settings;
    const changeAfter = async (revision: number, signal: AbortSignal) => {
      const body = { create_request: { ...this.#keys.all, start_revision: `${revision + 1}` } };
      await this.#api.stream('/v3/watch', body, isSignOfChange, 2 * refreshMs, signal);
    };
    return new ViewWatch({ read: () => this.read(), changeAfter, refreshMs }, onView, onTrouble);
  }

  async close(): Promise<void> {
    this.#api.close();
  }

  #readRequest(): EtcdRequest<ReturnType<typeof RANGE_ANSWER.parse>> {
    return { path: '/v3/kv/range', body: this.#keys.all, schema: RANGE_ANSWER, isRead: true };
  }

  async #renewAndConfirm(member: number, holding: Holding, limitMs: number): Promise<boolean> {
    const renewed = await this.#api.askMember(member, keepAliveRequest(holding.lease), limitMs);
    if (renewed.result.TTL <= 0) return false;
    const now = await this.#api.askMember(member, this.#readRequest(), limitMs);
    if (now.header.raft_term !== renewed.result.header.raft_term) {
      throw new StoreError('unknown', `${this.description}: its leader has changed during a renewal`);
    }
    const { leader } = this.#keys.view(now.header.revision, now.kvs);
    return leader !== null && leader.holder === holding.holder && leader.term === holding.term;
  }

  async #keepAlive(lease: string): Promise<boolean> {
    const answer = await this.#api.ask(keepAliveRequest(lease));
    if (answer.result.TTL > 0) return true;
    for (const [member, known] of this.#registrations) {
      if (known.lease === lease) this.#registrations.delete(member);
    }
    return false;
  }

  /** etcd counts in whole seconds; longer is safe. */
  async #grant(forMs: number): Promise<string> {
    const body = { TTL: `${Math.ceil(forMs / 1000)}` };
    const request = { path: '/v3/lease/grant', body, schema: GRANT_ANSWER, isRead: false };
    return (await this.#api.ask(request)).ID;
  }

  /** Not waited for: a lease that is left runs out by itself. */
  #revoke(lease: string): void {
    this.#api.ask(revokeRequest(lease)).catch(() => {});
  }

  #leads(leader: Leader): Compare {
    const value = encode(leaderText(leader));
    return { key: this.#keys.leader, target: 'VALUE', result: 'EQUAL', value };
  }

  async #transact(compare: readonly Compare[], success: readonly Change[]): Promise<boolean> {
    try {
      return (await this.#api.ask(transaction(compare, success))).succeeded;
    } catch (error) {
      if (error instanceof StoreNotFound) {
        // The lease that should carry the key has run out since it was granted.
        throw new StoreError('unreachable', error.message);
      }
      throw error;
    }
  }
}

function transaction(compare: readonly Compare[], success: readonly Change[]) {
  return { path: '/v3/kv/txn', body: { compare, success }, schema: TXN_ANSWER, isRead: false };
}

/** Safe to ask twice, and yet bound to a member: see renew(). */
function keepAliveRequest(lease: string) {
  return { path: '/v3/lease/keepalive', body: { ID: lease }, schema: KEEPALIVE_ANSWER, isRead: true };
}

function put(key: string, text: string, lease?: string): Change {
  return { request_put: { key, value: encode(text), ...(lease !== undefined && { lease }) } };
}

function remove(key: string): Change {
  return { request_delete_range: { key } };
}

/** An event, or a watch that etcd has ended: its revision was compacted, or we may no longer look. */
function isSignOfChange(line: unknown): boolean {
  const parsed = WATCH_LINE.safeParse(line);
  return !parsed.success || parsed.data.result.canceled || parsed.data.result.events.length > 0;
}
