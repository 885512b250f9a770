/** The model PostgreSQL server: who may connect, which sessions there are, and cancel requests. */
import type { ServerAddress } from '../src/core/io.js';
import type { LockKeeper } from './advisory-locks.js';
import type { Ground } from './ground.js';
import { brokenLimit } from './limits.js';
import { type Door, findDoor, impostor, ownerBehind } from './local-socket.js';
import type { CancelTask } from './schedule.js';
import { ServerSession } from './server-session.js';
import type { Peer, SimConnection } from './sim-connection.js';
import type { Dialled } from './sim-io.js';
import type { Statement } from './sql.js';

export class ModelServer {
  readonly sessions = new Set<ServerSession>();
  private readonly ground: Ground;
  private readonly lockWaiters = new Set<{ readonly key: number; readonly retry: () => void }>();
  private lastProcessId = 7000;
  /** Databases, by their names here, to which the gateway must not connect now. */
  private forbidden: ReadonlySet<string> = new Set();

  constructor(ground: Ground) {
    this.ground = ground;
  }

  dial(address: ServerAddress): Dialled {
    const { random, ledger } = this.ground;
    const door = 'socketPath' in address ? findDoor(random) : null;
    const plan = this.ground.plan.server;
    const delayMs = random.fraction() * this.ground.plan.weather.latencyMsMax;
    if (random.chance(plan.refusals)) {
      ledger.serverTrouble = true;
      return { kind: 'refuse', delayMs, error: 'connection refused' };
    }
    if (random.chance(plan.silences)) {
      ledger.serverTrouble = true;
      return { kind: 'silence' };
    }
    if (door === null)
      return { kind: 'accept', delayMs, peer: (connection) => this.accept(connection, null) };
    const { serverMode } = this.ground.plan.settings.tls;
    if (!['disable', 'allow', 'prefer'].includes(serverMode))
      ledger.fail('a unix socket where TLS is wanted');
    ledger.note(door === 'the server' ? 'a unix socket serves' : 'a unix socket is passed over');
    if (door === 'nobody') return { kind: 'refuse', delayMs, error: 'no such file or directory' };
    const peer = (connection: SimConnection): Peer =>
      door === 'an impostor' ? impostor(ledger) : this.accept(connection, door);
    return { kind: 'accept', delayMs, uid: ownerBehind(door), peer };
  }

  private accept(connection: SimConnection, door: Door | null): ServerSession {
    this.lastProcessId += 1;
    const session = new ServerSession(this.ground, this, connection, { processId: this.lastProcessId, door });
    this.sessions.add(session);
    return session;
  }

  sessionEnded(session: ServerSession): void {
    this.sessions.delete(session);
    session.objects?.locks.unlockAll();
    if (session.isShared) this.ground.ledger.notifications.lost(session.database);
  }

  /** Who decides about the advisory locks of a session: all others. */
  lockKeeper(session: ServerSession): LockKeeper {
    return {
      mayHave: (key, token) => {
        const isFree = !this.isLockedByOther(session, key);
        if (!isFree) this.ground.ledger.lockRefused(token);
        return isFree;
      },
      freed: (key) => this.lockFreed(key),
    };
  }

  /** Null: the statement needs no lock that another session has. Otherwise `retry` is called when that is free. */
  waitForLock(session: ServerSession, statement: Statement | null, retry: () => void): CancelTask | null {
    if (statement?.kind !== 'lock' || !this.isLockedByOther(session, statement.key)) return null;
    this.ground.ledger.note('a statement waits for an advisory lock');
    const waiter = { key: statement.key, retry };
    this.lockWaiters.add(waiter);
    return () => this.lockWaiters.delete(waiter);
  }

  private isLockedByOther(session: ServerSession, key: number): boolean {
    return [...this.sessions].some((other) => other !== session && other.objects?.locks.has(key) === true);
  }

  private lockFreed(key: number): void {
    for (const waiter of [...this.lockWaiters]) {
      if (waiter.key !== key) continue;
      this.ground.schedule.after(0, () => {
        if (this.lockWaiters.delete(waiter)) waiter.retry();
      });
    }
  }

  /** An operator has had a database paused (null: all). */
  forbid(name: string | null): void {
    const databases = [...this.ground.plan.settings.databases.values()];
    const chosen = databases.filter((database) => name === null || database.name === name);
    this.forbidden = new Set(chosen.map((database) => database.serverDatabase ?? database.name));
  }

  allow(): void {
    this.forbidden = new Set();
  }

  /** A session's startup packet has come: there may not be more of its kind than the pool's size. */
  checkPoolSize(session: ServerSession): void {
    const { settings, reload } = this.ground.plan;
    if (this.forbidden.has(session.database)) {
      this.ground.ledger.fail(`a connection to ${session.database}, which is paused`);
    }
    // What was opened under a larger limit may stay until it is free.
    const size = Math.max(settings.defaultPoolSize, reload?.settings.defaultPoolSize ?? 0);
    const database = [...settings.databases.values()].find(
      (known) => (known.serverDatabase ?? known.name) === session.database,
    );
    const limit = database?.poolSize ?? size;
    const others = [...this.sessions].filter((other) => other !== session && other.heldByGateway);
    const broken = brokenLimit(settings, [...others, session], limit);
    if (broken !== null) this.ground.ledger.fail(broken);
  }

  /** A cancel request has come: it acts some time later, and its connection is closed after that. */
  cancel(processId: number, secret: Buffer, done: () => void): void {
    const { random, schedule } = this.ground;
    schedule.after(random.fraction() * this.ground.plan.server.cancelMsMax, () => {
      for (const session of this.sessions) {
        if (session.processId === processId && session.secret.equals(secret)) session.cancel();
      }
      schedule.after(random.chance(0.5) ? 0 : random.fraction() * 20, done);
    });
  }
}
