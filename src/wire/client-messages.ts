/**
 * What a client sends after its startup packet: a builder and a reader for each message.
 *
 * Builders give whole messages, type code and length included. Readers take the body alone, `bytes[start, end)`, and
 * throw a `ProtocolViolation` that blames the client when it is malformed. Values that they give as
 * `Uint8Array` are views into `bytes`, except where a copy is named.
 */
import { BodyReader } from './body-reader.js';
import * as Frontend from './frontend.js';
import { MAX_CLIENT_SASL_MESSAGE_BYTES, MAX_PASSWORD_BYTES } from './limits.js';
import { putFormats, putValue, putValues, type Value } from './message-values.js';
import { buildMessage } from './message-writer.js';

/** A prepared statement or a portal. */
export type DescribeTarget = 'S' | 'P';

export interface ParseMessage {
  /** Empty: the unnamed statement. */
  readonly name: string;
  readonly query: string;
  /** Object ids; 0 or missing: the server infers the type. */
  readonly parameterTypes: readonly number[];
}

export interface BindMessage<V = Value> {
  readonly portal: string;
  readonly statement: string;
  /** 0 text, 1 binary; none: all text; one: for all. */
  readonly parameterFormats: readonly number[];
  readonly parameters: readonly V[];
  readonly resultFormats: readonly number[];
}

export interface TargetMessage {
  readonly target: DescribeTarget;
  readonly name: string;
}

export interface ExecuteMessage {
  readonly portal: string;
  /** 0: no limit. */
  readonly maxRows: number;
}

export interface FunctionCallMessage<V = Value> {
  readonly functionOid: number;
  readonly argumentFormats: readonly number[];
  readonly arguments: readonly V[];
  readonly resultFormat: number;
}

export interface SaslInitialResponse {
  readonly mechanism: string;
  /** A copy; null: the client sent no initial response. */
  readonly data: Uint8Array | null;
}

export function buildQuery(query: string): Buffer {
  return buildMessage(Frontend.Query, (body) => body.cstring(query));
}

export function readQuery(bytes: Uint8Array, start: number, end: number): string {
  const body = client(bytes, start, end);
  return body.finish(body.cstring());
}

export function buildParse(name: string, query: string, parameterTypes: readonly number[] = []): Buffer {
  return buildMessage(Frontend.Parse, (body) => {
    body.cstring(name).cstring(query).int16(parameterTypes.length);
    for (const type of parameterTypes) body.int32(type);
  });
}

export function readParse(bytes: Uint8Array, start: number, end: number): ParseMessage {
  const body = client(bytes, start, end);
  return body.finish({
    name: body.cstring(),
    query: body.cstring(),
    parameterTypes: body.list(body.uint16(), () => body.uint32()),
  });
}

/** Everything may be left out: then it is the unnamed portal of the unnamed statement, without parameters. */
export function buildBind(bind: Partial<BindMessage> = {}): Buffer {
  return buildMessage(Frontend.Bind, (body) => {
    body.cstring(bind.portal ?? '').cstring(bind.statement ?? '');
    putFormats(body, bind.parameterFormats ?? []);
    putValues(body, bind.parameters ?? []);
    putFormats(body, bind.resultFormats ?? []);
  });
}

export function readBind(bytes: Uint8Array, start: number, end: number): BindMessage<Uint8Array | null> {
  const body = client(bytes, start, end);
  return body.finish({
    portal: body.cstring(),
    statement: body.cstring(),
    parameterFormats: body.list(body.uint16(), () => body.int16()),
    parameters: body.list(body.uint16(), () => body.value()),
    resultFormats: body.list(body.uint16(), () => body.int16()),
  });
}

export function buildDescribe(target: DescribeTarget, name: string): Buffer {
  return buildMessage(Frontend.Describe, (body) => body.byte(target.charCodeAt(0)).cstring(name));
}

export function readDescribe(bytes: Uint8Array, start: number, end: number): TargetMessage {
  return readTarget(bytes, start, end, 'DESCRIBE');
}

export function buildClose(target: DescribeTarget, name: string): Buffer {
  return buildMessage(Frontend.Close, (body) => body.byte(target.charCodeAt(0)).cstring(name));
}

export function readClose(bytes: Uint8Array, start: number, end: number): TargetMessage {
  return readTarget(bytes, start, end, 'CLOSE');
}

export function buildExecute(portal = '', maxRows = 0): Buffer {
  return buildMessage(Frontend.Execute, (body) => body.cstring(portal).int32(maxRows));
}

