/** Session-level advisory locks: those of a model server's session, and those that a client believes to have. */

/** Below this a lock is wanted by everybody; from here on each is one client's alone. */
const SHARED_KEYS = 10;

export const isSharedKey = (key: number): boolean => key < SHARED_KEYS;

/** A lock that only this client takes. @param index below {@link SHARED_KEYS} */
export const ownKey = (client: number, index: number): number => client * SHARED_KEYS + index;

/** Who is asked before a lock is taken, and told when one is free. */
export interface LockKeeper {
  /** Whether a session that hasn't got the lock may have it. @param token of the statement. */
  mayHave(key: number, token: string): boolean;
  freed(key: number): void;
}

interface Holding {
  /** Of the statement that took it first. */
  readonly token: string;
  /** How often it was taken: it must be given back as often. */
  times: number;
}

export class AdvisoryLocks {
  private readonly holdings = new Map<number, Holding>();
  private readonly keeper: LockKeeper;

  constructor(keeper: LockKeeper) {
    this.keeper = keeper;
  }

  has(key: number): boolean {
    return this.holdings.has(key);
  }

  get count(): number {
    return this.holdings.size;
  }

  /** False: another session has it. */
  tryLock(key: number, token: string): boolean {
    const holding = this.holdings.get(key);
    if (holding !== undefined) holding.times += 1;
    else if (!this.keeper.mayHave(key, token)) return false;
    else this.holdings.set(key, { token, times: 1 });
    return true;
  }

  /** False: the session hasn't got it. */
  unlock(key: number): boolean {
    const holding = this.holdings.get(key);
    if (holding === undefined) return false;
    holding.times -= 1;
    if (holding.times === 0) this.free(key);
    return true;
  }

  unlockAll(): void {
    for (const key of [...this.holdings.keys()]) this.free(key);
  }

  /** The locks, with the token of the statement that took each. */
  *entries(): Generator<readonly [key: number, token: string]> {
    for (const [key, { token }] of this.holdings) yield [key, token];
  }

  private free(key: number): void {
    this.holdings.delete(key);
    this.keeper.freed(key);
  }
}
