/**
 * What a server sends after the startup packet: builders of whole messages (type code and length included) for all of
 * protocol 3.0 and 3.2. ErrorResponse and NoticeResponse are in error-fields.ts, NegotiateProtocolVersion in startup.ts;
 * the readers stand in server-message-readers.ts, and are exported here too.
 */
import * as Backend from './backend.js';
import { MAX_CANCEL_SECRET_BYTES, MIN_CANCEL_SECRET_BYTES } from './limits.js';
import { putFormats, putValue, putValues, type Value } from './message-values.js';
import { buildMessage } from './message-writer.js';
import { ProtocolViolation } from './protocol-violation.js';
import type { ColumnDescription } from './server-message-readers.js';
import { SqlState } from './sqlstate.js';

export * from './server-message-readers.js';

/** What has to be said of a column; the rest defaults to a text column of no table. */
export type ColumnToDescribe = Partial<ColumnDescription> & { readonly name: string };

const TEXT_TYPE_OID = 25;

export function buildAuthenticationOk(): Buffer {
  return AUTHENTICATION_OK;
}

export function buildAuthenticationCleartextPassword(): Buffer {
  return authentication(Backend.AuthenticationCleartextPassword);
}

/** @param salt 4 bytes. */
export function buildAuthenticationMD5Password(salt: Uint8Array): Buffer {
  if (salt.length !== 4) throw internal('the salt of an md5 request has 4 bytes');
  return authentication(Backend.AuthenticationMD5Password, salt);
}

/** @param mechanisms in the order of preference. */
export function buildAuthenticationSASL(mechanisms: readonly string[]): Buffer {
  return buildMessage(Backend.Authentication, (body) => {
    body.int32(Backend.AuthenticationSASL);
    for (const mechanism of mechanisms) body.cstring(mechanism);
    body.byte(0);
  });
}

export function buildAuthenticationSASLContinue(data: Uint8Array): Buffer {
  return authentication(Backend.AuthenticationSASLContinue, data);
}

export function buildAuthenticationSASLFinal(data: Uint8Array): Buffer {
  return authentication(Backend.AuthenticationSASLFinal, data);
}

/** @param secret 4 bytes towards clients of protocol 3.0; up to 256 from 3.2 on. */
export function buildBackendKeyData(processId: number, secret: Uint8Array): Buffer {
  if (secret.length < MIN_CANCEL_SECRET_BYTES || secret.length > MAX_CANCEL_SECRET_BYTES) {
    throw internal(`a cancel key cannot have ${secret.length} bytes`);
  }
  return buildMessage(Backend.BackendKeyData, (body) => body.int32(processId).bytes(secret));
}

export function buildParameterStatus(name: string, value: string): Buffer {
  return buildMessage(Backend.ParameterStatus, (body) => body.cstring(name).cstring(value));
}

/** @param status `Idle`, `InTransaction` or `InFailedTransaction` of backend.ts. */
export function buildReadyForQuery(status: number): Buffer {
  return buildMessage(Backend.ReadyForQuery, (body) => body.byte(status));
}

/** @param tag e.g. `SELECT 1`. */
export function buildCommandComplete(tag: string): Buffer {
  return buildMessage(Backend.CommandComplete, (body) => body.cstring(tag));
}

export function buildRowDescription(columns: readonly ColumnToDescribe[]): Buffer {
  return buildMessage(Backend.RowDescription, (body) => {
    body.int16(columns.length);
    for (const column of columns) {
      body.cstring(column.name);
      body.int32(column.tableOid ?? 0).int16(column.columnNumber ?? 0);
      body.int32(column.typeOid ?? TEXT_TYPE_OID).int16(column.typeSize ?? -1);
      body.int32(column.typeModifier ?? -1).int16(column.format ?? 0);
    }
  });
}

export function buildDataRow(values: readonly Value[]): Buffer {
  return buildMessage(Backend.DataRow, (body) => putValues(body, values));
}

export function buildParameterDescription(typeOids: readonly number[]): Buffer {
  return buildMessage(Backend.ParameterDescription, (body) => {
    body.int16(typeOids.length);
    for (const oid of typeOids) body.int32(oid);
  });
}

export function buildNotificationResponse(processId: number, channel: string, payload: string): Buffer {
  return buildMessage(Backend.NotificationResponse, (body) => {
    body.int32(processId).cstring(channel).cstring(payload);
  });
}

/** @param format of the whole: 0 text, 1 binary. */
export function buildCopyInResponse(format: number, columnFormats: readonly number[]): Buffer {
  return copyResponse(Backend.CopyInResponse, format, columnFormats);
}

export function buildCopyOutResponse(format: number, columnFormats: readonly number[]): Buffer {
  return copyResponse(Backend.CopyOutResponse, format, columnFormats);
}

/** Streaming replication alone. */
export function buildCopyBothResponse(format: number, columnFormats: readonly number[]): Buffer {
  return copyResponse(Backend.CopyBothResponse, format, columnFormats);
}

// A client's CopyData and CopyDone are the same bytes as a server's.
export { buildCopyData, buildCopyDone } from './client-messages.js';

export function buildFunctionCallResponse(value: Value): Buffer {
  return buildMessage(Backend.FunctionCallResponse, (body) => putValue(body, value));
}

/** This and the other messages without a body are the same buffer every time: not to be written to. */
export function buildParseComplete(): Buffer {
  return PARSE_COMPLETE;
}

export function buildBindComplete(): Buffer {
  return BIND_COMPLETE;
}

export function buildCloseComplete(): Buffer {
  return CLOSE_COMPLETE;
}

export function buildEmptyQueryResponse(): Buffer {
  return EMPTY_QUERY_RESPONSE;
}

export function buildPortalSuspended(): Buffer {
  return PORTAL_SUSPENDED;
}

export function buildNoData(): Buffer {
  return NO_DATA;
}

const AUTHENTICATION_OK = authentication(Backend.AuthenticationOk);
const PARSE_COMPLETE = bodiless(Backend.ParseComplete);
const BIND_COMPLETE = bodiless(Backend.BindComplete);
const CLOSE_COMPLETE = bodiless(Backend.CloseComplete);
const EMPTY_QUERY_RESPONSE = bodiless(Backend.EmptyQueryResponse);
const PORTAL_SUSPENDED = bodiless(Backend.PortalSuspended);
const NO_DATA = bodiless(Backend.NoData);

function authentication(request: number, data?: Uint8Array): Buffer {
  return buildMessage(Backend.Authentication, (body) => {
    body.int32(request);
    if (data !== undefined) body.bytes(data);
  });
}

function bodiless(type: number): Buffer {
  return buildMessage(type, () => {});
}

function copyResponse(type: number, format: number, columnFormats: readonly number[]): Buffer {
  return buildMessage(type, (body) => putFormats(body.byte(format), columnFormats));
}

function internal(message: string): ProtocolViolation {
  return new ProtocolViolation('self', message, { sqlstate: SqlState.internal_error });
}
