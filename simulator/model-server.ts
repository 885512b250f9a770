/** The model PostgreSQL server: who may connect, which sessions there are, and cancel requests. */
import type { ServerAddress } from '../src/core/io.js';
import type { Ground } from './ground.js';
import { brokenLimit } from './limits.js';
import { ServerSession } from './server-session.js';
import type { SimConnection } from './sim-connection.js';
import type { Dialled } from './sim-io.js';

export class ModelServer {
  readonly sessions = new Set<ServerSession>();
  private readonly ground: Ground;
  private lastProcessId = 7000;
  /** Databases, by their names here, to which the gateway must not connect now. */
  private forbidden: ReadonlySet<string> = new Set();

  constructor(ground: Ground) {
    this.ground = ground;
  }

  dial(_address: ServerAddress): Dialled {
    const { random, ledger } = this.ground;
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
    return { kind: 'accept', delayMs, peer: (connection) => this.accept(connection) };
  }

  private accept(connection: SimConnection): ServerSession {
    this.lastProcessId += 1;
    const session = new ServerSession(this.ground, this, connection, this.lastProcessId);
    this.sessions.add(session);
    return session;
  }

  sessionEnded(session: ServerSession): void {
    this.sessions.delete(session);
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
