/**
 * The simulator's own codec: deliberately not the product's, so that a mistake there is not shared by those who
 * check it. Plain and short instead of fast.
 */
import * as Backend from '../src/wire/backend.js';
import * as Frontend from '../src/wire/frontend.js';

/** A whole message: its type and everything, header included. */
export interface Packet {
  readonly type: number;
  readonly bytes: Buffer;
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value | 0);
  return bytes;
}

export function cstring(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

export function packet(type: number, ...parts: readonly Buffer[]): Packet {
  const body = Buffer.concat(parts);
  return { type, bytes: Buffer.concat([Buffer.of(type), int32(body.length + 4), body]) };
}

/** PostgreSQL's own limit is 1 GiB. */
const LENGTH_MAX = 0x4000_0000;

/** Cuts a stream into packets. A length that can't be gives `onBroken`, and nothing more. */
export class Framer {
  private kept: Buffer = Buffer.alloc(0);
  private readonly onPacket: (packet: Packet) => void;
  private readonly onBroken: (why: string) => void;
  /** Before the first untyped packet was taken by {@link takeUntyped}. */
  untyped: boolean;

  constructor(untyped: boolean, onPacket: (packet: Packet) => void, onBroken: (why: string) => void) {
    this.untyped = untyped;
    this.onPacket = onPacket;
    this.onBroken = onBroken;
  }

  /** Bytes of a packet that isn't complete. */
  get rest(): number {
    return this.kept.length;
  }

  receive(chunk: Buffer): void {
    this.kept = this.kept.length === 0 ? chunk : Buffer.concat([this.kept, chunk]);
    for (;;) {
      const header = this.untyped ? 0 : 1;
      if (this.kept.length < header + 4) return;
      const length = this.kept.readInt32BE(header);
      if (length < 4 || length > LENGTH_MAX) {
        this.kept = Buffer.alloc(0);
        this.onBroken(`length ${length}`);
        return;
      }
      const end = header + length;
      if (this.kept.length < end) return;
      const bytes = this.kept.subarray(0, end);
      this.kept = this.kept.subarray(end);
      const type = this.untyped ? 0 : bytes[0]!;
      this.untyped = false;
      this.onPacket({ type, bytes });
    }
  }

  /** The next packet has no type byte (after an answer to SSLRequest). */
  takeUntyped(): void {
    this.untyped = true;
  }
}

/** The zero-terminated string at `offset`, and where the next field begins. */
export function readCstring(bytes: Buffer, offset: number): [text: string, next: number] {
  const end = bytes.indexOf(0, offset);
  if (end < 0) return [bytes.toString('utf8', offset), bytes.length];
  return [bytes.toString('utf8', offset, end), end + 1];
}

/** The fields of ErrorResponse or NoticeResponse by their letters. */
export function readFields(message: Packet): Map<string, string> {
  const fields = new Map<string, string>();
  let at = 5;
  while (at < message.bytes.length && message.bytes[at] !== 0) {
    const letter = String.fromCharCode(message.bytes[at]!);
    const [text, next] = readCstring(message.bytes, at + 1);
    fields.set(letter, text);
    at = next;
  }
  return fields;
}

// --- What a client sends --------------------------------------------------------------------------------------

export function startup(version: number, parameters: ReadonlyMap<string, string>): Buffer {
  const parts = [int32(version)];
  for (const [name, value] of parameters) parts.push(cstring(name), cstring(value));
  parts.push(Buffer.of(0));
  return untyped(...parts);
}

export function untyped(...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([int32(body.length + 4), body]);
}

export const query = (sql: string): Packet => packet(Frontend.Query, cstring(sql));

export const parse = (name: string, sql: string, types: readonly number[] = []): Packet =>
  packet(Frontend.Parse, cstring(name), cstring(sql), int16(types.length), ...types.map(int32));

export function bind(portal: string, statement: string, values: readonly string[]): Packet {
  const parts = [cstring(portal), cstring(statement), int16(0), int16(values.length)];
  for (const value of values) {
    const bytes = Buffer.from(value);
    parts.push(int32(bytes.length), bytes);
  }
  return packet(Frontend.Bind, ...parts, int16(0));
}

/** @param kind `S` for a statement, `P` for a portal. */
export const describe = (kind: 'S' | 'P', name: string): Packet =>
  packet(Frontend.Describe, Buffer.from(kind), cstring(name));

export const close = (kind: 'S' | 'P', name: string): Packet =>
  packet(Frontend.Close, Buffer.from(kind), cstring(name));

export const execute = (portal: string, maxRows: number): Packet =>
  packet(Frontend.Execute, cstring(portal), int32(maxRows));

export const sync = (): Packet => packet(Frontend.Sync);
export const flush = (): Packet => packet(Frontend.Flush);
export const terminate = (): Packet => packet(Frontend.Terminate);
export const copyDone = (): Packet => packet(Frontend.CopyDone);
export const copyData = (line: string): Packet => packet(Frontend.CopyData, Buffer.from(line));
export const copyFail = (why: string): Packet => packet(Frontend.CopyFail, cstring(why));

export function functionCall(oid: number, argument: string): Packet {
  const bytes = Buffer.from(argument);
  return packet(Frontend.FunctionCall, int32(oid), int16(0), int16(1), int32(bytes.length), bytes, int16(0));
}

// --- What a server sends --------------------------------------------------------------------------------------

export function fields(type: number, severity: string, code: string, message: string): Packet {
  const parts: Buffer[] = [];
  for (const [letter, text] of [
    ['S', severity],
    ['V', severity],
    ['C', code],
    ['M', message],
  ] as const) {
    parts.push(Buffer.from(letter), cstring(text));
  }
  return packet(type, ...parts, Buffer.of(0));
}

export const errorResponse = (severity: string, code: string, message: string): Packet =>
  fields(Backend.ErrorResponse, severity, code, message);

export const notice = (severity: string, code: string, message: string): Packet =>
  fields(Backend.NoticeResponse, severity, code, message);

export const notification = (processId: number, channel: string, payload: string): Packet =>
  packet(Backend.NotificationResponse, int32(processId), cstring(channel), cstring(payload));

export const readyForQuery = (status: number): Packet => packet(Backend.ReadyForQuery, Buffer.of(status));

export const parameterStatus = (name: string, value: string): Packet =>
  packet(Backend.ParameterStatus, cstring(name), cstring(value));

export const commandComplete = (tag: string): Packet => packet(Backend.CommandComplete, cstring(tag));

export function rowDescription(columns: readonly string[]): Packet {
  const parts = [int16(columns.length)];
  for (const column of columns) {
    parts.push(cstring(column), int32(0), int16(0), int32(25), int16(-1), int32(-1), int16(0));
  }
  return packet(Backend.RowDescription, ...parts);
}

export function dataRow(values: readonly string[]): Packet {
  const parts = [int16(values.length)];
  for (const value of values) {
    const bytes = Buffer.from(value);
    parts.push(int32(bytes.length), bytes);
  }
  return packet(Backend.DataRow, ...parts);
}
