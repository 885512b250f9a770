/** Messages in a readable form, as libpq's PQtrace has it: type, then what matters of the body. */
import { type Packet, readCstring, readFields } from './packets.js';

const FRONTEND = new Map<number, string>([
  [0, 'Startup'],
  [0x42, 'Bind'],
  [0x43, 'Close'],
  [0x44, 'Describe'],
  [0x45, 'Execute'],
  [0x46, 'FunctionCall'],
  [0x48, 'Flush'],
  [0x50, 'Parse'],
  [0x51, 'Query'],
  [0x53, 'Sync'],
  [0x58, 'Terminate'],
  [0x63, 'CopyDone'],
  [0x64, 'CopyData'],
  [0x66, 'CopyFail'],
  [0x70, 'PasswordMessage'],
]);

const BACKEND = new Map<number, string>([
  [0x31, 'ParseComplete'],
  [0x32, 'BindComplete'],
  [0x33, 'CloseComplete'],
  [0x41, 'NotificationResponse'],
  [0x43, 'CommandComplete'],
  [0x44, 'DataRow'],
  [0x45, 'ErrorResponse'],
  [0x47, 'CopyInResponse'],
  [0x48, 'CopyOutResponse'],
  [0x49, 'EmptyQueryResponse'],
  [0x4b, 'BackendKeyData'],
  [0x4e, 'NoticeResponse'],
  [0x52, 'Authentication'],
  [0x53, 'ParameterStatus'],
  [0x54, 'RowDescription'],
  [0x56, 'FunctionCallResponse'],
  [0x5a, 'ReadyForQuery'],
  [0x63, 'CopyDone'],
  [0x64, 'CopyData'],
  [0x6e, 'NoData'],
  [0x73, 'PortalSuspended'],
  [0x74, 'ParameterDescription'],
  [0x76, 'NegotiateProtocolVersion'],
]);

const BODY_CHARACTERS_MAX = 90;

/** One line for a message. @param fromServer who sent it: the same letters mean different things. */
export function describePacket(message: Packet, fromServer: boolean): string {
  const name = (fromServer ? BACKEND : FRONTEND).get(message.type) ?? `0x${message.type.toString(16)}`;
  if (fromServer && (message.type === 0x45 || message.type === 0x4e)) {
    const fields = readFields(message);
    return `${name} ${fields.get('S')} ${fields.get('C')} ${fields.get('M')}`;
  }
  if (!fromServer && message.type === 0x51) return `${name} ${readCstring(message.bytes, 5)[0]}`;
  const body = message.bytes.toString('latin1', message.type === 0 ? 4 : 5);
  return body === '' ? name : `${name} ${visible(body)}`;
}

function visible(body: string): string {
  const cut = body.length > BODY_CHARACTERS_MAX ? `${body.slice(0, BODY_CHARACTERS_MAX)}...` : body;
  return JSON.stringify(cut).replaceAll('\\u00', '\\x');
}
