/** Why a session is pinned, and what to do about it, in words for people. */
import { CUSTOM_SETTINGS_MAX, STATE_BYTES_MAX } from './limits.js';
import { Pin } from './session-state.js';

interface PinWords {
  readonly pin: number;
  readonly reason: string;
  readonly advice: string;
  /** It is not the session's nature but a limit of the gateway's, or something that went wrong. */
  readonly isLimit?: true;
}

const WORDS: readonly PinWords[] = [
  { pin: Pin.TEMPORARY, reason: 'temporary objects', advice: 'Create temporary tables with ON COMMIT DROP.' },
  { pin: Pin.LOCK, reason: 'advisory locks', advice: 'Lock with pg_advisory_xact_lock.' },
  { pin: Pin.CURSOR, reason: 'cursors with hold', advice: 'Fetch within the transaction, without HOLD.' },
  {
    pin: Pin.PREPARED,
    reason: 'statements prepared by SQL',
    advice: "Prepare statements by the driver (the protocol's Parse).",
  },
  { pin: Pin.CHANNEL, reason: 'listening', advice: 'Listen on a connection of its own.' },
  { pin: Pin.LIBRARY, reason: 'loaded library', advice: 'Load the library by session_preload_libraries.' },
  {
    pin: Pin.SEQUENCE,
    reason: 'currval or lastval',
    advice: 'Use INSERT ... RETURNING, or the result of nextval.',
  },
  { pin: Pin.UNSEEN, reason: 'state that no query shows', advice: '' },
  {
    pin: Pin.SETTINGS_SIZE,
    reason: `more than ${STATE_BYTES_MAX / 1024} KiB of settings`,
    advice: 'Set less.',
    isLimit: true,
  },
  {
    pin: Pin.SETTINGS_COUNT,
    reason: `more than ${CUSTOM_SETTINGS_MAX} custom settings`,
    advice: 'Put several values into one setting.',
    isLimit: true,
  },
  {
    pin: Pin.SETTING_NAMES,
    reason: 'custom settings of unknown names',
    advice: "Name custom settings by plain literals, as in set_config('app.tenant', $1, false).",
    isLimit: true,
  },
  {
    pin: Pin.UNANSWERED,
    reason: 'state that could not be asked for',
    advice: "The gateway's log says what the server has answered.",
    isLimit: true,
  },
];

function wordsOf(pins: number): readonly PinWords[] {
  return WORDS.filter(({ pin }) => (pins & pin) !== 0);
}

/** The single bits of a set of pins. */
export function pinBits(pins: number): number[] {
  return wordsOf(pins).map(({ pin }) => pin);
}

/** The reasons. Empty: none. */
export function pinReasons(pins: number): string {
  return wordsOf(pins)
    .map(({ reason }) => reason)
    .join(', ');
}

/** How to do without. */
export function pinAdvice(pins: number): string {
  const advice = wordsOf(pins).map((words) => words.advice);
  return [
    ...advice.filter((text) => text !== ''),
    'Or use a database or user with pool_mode = session.',
  ].join(' ');
}

/** Those of the pins that are limits of the gateway's. */
export function limitPins(pins: number): number {
  return wordsOf(pins).reduce<number>((bits, { pin, isLimit }) => (isLimit ? bits | pin : bits), Pin.NONE);
}
