/**
 * BEGIN without more is answered here, and said to the primary together with what comes next: until then its client holds no
 * server connection, and a primary that goes meanwhile is none that its transaction has lost.
 */
import { Lexer } from '../../sql/lexer.js';
import * as Backend from '../../wire/backend.js';
import { latin1, sameBytes } from '../../wire/bytes.js';
import { buildQuery } from '../../wire/client-messages.js';
import { buildCommandComplete, buildReadyForQuery } from '../../wire/server-messages.js';
import type { TransactionStart } from './unit-judge.js';

/** A longer one, in bytes, goes to the server at once. */
const BEGIN_BYTES_MAX = 256;

const READY = buildReadyForQuery(Backend.InTransaction);
const BEGUN = Buffer.concat([buildCommandComplete('BEGIN'), READY]);
const STARTED = Buffer.concat([buildCommandComplete('START TRANSACTION'), READY]);

export interface DeferredBegin extends TransactionStart {
  /** To its client. */
  readonly answer: Uint8Array;
}

const lexer = new Lexer();
/** Most clients begin all of their transactions by one text: it is read once. */
let lastText: Uint8Array = new Uint8Array(0);
let lastBegin: DeferredBegin | null = null;

function beginsWithStart(bytes: Uint8Array, start: number, end: number): boolean {
  lexer.begin(bytes, start, end);
  lexer.next();
  return latin1(bytes, lexer.start, lexer.position).toLowerCase() === 'start';
}

/** The text `bytes[start, end)` is known to be a BEGIN or START TRANSACTION alone. Null: it is not deferred. */
export function deferredBegin(bytes: Uint8Array, start: number, end: number): DeferredBegin | null {
  const length = end - start;
  if (length > BEGIN_BYTES_MAX) return null;
  const isLast = length === lastText.length && sameBytes(bytes, start, lastText, 0, length);
  if (!isLast) {
    lastText = bytes.slice(start, end);
    lastBegin = readBegin(bytes, start, end);
  }
  return lastBegin;
}

function readBegin(bytes: Uint8Array, start: number, end: number): DeferredBegin | null {
  const sql = latin1(bytes, start, end);
  // What a comment says in more than ASCII is the server's to read, as it came.
  if (Buffer.byteLength(sql) !== sql.length) return null;
  const answer = beginsWithStart(bytes, start, end) ? STARTED : BEGUN;
  return {
    query: buildQuery(sql),
    keepsSnapshot: false,
    reason: 'it begins with its first statement',
    answer,
  };
}
