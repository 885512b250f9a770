/** NotificationResponse messages, as they are kept for those who listen. */
import { zeroByte } from '../../wire/bytes.js';
import { HEADER_BYTES } from '../../wire/framing.js';
import { decodeText } from '../../wire/text.js';

const PROCESS_ID_BYTES = 4;

export interface Notification {
  readonly channel: string;
  /** Of the server's process that has sent it. */
  readonly serverProcessId: number;
  /** By which clients know who has sent it. */
  readonly processId: number;
  /** The whole message, in UTF-8; who passes it on writes a process id into it first. */
  readonly message: Buffer;
}

/** The channel that the whole message at `position` names; null: the message is not well-formed. */
export function channelOf(bytes: Uint8Array, position: number, total: number): string | null {
  const start = position + HEADER_BYTES + PROCESS_ID_BYTES;
  const end = position + total;
  const nameEnd = start < end ? zeroByte(bytes, start, end) : -1;
  return nameEnd < 0 ? null : decodeText(bytes, start, nameEnd);
}

/** Copies the whole message at `position`; null: it is not well-formed. */
export function copyNotification(
  bytes: Uint8Array,
  position: number,
  total: number,
): Omit<Notification, 'processId'> | null {
  const channel = channelOf(bytes, position, total);
  if (channel === null) return null;
  const message = Buffer.from(bytes.subarray(position, position + total));
  return { channel, serverProcessId: message.readInt32BE(HEADER_BYTES), message };
}

/** The message as one listener gets it; valid until the next call for the same notification. */
export function withProcessId({ message }: Notification, processId: number): Buffer {
  message.writeInt32BE(processId, HEADER_BYTES);
  return message;
}
