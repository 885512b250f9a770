/**
 * Strings of the protocol as JavaScript strings, without loss.
 *
 * PostgreSQL's protocol carries bytes in the client's encoding, which need not be UTF-8 (and names in a startup packet
 * have no encoding at all). A lossy decoding would make two different names or statements equal. So a byte that isn't
 * part of valid UTF-8 becomes the lone surrogate U+DC00 + byte, which no valid UTF-8 yields, and goes back to
 * the same byte when it is written.
 */
import { isUtf8 } from 'node:buffer';

const ESCAPE_BASE = 0xdc00;
/** With the `u` flag a surrogate in this class matches only where it isn't half of a pair. */
const ESCAPED_BYTE = /[\udc80-\udcff]/u;
const ESCAPED_BYTES = /([\udc80-\udcff]+)/u;

/** `bytes[start, end)` as a string; `encodeText` gives the same bytes again. The range must lie inside `bytes`. */
export function decodeText(bytes: Uint8Array, start: number, end: number): string {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start);
  const text = view.toString('utf8');
  // The replacement character is rare, so this finds valid text without a second pass over the bytes.
  return text.includes('\ufffd') && !isUtf8(view) ? decodeEscaping(view) : text;
}

/** The bytes of a string that may hold escaped bytes. */
export function encodeText(text: string): Buffer {
  if (!ESCAPED_BYTE.test(text)) return Buffer.from(text, 'utf8');
  // Splitting by a captured group alternates: plain, escaped, plain, ...
  return Buffer.concat(
    text
      .split(ESCAPED_BYTES)
      .map((part, index) =>
        index % 2 === 0
          ? Buffer.from(part, 'utf8')
          : Buffer.from(Array.from(part, (unit) => unit.charCodeAt(0) - ESCAPE_BASE)),
      ),
  );
}

/** Whether a string holds bytes that aren't UTF-8, so that {@link encodeText} is needed to write it. */
export function hasEscapedBytes(text: string): boolean {
  return ESCAPED_BYTE.test(text);
}

function decodeEscaping(bytes: Buffer): string {
  const parts: string[] = [];
  let plainFrom = 0;
  let at = 0;
  while (at < bytes.length) {
    const length = sequenceLength(bytes, at);
    if (length > 0) {
      at += length;
      continue;
    }
    if (at > plainFrom) parts.push(bytes.toString('utf8', plainFrom, at));
    parts.push(String.fromCharCode(ESCAPE_BASE + bytes[at]));
    at += 1;
    plainFrom = at;
  }
  if (at > plainFrom) parts.push(bytes.toString('utf8', plainFrom, at));
  return parts.join('');
}

/** How many bytes the valid UTF-8 sequence at `at` has; 0 when there is none. */
function sequenceLength(bytes: Buffer, at: number): number {
  const lead = bytes[at];
  if (lead < 0x80) return 1;
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (at + length > bytes.length) return 0;
  return isUtf8(bytes.subarray(at, at + length)) ? length : 0;
}