export function readExecute(bytes: Uint8Array, start: number, end: number): ExecuteMessage {
  const body = client(bytes, start, end);
  return body.finish({ portal: body.cstring(), maxRows: body.int32() });
}

const SYNC = buildMessage(Frontend.Sync, () => {});
const FLUSH = buildMessage(Frontend.Flush, () => {});
const TERMINATE = buildMessage(Frontend.Terminate, () => {});
const COPY_DONE = buildMessage(Frontend.CopyDone, () => {});

/** This and the other messages without a body are the same buffer every time: not to be written to. */
export function buildSync(): Buffer {
  return SYNC;
}

export function buildFlush(): Buffer {
  return FLUSH;
}

export function buildTerminate(): Buffer {
  return TERMINATE;
}

export function buildCopyDone(): Buffer {
  return COPY_DONE;
}

/** For Sync, Flush, Terminate and CopyDone: throws unless the body is empty. */
export function readEmpty(bytes: Uint8Array, start: number, end: number): void {
  client(bytes, start, end).finish(undefined);
}

export function buildCopyData(data: string | Uint8Array): Buffer {
  return buildMessage(Frontend.CopyData, (body) =>
    typeof data === 'string' ? body.text(data) : body.bytes(data),
  );
}

/** A view. */
export function readCopyData(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const body = client(bytes, start, end);
  return body.view(body.remaining);
}

export function buildCopyFail(reason: string): Buffer {
  return buildMessage(Frontend.CopyFail, (body) => body.cstring(reason));
}

export function readCopyFail(bytes: Uint8Array, start: number, end: number): string {
  const body = client(bytes, start, end);
  return body.finish(body.cstring());
}

export function buildFunctionCall(call: FunctionCallMessage): Buffer {
  return buildMessage(Frontend.FunctionCall, (body) => {
    body.int32(call.functionOid);
    putFormats(body, call.argumentFormats);
    putValues(body, call.arguments);
    body.int16(call.resultFormat);
  });
}

export function readFunctionCall(
  bytes: Uint8Array,
  start: number,
  end: number,
): FunctionCallMessage<Uint8Array | null> {
  const body = client(bytes, start, end);
  return body.finish({
    functionOid: body.uint32(),
    argumentFormats: body.list(body.uint16(), () => body.int16()),
    arguments: body.list(body.uint16(), () => body.value()),
    resultFormat: body.int16(),
  });
}

/** A password in clear text, or the answer to an md5 request. */
export function buildPassword(password: string): Buffer {
  return buildMessage(Frontend.Password, (body) => body.cstring(password));
}

export function readPassword(bytes: Uint8Array, start: number, end: number): string {
  const body = client(bytes, start, end);
  if (body.remaining > MAX_PASSWORD_BYTES) throw body.violation('password packet is too long');
  return body.finish(body.cstring());
}

/** @param data null: no initial response, which isn't the same as an empty one. */
export function buildSaslInitialResponse(mechanism: string, data: Uint8Array | null): Buffer {
  return buildMessage(Frontend.Password, (body) => {
    body.cstring(mechanism);
    putValue(body, data);
  });
}

export function readSaslInitialResponse(bytes: Uint8Array, start: number, end: number): SaslInitialResponse {
  const body = client(bytes, start, end);
  checkSaslLength(body);
  const mechanism = body.cstring();
  const data = body.value();
  return body.finish({ mechanism, data: data === null ? null : new Uint8Array(data) });
}

export function buildSaslResponse(data: Uint8Array): Buffer {
  return buildMessage(Frontend.Password, (body) => body.bytes(data));
}

/** A copy. */
export function readSaslResponse(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const body = client(bytes, start, end);
  checkSaslLength(body);
  return body.copy(body.remaining);
}

function client(bytes: Uint8Array, start: number, end: number): BodyReader {
  return new BodyReader(bytes, start, end, 'client');
}

function checkSaslLength(body: BodyReader): void {
  if (body.remaining > MAX_CLIENT_SASL_MESSAGE_BYTES) throw body.violation('SASL message is too long');
}

function readTarget(bytes: Uint8Array, start: number, end: number, message: string): TargetMessage {
  const body = client(bytes, start, end);
  const target = String.fromCharCode(body.byte());
  if (target !== 'S' && target !== 'P') {
    throw body.violation(`invalid ${message} message subtype ${target.charCodeAt(0)}`);
  }
  return body.finish({ target, name: body.cstring() });
}
