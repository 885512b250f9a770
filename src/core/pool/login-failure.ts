import type { ErrorFields } from '../../wire/error-fields.js';
import { SqlState } from '../../wire/sqlstate.js';

/** A login that ended without a word. */
export const UNKNOWN_FAILURE: ErrorFields = {
  severity: 'FATAL',
  code: SqlState.sqlclient_unable_to_establish_sqlconnection,
  message: 'server closed the connection during login',
};

/** Wrong user, password or database: waiting doesn't help (classes 28 and 3D). */
export function isDefinite(sqlstate: string): boolean {
  return sqlstate.startsWith('28') || sqlstate.startsWith('3D');
}
