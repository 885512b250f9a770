/** Carries out what an operator asks of a running gateway ({@link GatewayCommand}). */
import type { ErrorFields } from '../wire/error-fields.js';
import { SqlState } from '../wire/sqlstate.js';
import { CONFIGURATION_CHANGED, PAUSED } from './close-reasons.js';
import type { CommandOutcome, GatewayCommand } from './command.js';
import type { GatewayContext } from './context.js';
import type { Database, Databases } from './databases.js';
import { DRAIN_REST_MS } from './limits.js';
import type { Listening } from './listening/listening.js';
import type { Pool } from './pool/pool.js';
import type { Clusters } from './route/clusters.js';
import type { ServerConnection } from './server/server-connection.js';
import type { Session } from './session/session.js';

/** What it acts on. */
export interface Administered {
  readonly context: GatewayContext;
  readonly databases: Databases;
  readonly pools: ReadonlyMap<string, Pool>;
  readonly listening: Listening;
  readonly clusters: Clusters;
  readonly sessions: ReadonlySet<Session>;
}

type Done = (outcome: CommandOutcome) => void;

/** A command whose end has to be waited for. */
interface Pending {
  readonly hasEnded: () => boolean;
  readonly done: Done;
  /** In ms; infinite: it may take as long as it likes. */
  readonly deadline: number;
}

/** How a gateway comes to its end. */
export type Draining = Extract<GatewayCommand, { kind: 'drain' }>['until'];

export class Administration {
  /** Non-null once new clients are refused for good. */
  draining: Draining | null = null;
  private readonly administered: Administered;
  private readonly pending: Pending[] = [];
  private drainDeadline = Number.POSITIVE_INFINITY;
  /** Who has rested for so long is ended, in ms, but nobody before `drainLookAt`. */
  private drainRestMs = DRAIN_REST_MS;
  private drainLookAt = 0;
  private closing = false;

  constructor(administered: Administered) {
    this.administered = administered;
  }

  get state(): 'active' | 'paused' | 'suspended' {
    if (this.administered.context.suspended) return 'suspended';
    return this.administered.databases.allPaused ? 'paused' : 'active';
  }

  /** Why a new client of this database is turned away; null: it isn't. */
  refusal(database: Database): ErrorFields | null {
    if (this.draining !== null && this.draining !== 'successor') return SHUTTING_DOWN;
    if (!database.disabled) return null;
    return {
      severity: 'FATAL',
      code: SqlState.cannot_connect_now,
      message: `database "${database.name}" is disabled`,
    };
  }

  /** Begins a command; `done` is called once, at once or when it has taken effect. */
  execute(command: GatewayCommand, done: Done): void {
    switch (command.kind) {
      case 'pause':
        return this.pause(command.database, done);
      case 'resume':
        return this.resume(command.database, done);
      case 'reconnect':
        return this.reconnect(command.database, done);
      case 'waitClose':
        return this.waitClose(command.database, done);
      case 'kill':
        return this.kill(command.database, done);
      case 'disable':
      case 'enable':
        return this.disable(command.database, command.kind === 'disable', done);
      case 'killClient':
        return this.killClient(command.client, done);
      case 'suspend':
        return this.suspend(done);
      case 'drain':
        return this.drain(command.until, command.deadlineMs, done);
    }
  }

  /** Looks whether something has come to its end. Returns when it must be called again at the latest, in ms. */
  advance(now: number): number {
    const next = this.draining === null ? Number.POSITIVE_INFINITY : this.closeDrained(now);
    return Math.min(next, this.finishPending(now));
  }

