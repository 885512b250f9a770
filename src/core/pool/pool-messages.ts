/** What clients are told when a limit of their pool ends their session. The messages are PgBouncer's. */
import { buildNoticeResponse, type ErrorFields } from '../../wire/error-fields.js';
import { SqlState } from '../../wire/sqlstate.js';
import type { PoolLimits } from './pool-limits.js';

const MS_PER_S = 1000;

function fatal(message: string, code: SqlState, hint?: string): ErrorFields {
  return Object.freeze({ severity: 'FATAL', code, message, ...(hint !== undefined && { hint }) });
}

/** `query_timeout` for a query that runs. */
export const QUERY_TIMEOUT = fatal('query timeout', SqlState.query_canceled);
/** The same for one that still waits for a server connection. */
export const QUERY_TIMEOUT_WAITING = fatal('query_timeout', SqlState.query_canceled);
export const TRANSACTION_TIMEOUT = fatal('transaction timeout', SqlState.transaction_timeout);
export const IDLE_TRANSACTION = fatal(
  'idle transaction timeout',
  SqlState.idle_in_transaction_session_timeout,
);
export const LAST_ANSWERS_LATE = fatal(
  'client has ended, and its last answers do not come',
  SqlState.query_canceled,
);
export const CLIENT_IDLE = fatal('client_idle_timeout', SqlState.idle_session_timeout);
export const LOGIN_WITHOUT_SERVER = fatal(
  'client_login_timeout (server down)',
  SqlState.sqlclient_unable_to_establish_sqlconnection,
);
/** `server_fast_close`. */
export const CONFIGURATION_CHANGED = fatal('database configuration changed', SqlState.admin_shutdown);

/** `query_wait_notify`. */
export const WAIT_NOTICE = buildNoticeResponse({
  severity: 'NOTICE',
  code: SqlState.successful_completion,
  message: 'No server connection available in postgres backend, client being queued',
});

/** What a pool says of itself in an error. */
export interface DescribedPool {
  readonly name: string;
  readonly limits: PoolLimits;
  readonly lastFailure: ErrorFields | null;
  readonly servers: Iterable<{ readonly isPinned: boolean }>;
}

/** `query_wait_timeout`. */
export function waitedTooLong(pool: DescribedPool): ErrorFields {
  return {
    severity: 'FATAL',
    code: SqlState.too_many_connections,
    message: 'query_wait_timeout',
    detail:
      pool.lastFailure === null
        ? `No server connection became free within ${pool.limits.waitTimeoutMs / MS_PER_S} s.`
        : lastAttempt(pool.lastFailure),
    hint: sizeHint(pool),
  };
}

/** `failover_timeout`. */
export function noPrimary(limitMs: number): ErrorFields {
  return {
    severity: 'ERROR',
    code: SqlState.cannot_connect_now,
    message: 'there is no primary that could be written to',
    detail: `None came within ${limitMs / MS_PER_S} s (failover_timeout). Nothing of the request was carried out.`,
    hint: 'Try again. SHOW NODES and SHOW EVENTS on the console tell what is known of the nodes.',
  };
}

/** `query_wait_fail_fast`. */
export function noneFree(pool: DescribedPool): ErrorFields {
  return {
    severity: 'FATAL',
    code: SqlState.too_many_connections,
    message: 'no server connection is free (query_wait_fail_fast)',
    ...(pool.lastFailure !== null && { detail: lastAttempt(pool.lastFailure) }),
    hint: sizeHint(pool),
  };
}

function lastAttempt(failure: ErrorFields): string {
  return `The last attempt to connect failed: ${failure.message}`;
}

function sizeHint({ name, limits, servers }: DescribedPool): string {
  const size = `Pool ${name} may have ${limits.size} server connections (default_pool_size, pool_size).`;
  const pinned = [...servers].filter(({ isPinned }) => isPinned).length;
  return pinned === 0 ? size : `${size} Sessions keep ${pinned} of them for themselves (SHOW PINS).`;
}
