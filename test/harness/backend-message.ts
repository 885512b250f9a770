import { type ErrorFields, readErrorFields } from '../../src/wire/error-fields.js';

/** A message that a server sent: the letter of its type, and its body. */
export interface BackendMessage {
  readonly type: string;
  readonly body: Buffer;
}

/** No answer of a test is larger than this; a larger length means that the bytes are not the protocol. */
const LENGTH_MAX = 0x4000_0000;

/** Cuts whole messages off the front of `bytes` into `into`; returns what is left. Throws for bytes that can't be messages. */
export function takeMessages(bytes: Buffer, into: BackendMessage[]): Buffer {
  let at = 0;
  while (bytes.length - at >= 5) {
    const length = bytes.readInt32BE(at + 1);
    if (length < 4 || length > LENGTH_MAX) {
      throw new Error(`not a message: ${bytes.subarray(at, at + 32).toString('hex')}`);
    }
    if (bytes.length - at < length + 1) break;
    const type = String.fromCharCode(bytes[at] as number);
    into.push({ type, body: bytes.subarray(at + 5, at + 1 + length) });
    at += length + 1;
  }
  return bytes.subarray(at);
}

/** The fields of an ErrorResponse or NoticeResponse. */
export function errorOf(message: BackendMessage): ErrorFields {
  return readErrorFields(message.body, 0, message.body.length);
}

/** The first error among messages. Throws when there is none. */
export function firstError(messages: readonly BackendMessage[]): ErrorFields {
  const error = messages.find((message) => message.type === 'E');
  if (!error) throw new Error(`no error among:\n${messages.map(describeMessage).join('\n')}`);
  return errorOf(error);
}

/** The columns of every DataRow, as text. */
export function rowsOf(messages: readonly BackendMessage[]): (string | null)[][] {
  return messages.filter(({ type }) => type === 'D').map(({ body }) => rowOf(body));
}

function rowOf(body: Buffer): (string | null)[] {
  const columns: (string | null)[] = [];
  let at = 2;
  for (let left = body.readInt16BE(0); left > 0; left--) {
    const length = body.readInt32BE(at);
    at += 4;
    columns.push(length < 0 ? null : body.toString('utf8', at, at + length));
    if (length > 0) at += length;
  }
  return columns;
}

/** The one value of a result with one row and one column. Throws with the error that came instead. */
export function singleValue(messages: readonly BackendMessage[]): string | null {
  const rows = rowsOf(messages);
  if (rows.length !== 1 || rows[0]?.length !== 1) {
    throw new Error(`expected one value, got:\n${messages.map(describeMessage).join('\n')}`);
  }
  return rows[0][0] as string | null;
}

/** The types of messages in a row, such as `TDCZ`. */
export function typesOf(messages: readonly BackendMessage[]): string {
  return messages.map(({ type }) => type).join('');
}

/** One line for people: the type, and what the body says. */
export function describeMessage(message: BackendMessage): string {
  const { type, body } = message;
  if (type === 'E' || type === 'N') {
    const { severity, code, message: text, detail, hint } = errorOf(message);
    const extra = [detail, hint].filter((part) => part !== undefined);
    return [`${type} ${severity} ${code} ${text}`, ...extra].join(' | ');
  }
  if (type === 'D') return `D ${JSON.stringify(rowOf(body)).slice(0, 200)}`;
  const text = body.length > 200 ? `${body.length} bytes` : JSON.stringify(body.toString('latin1'));
  return `${type} ${text}`;
}
