/** What a client is told when its session must end. */
import { buildErrorResponse, buildNoticeResponse, type ErrorFields } from '../../wire/error-fields.js';
import { SqlState } from '../../wire/sqlstate.js';
import type { ServerLoss } from '../link.js';
import { pinAdvice, pinReasons } from '../pin-words.js';

/** With these a server says that it ends, or that somebody ends the session. */
export const ENDS_OF_SERVERS: ReadonlySet<string> = new Set([
  SqlState.admin_shutdown,
  SqlState.crash_shutdown,
  SqlState.cannot_connect_now,
]);

/** A transaction block is lost, of which nothing has been committed. */
export function blockLost(reason: string): ErrorFields {
  return {
    severity: 'ERROR',
    code: SqlState.serialization_failure,
    message: `the transaction is lost with its server connection: ${reason}`,
    detail: 'Nothing of it was committed.',
    hint: 'Run the whole transaction again.',
  };
}

/** A commit was under way. */
export function outcomeUnknown(reason: string): ErrorFields {
  return {
    severity: 'ERROR',
    code: SqlState.transaction_resolution_unknown,
    message: `connection to server was lost: ${reason}`,
    detail: 'A request was under way; whether it took effect is not known.',
    hint: 'Check its effect before you repeat it.',
  };
}

/**
 * A transaction was over that may have changed the session, and the server could not be asked for that any more.
 * @param requestInFlight something that the client has asked for behind it was under way
 */
export function sessionInDoubt(reason: string, requestInFlight: boolean): ErrorFields {
  const fate = requestInFlight
    ? 'A request was under way; whether it took effect is not known.'
    : 'This statement was not run.';
  return {
    severity: 'ERROR',
    code: requestInFlight ? SqlState.transaction_resolution_unknown : SqlState.connection_failure,
    message: `connection to server was lost: ${reason}`,
    detail: `${fate} The last transaction before it is over; what it has set in this session, if anything, is lost.`,
    hint: 'Set it again, or begin a new session.',
  };
}

/** PostgreSQL's words for a statement in a transaction block that has failed. */
export const ABORTED: ErrorFields = {
  severity: 'ERROR',
  code: SqlState.in_failed_sql_transaction,
  message: 'current transaction is aborted, commands ignored until end of transaction block',
};

/** PostgreSQL's words for a statement that its client has given up. */
export const CANCELED = buildErrorResponse({
  severity: 'ERROR',
  code: SqlState.query_canceled,
  message: 'canceling statement due to user request',
});

export function serverLossError(loss: ServerLoss): ErrorFields {
  if (loss.requestInFlight) return { ...outcomeUnknown(loss.reason), severity: 'FATAL' };
  const message = `connection to server was lost: ${loss.reason}`;
  return { severity: 'FATAL', code: SqlState.connection_failure, message };
}

export const TRANSACTION_REFUSED: ErrorFields = {
  severity: 'FATAL',
  code: SqlState.feature_not_supported,
  message: 'transaction blocks are not allowed in statement pooling mode',
  hint: 'Use a database or setting with pool_mode = transaction.',
};

export function violation(message: string): ErrorFields {
  return { severity: 'FATAL', code: SqlState.protocol_violation, message };
}

/** `on_pin = notice`. @param pins why (`Pin`) */
export function pinNotice(pins: number): Uint8Array {
  return buildNoticeResponse({
    severity: 'NOTICE',
    code: SqlState.successful_completion,
    message: `this session keeps its server connection: ${pinReasons(pins)}`,
    hint: pinAdvice(pins),
  });
}

/** `on_pin = refuse`. @param pins why (`Pin`) */
export function pinRefusal(pins: number): ErrorFields {
  return {
    severity: 'FATAL',
    code: SqlState.feature_not_supported,
    message: `a session may not keep its server connection (on_pin = refuse): ${pinReasons(pins)}`,
    hint: pinAdvice(pins),
  };
}
