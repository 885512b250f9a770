/**
 * How many server connections there may be: per pool, per database and per user together. Where a limit is reached, an
 * unused connection of one pool makes room for a waiter of another; the oldest waiter comes first.
 *
 * A pool's `min_pool_size` is its guaranteed minimum: others take no more than what lies above it, unless they have
 * less than their own minimum, or nothing at all.
 */
import { EVICTED } from '../close-reasons.js';
import { TURN_MS } from '../limits.js';
import type { ServerConnection } from '../server/server-connection.js';
import type { PoolLimits } from './pool-limits.js';

/** A pool, as this sees it. */
export interface CappedPool {
  readonly limits: PoolLimits;
  readonly share: Share;
  /** Since when its oldest waiter waits, in ms; null: nobody waits. */
  readonly waitingSince: number | null;
  /** The free server connection that has rested longest. */
  readonly idlest: ServerConnection | undefined;
  /** Opens what its waiters lack, as far as it may. */
  supply(): void;
}

/** One limit: how many server connections count against it, and the pools that share it. */
export class Account {
  readonly key: string;
  open = 0;
  limit = Number.POSITIVE_INFINITY;
  /** How many more there may be for waiters that have waited for long (`reserve_pool_size`). */
  reserve = 0;
  readonly pools = new Set<CappedPool>();

  constructor(key: string) {
    this.key = key;
  }

  get isOverdrawn(): boolean {
    return this.open > this.limit + this.reserve;
  }
}

/** The accounts in which a pool's server connections count. */
export interface Share {
  /** Of the pool's database and user, with whatever startup parameters. */
  readonly pair: Account;
  readonly all: readonly Account[];
}

/** An unused server connection that is to make room. */
interface Victim {
  readonly pool: CappedPool;
  readonly server: ServerConnection;
}

/** What a new server connection may cost. */
export interface Terms {
  /** Unused connections of other pools may be closed for it. */
  readonly mayEvict: boolean;
  /** It may be one of the reserve. */
  readonly mayUseReserve: boolean;
}

export class Capacity {
  /** Some limit was lowered below what is open: connections are closed as they become free. */
  hasOverdraft = false;
  private readonly accounts = new Map<string, Account>();
  /** Pools whose waiters lack connections that a limit forbids. */
  private readonly hungry = new Set<CappedPool>();
  /** Room is being made, or given away: what closes meanwhile is spoken for. */
  private isBusy = false;

  /** Gives a new pool its accounts. Each server has room of its own: `node` names a standby. */
  shareOf(database: string, user: string, node?: string): Share {
    const where = node === undefined ? [] : [node];
    const pair = this.account(['pool', database, user, ...where]);
    const common = [this.account(['database', database, ...where]), this.account(['user', user, ...where])];
    return { pair, all: [pair, ...common] };
  }

  /** The same for the connection over which the gateway listens, which no pool's size has room for. */
  listenerShare(database: string, user: string): Share {
    const pair = this.account(['listener', database, user]);
    return { pair, all: [pair, this.account(['database', database]), this.account(['user', user])] };
  }

  private account(name: readonly string[]): Account {
    const key = JSON.stringify(name);
    let account = this.accounts.get(key);
    if (account === undefined) {
      account = new Account(key);
      this.accounts.set(key, account);
    }
    return account;
  }

  /** The pool exists, or has new limits. */
  applyLimits(pool: CappedPool): void {
    const { size, reserveSize, maxDbConnections, maxUserConnections } = pool.limits;
    const [pair, database, user] = pool.share.all as [Account, Account, Account];
    pair.limit = size;
    pair.reserve = reserveSize;
    database.limit = maxDbConnections || Number.POSITIVE_INFINITY;
    user.limit = maxUserConnections || Number.POSITIVE_INFINITY;
    for (const account of pool.share.all) {
      account.pools.add(pool);
      if (account.isOverdrawn) this.hasOverdraft = true;
    }
    if (pool.waitingSince !== null) this.hungry.add(pool);
    this.giveTurns();
  }

  /** The pool is gone, with all its server connections. */
  withdraw(pool: CappedPool): void {
    this.hungry.delete(pool);
    for (const account of pool.share.all) {
      account.pools.delete(pool);
      if (account.pools.size === 0) this.accounts.delete(account.key);
    }
  }

