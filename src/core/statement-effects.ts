/** What a statement may leave in its session, as far as that concerns a gateway that shares server connections. */
import { SessionEffect } from '../sql/session-effect.js';
import { sessionEffects, UNREADABLE } from '../sql/session-effects.js';
import { SEARCHED_BYTES_MAX } from './limits.js';

/** The effects of a text that can't be read. */
export const UNREAD: number = UNREADABLE;

const MAY_USE_SEQUENCES =
  SessionEffect.SEQUENCE_SET | SessionEffect.INSERT | SessionEffect.MODIFY | SessionEffect.STATE;
/** Nothing stays of a COMMIT or NOTIFY, nor of a look at channels, and a sequence that was used counts only when its value is asked for. */
const STAYING = ~(
  SessionEffect.COMMIT |
  SessionEffect.NOTIFY |
  SessionEffect.CHANNELS |
  SessionEffect.SEQUENCE_SET |
  SessionEffect.INSERT |
  SessionEffect.MODIFY
);

/** Whether something may be left in the session. */
export function mayStay(effects: number): boolean {
  return (effects & STAYING) !== 0;
}

/** Whether a sequence may get a value in the session. */
export function mayUseSequences(effects: number): boolean {
  return (effects & MAY_USE_SEQUENCES) !== 0;
}

/**
 * {@link SessionEffect} bits of the text `bytes[start, end)`, in an encoding whose bytes below 128 are ASCII; 0: none.
 * @param standardStrings `standard_conforming_strings` is known to be on
 */
export function statementEffects(
  bytes: Uint8Array,
  start: number,
  end: number,
  standardStrings = false,
): number {
  if (end - start > SEARCHED_BYTES_MAX) return UNREAD;
  return sessionEffects(bytes, start, end, standardStrings);
}
