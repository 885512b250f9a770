/**
 * Readers for what a server sends. They take the body alone, `bytes[start, end)`, and throw a `ProtocolViolation` that
 * blames the server when it is malformed. Keys, salts and SASL data are copies; other `Uint8Array`s are views into `bytes`.
 */
import * as Backend from './backend.js';
import { BodyReader } from './body-reader.js';
import { MAX_CANCEL_SECRET_BYTES, MAX_SERVER_SASL_MESSAGE_BYTES, MIN_CANCEL_SECRET_BYTES } from './limits.js';

/** A column of a RowDescription. */
export interface ColumnDescription {
  readonly name: string;
  /** 0: not a column of a table. */
  readonly tableOid: number;
  readonly columnNumber: number;
  readonly typeOid: number;
  /** In bytes; negative: of variable width. */
  readonly typeSize: number;
  readonly typeModifier: number;
  /** 0 text, 1 binary. */
  readonly format: number;
}

export type AuthenticationRequest =
  | { readonly kind: 'ok' }
  | { readonly kind: 'cleartextPassword' }
  | { readonly kind: 'md5Password'; readonly salt: Uint8Array }
  | { readonly kind: 'sasl'; readonly mechanisms: readonly string[] }
  | { readonly kind: 'saslContinue'; readonly data: Uint8Array }
  | { readonly kind: 'saslFinal'; readonly data: Uint8Array }
  /** Kerberos, GSSAPI, SSPI, or one that isn't known. */
  | { readonly kind: 'unsupported'; readonly code: number };

export interface BackendKeyData {
  readonly processId: number;
  readonly secret: Uint8Array;
}

export interface NegotiateProtocolVersion {
  /** Of protocol 3. */
  readonly newestMinor: number;
  readonly unrecognisedOptions: readonly string[];
}

export interface NotificationResponse {
  readonly processId: number;
  readonly channel: string;
  readonly payload: string;
}

/** CopyInResponse, CopyOutResponse and CopyBothResponse. */
export interface CopyResponse {
  readonly format: number;
  readonly columnFormats: readonly number[];
}

export function readAuthentication(bytes: Uint8Array, start: number, end: number): AuthenticationRequest {
  const body = server(bytes, start, end);
  const code = body.int32();
  switch (code) {
    case Backend.AuthenticationOk:
      return body.finish({ kind: 'ok' });
    case Backend.AuthenticationCleartextPassword:
      return body.finish({ kind: 'cleartextPassword' });
    case Backend.AuthenticationMD5Password:
      return body.finish({ kind: 'md5Password', salt: body.copy(4) });
    case Backend.AuthenticationSASL:
      return { kind: 'sasl', mechanisms: readMechanisms(body) };
    case Backend.AuthenticationSASLContinue:
      return { kind: 'saslContinue', data: readSaslData(body) };
    case Backend.AuthenticationSASLFinal:
      return { kind: 'saslFinal', data: readSaslData(body) };
    default:
      return { kind: 'unsupported', code };
  }
}

export function readBackendKeyData(bytes: Uint8Array, start: number, end: number): BackendKeyData {
  const body = server(bytes, start, end);
  const processId = body.int32();
  if (body.remaining < MIN_CANCEL_SECRET_BYTES || body.remaining > MAX_CANCEL_SECRET_BYTES) {
    throw body.violation(`invalid length ${body.remaining} of cancel key`);
  }
  return { processId, secret: body.copy(body.remaining) };
}

export function readParameterStatus(
  bytes: Uint8Array,
  start: number,
  end: number,
): { readonly name: string; readonly value: string } {
  const body = server(bytes, start, end);
  return body.finish({ name: body.cstring(), value: body.cstring() });
}

/** `Idle`, `InTransaction` or `InFailedTransaction` of backend.ts; any other status throws. */
export function readReadyForQuery(bytes: Uint8Array, start: number, end: number): number {
  const body = server(bytes, start, end);
  const status = body.byte();
  if (status !== Backend.Idle && status !== Backend.InTransaction && status !== Backend.InFailedTransaction) {
    throw body.violation(`invalid transaction status ${status}`);
  }
  return body.finish(status);
}

/** The command tag, e.g. `SELECT 1`. */
export function readCommandComplete(bytes: Uint8Array, start: number, end: number): string {
  const body = server(bytes, start, end);
  return body.finish(body.cstring());
}

export function readRowDescription(bytes: Uint8Array, start: number, end: number): ColumnDescription[] {
  const body = server(bytes, start, end);
  return body.finish(
    body.list(body.uint16(), () => ({
      name: body.cstring(),
      tableOid: body.uint32(),
      columnNumber: body.int16(),
      typeOid: body.uint32(),
      typeSize: body.int16(),
      typeModifier: body.int32(),
      format: body.int16(),
    })),
  );
}

export function readDataRow(bytes: Uint8Array, start: number, end: number): (Uint8Array | null)[] {
  const body = server(bytes, start, end);
  return body.finish(body.list(body.uint16(), () => body.value()));
}

export function readParameterDescription(bytes: Uint8Array, start: number, end: number): number[] {
  const body = server(bytes, start, end);
  return body.finish(body.list(body.uint16(), () => body.uint32()));
}

export function readNegotiateProtocolVersion(
  bytes: Uint8Array,
  start: number,
  end: number,
): NegotiateProtocolVersion {
  const body = server(bytes, start, end);
  // PostgreSQL sends the whole version; a server that follows the documentation's words sends the minor one alone.
  const version = body.uint32();
  const major = version >>> 16;
  if (major !== 0 && major !== 3) throw body.violation(`server negotiates protocol version ${major}`);
  const count = body.int32();
  // Each name needs its zero byte, so a higher count is a lie.
  if (count < 0 || count > body.remaining) throw body.violation(`invalid count ${count} of options`);
  return body.finish({
    newestMinor: version & 0xffff,
    unrecognisedOptions: body.list(count, () => body.cstring()),
  });
}

export function readNotificationResponse(
  bytes: Uint8Array,
  start: number,
  end: number,
): NotificationResponse {
  const body = server(bytes, start, end);
  return body.finish({ processId: body.int32(), channel: body.cstring(), payload: body.cstring() });
}

export function readCopyResponse(bytes: Uint8Array, start: number, end: number): CopyResponse {
  const body = server(bytes, start, end);
  const format = body.byte();
  if (format > 1) throw body.violation(`invalid copy format ${format}`);
  return body.finish({ format, columnFormats: body.list(body.uint16(), () => body.int16()) });
}

/** The function's result, as a view; null for NULL. */
export function readFunctionCallResponse(bytes: Uint8Array, start: number, end: number): Uint8Array | null {
  const body = server(bytes, start, end);
  return body.finish(body.value());
}

function server(bytes: Uint8Array, start: number, end: number): BodyReader {
  return new BodyReader(bytes, start, end, 'server');
}

function readMechanisms(body: BodyReader): string[] {
  const mechanisms: string[] = [];
  for (;;) {
    const mechanism = body.cstring();
    if (mechanism === '') return body.finish(mechanisms);
    mechanisms.push(mechanism);
  }
}

function readSaslData(body: BodyReader): Uint8Array {
  if (body.remaining > MAX_SERVER_SASL_MESSAGE_BYTES) throw body.violation('SASL message is too long');
  return body.copy(body.remaining);
}
