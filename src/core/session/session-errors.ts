/** What a client is told when its session must end. */
import { buildNoticeResponse, type ErrorFields } from '../../wire/error-fields.js';
import { SqlState } from '../../wire/sqlstate.js';
import type { ServerLoss } from '../link.js';
import { pinAdvice, pinReasons } from '../pin-words.js';

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