  /** Answers the commands that have come to their end. Returns the earliest deadline of the others. */
  private finishPending(now: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const command of [...this.pending]) {
      const ended = command.hasEnded() || now >= command.deadline;
      if (!ended) {
        next = Math.min(next, command.deadline);
        continue;
      }
      this.pending.splice(this.pending.indexOf(command), 1);
      command.done(null);
    }
    return next;
  }

  /** A connection has gone: somebody may be waiting for that. */
  connectionGone(): void {
    // While many are being closed at once, whoever closes them looks afterwards.
    if (this.pending.length > 0 && !this.closing) this.finishPending(this.administered.context.io.now());
  }

  private pause(name: string | null, done: Done): void {
    const chosen = this.choose(name, done);
    if (chosen === null) return;
    const isAlready = name === null ? this.administered.databases.allPaused : chosen[0]!.paused;
    if (isAlready) return done(refusal('already suspended/paused'));
    for (const database of chosen) database.paused = true;
    if (name === null) this.administered.databases.allPaused = true;
    const pools = this.poolsOf(chosen);
    for (const pool of pools) pool.servers.replace(PAUSED);
    this.administered.listening.replace(PAUSED, chosen);
    this.administered.clusters.replace(PAUSED, chosen);
    this.when(() => pools.every((pool) => pool.serverCount === 0) || chosen.every((it) => !it.paused), done);
  }

  private resume(name: string | null, done: Done): void {
    if (this.draining !== null) return done(refusal('pooler is shutting down'));
    const chosen = this.choose(name, done);
    if (chosen === null) return;
    if (name === null && this.administered.context.suspended) {
      this.administered.context.suspended = false;
      for (const session of this.administered.sessions) if (!session.isBlocked) session.resumeReading();
    } else if (!chosen.some((database) => database.paused) && !this.administered.databases.allPaused) {
      return done(
        refusal(name === null ? 'pooler is not paused/suspended' : `database ${name} is not paused`),
      );
    }
    if (name === null) this.administered.databases.allPaused = false;
    for (const database of chosen) database.paused = false;
    for (const pool of this.poolsOf(chosen)) pool.resume();
    this.administered.listening.resume(chosen);
    this.administered.clusters.resume(chosen);
    this.connectionGone();
    done(null);
  }

  private reconnect(name: string | null, done: Done): void {
    const chosen = this.choose(name, done);
    if (chosen === null) return;
    this.administered.context.localSockets.forget();
    for (const pool of this.poolsOf(chosen)) pool.servers.replace(CONFIGURATION_CHANGED);
    this.administered.listening.replace(CONFIGURATION_CHANGED, chosen);
    this.administered.clusters.replace(CONFIGURATION_CHANGED, chosen);
    done(null);
  }

  private waitClose(name: string | null, done: Done): void {
    const chosen = this.choose(name, done);
    if (chosen === null) return;
    const pools = this.poolsOf(chosen);
    this.when(() => !pools.some((pool) => pool.servers.hasOutdated), done);
  }

  private kill(name: string | null, done: Done): void {
    const chosen = this.choose(name, done);
    if (chosen === null) return;
    for (const database of chosen) database.paused = true;
    this.closing = true;
    for (const session of [...this.administered.sessions]) {
      const isMeant = session.database !== null && chosen.includes(session.database);
      if (isMeant) session.fail(TERMINATED);
    }
    this.closing = false;
    for (const pool of this.poolsOf(chosen)) pool.servers.close('admin forced disconnect');
    this.administered.listening.replace('admin forced disconnect', chosen);
    this.administered.clusters.replace('admin forced disconnect', chosen);
    done(null);
  }

  private disable(name: string, disabled: boolean, done: Done): void {
    const database = this.find(name);
    if (database === null) return done(noSuchDatabase(name));
    database.disabled = disabled;
    done(null);
  }

  private killClient(id: number, done: Done): void {
    for (const session of this.administered.sessions) {
      if (session.id !== id) continue;
      session.fail(TERMINATED);
      return done(null);
    }
    done(refusal('client not found'));
  }

  private suspend(done: Done): void {
    const { pools, context, sessions, databases } = this.administered;
    if (context.suspended || databases.allPaused) return done(refusal('already suspended/paused'));
    for (const database of databases) {
      if (database.paused) return done(refusal('cannot suspend with paused databases'));
    }
    for (const session of sessions) if (session.console === null) session.pauseReading();
    context.suspended = true;
    const isQuiet = () =>
      !context.suspended || [...pools.values()].every((pool) => pool.servers.outstandingRequests === 0);
    this.when(isQuiet, done, context.settings.suspendTimeoutMs);
  }

  private drain(until: Draining, deadlineMs: number, done: Done): void {
    const { context, pools, sessions } = this.administered;
    this.draining = until;
    this.drainDeadline = deadlineMs > 0 ? context.io.now() + deadlineMs : Number.POSITIVE_INFINITY;
    if (until === 'servers') {
      for (const pool of pools.values()) {
        pool.database.paused = true;
        pool.servers.replace('server shutting down');
      }
      this.administered.clusters.replace('server shutting down');
      // Who listens hears on, until it is told of the end.
      return this.when(() => [...pools.values()].every((pool) => pool.serverCount === 0), done);
    }
    if (until === 'transactions') {
      context.farewell = SHUTTING_DOWN;
      for (const { link } of sessions) if (link !== null) endAtBoundary(link);
    }
    if (deadlineMs > 0) this.drainRestMs = Math.min(DRAIN_REST_MS, deadlineMs / 2);
    // What had come before is read by then.
    this.drainLookAt = context.io.now() + 1;
    // Connections that have not logged in by then are nobody's.
    this.when(() => onlyConsoles(sessions), done, deadlineMs);
  }

  /** Closes clients that rest between two transactions, and all of them when their time is over. Returns when to look again. */
  private closeDrained(now: number): number {
    const isLate = now >= this.drainDeadline;
    if (this.draining === 'servers') this.closeWaiting();
    if (this.draining !== 'transactions' && !isLate) return this.drainDeadline;
    if (!isLate && now < this.drainLookAt) return Math.min(this.drainLookAt, this.drainDeadline);
    let next = now + this.drainRestMs;
    this.closing = true;
    for (const session of [...this.administered.sessions]) {
      // Who logs in is refused when that is known to be no cancel request, which gets no answer.
      if (session.console !== null || session.phase === 'login') continue;
      const due = isBetweenTransactions(session) ? restsSince(session) + this.drainRestMs : next;
      if (isLate || now >= due) session.fail(SHUTTING_DOWN);
      else next = Math.min(next, due);
    }
    this.closing = false;
    this.drainLookAt = next;
    // Once it has passed nothing more is due by itself.
    return isLate ? Number.POSITIVE_INFINITY : Math.min(next, this.drainDeadline);
  }

  /** Nobody is given a server connection any more. */
  private closeWaiting(): void {
    this.closing = true;
    for (const session of [...this.administered.sessions]) if (session.waiting) session.fail(NO_MORE_SERVERS);
    this.closing = false;
  }

  private when(hasEnded: () => boolean, done: Done, limitMs = 0): void {
    if (hasEnded()) return done(null);
    const deadline = limitMs > 0 ? this.administered.context.io.now() + limitMs : Number.POSITIVE_INFINITY;
    this.pending.push({ hasEnded, done, deadline });
  }

  /** The databases that a command is about; null, and an error told, when there is none of that name. */
  private choose(name: string | null, done: Done): Database[] | null {
    if (name === null) return this.all();
    const database = this.find(name);
    if (database !== null) return [database];
    done(noSuchDatabase(name));
    return null;
  }

  private all(): Database[] {
    const { databases, context } = this.administered;
    for (const name of context.settings.databases.keys()) if (name !== '*') databases.use(name, false);
    return [...databases];
  }

  private find(name: string): Database | null {
    const { databases, context } = this.administered;
    if (name !== '*' && context.settings.databases.has(name)) return databases.use(name, false);
    return databases.find(name) ?? null;
  }

  private poolsOf(databases: readonly Database[]): Pool[] {
    return [...this.administered.pools.values()].filter((pool) => databases.includes(pool.database));
  }
}

