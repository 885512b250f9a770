import type { Verdict } from '../../wire/framing.js';

/** The message is the session's to judge, as if there were nobody in between. */
export const PASS = -1;

/** Judges messages as `FrameReader.message` does. */
export interface MessageHandler {
  message(
    type: number,
    total: number,
    bytes: Uint8Array,
    position: number,
    end: number,
  ): Verdict | typeof PASS;
}
