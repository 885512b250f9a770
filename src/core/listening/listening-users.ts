/**
 * As whom the shared connection logs in: as one of those who listen. Where a server refuses that user (dropped, NOLOGIN, no
 * right to connect any more), the next one is tried, so that one client's role is not everybody's fate.
 */
import type { ErrorFields } from '../../wire/error-fields.js';
import { SqlState } from '../../wire/sqlstate.js';
import type { GatewayContext } from '../context.js';
import type { Database } from '../databases.js';
import { LISTENING_USERS_TRIED_MAX } from '../limits.js';
import type { Launching } from '../pool/launching.js';
import { type PoolLimits, poolLimits, towardsTarget } from '../pool/pool-limits.js';
import { userAfterReload } from '../server/server-user.js';
import type { UserSettings } from '../settings.js';

/** The pool of a client that listens. */
export interface ListeningPool {
  readonly identity: { readonly database: Pick<Database, 'name' | 'targetAddresses'>; user: UserSettings };
  readonly limits: PoolLimits;
}

/** One user, and what is known of its logins. */
export interface ListeningUser {
  /** The pool's own: its secret may change. */
  identity: ListeningPool['identity'];
  limits: PoolLimits;
  /** How many of its clients listen. */
  listeners: number;
  readonly launching: Launching;
}

export class ListeningUsers {
  /** Whose connection there is, or will be. */
  current: ListeningUser;
  private readonly byName = new Map<string, ListeningUser>();
  private readonly context: GatewayContext;
  private readonly newLaunching: () => Launching;
  /** How many were refused since a login worked. */
  private refused = 0;

  constructor(context: GatewayContext, first: ListeningPool, newLaunching: () => Launching) {
    this.context = context;
    this.newLaunching = newLaunching;
    this.current = this.find(first);
  }

  /** A client of this pool wants to listen. */
  join(pool: ListeningPool): void {
    const user = this.find(pool);
    user.identity = pool.identity;
    user.listeners += 1;
  }

  leave({ identity }: ListeningPool): void {
    const user = this.byName.get(identity.user.name)!;
    user.listeners -= 1;
    if (user.listeners === 0 && user !== this.current) this.byName.delete(identity.user.name);
  }

  private find({ identity, limits }: ListeningPool): ListeningUser {
    const { name } = identity.user;
    let user = this.byName.get(name);
    if (user === undefined) {
      user = { identity, limits: onlyOne(limits), listeners: 0, launching: this.newLaunching() };
      this.byName.set(name, user);
    }
    return user;
  }

  /** The login of the current one has worked. */
  admitted(): void {
    this.refused = 0;
  }

  /** It has failed. Returns who is to be tried at once; null: nobody. */
  afterFailure({ code }: ErrorFields): ListeningUser | null {
    if (!concernsUser(code)) return null;
    this.refused += 1;
    if (this.refused < LISTENING_USERS_TRIED_MAX) return this.other;
    this.refused = 0;
    return null;
  }

  /** Who is to log in instead of one whose clients have all gone; null: the current one. */
  get successor(): ListeningUser | null {
    return this.current.listeners > 0 ? null : this.other;
  }

  /** The one who has waited longest of those who have not been refused a moment ago. */
  private get other(): ListeningUser | null {
    for (const user of this.byName.values()) {
      if (user !== this.current && !user.launching.isResting) return user;
    }
    return null;
  }

  /** From now on it is this one, behind all others when it is refused in turn. */
  become(user: ListeningUser): void {
    const before = this.current;
    this.byName.delete(before.identity.user.name);
    if (before.listeners > 0) this.byName.set(before.identity.user.name, before);
    this.current = user;
  }

  applySettings(): void {
    const { settings } = this.context;
    for (const user of this.byName.values()) {
      const { name } = user.identity.database;
      const database = settings.databases.get(name) ?? settings.databases.get('*');
      if (database === undefined) continue;
      user.identity.user = userAfterReload(user.identity.user, database, settings);
      const limits = poolLimits(settings, database, { name, user: user.identity.user });
      user.limits = onlyOne(towardsTarget(limits, user.identity.database));
    }
  }
}

/** Another user may have better luck: the role or its password is refused, it may not connect, or not so often. */
function concernsUser(sqlstate: string): boolean {
  return (
    sqlstate.startsWith('28') ||
    sqlstate === SqlState.insufficient_privilege ||
    sqlstate === SqlState.too_many_connections
  );
}

function onlyOne(limits: PoolLimits): PoolLimits {
  return { ...limits, size: 1, minSize: 0, reserveSize: 0 };
}
