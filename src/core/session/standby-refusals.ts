/** What the errors of a standby say of the primary, by their SQLSTATE. */
import { SqlState } from '../../wire/sqlstate.js';

/** Errors that would be the same on the primary, or that the client or an operator has asked for: `query_canceled`. */
const USERS_OWN: ReadonlySet<string> = new Set([SqlState.query_canceled]);
const DATA_EXCEPTION = '22';
/** What standbys refuse: read_only_sql_transaction, object_not_in_prerequisite_state, feature_not_supported. */
const NOT_ON_STANDBYS: ReadonlySet<string> = new Set(['25006', '55000', '0A000']);

/** It is the statement's own error, wherever that runs. */
export function isItsOwn(code: string): boolean {
  return USERS_OWN.has(code) || code.startsWith(DATA_EXCEPTION);
}

/** Statements of its shape are the primary's. */
export function isForPrimary(code: string): boolean {
  return NOT_ON_STANDBYS.has(code);
}