const TERMINATED: ErrorFields = {
  severity: 'FATAL',
  code: SqlState.admin_shutdown,
  message: 'terminating connection due to administrator command',
};

const SHUTTING_DOWN: ErrorFields = {
  severity: 'FATAL',
  code: SqlState.admin_shutdown,
  message: 'pooler is shutting down',
};

/** PgBouncer's words. */
const NO_MORE_SERVERS: ErrorFields = {
  severity: 'FATAL',
  code: SqlState.admin_shutdown,
  message: 'server shutting down',
};

/** Nothing of it is unanswered or has begun to arrive. */
function isBetweenTransactions(session: Session): boolean {
  const { phase, link, waiting, isBlocked, heldBytes, midMessage, routing } = session;
  const isOwed = waiting || isBlocked || heldBytes > 0 || midMessage || routing?.isBegun === true;
  return phase === 'ready' && !isOwed && (link === null || link.isClean);
}

/** In ms; only meaningful between two transactions. */
function restsSince({ link, idleSince }: Session): number {
  return link === null ? idleSince : Math.max(idleSince, link.timing.requestedAt);
}

/** A link that would last (pool_mode session, PREPARE in SQL) ends with its transaction, and nobody inherits it. */
function endAtBoundary(link: ServerConnection): void {
  if (link.linkEndsWhenIdle) return;
  link.linkEndsWhenIdle = true;
  link.closeReason ??= 'pooler is shutting down';
}

function onlyConsoles(sessions: ReadonlySet<Session>): boolean {
  for (const session of sessions) if (session.console === null) return false;
  return true;
}

function noSuchDatabase(name: string): ErrorFields {
  return refusal(`no such database: ${name}`);
}

/** With PgBouncer's SQLSTATE. */
function refusal(message: string): ErrorFields {
  return { severity: 'ERROR', code: SqlState.protocol_violation, message };
}
