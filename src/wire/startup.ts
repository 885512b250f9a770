/**
 * The untyped packets with which a client opens a connection: StartupMessage, CancelRequest, SSLRequest and
 * GSSENCRequest (PostgreSQL documentation, "Message Formats"), and the server's answer NegotiateProtocolVersion.
 */
import * as Backend from './backend.js';
import { CancelRequestCode, GSSENCRequestCode, ProtocolVersion3, SSLRequestCode } from './frontend.js';
import {
  MAX_CANCEL_SECRET_BYTES,
  MAX_STARTUP_PACKET_LENGTH,
  MIN_CANCEL_SECRET_BYTES,
  MIN_STARTUP_PACKET_BYTES,
} from './limits.js';
import { buildMessage, buildUntyped } from './message-writer.js';
import { SqlState } from './sqlstate.js';
import { decodeText } from './text.js';

export { MAX_STARTUP_PACKET_LENGTH } from './limits.js';

/** The newest minor version of protocol 3 that the codec speaks. */
export const NEWEST_MINOR = 2;

const MAJOR = 3;
const LENGTH_WORD_BYTES = 4;
const CANCEL_SECRET_AT = 12;
const PROTOCOL_OPTION_PREFIX = '_pq_.';

export interface StartupMessage {
  readonly kind: 'startup';
  /** Always 3. */
  readonly major: number;
  /** As asked for; may be higher than {@link NEWEST_MINOR}, to be answered with NegotiateProtocolVersion. */
  readonly minor: number;
  /** Without protocol options. `user` is there and not empty; of a name that is given twice the last value counts. */
  readonly parameters: Map<string, string>;
  /** Names that begin with `_pq_.`, in their order. */
  readonly protocolOptions: readonly string[];
}

export type StartupPacket =
  | StartupMessage
  /** `secret` is a copy of 4 to 256 bytes. */
  | { readonly kind: 'cancel'; readonly processId: number; readonly secret: Uint8Array }
  | { readonly kind: 'ssl' }
  | { readonly kind: 'gssenc' }
  /** To be answered with a FATAL error of this SQLSTATE, and closed. */
  | { readonly kind: 'invalid'; readonly message: string; readonly code: SqlState };

/** Reads the packet `bytes[start, end)`, which begins with its length word. Never throws. */
export function readStartupPacket(bytes: Uint8Array, start: number, end: number): StartupPacket {
  const packet = bytes.subarray(start, end);
  const { length } = packet;
  if (length < MIN_STARTUP_PACKET_BYTES || length > MAX_STARTUP_PACKET_LENGTH + LENGTH_WORD_BYTES) {
    return invalid('invalid length of startup packet');
  }
  const words = new DataView(packet.buffer, packet.byteOffset, length);
  if (words.getInt32(0) !== length) return invalid('invalid length of startup packet');
  const code = words.getUint32(4);
  switch (code) {
    case CancelRequestCode:
      return readCancel(packet, words);
    case SSLRequestCode:
      return { kind: 'ssl' };
    case GSSENCRequestCode:
      return { kind: 'gssenc' };
  }
  const major = code >>> 16;
  const minor = code & 0xffff;
  if (major !== MAJOR) {
    return invalid(
      `unsupported frontend protocol ${major}.${minor}: server supports ${MAJOR}.0 to ${MAJOR}.${NEWEST_MINOR}`,
      SqlState.feature_not_supported,
    );
  }
  return readParameters(packet, minor);
}

export function buildStartup(parameters: ReadonlyMap<string, string>, minor = 0): Buffer {
  return buildUntyped((body) => {
    body.int32(ProtocolVersion3 | minor);
    for (const [name, value] of parameters) body.cstring(name).cstring(value);
    body.byte(0);
  });
}

export function buildSslRequest(): Buffer {
  return buildUntyped((body) => body.int32(SSLRequestCode));
}

export function buildGssEncRequest(): Buffer {
  return buildUntyped((body) => body.int32(GSSENCRequestCode));
}

/** @param secret all bytes of the key that BackendKeyData brought. */
export function buildCancelRequest(processId: number, secret: Uint8Array): Buffer {
  return buildUntyped((body) => body.int32(CancelRequestCode).int32(processId).bytes(secret));
}

/**
 * Says which minor version and which protocol options are not supported. On the wire stands the whole version
 * (3.2 is 0x00030002), which is what PostgreSQL sends and libpq expects, though the documentation says "minor".
 */
export function buildNegotiateProtocolVersion(
  newestMinor: number,
  unrecognisedOptions: readonly string[],
): Buffer {
  return buildMessage(Backend.NegotiateProtocolVersion, (body) => {
    body.int32(ProtocolVersion3 | newestMinor).int32(unrecognisedOptions.length);
    for (const name of unrecognisedOptions) body.cstring(name);
  });
}

function readCancel(packet: Uint8Array, words: DataView): StartupPacket {
  const secret = packet.subarray(CANCEL_SECRET_AT);
  if (secret.length < MIN_CANCEL_SECRET_BYTES || secret.length > MAX_CANCEL_SECRET_BYTES) {
    return invalid('invalid length of query cancel packet');
  }
  return { kind: 'cancel', processId: words.getInt32(8), secret: new Uint8Array(secret) };
}

function readParameters(packet: Uint8Array, minor: number): StartupPacket {
  const parameters = new Map<string, string>();
  const protocolOptions: string[] = [];
  const last = packet.length - 1;
  let at = MIN_STARTUP_PACKET_BYTES;
  while (at <= last && packet[at] !== 0) {
    const nameEnd = packet.indexOf(0, at);
    const valueEnd = nameEnd < 0 ? -1 : packet.indexOf(0, nameEnd + 1);
    // The list needs one more zero byte after this value, so a value may not end with the packet's last byte.
    if (valueEnd < 0 || valueEnd === last) return badLayout();
    const name = decodeText(packet, at, nameEnd);
    if (name.startsWith(PROTOCOL_OPTION_PREFIX)) protocolOptions.push(name);
    else parameters.set(name, decodeText(packet, nameEnd + 1, valueEnd));
    at = valueEnd + 1;
  }
  if (at !== last) return badLayout();
  if (!parameters.get('user')) {
    return invalid(
      'no PostgreSQL user name specified in startup packet',
      SqlState.invalid_authorization_specification,
    );
  }
  return { kind: 'startup', major: MAJOR, minor, parameters, protocolOptions };
}

function badLayout(): StartupPacket {
  return invalid('invalid startup packet layout: expected terminator as last byte');
}

function invalid(message: string, code: SqlState = SqlState.protocol_violation): StartupPacket {
  return { kind: 'invalid', message, code };
}
