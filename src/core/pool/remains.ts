/**
 * What a session leaves in its server process and DISCARD ALL does not take back: the temporary schema, and libraries that
 * it has caused to be loaded (PL/pgSQL comes with the first function in it), which tell themselves by their settings. A
 * process that has them answers one question otherwise than when it was new.
 */

import type { ServerConnection } from '../server/server-connection.js';

/**
 * What is asked of a new server connection, and of one whose client has gone: the two rows are to be the same. Settings
 * whose names have a dot are those of libraries (those that applications make up are shown to nobody); they only become more.
 */
export const REMAINS_QUESTION = `/* sluice: remains of a session */ SELECT pg_catalog.pg_my_temp_schema(),
 (SELECT pg_catalog.count(*) FROM pg_catalog.pg_settings WHERE pg_catalog.strpos(name, '.') OPERATOR(pg_catalog.>) 0)`;

/** The answer of new server connections of one pool. */
export class FreshAnswer {
  /** Null: it is to be asked of the next one that is opened. */
  expected: string | null = null;
  /** It was refused: this is no PostgreSQL, or one that keeps such things secret, and is not asked again. */
  isRefused = false;

  /** Its server connections lead elsewhere now. */
  forget(): void {
    this.expected = null;
    this.isRefused = false;
  }

  /** A new server connection has answered. Null: it was refused. */
  learn(answer: string | null): void {
    this.expected = answer;
    this.isRefused = answer === null;
  }

  /** Whether one that has served answers as it did when it was new, which may be no longer what new ones answer. */
  isAsNew({ place }: ServerConnection, answer: string | null): boolean {
    if (answer === place.fresh) return true;
    this.expected = null;
    return false;
  }
}
