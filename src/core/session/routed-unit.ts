/**
 * What a client sends as one: a simple Query, or a batch of the extended protocol up to its Sync. It goes to one server
 * connection as a whole, so where it goes is decided when all of it is in sight.
 */
import { sameBytes, zeroByte } from '../../wire/bytes.js';
import { HEADER_BYTES, readInt32 } from '../../wire/framing.js';
import * as Frontend from '../../wire/frontend.js';
import { STATEMENT } from '../server/statement-messages.js';

/** Looks at the texts of a unit, one after the other; false: the rest needn't be looked at. */
export interface UnitReader {
  /** A text that is sent with it: `bytes[start, end)`. */
  text(bytes: Uint8Array, start: number, end: number): boolean;
  /** Portals may be named, and be left with rows that have not been fetched. */
  readonly keepsPortals: boolean;
  /** A statement that was prepared before; its name is `bytes[start, end)`, empty for the unnamed one. */
  prepared(bytes: Uint8Array, start: number, end: number): boolean;
}

/** Longer units, in bytes, are not kept to be repeated: they go to the primary. */
export const UNIT_BYTES_MAX = 65_536;
/** In place of where a unit ends: it is longer than {@link UNIT_BYTES_MAX}. */
export const TOO_LONG = -2;

/** With these a batch begins. */
export const BEGINS_BATCH: ReadonlySet<number> = new Set([
  Frontend.Parse,
  Frontend.Bind,
  Frontend.Describe,
  Frontend.Close,
]);

/** The messages of which a batch consists that can be judged. */
const PARTS: ReadonlySet<number> = new Set([
  Frontend.Parse,
  Frontend.Bind,
  Frontend.Describe,
  Frontend.Execute,
  Frontend.Close,
  Frontend.Flush,
]);

class BatchReader {
  /** The name of the statement that was parsed last in it lies here; -1: none was. */
  private parsed = -1;
  private parsedEnd = -1;
  /** It uses a statement, and doesn't only prepare some. */
  private usesStatement = false;

  read(bytes: Uint8Array, start: number, end: number, reader: UnitReader): number {
    this.parsed = -1;
    this.usesStatement = false;
    for (let at = start; at + HEADER_BYTES <= end; ) {
      const type = bytes[at]!;
      const length = readInt32(bytes, at + 1);
      const next = at + 1 + length;
      if (length >= 4 && next - start > UNIT_BYTES_MAX) return TOO_LONG;
      if (length < 4 || next > end) return -1;
      if (type === Frontend.Sync) return this.usesStatement ? next : -1;
      if (!PARTS.has(type) || !this.admits(type, bytes, at + HEADER_BYTES, next, reader)) return -1;
      at = next;
    }
    return -1;
  }

  private admits(type: number, bytes: Uint8Array, body: number, end: number, reader: UnitReader): boolean {
    if (type === Frontend.Parse) {
      this.parsed = body;
      this.parsedEnd = zeroByte(bytes, body, end);
      const text = this.parsedEnd + 1;
      const textEnd = text === 0 ? -1 : zeroByte(bytes, text, end);
      return textEnd >= 0 && reader.text(bytes, text, textEnd);
    }
    if (type === Frontend.Bind) {
      const name = zeroByte(bytes, body, end) + 1;
      if (name > body + 1 && !reader.keepsPortals) return false;
      const nameEnd = name === 0 ? -1 : zeroByte(bytes, name, end);
      return nameEnd >= 0 && this.uses(bytes, name, nameEnd, reader);
    }
    if (type === Frontend.Execute) return reader.keepsPortals || readInt32(bytes, end - 4) === 0;
    if (type !== Frontend.Describe || bytes[body] !== STATEMENT) return true;
    return end - 1 > body && this.uses(bytes, body + 1, end - 1, reader);
  }

  private uses(bytes: Uint8Array, name: number, end: number, reader: UnitReader): boolean {
    const { parsed, parsedEnd } = this;
    this.usesStatement = true;
    const isParsedHere = parsed >= 0 && end - name === parsedEnd - parsed;
    if (isParsedHere && sameBytes(bytes, name, bytes, parsed, end - name)) return true;
    return reader.prepared(bytes, name, end);
  }
}

const batchReader = new BatchReader();

/**
 * Reads the batch at `start`. Returns where it ends, behind its Sync; -1: not all of it is there, the reader has refused it,
 * it is malformed, holds something else, or only prepares statements; {@link TOO_LONG}. Allocates nothing.
 */
export function readBatch(bytes: Uint8Array, start: number, end: number, reader: UnitReader): number {
  return batchReader.read(bytes, start, end, reader);
}

/** The names of the statements that the unit `bytes[0, length)` prepares, as Latin-1 ranges; for `each`. */
export function eachPreparedName(
  bytes: Uint8Array,
  length: number,
  each: (start: number, end: number) => void,
): void {
  for (let at = 0; at + HEADER_BYTES <= length; at += readInt32(bytes, at + 1) + 1) {
    if (bytes[at] !== Frontend.Parse) continue;
    const body = at + HEADER_BYTES;
    const end = zeroByte(bytes, body, length);
    if (end > body) each(body, end);
  }
}

/** A simple Query of `total` bytes at `position` that is waited for: it is short, and not all of it is there. */
export function isIncomplete(total: number, position: number, end: number): boolean {
  return total <= UNIT_BYTES_MAX && end - position < total;
}
