/** The few command tags that say something about prepared statements; all others are passed on unread. */
import { sameBytes } from '../../wire/bytes.js';
import { HEADER_BYTES } from '../../wire/framing.js';
import { buildCommandComplete } from '../../wire/server-messages.js';

const TAGS = ['PREPARE', 'DISCARD ALL', 'DEALLOCATE ALL'] as const;
export type TellingTag = (typeof TAGS)[number];

const MESSAGES = TAGS.map((tag) => ({ tag, message: buildCommandComplete(tag) }));
const [SHORT, MIDDLE, LONG] = MESSAGES.map(({ message }) => message.length);

const ALTER = buildCommandComplete('ALTER ').subarray(HEADER_BYTES, -1);
const DROP = buildCommandComplete('DROP ').subarray(HEADER_BYTES, -1);
const CREATE = buildCommandComplete('CREATE ').subarray(HEADER_BYTES, -1);
const CREATE_VIEW = buildCommandComplete('CREATE VIEW');
/** What they call may have made or changed definitions. */
const CALL = buildCommandComplete('CALL');
const DO = buildCommandComplete('DO');
/** Most tags begin with other letters. */
const FIRST_A = 'A'.charCodeAt(0);
const FIRST_C = 'C'.charCodeAt(0);
const FIRST_D = 'D'.charCodeAt(0);
const DIGIT_ZERO = '0'.charCodeAt(0);

/**
 * What the whole CommandComplete at `position` may tell of definitions. `altered`: prepared statements may have other columns.
 * `dropped`: what they name may be gone, and another thing may come in its place. That is common, as with temporary tables.
 * `created`: there may be new ones, and functions and operators may do something else.
 */
export function definitionChange(
  bytes: Uint8Array,
  position: number,
  total: number,
): 'altered' | 'dropped' | 'created' | null {
  const body = position + HEADER_BYTES;
  const first = bytes[body]!;
  if (first !== FIRST_A && first !== FIRST_C && first !== FIRST_D) return null;
  if (total > HEADER_BYTES + ALTER.length && sameBytes(ALTER, 0, bytes, body, ALTER.length)) return 'altered';
  if (total > HEADER_BYTES + DROP.length && sameBytes(DROP, 0, bytes, body, DROP.length)) return 'dropped';
  if (isTag(CREATE_VIEW, bytes, position, total)) return 'altered';
  const isNew = total > HEADER_BYTES + CREATE.length && sameBytes(CREATE, 0, bytes, body, CREATE.length);
  if (isNew || isTag(CALL, bytes, position, total) || isTag(DO, bytes, position, total)) return 'created';
  return null;
}

function isTag(message: Uint8Array, bytes: Uint8Array, position: number, total: number): boolean {
  const body = position + HEADER_BYTES;
  return total === message.length && sameBytes(message, HEADER_BYTES, bytes, body, total - HEADER_BYTES);
}

/** A tag is short; a longer one is passed on unread. */
export const TAG_MESSAGE_BYTES_MAX = 128;

/** Whether a CommandComplete of `total` bytes, header included, can be one of them: the cheap question. */
export function mayBeTelling(total: number): boolean {
  return total === SHORT || total === MIDDLE || total === LONG;
}

/** Which of them the whole CommandComplete at `position` has; null: none. */
export function tellingTag(bytes: Uint8Array, position: number, total: number): TellingTag | null {
  for (const { tag, message } of MESSAGES) if (isTag(message, bytes, position, total)) return tag;
  return null;
}

/** How many rows the whole CommandComplete at `position` tells of: the number behind its tag, or 0. */
export function rowsOfTag(bytes: Uint8Array, position: number, total: number): number {
  let rows = 0;
  let unit = 1;
  // Backwards from the zero byte, since the number stands last.
  for (let at = position + total - 2; at > position + HEADER_BYTES; at -= 1) {
    const digit = bytes[at]! - DIGIT_ZERO;
    if (digit < 0 || digit > 9) return rows;
    rows += digit * unit;
    unit *= 10;
  }
  return rows;
}