  opened(pool: CappedPool): void {
    for (const account of pool.share.all) account.open += 1;
  }

  closed(pool: CappedPool): void {
    for (const account of pool.share.all) account.open -= 1;
    if (this.hasOverdraft) this.hasOverdraft = [...this.accounts.values()].some((it) => it.isOverdrawn);
    if (this.isBusy) return;
    if (pool.waitingSince !== null) this.hungry.add(pool);
    this.giveTurns();
  }

  /** A server connection is unused: a pool that waits for room may want it closed. */
  rested(): void {
    if (this.hungry.size > 0) this.giveTurns();
  }

  /** One of the pool's limits was lowered, and it has more than that. */
  isOverdrawn(pool: CappedPool): boolean {
    return pool.share.all.some((account) => account.isOverdrawn);
  }

  /** Nobody but the pool itself could give it room: `pool_size` is used up, and no other pool has a part in that. */
  isFull({ share: { pair } }: CappedPool): boolean {
    return pair.open >= pair.limit && pair.pools.size === 1;
  }

  /**
   * Whether the pool may open one more server connection; where that takes unused ones of others, they are closed. When
   * not, the pool is told ({@link CappedPool.supply}) as soon as it may be worth another try.
   */
  admits(pool: CappedPool, { mayEvict, mayUseReserve }: Terms): boolean {
    if (this.hungry.has(pool) && !mayUseReserve) return false;
    const victims: Victim[] = [];
    for (const account of pool.share.all) {
      const limit = account.limit + (mayUseReserve ? account.reserve : 0);
      if (account.open < limit || victims.some((victim) => account.pools.has(victim.pool))) continue;
      const victim = mayEvict && account.open === limit ? findVictim(account, pool) : null;
      if (victim === null) {
        // What its own pool gives back, it hears of anyway.
        if (mayEvict && account.pools.size > 1) this.hungry.add(pool);
        return false;
      }
      victims.push(victim);
    }
    const wasBusy = this.isBusy;
    this.isBusy = true;
    for (const { server } of victims) server.close(EVICTED);
    this.isBusy = wasBusy;
    return true;
  }

  /**
   * Whether a server connection that could serve the pool's own waiter is to be closed, since somebody of another pool
   * has waited for longer. It has served its pool for a while by then, so that pools which all have much to do don't
   * spend their time on connecting.
   */
  isAnothersTurn(pool: CappedPool, server: ServerConnection, now: number): boolean {
    if (this.hungry.size === 0 || now - server.readyAt < TURN_MS) return false;
    const own = pool.waitingSince;
    for (const other of this.hungry) {
      if (other === pool || other.waitingSince === null || own === null) continue;
      if (other.waitingSince < own && mayTake(other, pool) && isBlockedBy(other, pool)) return true;
    }
    return false;
  }

  /** Lets the pools that lack room try again, the one with the oldest waiter first. */
  private giveTurns(): void {
    if (this.isBusy) return;
    this.isBusy = true;
    const waiting = [...this.hungry].filter((pool) => pool.waitingSince !== null);
    this.hungry.clear();
    waiting.sort((a, b) => a.waitingSince! - b.waitingSince!);
    for (const pool of waiting) pool.supply();
    this.isBusy = false;
  }
}

/** The connection of another pool that is missed least. */
function findVictim(account: Account, pool: CappedPool): Victim | null {
  let best: Victim | null = null;
  for (const other of account.pools) {
    const server = other === pool ? undefined : other.idlest;
    if (server === undefined || !mayTake(pool, other)) continue;
    if (best === null || server.place.idleSince < best.server.place.idleSince) best = { pool: other, server };
  }
  return best;
}

/** Whether a connection of `other` may make room for one of `pool`, as far as guaranteed minimums go. */
function mayTake(pool: CappedPool, other: CappedPool): boolean {
  const own = pool.share.pair.open;
  const others = other.share.pair.open;
  if (pool.share.pair === other.share.pair || others > other.limits.minSize) return true;
  return own < Math.max(1, pool.limits.minSize) && own < others;
}

/** Whether one connection less of `other` would let the pool have one more. */
function isBlockedBy(pool: CappedPool, other: CappedPool): boolean {
  const full = pool.share.all.filter((account) => account.open >= account.limit);
  return (
    full.length > 0 && full.every((account) => account.open === account.limit && account.pools.has(other))
  );
}
