/** Answers that the gateway makes itself, without a server. */
import * as Backend from '../../wire/backend.js';

export const PARSE_COMPLETE = Uint8Array.of(Backend.ParseComplete, 0, 0, 0, 4);
export const CLOSE_COMPLETE = Uint8Array.of(Backend.CloseComplete, 0, 0, 0, 4);
/** ReadyForQuery: no transaction is open. */
export const READY_IDLE = Uint8Array.of(Backend.ReadyForQuery, 0, 0, 0, 5, Backend.Idle);
