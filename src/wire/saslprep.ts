/**
 * The preparation of passwords for SCRAM as PostgreSQL does it (RFC 4013): a password that SASLprep doesn't allow, or that
 * isn't UTF-8, is used as it is.
 */
import { isInTable } from './saslprep-tables.js';
import { hasEscapedBytes } from './text.js';

// biome-ignore lint/suspicious/noControlCharactersInRegex: the class is ASCII as a whole.
const ASCII = /^[\x00-\x7f]*$/;
/** Table C.1.2: mapped to a space. U+200B is in table B.1 too; the space wins, as in PostgreSQL. */
const OTHER_SPACE = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/gu;
/** Table B.1: mapped to nothing. Alternatives, because a class would take a joiner for part of a sequence. */
const MAPPED_TO_NOTHING =
  /\u00ad|\u034f|\u1806|[\u180b-\u180d]|\u200c|\u200d|\u2060|[\ufe00-\ufe0f]|\ufeff/gu;

/** The password that the key is derived from. ASCII comes back as it is. */
export function saslPrep(password: string): string {
  if (ASCII.test(password) || hasEscapedBytes(password)) return password;
  const mapped = password.replace(OTHER_SPACE, ' ').replace(MAPPED_TO_NOTHING, '');
  // The RFC judges the normalised text; PostgreSQL judges it before, and its verifiers are what counts here.
  return isAllowed(mapped) ? mapped.normalize('NFKC') : password;
}

function isAllowed(text: string): boolean {
  const codePoints = Array.from(text, (character) => character.codePointAt(0)!);
  if (codePoints.length === 0) return false;
  if (codePoints.some((point) => isInTable('PROHIBITED', point) || isInTable('UNASSIGNED', point)))
    return false;
  // RFC 3454, section 6: text with right-to-left characters begins and ends with one, and has no left-to-right ones.
  if (!codePoints.some((point) => isInTable('RIGHT_TO_LEFT', point))) return true;
  return (
    isInTable('RIGHT_TO_LEFT', codePoints[0]) &&
    isInTable('RIGHT_TO_LEFT', codePoints[codePoints.length - 1]) &&
    !codePoints.some((point) => isInTable('LEFT_TO_RIGHT', point))
  );
}
