/** What goes wrong with server connections, in PostgreSQL's words. */
import * as Backend from '../../wire/backend.js';
import { buildErrorResponse, type ErrorFields } from '../../wire/error-fields.js';
import { ProtocolViolation } from '../../wire/protocol-violation.js';
import { readParameterStatus } from '../../wire/server-messages.js';
import { SqlState } from '../../wire/sqlstate.js';
import type { RequestDetail } from './exchange.js';

/** The connection could not be made, or was lost. */
export function connectionFailure(message: string): ErrorFields {
  return { severity: 'FATAL', code: SqlState.connection_failure, message };
}

/** The server has sent what no server may send. */
export function protocolFailure(what: string): ErrorFields {
  const message = `${what} from server; its connection was closed`;
  return { severity: 'FATAL', code: SqlState.protocol_violation, message };
}

/**
 * The server's refusal of what stands for something of the client's, as that: of a statement name that is taken, with the
 * client's name in it; of a statement that was sent for one that is not allowed. Null: another error.
 */
export function refusedInClientsWords(request: RequestDetail, error: ErrorFields | null): Uint8Array | null {
  if (request.what === 'refused') return error?.code === SqlState.undefined_column ? request.answer : null;
  if (request.what !== 'duplicate' || error?.code !== SqlState.duplicate_prepared_statement) return null;
  const message = `prepared statement "${request.clientName}" already exists`;
  return buildErrorResponse({ ...error, message });
}

/** The server's error for a client whose session it could not be given. @param names of what differed */
export function alignmentRefusal(error: ErrorFields, names: readonly string[]): ErrorFields {
  const what = names.join(', ');
  const ours = `The server connection could not be given what this session has set (${what}): nothing was run. If that fails again, the session ends.`;
  const hint = error.hint === undefined ? ours : `${error.hint} ${ours}`;
  return { ...error, severity: 'ERROR', hint };
}

/** Whether ReadyForQuery may say this of a transaction. */
export function isTransactionStatus(status: number): boolean {
  return (
    status === Backend.Idle || status === Backend.InTransaction || status === Backend.InFailedTransaction
  );
}

/** The body of a ParameterStatus; null for one that is not well-formed. */
export function readReported(
  bytes: Uint8Array,
  start: number,
  end: number,
): { name: string; value: string } | null {
  try {
    return readParameterStatus(bytes, start, end);
  } catch (error) {
    if (error instanceof ProtocolViolation) return null;
    throw error;
  }
}

/** PgBouncer's word for why a connection could not be made; `reason` is the system's. */
export function openingReason(reason: string): string {
  return reason.startsWith('could not translate host name') ? 'server DNS lookup failed' : 'connect failed';
}
