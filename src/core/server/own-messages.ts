/** Messages that the gateway itself sends to a server, made once. */
import {
  buildCopyFail,
  buildFlush,
  buildQuery,
  buildSync,
  buildTerminate,
} from '../../wire/client-messages.js';

export const TERMINATE: Uint8Array = buildTerminate();

/** Brings the answers to what stands before it. */
export const FLUSH: Uint8Array = buildFlush();

/** Behind its answer it is certain again how many ReadyForQuery are to come. */
export const EMPTY_QUERY: Uint8Array = buildQuery('');

/** Ends a COPY FROM STDIN that nobody will end; outside of one a server ignores CopyFail. */
export const END_OF_INPUT: Uint8Array = Buffer.concat([buildCopyFail('the client has ended'), buildSync()]);
