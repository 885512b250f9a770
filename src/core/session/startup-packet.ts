/** Puts the untyped packets that begin a connection together; they come in pieces of any size. */
import { readInt32 } from '../../wire/framing.js';
import { MAX_STARTUP_PACKET_LENGTH } from '../../wire/startup.js';

/** PostgreSQL's limit does not count the length word. */
const PACKET_BYTES_MAX = MAX_STARTUP_PACKET_LENGTH + 4;
/** The length word and a code. */
const PACKET_BYTES_MIN = 8;
/** How Terminate begins, read as a length: what a driver sends that is told to leave before it has said anything. */
const TERMINATE = 0x58000000;

/** `kept`: what has to be handed in with the next piece. */
export type StartupStep =
  | { readonly kind: 'more'; readonly kept: Buffer }
  /** Its length can't be. */
  | { readonly kind: 'invalid'; readonly kept: null }
  /** The client leaves. */
  | { readonly kind: 'terminate'; readonly kept: null }
  /** A whole packet; what follows it begins at `next`. */
  | { readonly kind: 'packet'; readonly kept: null; readonly packet: Uint8Array; readonly next: number };

/** Takes the piece `bytes[start, end)` behind what was `kept`. A hostile length is found before it is waited for. */
export function takeStartupPacket(
  kept: Buffer | null,
  bytes: Uint8Array,
  start: number,
  end: number,
): StartupStep {
  const have = kept === null ? 0 : kept.length;
  const piece = bytes.subarray(start, Math.min(end, start + PACKET_BYTES_MAX - have));
  const packet = kept === null ? piece : Buffer.concat([kept, piece]);
  if (packet.length < 4) return { kind: 'more', kept: Buffer.from(packet) };
  const length = readInt32(packet, 0);
  if (length === TERMINATE) return { kind: 'terminate', kept: null };
  if (length < PACKET_BYTES_MIN || length > PACKET_BYTES_MAX) return { kind: 'invalid', kept: null };
  if (packet.length < length) return { kind: 'more', kept: Buffer.from(packet) };
  return { kind: 'packet', kept: null, packet: packet.subarray(0, length), next: start + length - have };
}
