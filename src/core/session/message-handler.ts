import type { Verdict } from '../../wire/framing.js';

/** Judges messages as `FrameReader.message` does. */
export interface MessageHandler {
  message(type: number, total: number, bytes: Uint8Array, position: number, end: number): Verdict;
}
