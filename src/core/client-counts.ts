/** Counts clients by database and by user, and turns away those above `max_db_client_connections` and `max_user_client_connections`. */
import type { ErrorFields } from '../wire/error-fields.js';
import { SqlState } from '../wire/sqlstate.js';
import type { GatewaySettings } from './settings.js';

/** A client, by the names that it gave. */
export interface CountedClient {
  readonly database: string;
  readonly user: string;
}

export class ClientCounts {
  private readonly databases = new Map<string, number>();
  private readonly users = new Map<string, number>();

  ofDatabase(name: string): number {
    return this.databases.get(name) ?? 0;
  }

  ofUser(name: string): number {
    return this.users.get(name) ?? 0;
  }

  /** Every user of whom there are clients. */
  get userNames(): Iterable<string> {
    return this.users.keys();
  }

  enter({ database, user }: CountedClient): void {
    add(this.databases, database, 1);
    add(this.users, user, 1);
  }

  leave({ database, user }: CountedClient): void {
    add(this.databases, database, -1);
    add(this.users, user, -1);
  }

  /** Why one more can't be let in; null: it can. The messages are PgBouncer's. */
  refusal({ database, user }: CountedClient, settings: GatewaySettings): ErrorFields | null {
    const entry = settings.databases.get(database) ?? settings.databases.get('*');
    const ofDatabase = entry?.maxDbClientConnections || settings.maxDbClientConnections;
    if (ofDatabase > 0 && this.ofDatabase(database) >= ofDatabase) {
      return exceeded('max_db_client_connections', `Database "${database}"`, ofDatabase);
    }
    const ofUser =
      settings.users.get(user)?.limits?.maxUserClientConnections || settings.maxUserClientConnections;
    if (ofUser > 0 && this.ofUser(user) >= ofUser) {
      return exceeded('max_user_client_connections', `User "${user}"`, ofUser);
    }
    return null;
  }
}

function add(counts: Map<string, number>, name: string, change: 1 | -1): void {
  const count = (counts.get(name) ?? 0) + change;
  if (count === 0) counts.delete(name);
  else counts.set(name, count);
}

function exceeded(setting: string, whose: string, limit: number): ErrorFields {
  return {
    severity: 'FATAL',
    code: SqlState.too_many_connections,
    message: `client connections exceeded (${setting})`,
    detail: `${whose} may have ${limit}.`,
  };
}
