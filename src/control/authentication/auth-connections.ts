/** The few connections to one database for `auth_query`: they are opened when they are needed, and closed when idle. */
import type { AuthTarget } from '../../core/authority.js';
import {
  type Answer,
  type AuthConnection,
  type AuthConnectionSettings,
  openAuthConnection,
} from './auth-connection.js';
import { IDLE_MS_MAX } from './limits.js';
import { Turns } from './turns.js';

interface Idle {
  readonly connection: AuthConnection;
  readonly timer: NodeJS.Timeout;
}

export class AuthConnections {
  readonly #target: AuthTarget;
  readonly #settings: AuthConnectionSettings;
  readonly #turns: Turns;
  readonly #idle: Idle[] = [];
  #isClosed = false;

  constructor(target: AuthTarget, settings: AuthConnectionSettings, max: number) {
    this.#target = target;
    this.#settings = settings;
    this.#turns = new Turns(max);
  }

  /** Nobody uses it, and no connection is open. */
  get isUnused(): boolean {
    return this.#turns.areFree && this.#idle.length === 0;
  }

  /**
   * Asks for one user.
   * @throws the server's error, or the system's
   */
  ask(query: string, userName: string): Promise<Answer> {
    return this.#turns.run(() => this.#ask(query, userName));
  }

  async #ask(query: string, userName: string): Promise<Answer> {
    let connection: AuthConnection | null = null;
    try {
      const rested = this.#takeIdle();
      connection = rested ?? (await openAuthConnection(this.#target, this.#settings));
      try {
        return await connection.ask(query, userName);
      } catch (error) {
        // The server may have closed it while it lay idle, which shows only now; or it is being shut down, and another
        // node, or its successor, can tell as well.
        if (!(isShutdown(error) || (rested !== null && connection.isClosed))) throw error;
        connection.close();
        connection = await openAuthConnection(this.#target, this.#settings);
        return await connection.ask(query, userName);
      }
    } finally {
      this.#giveBack(connection);
    }
  }

  /** Closes what lies idle. What is in use is closed when it has been used, if `forGood`. */
  release(forGood: boolean): void {
    this.#isClosed ||= forGood;
    for (const { connection, timer } of this.#idle.splice(0)) {
      clearTimeout(timer);
      connection.close();
    }
  }

  #takeIdle(): AuthConnection | null {
    for (;;) {
      const rested = this.#idle.pop();
      if (rested === undefined) return null;
      clearTimeout(rested.timer);
      if (!rested.connection.isClosed) return rested.connection;
    }
  }

  #giveBack(connection: AuthConnection | null): void {
    if (connection === null || connection.isClosed) return;
    if (this.#isClosed) connection.close();
    else this.#rest(connection);
  }

  #rest(connection: AuthConnection): void {
    const timer = setTimeout(() => {
      const at = this.#idle.findIndex((rested) => rested.connection === connection);
      if (at >= 0) this.#idle.splice(at, 1);
      connection.close();
    }, IDLE_MS_MAX);
    timer.unref();
    this.#idle.push({ connection, timer });
  }
}

/** `admin_shutdown`, `crash_shutdown`, `cannot_connect_now`: it is the server that ends, and not the question that is wrong. */
function isShutdown(error: unknown): boolean {
  return /^57P0[123]$/.test((error as { code?: string }).code ?? '');
}
