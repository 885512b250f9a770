/** The few connections to one database for `auth_query`: they are opened when they are needed, and closed when idle. */
import type { AuthTarget } from '../../core/authority.js';
import {
  type Answer,
  type AuthConnection,
  type AuthConnectionSettings,
  openAuthConnection,
} from './auth-connection.js';
import { IDLE_MS_MAX } from './limits.js';

interface Idle {
  readonly connection: AuthConnection;
  readonly timer: NodeJS.Timeout;
}

export class AuthConnections {
  readonly #target: AuthTarget;
  readonly #settings: AuthConnectionSettings;
  readonly #max: number;
  readonly #idle: Idle[] = [];
  /** Who waits for one to become free, first come first served. */
  readonly #waiting: (() => void)[] = [];
  #busy = 0;
  #isClosed = false;

  constructor(target: AuthTarget, settings: AuthConnectionSettings, max: number) {
    this.#target = target;
    this.#settings = settings;
    this.#max = max;
  }

  /** Nobody uses it, and no connection is open. */
  get isUnused(): boolean {
    return this.#busy === 0 && this.#idle.length === 0 && this.#waiting.length === 0;
  }

  /**
   * Asks for one user.
   * @throws the server's error, or the system's
   */
  async ask(query: string, userName: string): Promise<Answer> {
    await this.#turn();
    let connection: AuthConnection | null = null;
    try {
      const rested = this.#takeIdle();
      connection = rested ?? (await openAuthConnection(this.#target, this.#settings));
      try {
        return await connection.ask(query, userName);
      } catch (error) {
        // The server may have closed it while it lay idle, which shows only now.
        if (rested === null || !connection.isClosed) throw error;
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

  /** Resolves when one more connection may be used. */
  async #turn(): Promise<void> {
    if (this.#busy >= this.#max) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#busy += 1;
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
    if (connection !== null && !connection.isClosed) {
      if (this.#isClosed) connection.close();
      else this.#rest(connection);
    }
    const next = this.#waiting.shift();
    if (next === undefined) this.#busy -= 1;
    else next();
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
