/** What a client is told when its session must end. */
import { buildNoticeResponse, type ErrorFields } from '../../wire/error-fields.js';
import { SqlState } from '../../wire/sqlstate.js';
import type { ServerLoss } from '../link.js';

export function serverLossError(loss: ServerLoss): ErrorFields {
  return {
    severity: 'FATAL',
    code: loss.requestInFlight ? SqlState.transaction_resolution_unknown : SqlState.connection_failure,
    message: `connection to server was lost: ${loss.reason}`,
    ...(loss.requestInFlight && {
      detail: 'A request was under way; whether it took effect is not known.',
      hint: 'Check its effect before you repeat it.',
    }),
  };
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

/** What keeps a session from sharing its server connection, and how to do without. */
const PIN_HINT =
  'Do without it, or undo it in the same transaction (ON COMMIT DROP, pg_advisory_xact_lock), or use a database with pool_mode = session.';

/** `on_pin = notice` */
export function pinNotice(reasons: string): Uint8Array {
  const message = `this session keeps its server connection: ${reasons}`;
  return buildNoticeResponse({
    severity: 'NOTICE',
    code: SqlState.successful_completion,
    message,
    hint: PIN_HINT,
  });
}

/** `on_pin = refuse` */
export function pinRefusal(reasons: string): ErrorFields {
  const message = `a session may not keep its server connection (on_pin): ${reasons}`;
  return { severity: 'FATAL', code: SqlState.feature_not_supported, message, hint: PIN_HINT };
}
