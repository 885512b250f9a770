import type { Verdict } from '../../wire/framing.js';

/** The message is the session's to judge, as if there were nobody in between. */
export const PASS = -1;
/** The same for a simple Query of which it is known that it leaves nothing in its session. */
export const PASS_HARMLESS = -2;

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
