/** What clients that listen are told. */
import { buildNoticeResponse, type ErrorFields } from '../../wire/error-fields.js';
import { SqlState } from '../../wire/sqlstate.js';
import { NOTIFICATION_BYTES_MAX } from '../limits.js';

/** More waits for it than is kept. */
export const TOO_MANY_NOTIFICATIONS: ErrorFields = {
  severity: 'FATAL',
  code: SqlState.program_limit_exceeded,
  message: `more than ${NOTIFICATION_BYTES_MAX} bytes of notifications wait for this client`,
  hint: 'End transactions soon and read what comes, or listen on a connection with nothing else to do.',
};

/** A notification has letters that the client's encoding may not have. */
export const NOT_CONVERTIBLE: ErrorFields = {
  severity: 'FATAL',
  code: SqlState.character_not_in_repertoire,
  message: 'a notification can not be converted to client_encoding',
  hint: 'Use client_encoding UTF8 where you listen.',
};

/** Its database has several servers now, each with notifications of its own. */
export const SEVERAL_SERVERS: ErrorFields = {
  severity: 'FATAL',
  code: SqlState.admin_shutdown,
  message: 'the database of this session, which listens, has several servers now',
  hint: 'Connect again: LISTEN then keeps one server connection, and hears what is sent on that server.',
};

/** It listens, and its session does not follow it any more. */
export const NOT_TRACKED: ErrorFields = {
  severity: 'FATAL',
  code: SqlState.admin_shutdown,
  message: 'this session listens, and session_state has become classic',
  hint: 'LISTEN works with session_state = transparent, and with pool_mode = session.',
};

/** The shared connection was lost, and is there again. */
export function lostNotice(channels: Iterable<string>): Buffer {
  const names = [...channels].map((name) => `"${name}"`).join(', ');
  return buildNoticeResponse({
    severity: 'WARNING',
    code: SqlState.warning,
    message: 'notifications may have been lost',
    detail: `The connection over which this session listens was lost, and has been made again: ${names}.`,
    hint: 'Look for what you may have missed, as after connecting anew.',
  });
}
