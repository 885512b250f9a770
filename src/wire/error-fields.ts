/**
 * The fields of ErrorResponse and NoticeResponse (PostgreSQL documentation, "Error and Notice Message Fields").
 */
import * as Backend from './backend.js';
import { buildMessage } from './message-writer.js';
import { SqlState } from './sqlstate.js';
import { decodeText } from './text.js';

export type Severity =
  | 'ERROR'
  | 'FATAL'
  | 'PANIC'
  | 'WARNING'
  | 'NOTICE'
  | 'DEBUG'
  | 'INFO'
  | 'LOG'
  // Servers older than 9.6 send translated words only.
  | (string & {});

/** What PostgreSQL says in an error or a notice. Numbers are kept as the decimal text that was sent. */
export interface ErrorFields {
  severity: Severity;
  /** SQLSTATE: five digits or upper-case letters. */
  code: string;
  message: string;
  detail?: string;
  hint?: string;
  /** Where in the statement, in characters from 1. */
  position?: string;
  internalPosition?: string;
  internalQuery?: string;
  where?: string;
  schema?: string;
  table?: string;
  column?: string;
  dataType?: string;
  constraint?: string;
  file?: string;
  line?: string;
  routine?: string;
}

/** In the order in which PostgreSQL sends them. Severity (S and V), code and message stand before these. */
const OPTIONAL_FIELDS = [
  ['D', 'detail'],
  ['H', 'hint'],
  ['P', 'position'],
  ['p', 'internalPosition'],
  ['q', 'internalQuery'],
  ['W', 'where'],
  ['s', 'schema'],
  ['t', 'table'],
  ['c', 'column'],
  ['d', 'dataType'],
  ['n', 'constraint'],
  ['F', 'file'],
  ['L', 'line'],
  ['R', 'routine'],
] as const satisfies readonly (readonly [string, keyof ErrorFields])[];

const SQLSTATE_FORM = /^[0-9A-Z]{5}$/;

/** Never throws: zero bytes in a text are left out, because an error must always be sendable. */
export function buildErrorResponse(fields: ErrorFields): Buffer {
  return buildFields(Backend.ErrorResponse, fields);
}

export function buildNoticeResponse(fields: ErrorFields): Buffer {
  return buildFields(Backend.NoticeResponse, fields);
}

/**
 * Reads the body `bytes[start, end)` of an ErrorResponse or NoticeResponse. Never throws: a body that is cut or
 * incomplete gives what is there, severity `ERROR`, code `XX000` and an empty message for what isn't.
 */
export function readErrorFields(bytes: Uint8Array, start: number, end: number): ErrorFields {
  const sent = new Map<string, string>();
  const body = bytes.subarray(start, end);
  let at = 0;
  while (at < body.length && body[at] !== 0) {
    const field = String.fromCharCode(body[at]);
    const zero = body.indexOf(0, at + 1);
    const stop = zero < 0 ? body.length : zero;
    sent.set(field, decodeText(body, at + 1, stop));
    at = stop + 1;
  }
  const code = sent.get('C') ?? '';
  const fields: ErrorFields = {
    // V is never translated, S may be.
    severity: sent.get('V') || sent.get('S') || 'ERROR',
    code: SQLSTATE_FORM.test(code) ? code : SqlState.internal_error,
    message: sent.get('M') ?? '',
  };
  for (const [field, name] of OPTIONAL_FIELDS) {
    const value = sent.get(field);
    if (value !== undefined) fields[name] = value;
  }
  return fields;
}

function buildFields(type: number, fields: ErrorFields): Buffer {
  return buildMessage(type, (body) => {
    const put = (field: string, value: string) => {
      body.byte(field.charCodeAt(0)).cstring(value.replaceAll('\0', ''));
    };
    put('S', fields.severity);
    put('V', fields.severity);
    put('C', fields.code);
    put('M', fields.message);
    for (const [field, name] of OPTIONAL_FIELDS) {
      const value = fields[name];
      if (value !== undefined) put(field, value);
    }
    body.byte(0);
  });
}
