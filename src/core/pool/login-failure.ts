import type { ErrorFields } from '../../wire/error-fields.js';
import { SqlState } from '../../wire/sqlstate.js';

/** A login that ended without a word. */
export const UNKNOWN_FAILURE: ErrorFields = {
  severity: 'FATAL',
  code: SqlState.sqlclient_unable_to_establish_sqlconnection,
  message: 'server closed the connection during login',
};

/**
 * The server can't be reached, starts, stops, or is full (classes 08, 53, 57, 58, XX): clients wait for it to come back.
 * Others, such as a wrong password, are for people to repair.
 */
export function isTemporary(sqlstate: string): boolean {
  return /^(?:08|53|57|58|XX)/.test(sqlstate);
}

/** The same, or the node is closed to everybody, as those of a cluster are that are not open yet. */
export function passesByItself(
  { code }: ErrorFields,
  { isManaged }: { readonly isManaged: boolean },
): boolean {
  return isTemporary(code) || (isManaged && code === SqlState.invalid_authorization_specification);
}

/** What was taken for a standby is none. */
export const IS_PRIMARY: ErrorFields = {
  severity: 'FATAL',
  code: SqlState.cannot_connect_now,
  message: 'the server is a primary, and not a standby any more',
};

/** What was taken for the primary is a standby. */
export const IS_STANDBY: ErrorFields = {
  severity: 'FATAL',
  code: SqlState.cannot_connect_now,
  message: 'the server is a standby, and not the primary any more',
};
