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
const CREATE_VIEW = buildCommandComplete('CREATE VIEW');

/**
 * What the CommandComplete at `position` may tell of prepared statements. `altered`: they may have other columns. `dropped`:
 * what they name may be gone, and another thing may come in its place. That is common, as with temporary tables.
 */
export function definitionChange(
  bytes: Uint8Array,
  position: number,
  total: number,
): 'altered' | 'dropped' | null {
  const body = position + HEADER_BYTES;
  if (total > HEADER_BYTES + ALTER.length && sameBytes(ALTER, 0, bytes, body, ALTER.length)) return 'altered';
  if (total > HEADER_BYTES + DROP.length && sameBytes(DROP, 0, bytes, body, DROP.length)) return 'dropped';
  const isView =
    total === CREATE_VIEW.length && sameBytes(CREATE_VIEW, HEADER_BYTES, bytes, body, total - HEADER_BYTES);
  return isView ? 'altered' : null;
}

/** A tag is short; a longer one is passed on unread. */
export const TAG_MESSAGE_BYTES_MAX = 128;

/** Whether a CommandComplete of `total` bytes, header included, can be one of them: the cheap question. */
export function mayBeTelling(total: number): boolean {
  return total === SHORT || total === MIDDLE || total === LONG;
}

/** Which of them the whole CommandComplete at `position` has; null: none. */
export function tellingTag(bytes: Uint8Array, position: number, total: number): TellingTag | null {
  for (const { tag, message } of MESSAGES) {
    const isSame =
      message.length === total &&
      sameBytes(message, HEADER_BYTES, bytes, position + HEADER_BYTES, total - HEADER_BYTES);
    if (isSame) return tag;
  }
  return null;
}
