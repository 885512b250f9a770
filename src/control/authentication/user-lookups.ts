/** `auth_query`: asks databases who their users are. Logins of one user that come together share one answer. */
import type { AuthorityAnswer, AuthTarget, UserLookup } from '../../core/authority.js';
import type { ServerAddress } from '../../core/io.js';
import type { ErrorFields } from '../../wire/error-fields.js';
import { SqlState } from '../../wire/sqlstate.js';
import type { AuthConnectionSettings } from './auth-connection.js';
import { AuthConnections } from './auth-connections.js';
import { ANSWERS_MAX, LOOKUPS_MAX } from './limits.js';
import { Turns } from './turns.js';
import { UserSecrets } from './user-secrets.js';

/** What the configuration says. */
export interface LookupSettings extends AuthConnectionSettings {
  readonly connectionsMax: number;
  readonly cacheMs: number;
  readonly scramIterations: number;
}

interface Known {
  readonly answer: Promise<AuthorityAnswer>;
  /** Until when it serves, in ms of the process; infinite while it is awaited. */
  until: number;
}

type Warn = (message: string) => void;

/** The servers that a cluster or a source of nodes knows of, in the order in which they are to be tried. */
export type NodesOf = (name: string) => readonly ServerAddress[];

export class UserLookups {
  readonly #warn: Warn;
  readonly #nodesOf: NodesOf;
  readonly #secrets = new UserSecrets();
  /** Over all databases: a client may name any, and is nobody yet. */
  readonly #turns = new Turns(LOOKUPS_MAX);
  readonly #connections = new Map<string, AuthConnections>();
  readonly #known = new Map<string, Known>();
  #settings: LookupSettings;

  constructor(settings: LookupSettings, warn: Warn, nodesOf: NodesOf) {
    this.#settings = settings;
    this.#warn = warn;
    this.#nodesOf = nodesOf;
  }

  /** Follows a reload: connections under other settings are closed when they have been used. */
  configure(settings: LookupSettings): void {
    this.#settings = settings;
    this.#known.clear();
    for (const connections of this.#connections.values()) connections.release(true);
    this.#connections.clear();
  }

  /** Never rejects. */
  async find(lookup: UserLookup): Promise<AuthorityAnswer> {
    const key = nameOf(lookup);
    const known = this.#known.get(key);
    if (known !== undefined && performance.now() < known.until) return known.answer;
    const answer = this.#ask(lookup);
    const asked: Known = { answer, until: Number.POSITIVE_INFINITY };
    this.#known.delete(key);
    this.#known.set(key, asked);
    if (this.#known.size > ANSWERS_MAX) this.#known.delete(this.#known.keys().next().value as string);
    const { kind } = await answer;
    asked.until = performance.now() + (kind === 'failed' ? 0 : this.#settings.cacheMs);
    if (asked.until <= performance.now() && this.#known.get(key) === asked) this.#known.delete(key);
    return answer;
  }

  /** A login has failed with this answer: it may be out of date. */
  forget(lookup: UserLookup): void {
    this.#known.delete(nameOf(lookup));
  }

  /** Closes connections that lie idle; with `forGood` the others, too, when they have been used. */
  release(forGood = false): void {
    for (const [key, connections] of this.#connections) {
      connections.release(forGood);
      if (connections.isUnused) this.#connections.delete(key);
    }
  }

  async #ask({ target, query, userName }: UserLookup): Promise<AuthorityAnswer> {
    const { scramIterations } = this.#settings;
    try {
      const ask = () => this.#connectionsTo(this.#reachable(target)).ask(query, userName);
      const { columns, row } = await this.#turns.run(ask);
      if (columns !== 2) return this.#misfit(`expected 2 columns from auth_query, not ${columns}`);
      if (row === null) return { kind: 'unknownUser' };
      const [name, stored] = row as [string | null, string | null];
      if (name === null) return this.#misfit('auth_query response contained null user name');
      const secret = await this.#secrets.secretOf(name, stored, scramIterations);
      return { kind: 'user', name, secret };
    } catch (error) {
      return this.#failed(error as Error & Partial<ErrorFields>);
    }
  }

  #reachable(target: AuthTarget): AuthTarget {
    if (target.nodesOf === null) return target;
    const known = this.#nodesOf(target.nodesOf);
    const places = new Map([...known, ...target.addresses].map((place) => [JSON.stringify(place), place]));
    return { ...target, addresses: [...places.values()] };
  }

  #connectionsTo(target: AuthTarget): AuthConnections {
    const key = JSON.stringify(target);
    let connections = this.#connections.get(key);
    if (connections === undefined) {
      for (const [other, its] of this.#connections) if (its.isUnused) this.#connections.delete(other);
      connections = new AuthConnections(target, this.#settings, this.#settings.connectionsMax);
      this.#connections.set(key, connections);
    }
    return connections;
  }

  #misfit(message: string): AuthorityAnswer {
    this.#warn(message);
    return CONFIG_ERROR;
  }

  /** What PgBouncer tells: a refused login in the server's words, a query that fails in none. */
  #failed({ severity, code, message }: Error & Partial<ErrorFields>): AuthorityAnswer {
    if (severity === 'ERROR') {
      this.#warn(`S: error in auth_query: ERROR: ${message}`);
      return CONFIG_ERROR;
    }
    if (severity !== undefined && code !== undefined) {
      this.#warn(`server login failed: ${severity} ${message}`);
      return { kind: 'failed', error: { severity: 'FATAL', code, message } };
    }
    const reason = `could not ask the authentication database: ${message}`;
    this.#warn(reason);
    return {
      kind: 'failed',
      error: { severity: 'FATAL', code: SqlState.connection_failure, message: reason },
    };
  }
}

const CONFIG_ERROR: AuthorityAnswer = Object.freeze({
  kind: 'failed',
  error: { severity: 'FATAL', code: SqlState.config_file_error, message: 'bouncer config error' },
});

function nameOf({ target, query, userName }: UserLookup): string {
  return JSON.stringify([target, query, userName]);
}
