/** Ends clients that have asked for nothing for too long, and hold no server connection by which that would be noticed. */
import type { GatewayContext } from '../context.js';
import type { ServerConnection } from '../server/server-connection.js';
import type { GatewaySettings, UserSettings } from '../settings.js';
import { limitsOf, type PoolLimits } from './pool-limits.js';
import { CLIENT_IDLE, IDLE_TRANSACTION } from './pool-messages.js';

/** A client, as this sees it. */
interface IdleClient {
  readonly userName: string;
  readonly phase: string;
  readonly waiting: boolean;
  readonly link: ServerConnection | null;
  readonly idleSince: number;
  readonly routing: { readonly isBusy: boolean; readonly isBegun: boolean } | null;
  fail(error: typeof CLIENT_IDLE): void;
}

/** The pool, as this sees it. */
export interface IdleClientsPool {
  readonly limits: PoolLimits;
  readonly identity: { readonly user: UserSettings };
  readonly clients: ReadonlySet<IdleClient>;
}

const NEVER = Number.POSITIVE_INFINITY;
/** Clients are looked at one by one no more often than this, in ms: there may be many. */
const SCAN_MS_MIN = 100;

export class IdleClients {
  private readonly context: { readonly settings: GatewaySettings };
  private readonly pool: IdleClientsPool;
  private nextScan = 0;
  /** The settings that what is due was found by. */
  private judged: GatewaySettings | null = null;
  /** Of what is set for single users. */
  private shortestOfUsers = NEVER;

  constructor(context: Pick<GatewayContext, 'settings'>, pool: IdleClientsPool) {
    this.context = context;
    this.pool = pool;
  }

  /** Does what is due, and returns the time in ms at which more may be. */
  check(now: number): number {
    if (this.context.settings !== this.judged) this.followSettings();
    const shortest = this.shortestTimeout;
    if (shortest === NEVER) return NEVER;
    if (now < this.nextScan) return this.nextScan;
    // Whoever comes later, or becomes idle, is due no sooner.
    let next = now + shortest;
    for (const client of this.pool.clients) {
      const isBegun = client.routing?.isBegun === true;
      const timeoutMs = isBegun ? this.pool.limits.idleTransactionTimeoutMs : this.timeoutOf(client.userName);
      if (timeoutMs === 0) continue;
      const due = (idleSince(client) ?? now) + timeoutMs;
      if (now < due) next = Math.min(next, due);
      else client.fail(isBegun ? IDLE_TRANSACTION : CLIENT_IDLE);
    }
    this.nextScan = Math.max(next, now + SCAN_MS_MIN);
    return this.nextScan;
  }

  /** Of those that any client of the pool may have; NEVER: there is none. */
  private get shortestTimeout(): number {
    const { limits, identity } = this.pool;
    const ofTransactions = limits.wantsPrimary ? limits.idleTransactionTimeoutMs : 0;
    const own = Math.min(this.timeoutOf(identity.user.name) || NEVER, ofTransactions || NEVER);
    // The clients of a forced user's pool may each have a timeout of their own.
    return limits.hasForcedUser ? Math.min(own, this.shortestOfUsers) : own;
  }

  private followSettings(): void {
    const { settings } = this.context;
    this.judged = settings;
    this.nextScan = 0;
    this.shortestOfUsers = NEVER;
    for (const { limits } of settings.users.values()) {
      this.shortestOfUsers = Math.min(this.shortestOfUsers, limits?.clientIdleTimeoutMs || NEVER);
    }
  }

  private timeoutOf(user: string): number {
    const { settings } = this.context;
    return limitsOf(settings, user)?.clientIdleTimeoutMs || settings.clientIdleTimeoutMs;
  }
}

/** In ms; null: it isn't idle. */
function idleSince({ phase, waiting, routing, link, idleSince: since }: IdleClient): number | null {
  if (phase !== 'ready' || waiting || routing?.isBusy === true) return null;
  if (link === null || link.isUntouched) return since;
  // What keeps its server connection is something that it has left there.
  return link.isPinned && link.isClean ? Math.max(since, link.timing.requestedAt) : null;
}
